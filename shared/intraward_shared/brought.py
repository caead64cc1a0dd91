"""Files that somebody of another organisation brought: plain, and read no further than they may be long.

Rule 9 of DESIGN.md: nothing of theirs is trusted before it is verified, its length included. A link is
followed; a pipe would be waited for and a device such as ``/dev/zero`` has no end: both are refused unread.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from intraward_shared.errors import ConfigError


def read_brought(path: Path, most: int) -> bytes:
    """The bytes of a file.

    Args:
        most: bytes; a longer file is refused after so many and one more.

    Raises:
        ConfigError: it is no plain file, or longer.
        OSError: it cannot be read, or is a folder; the caller says whom to ask.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        mode = os.fstat(handle).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise ConfigError(path, "", "is no plain file", remedy="give the file itself")
        with os.fdopen(handle, "rb", closefd=False) as file:  # a folder raises here
            data = file.read(most + 1)
    finally:
        os.close(handle)
    if len(data) > most:
        raise ConfigError(path, "", f"is longer than {most:,} bytes", remedy="check that it is the one")
    return data
