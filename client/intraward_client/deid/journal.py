"""Rows that a run has done, on disk as they come, so that a run that was stopped goes on where it was.

Keeps rules 1 and 10 of DESIGN.md. A journal holds what the outputs will hold (de-identified text, spans,
reason codes) and nothing else, in a file of mode 0600 beside the output; the input, the settings, the rule
pack, the model and (where surrogates depend on it) the secret are named in its first line by one digest.
A journal of anything else is thrown away, and so is all after the first line that is not whole. No key is
ever kept in it: a run whose secret is forgotten cannot go on, because one person would get two surrogates.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from intraward_shared.errors import ConfigError

_EVERY = 64
"""Rows between two writings through to the disk."""


class Journal:
    """One run's rows, in input order. Open it with `Journal.open`; close it, or remove it, when done."""

    def __init__(self, path: Path, handle: int) -> None:
        self._path, self._file, self._waiting = path, os.fdopen(handle, "r+b"), 0
        self.rows = 0

    @classmethod
    def open(cls, path: Path, digest: str) -> Journal:
        """The journal of this very run, with its whole rows, or a new one; ``rows`` says how many there are.

        Raises:
            ConfigError: it cannot be written, is a link, or another run is writing it.
        """
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            os.fchmod(handle, 0o600)
        except OSError:
            raise ConfigError(path, "", "cannot be written", remedy="check disk and permissions") from None
        journal = cls(path, handle)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            journal.close()
            raise ConfigError(path, "", "another run is writing this output", remedy="let it end") from None
        journal._settle(json.dumps({"journal": 1, "of": digest}).encode() + b"\n")
        return journal

    def add(self, row: Mapping[str, Any]) -> None:
        """Append one row."""
        self._file.write(json.dumps(row).encode() + b"\n")
        self.rows += 1
        self._waiting += 1
        if self._waiting >= _EVERY:
            self.sync()

    def sync(self) -> None:
        """Write through to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._waiting = 0

    def read(self) -> Iterator[dict[str, Any]]:
        """Every row, from the first; nothing is added meanwhile."""
        self.sync()
        self._file.seek(0)
        next(self._file, None)
        for line in self._file:
            yield json.loads(line)

    def close(self) -> None:
        """Keep it for the next run."""
        self._file.close()

    def remove(self) -> None:
        """Delete it, as its rows are where they belong, or of no use to anyone."""
        self._path.unlink(missing_ok=True)
        self.close()

    def _settle(self, first: bytes) -> None:
        """Count the whole rows of this run, and cut off what comes after them."""
        whole = 0
        if self._file.readline() == first:
            whole = len(first)
            for line in self._file:
                if not (line.endswith(b"\n") and _is_row(line)):
                    break
                whole += len(line)
                self.rows += 1
        self._file.seek(whole)
        self._file.truncate()
        if not whole:
            self._file.write(first)


def _is_row(line: bytes) -> bool:
    try:
        row = json.loads(line)
    except ValueError:
        return False
    return isinstance(row, dict) and isinstance(row.get("id"), str) and bool({"text", "reason"} & row.keys())
