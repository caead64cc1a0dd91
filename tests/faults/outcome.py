"""What came of a fault: the same bytes again, a clean abort, a refusal with a code. Nothing else may.

A fault strikes while a plan is asked; afterwards the plan is asked again, of a fresh process where the old
one died. ``Site`` remembers what stood before, so that lost labels and double charges are counted each time.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum

from intraward_client.egress import REPLY_CODES
from intraward_client.home import SiteHome
from intraward_shared.ledger import Kind, LedgerEntry, charged, read_ledger
from intraward_shared.protocol import open_update
from intraward_shared.signing import SigningKey, digest

LABELS = ("preferences", "judgments", "demonstrations", "prompts", "candidates")
ADMISSION = re.compile(r"ADMISSION_([1-9]|10|11)")


class Outcome(StrEnum):
    """The three ways in which a fault may end."""

    SAME_BYTES = "the same bytes again"
    CLEAN_ABORT = "clean abort, charge kept"
    REFUSED = "refusal with a code"


@dataclass(frozen=True)
class Answer:
    """Code of an answer, and digest of the update that came with it; code ``""`` is no answer at all."""

    code: str
    update: str = ""


NONE = Answer("")


@dataclass(frozen=True)
class Seen:
    """What came of one fault; ``code`` answered the struck request, or the next one where none came."""

    outcome: Outcome
    code: str


class Unclassified(AssertionError):
    """None of the three: a defect."""


@dataclass
class Site:
    """A site's folder before the fault, and what must still hold after it."""

    home: SiteHome
    labels: tuple[int, str] = field(init=False)

    def __post_init__(self) -> None:
        self.labels = self._labels()

    @property
    def entries(self) -> tuple[LedgerEntry, ...]:
        """The ledger, verified."""
        return read_ledger(self.home.ledger, self.public)

    @property
    def public(self) -> str:
        """The site's public key."""
        return SigningKey.load(self.home.signing_key).public

    def attempts(self, plan: str) -> list[LedgerEntry]:
        """RESERVE entries of a plan."""
        return [e for e in self.entries if e.kind is Kind.RESERVE and e.plan == plan]

    def ended(self, plan: str, kind: Kind) -> list[LedgerEntry]:
        """RELEASE or ABORT entries of a plan."""
        return [e for e in self.entries if e.kind is kind and e.plan == plan]

    def sealed(self, plan: str) -> str:
        """Digest of the sealed bytes on disk; empty when there are none."""
        path = self.home.outbox / f"{plan}.sealed"
        return digest(path.read_bytes()) if path.exists() else ""

    def check(self) -> None:
        """No label lost, no double charge, nothing out that was not released.

        Raises:
            AssertionError: says which.
        """
        assert self._labels() == self.labels, "labels were lost"
        entries = self.entries
        attempts = [e for e in entries if e.kind is Kind.RESERVE and e.plan is not None]
        schedules = [e for e in entries if e.is_schedule]
        assert len({e.schedule for e in schedules}) == len(schedules), "a schedule was charged twice"
        for each in attempts:  # the first attempt was paid with the schedule
            paid = len(each.charges)
            assert paid == (0 if each.attempt == 1 and schedules else 1), "an attempt was charged wrongly"
        assert len(charged(entries)) == sum(len(e.charges) for e in (*schedules, *attempts)), "charges differ"
        again = [e for e in attempts if (e.attempt or 1) > 1]
        died = [e for e in entries if e.kind is Kind.ABORT and e.process_died]
        assert len(again) <= len(died), "a second attempt although the process lived"
        released = Counter(e.plan for e in entries if e.kind is Kind.RELEASE)
        assert all(count == 1 for count in released.values()), "released twice"
        for path in self.home.outbox.glob("*.sealed"):
            header, _ = open_update(path.read_bytes(), self.public)
            (paid_by,) = [e for e in attempts if e.hash == header.ledger_entry]
            assert paid_by.plan == header.plan == path.stem, "sealed bytes of another plan"

    def _labels(self) -> tuple[int, str]:
        """Number and digest of all that people judge, and judged, in the vault."""
        with closing(sqlite3.connect(f"file:{self.home.vault}?mode=ro", uri=True)) as vault:
            rows = [vault.execute(f"SELECT * FROM {name} ORDER BY rowid").fetchall() for name in LABELS]
        return sum(map(len, rows)), digest(repr(rows).encode())


def classify(site: Site, plan: str, struck: Answer, sealed: str, again: Answer) -> Seen:
    """Say what came of the fault.

    Args:
        site: after everything.
        plan: digest of the plan that was asked for.
        struck: the answer that came while the fault held.
        sealed: digest of the plan's sealed bytes between the two, empty if there were none.
        again: the answer to the plan asked for again, with the fault gone.

    Raises:
        Unclassified: none of the three.
    """
    aborts, attempts = site.ended(plan, Kind.ABORT), site.attempts(plan)
    told = struck.code or again.code
    for answer in (struck, again):
        if (answer.code == "OK") != bool(answer.update):
            raise Unclassified(f"{answer.code} with or without an update")
    if _refusal(struck.code) or (struck.code in ("OK", "") and _refusal(again.code)):
        return Seen(Outcome.REFUSED, struck.code if _refusal(struck.code) else again.code)
    if struck.code == "ABORTED" and not sealed:
        final = not aborts[0].process_died if aborts else False
        if len(aborts) == 1 == len(attempts) and final and _refusal(again.code):
            return Seen(Outcome.CLEAN_ABORT, told)
        if len(aborts) == 1 == len(attempts) - 1 and not final and again.code == "OK":
            return Seen(Outcome.CLEAN_ABORT, told)  # the ABORT could not be written: the next process did
        raise Unclassified("ABORTED without one ABORT in the ledger")
    kept = {digest_ for digest_ in (struck.update, sealed) if digest_}
    if kept:
        if kept == {again.update} and not aborts and len(attempts) == 1:
            return Seen(Outcome.SAME_BYTES, told)
        raise Unclassified("sealed bytes did not come again")
    if struck.code == "" and again.code == "OK" and len(attempts) == len(aborts) + 1:
        return Seen(Outcome.CLEAN_ABORT, told)
    raise Unclassified(f"{struck.code or 'no answer'}, then {again.code}")


def _refusal(code: str) -> bool:
    return code in REPLY_CODES - {"OK", "ABORTED"} or ADMISSION.fullmatch(code) is not None
