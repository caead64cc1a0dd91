"""A process that holds notes dumps no core where others would, and its own user cannot look into it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from intraward_client.machine import CORE_PATTERN

CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
PRIVATE = "from intraward_client.memory import keep_memory_private; keep_memory_private(); "
DUMPABLE = """
import ctypes, resource, subprocess, sys
before = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
keep_memory_private()
print(before, ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), *resource.getrlimit(resource.RLIMIT_CORE))
"""


def crashed(folder: Path, code: str) -> list[str]:
    """Files that a Python process leaves that ends by SIGSEGV where core dumps are allowed."""
    folder.mkdir()
    allowed = "import resource; resource.setrlimit(resource.RLIMIT_CORE, (1 << 40, 1 << 40)); "
    done = subprocess.run([sys.executable, "-c", allowed + code], cwd=folder, check=False)
    assert done.returncode == -signal.SIGSEGV
    return [path.name for path in folder.iterdir()]


def test_no_core_is_dumped(tmp_path: Path) -> None:
    if "/" in CORE_PATTERN.read_text() or CORE_PATTERN.read_text().startswith("|"):
        pytest.skip("this machine's core dumps do not go to the working directory")
    try:
        control = crashed(tmp_path / "control", CRASH)
    except AssertionError:
        pytest.skip("core dumps cannot be allowed here: the hard limit is 0")
    assert control
    assert crashed(tmp_path / "private", PRIVATE + CRASH) == []


def test_neither_a_file_nor_a_pipe_nor_a_neighbour_gets_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRIVATE.split(";")[0] + DUMPABLE], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "0", "0", "0"]
