"""One coordinator at a time works in a folder (rule 10 of DESIGN.md).

Flower knows nothing of it: whoever submits the program a second time, while its first ServerApp still runs,
would have two of them write the same state. The lock is the kernel's, so a killed process gives it back.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from intraward_server.home import ServerHome
from intraward_shared.errors import ConfigError, RoundFailed

WAIT_SECONDS = 60.0
"""Flower lets a ServerApp whose run was stopped, or whose SuperLink died, live on for some seconds."""
_POLL_SECONDS = 0.2


@contextmanager
def sole_coordinator(home: ServerHome, wait_s: float = WAIT_SECONDS) -> Iterator[None]:
    """Hold the coordinator's folder.

    Args:
        home: the coordinator's folder.
        wait_s: how long to wait for another process that holds it, in seconds.

    Raises:
        ConfigError: there is no such folder.
        RoundFailed: another process holds it.
    """
    try:
        handle = os.open(home.lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        raise ConfigError(
            home.root, "", "is no folder that can be written", remedy="see intraward-server init"
        ) from None
    try:
        until = time.monotonic() + wait_s
        while not _locked(handle):
            if time.monotonic() >= until:
                raise RoundFailed(
                    "another process runs the program of this folder",
                    remedy="wait until it ends; see what runs with: intraward-server status, flwr list",
                )
            time.sleep(_POLL_SECONDS)
        yield
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
