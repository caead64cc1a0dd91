"""A real PostgreSQL from the machine's own binaries, on a socket of its own; None where there is none."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_USER = "postgres"
_SECONDS = 60


def why_not() -> str:
    """Why no server can be started here; empty where one can."""
    if shutil.which("initdb") is None or shutil.which("postgres") is None:
        return "initdb or postgres is not installed"
    if os.getuid() == 0:
        try:
            pwd.getpwnam(_USER)
        except KeyError:
            return "this is root, and there is no account postgres to run the server"
    return ""


@contextmanager
def server() -> Iterator[str]:
    """URL prefix of a running server, ``postgresql+psycopg://postgres@/{name}?host=folder``."""
    folder = Path(tempfile.mkdtemp(prefix="iw-pg-"))
    other = {"user": _USER, "group": _USER, "extra_groups": []} if os.getuid() == 0 else {}
    if other:
        shutil.chown(folder, _USER, _USER)
    data = folder / "data"
    make = ["initdb", "-D", str(data), "-U", _USER, "--auth=trust", "--no-sync", "-E", "UTF8"]
    process = None
    try:
        subprocess.run(make, check=True, capture_output=True, cwd=folder, **other)  # type: ignore[call-overload]
        process = subprocess.Popen(
            ["postgres", "-D", str(data), "-k", str(folder), "-c", "listen_addresses=", "-c", "fsync=off"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            **other,  # type: ignore[call-overload]
        )
        end = time.monotonic() + _SECONDS
        while subprocess.run(["pg_isready", "-h", str(folder)], capture_output=True).returncode:
            if time.monotonic() > end or process.poll() is not None:
                raise RuntimeError("the test's PostgreSQL did not start")
            time.sleep(0.1)
        yield f"postgresql+psycopg://{_USER}@/{{name}}?host={folder}"
    finally:
        if process is not None:
            process.terminate()
            process.wait(_SECONDS)
        shutil.rmtree(folder, ignore_errors=True)
