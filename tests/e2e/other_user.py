"""Commands of another user of this machine, as a hospital's gateway has one; needs root.

Where the interpreter lies in a folder that only root may enter, the command sees it, and nothing else of that
folder, in a mount namespace of its own.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

USER = 61002
"""Of nobody: any number that the machine has no account for."""


def as_other_user(scratch: Path, command: list[str], group: int = USER) -> list[str]:
    """The command that runs ``command`` as ``USER`` in ``group``, without any capability.

    Args:
        scratch: an empty folder that root may mount on.
        command: program and arguments.
        group: its only group.
    """
    demoted = [
        *("setpriv", f"--reuid={USER}", f"--regid={group}", "--clear-groups", "--inh-caps=-all"),
        *("--bounding-set=-all", "--no-new-privs", *command),
    ]
    closed = _closed_folder()
    if closed is None:
        return demoted
    base, held = Path(sys.base_prefix).resolve(), shlex.quote(str(scratch))
    lines = (
        f"mount --bind {shlex.quote(str(base))} {held}",
        f"mount -t tmpfs -o mode=755 none {shlex.quote(str(closed))}",
        f"mkdir -p {shlex.quote(str(base))}",
        f"mount --bind {held} {shlex.quote(str(base))}",
        f"exec {shlex.join(demoted)}",
    )
    return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", "\n".join(lines)]


def why_not(scratch: Path) -> str:
    """Why there can be no other user here; empty if there can."""
    if os.getuid() != 0:
        return "only root can start a process of another user"
    if any(shutil.which(name) is None for name in ("setpriv", "unshare")):
        return "setpriv or unshare is not installed"
    scratch.mkdir(exist_ok=True)
    look = [sys.executable, "-c", "import intraward_client.app"]
    tried = subprocess.run(as_other_user(scratch, look), capture_output=True, timeout=60, check=False)
    return "" if tried.returncode == 0 else "another user cannot reach this Python and the packages"


def _closed_folder() -> Path | None:
    """The outermost folder on the way to the interpreter that other users may not enter."""
    way = [*reversed(Path(sys.base_prefix).resolve().parents)]
    return next((folder for folder in way if not folder.stat().st_mode & 0o001), None)
