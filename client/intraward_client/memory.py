"""The memory of a process that holds notes or keys: no core dump of it, and nobody looks into it.

DESIGN.md section 3. RLIMIT_CORE = 0 stops a dump to a file, but not one that the kernel pipes to a program
(core(5)); a process that is not dumpable (prctl(2)) has neither, and its environment and memory in /proc
are closed to its own user's other processes too. What it starts inherits the limit and not the rest.
"""

from __future__ import annotations

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4


def keep_memory_private() -> None:
    """Close this process's memory for as long as it lives."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
