"""The ledger's bytes on disk: one writer by lock, append with fsync, mending after a crash.

Rules 4 and 10 of DESIGN.md. A crash while writing leaves a torn last line that nobody was told of: it is
cut off, or, when only its newline is missing, kept (an entry too many wastes budget, one too few
overspends it). Everything else that is wrong is refused and named. POSIX only, as the ward is.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path

from intraward_shared.durable import sync_folder
from intraward_shared.errors import ContractError, LedgerError
from intraward_shared.ledger_chain import parse_lines
from intraward_shared.ledger_entry import LedgerEntry
from intraward_shared.protocol import from_bytes

_REOPEN = "free the disk, then start the site again: it verifies the ledger and goes on"


class LedgerFile:
    """An open, locked ledger file. After a failed append it takes no more."""

    def __init__(self, path: Path, handle: int) -> None:
        """Internal; use ``LedgerFile.open``."""
        self._path, self._handle = path, handle
        self._size = os.fstat(handle).st_size
        self._usable = True

    @classmethod
    def open(cls, path: Path) -> tuple[LedgerFile, tuple[LedgerEntry, ...], list[bytes]]:
        """Lock the file, mend a torn last line, parse the rest (not yet verified).

        Returns:
            The file, its entries, and the line of each.

        Raises:
            LedgerError: missing, held by another writer, or not made of entries.
        """
        try:
            handle = os.open(path, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
                raise LedgerError(
                    f"{path}: the ledger cannot be written; without it nothing is trained",
                    remedy="mount its disk writable, or mend the file's rights; the ledger was not looked at",
                ) from None
            raise LedgerError(
                f"{path}: no ledger can be opened; without it nothing is trained",
                remedy="restore the newest ledger; a new site would forget what is spent",
            ) from None
        try:
            _lock(handle, path)
            entries, lines = _load(handle)
            return cls(path, handle), entries, lines
        except BaseException as error:
            os.close(handle)
            if isinstance(error, LedgerError):
                raise LedgerError(f"{path}: {error.message}", remedy=error.remedy) from None
            raise

    def close(self) -> None:
        """Give lock and file back."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle, self._usable = -1, False

    def append(self, line: bytes) -> None:
        """Write one line; returns when it is on disk.

        Raises:
            LedgerError: closed, an earlier write failed, this one did, or the file was changed.
        """
        if not self._usable:
            raise LedgerError("the ledger is closed, or a write to it failed", remedy=_REOPEN)
        self._usable = False
        try:
            self._check_untouched()
            _write_all(self._handle, line)
            os.fsync(self._handle)
        except OSError:
            raise LedgerError(f"{self._path}: the ledger cannot be written", remedy=_REOPEN) from None
        self._size += len(line)
        self._usable = True

    def _check_untouched(self) -> None:
        mine, there = os.fstat(self._handle), self._path.stat()
        if (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino) or mine.st_size != self._size:
            raise LedgerError(
                f"{self._path}: the file was replaced or changed while the site held it",
                remedy="find out who did; start the site again with the newest ledger",
            )


def write_new(path: Path, data: bytes) -> None:
    """Make a file that is there whole or not at all, mode 0600; an existing one is refused."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            _write_all(handle, data)
            os.fsync(handle)
        finally:
            os.close(handle)
        os.link(draft, path)
        sync_folder(path.parent)
    except FileExistsError:
        raise LedgerError(
            f"{path}: a ledger is there already", remedy="a ledger is never overwritten"
        ) from None
    except OSError:
        raise LedgerError(f"{path}: the ledger cannot be made", remedy="check folder and disk") from None
    finally:
        draft.unlink(missing_ok=True)


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise LedgerError(
            "another process writes to this ledger", remedy="stop the other ward of this site first"
        ) from None
    if os.fstat(handle).st_ino != path.stat().st_ino:
        raise LedgerError("the file was replaced while it was opened", remedy="try again")


def _load(handle: int) -> tuple[tuple[LedgerEntry, ...], list[bytes]]:
    with os.fdopen(os.dup(handle), "rb") as file:
        file.seek(0)
        data = file.read()
    whole = data.rfind(b"\n") + 1
    tail = data[whole:]
    entries, lines = parse_lines(data[:whole]), data[:whole].split(b"\n")[:-1]
    if tail:
        completed = _torn_entry(tail, len(entries))
        if completed is None:
            os.ftruncate(handle, whole)
        else:
            entries += (completed,)
            lines.append(tail)
            _write_all(handle, b"\n")
        os.fsync(handle)
    return entries, lines


def _torn_entry(tail: bytes, number: int) -> LedgerEntry | None:
    """The entry in a last line that lacks only its newline; None for an incomplete line.

    Raises:
        LedgerError: a whole JSON value that is no entry: no crash leaves that.
    """
    try:
        return from_bytes(tail, LedgerEntry)
    except ContractError:
        pass
    try:
        json.JSONDecoder().raw_decode(tail.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):
        return None
    raise LedgerError(f"ledger entry {number}: changed after it was written", remedy="restore the ledger")


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
