"""Planted patients: invented people whose appearance anywhere is an alarm.

Keeps rule 2 of DESIGN.md (the second look's canaries). They follow from a key of the site's vault, so nothing
need be stored and every process of the site knows the same ones; the site puts them into the system that its
notes come from. A note in whose output one of them is left is quarantined as ``residue:canary``, and a file
can be searched for them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intraward_client.deid.echoes import fold
from intraward_client.deid.fakenames import BEGINNINGS, ENDINGS, FEMALE, MALE
from intraward_client.store.vault import Vault
from intraward_shared.errors import InputError

_PURPOSE = "deid canary"
_LARGEST = 1 << 26
"""Bytes of a file that is searched whole."""


@dataclass(frozen=True, slots=True)
class Planted:
    """One invented patient; ``first``, ``last`` and ``mrn`` are nobody's."""

    first: str = field(repr=False)
    last: str = field(repr=False)
    mrn: str = field(repr=False)

    @property
    def marks(self) -> tuple[str, ...]:
        """What must be nowhere: the whole name in both orders, the record number, the mail address."""
        return (self.first + self.last, self.last + self.first, self.mrn, f"{self.first}.{self.last}@")

    def row(self, number: int) -> dict[str, Any]:
        """A note to plant, in the format of an import."""
        mail = f"{self.first}.{self.last}@example.org".lower()
        text = (
            f"Patient: {self.first} {self.last}\nMRN: {self.mrn}\nE-mail: {mail}\n"
            f"{self.first} {self.last} was seen for a cough. {self.last} feels better and will come again."
        )
        known = {"first": self.first, "last": self.last, "mrn": self.mrn}
        return {"id": f"canary-{self.mrn}", "patient": f"canary-{number}", "text": text, "known": known}


def planted(vault: Vault, count: int) -> tuple[Planted, ...]:
    """The site's planted patients; a larger count begins with those of a smaller one."""
    key = vault.derive(_PURPOSE)
    return tuple(_make(key, number) for number in range(count))


def marks_of(patients: Iterable[Planted]) -> tuple[str, ...]:
    """What the second look searches for."""
    return tuple(mark for patient in patients for mark in patient.marks)


def search(files: Iterable[Path], patients: Iterable[Planted]) -> Iterator[tuple[Path, int]]:
    """Each file with the number of planted patients that are in it, in any spelling of case and separators.

    Raises:
        InputError: a file is missing, unreadable, or larger than 64 MiB.
    """
    everybody = list(patients)
    for path in files:
        try:
            if path.stat().st_size > _LARGEST:
                raise InputError(path.name, 0, "is larger than 64 MiB", remedy="split it")
            line = fold(path.read_bytes().decode("utf-8", "replace"))
        except OSError:
            raise InputError(path.name, 0, "cannot be read", remedy="check path and permissions") from None
        yield path, sum(any(fold(mark) in line for mark in patient.marks) for patient in everybody)


def _make(key: bytes, number: int) -> Planted:
    draws = hashlib.shake_256(hmac.digest(key, str(number).encode(), "sha256")).digest(40)
    one, two, three, four, five = (int.from_bytes(draws[at : at + 8], "big") for at in range(0, 40, 8))
    given = [name for pool in (FEMALE, MALE) for names in pool.values() for name in names]
    starts = [start for names in BEGINNINGS.values() for start in names]
    last = f"{starts[two % len(starts)]}{ENDINGS[three % len(ENDINGS)]}{ENDINGS[four % len(ENDINGS)]}"
    return Planted(given[one % len(given)], last, f"9{five % 10**9:09d}")
