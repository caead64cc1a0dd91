"""The site's privacy ledger: an append-only file with one writer, spent before anything is released.

Rule 4 of DESIGN.md: RESERVE is on disk (fsync) before training begins, RELEASE before bytes leave. One
canonical JSON entry a line, a SHA-256 chain, an Ed25519 signature on each. The whole chain is verified
when the file is opened; ``ledger_rules`` says what may follow what, ``ledger_file`` how bytes get to disk,
``ledger_head`` how the head is kept on a second path, ``ledger_burn`` what lost entries are charged as.

Departs from a Merkle log (RFC 6962): one chain of some hundred entries a site gains nothing from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from intraward_shared.errors import LedgerError
from intraward_shared.figure import FigureTerms
from intraward_shared.ledger_burn import burn_charges
from intraward_shared.ledger_chain import (
    SitePrivacy,
    charged,
    first_schedule,
    policy_entry,
    read_ledger,
    stage_charges,
    verify_chain,
)
from intraward_shared.ledger_entry import (
    NO_PREVIOUS,
    Burn,
    Kind,
    LedgerEntry,
    PolicyTerms,
    sign_entry,
)
from intraward_shared.ledger_file import LedgerFile, write_new
from intraward_shared.ledger_head import SecondHead, is_lost, move_head
from intraward_shared.ledger_receipts import check_receipt
from intraward_shared.ledger_reserve import reservation
from intraward_shared.ledger_rules import History, next_sequence
from intraward_shared.protocol import (
    Mechanism,
    ProgramSchedule,
    Receipt,
    RoundPlan,
    open_update,
    to_bytes,
)
from intraward_shared.signing import SigningKey, digest

__all__ = [
    "Kind",
    "Ledger",
    "LedgerEntry",
    "SitePrivacy",
    "charged",
    "check_receipt",
    "first_schedule",
    "policy_entry",
    "read_ledger",
    "stage_charges",
    "verify_chain",
]


class Ledger:
    """The one writer of a ledger file; holds its lock until ``close``.

    A method that appends returns once the entry is on disk. After a failed write the object refuses all
    further work. Not for several threads at once: the ward serialises its requests.
    """

    def __init__(
        self, file: LedgerFile, key: SigningKey, entries: list[LedgerEntry], history: History
    ) -> None:
        """Internal; use ``Ledger.create`` or ``Ledger.open``."""
        self._file, self._key, self._entries, self._history = file, key, entries, history
        self._reserved_here: set[str] = set()
        self._head: SecondHead | None = None
        self._dispute: LedgerError | None = None

    def __repr__(self) -> str:
        return f"Ledger({len(self._entries)} entries)"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @classmethod
    def create(
        cls,
        path: Path,
        key: SigningKey,
        *,
        site: str,
        policy: str,
        lifetime_epsilon: float,
        delta: float,
        unit: Literal["patient"] = "patient",
        adjacency: Literal["add_remove"] = "add_remove",
        simulated: bool,
        time: str,
        officer: str | None = None,
        second_path: Path | None = None,
    ) -> Ledger:
        """Make a new ledger with its POLICY entry; whole or not at all, never over an old one.

        Args:
            path: file to make.
            key: the site's signing key.
            site: the site's name.
            policy: digest of the site's policy.
            lifetime_epsilon: cap over the life of the site.
            delta: lifetime constant of the site.
            unit: privacy unit.
            adjacency: neighbouring relation of every entry.
            simulated: whether seeded noise may run here; stands in every entry.
            time: ``YYYY-MM-DDTHH:MM:SSZ``.
            officer: public key of the privacy officer; it can be named now or never.
            second_path: absolute path of the file that repeats the head; it must not be there yet.

        Raises:
            LedgerError: a file is there already, or it cannot be written.
        """
        terms = PolicyTerms(
            public=key.public,
            policy=policy,
            lifetime_epsilon=lifetime_epsilon,
            officer=officer,
            second_path=str(second_path) if second_path is not None else None,
        )
        fields: dict[str, Any] = {"unit": unit, "adjacency": adjacency, "delta": delta}
        fields |= {"simulated": simulated, "time": time, "site": site, "terms": terms}
        entry = sign_entry(key, kind=Kind.POLICY, sequence=0, previous=NO_PREVIOUS, **fields)
        History().add(entry)
        head = SecondHead.of(terms, key)
        if head is not None:
            head.create(entry)
        try:
            write_new(path, to_bytes(entry) + b"\n")
        except LedgerError:
            if head is not None:
                head.path.unlink()
            raise
        return cls.open(path, key)

    @classmethod
    def open(cls, path: Path, key: SigningKey, *, for_officer: bool = False) -> Ledger:
        """Lock, verify and mend a ledger, and hold it against its second head.

        Args:
            path: the ledger file.
            key: the site's signing key.
            for_officer: open it although the second head is missing or ahead; the officer signs first.

        Raises:
            LedgerError: missing, held by another writer, signed by another key, broken, or rolled back.
        """
        file, entries, lines = LedgerFile.open(path)
        try:
            ledger = cls(file, key, list(entries), verify_chain(entries, key.public, lines))
            ledger._settle(for_officer)
            return ledger
        except BaseException as error:
            file.close()
            if isinstance(error, LedgerError):
                raise LedgerError(f"{path}: {error.message}", remedy=error.remedy) from None
            raise

    def close(self) -> None:
        """Give the file back to other writers."""
        self._file.close()

    @property
    def entries(self) -> tuple[LedgerEntry, ...]:
        """All entries, verified."""
        return tuple(self._entries)

    @property
    def head(self) -> tuple[int, str]:
        """Sequence number and hash of the last entry."""
        return self._entries[-1].sequence, self._entries[-1].hash

    @property
    def privacy(self) -> SitePrivacy:
        """Site, delta, cap and the rest of what the POLICY entries say."""
        return policy_entry(self._entries)

    def charges(self) -> tuple[Mechanism, ...]:
        """Everything that was charged, in order."""
        return charged(self._entries)

    def state_of(self, plan: str) -> Kind | None:
        """Kind of the newest entry about a plan: RESERVE, RELEASE or ABORT; None when it is new."""
        entry = self._history.plans.get(plan)
        return entry.kind if entry is not None else None

    def has_schedule(self, schedule: ProgramSchedule) -> bool:
        """Whether this very schedule is charged already."""
        entry = self._history.schedules.get(schedule.run_id)
        return entry is not None and entry.schedule == digest(to_bytes(schedule))

    def amend_policy(
        self,
        policy: str,
        lifetime_epsilon: float,
        time: str,
        *,
        second_path: Path | None = None,
        officer: SigningKey | None = None,
    ) -> LedgerEntry:
        """Record a person's decision about cap, policy and second path; the rest stays for ever.

        Args:
            policy: digest of the policy as it is now.
            lifetime_epsilon: the cap from now on.
            time: ``YYYY-MM-DDTHH:MM:SSZ``.
            second_path: where the head is repeated from now on.
            officer: the privacy officer's key; needed for a higher cap, another or a lost second head.

        Raises:
            LedgerError: rule 8 of ``ledger_rules``, or a file at the second path that does not fit.
        """
        terms = PolicyTerms(
            public=self._key.public,
            policy=policy,
            lifetime_epsilon=lifetime_epsilon,
            officer=self.privacy.officer,
            second_path=str(second_path) if second_path is not None else None,
        )
        entry = self._next(Kind.POLICY, officer, terms=terms, time=time)
        self._head = move_head(self._head, SecondHead.of(terms, self._key), self._entries)
        return self._append(entry)

    def burn(self, lost: Burn, time: str, officer: SigningKey) -> LedgerEntry:
        """BURN: charge for entries that were lost, and go on with a number past theirs.

        Args:
            lost: the highest lost entry that is known, and what is charged (``ledger_burn``).
            time: ``YYYY-MM-DDTHH:MM:SSZ``.
            officer: the privacy officer's key.

        Raises:
            LedgerError: rule 9 of ``ledger_rules``, or nothing is lost.
        """
        if not is_lost(self._entries, lost.sequence, lost.entry):
            raise LedgerError(
                f"entry {lost.sequence} is not lost: the ledger holds it", remedy="nothing to burn"
            )
        return self._append(self._next(Kind.BURN, officer, burn=lost, charges=burn_charges(lost), time=time))

    def reserve_schedule(self, schedule: ProgramSchedule, time: str) -> LedgerEntry:
        """Charge every slot of a run's schedule at once; the same schedule again is the same entry.

        Args:
            schedule: verified to be signed by the coordinator, and gated (``Budget``).
            time: slot time of the plan that brought it.

        Raises:
            LedgerError: the run has another schedule already.
        """
        if self.has_schedule(schedule):
            return self._history.schedules[schedule.run_id]
        entry = self._next(
            Kind.RESERVE,
            run_id=schedule.run_id,
            schedule=digest(to_bytes(schedule)),
            charges=schedule.slots,
            time=time,
        )
        return self._append(entry)

    def pending_charges(self, plan: RoundPlan | FigureTerms) -> tuple[Mechanism, ...]:
        """What ``reserve(plan)`` would add to the spend; writes nothing, refuses what it would refuse."""
        return tuple(slot.mechanism for slot in self._reservation(plan).charges)

    def reserve(self, plan: RoundPlan | FigureTerms) -> LedgerEntry:
        """RESERVE one attempt of a plan or figure, on disk; rows may be read when this returns.

        Raises:
            LedgerError: rule 3 to 6 or 10 of ``ledger_rules``: another plan for the round, a slot drawn
                twice, an attempt that is open, released, or was given up while its process lived.
        """
        entry = self._append(self._reservation(plan))
        self._reserved_here.add(plan.digest)
        return entry

    def release(self, plan: str, output: str) -> LedgerEntry:
        """RELEASE: the sealed bytes are on disk and may leave.

        Args:
            plan: the plan's digest.
            output: digest of the update's tensors.
        """
        return self._append(self._end(Kind.RELEASE, plan, output=output))

    def abort(self, plan: str) -> LedgerEntry:
        """ABORT an attempt that failed while its process lived; final, and the charge stays."""
        return self._append(self._end(Kind.ABORT, plan, process_died=False))

    def abort_dead_attempt(self, plan: str) -> LedgerEntry | None:
        """ABORT an attempt that an earlier process left open; it may be made again.

        Nothing to do (None) unless the plan is RESERVED. An attempt that this very object reserved
        did not die with its process, so it is given up for good.
        """
        if self.state_of(plan) is not Kind.RESERVE:
            return None
        died = plan not in self._reserved_here
        return self._append(self._end(Kind.ABORT, plan, process_died=died))

    def ensure_released(self, plan: str, sealed: bytes) -> LedgerEntry:
        """RELEASE sealed bytes that are on disk, once; sending the same bytes again is free.

        Args:
            plan: the plan's digest.
            sealed: the whole sealed update, as it will leave.

        Raises:
            SignatureError, DigestError: the bytes are not what this site sealed.
            LedgerError: not of this plan's paid attempt, or another output was released.
        """
        header, _ = open_update(sealed, self._key.public)
        if self._dispute is not None:
            raise self._dispute
        last, paid = self._history.plans.get(plan), self._history.reserved.get(plan)
        if header.plan != plan or last is None or paid is None or last.kind is Kind.ABORT:
            raise LedgerError("sealed bytes have no open or released attempt", remedy="remove them")
        if (header.ledger_sequence, header.ledger_entry) != (paid.sequence, paid.hash):
            raise LedgerError("sealed bytes were paid by another entry", remedy="remove them")
        if last.kind is Kind.RESERVE:
            return self.release(plan, header.tensors)
        if last.output != header.tensors:
            raise LedgerError("another output was released for this plan", remedy="remove the bytes")
        return last

    def check_receipt(self, receipt: Receipt) -> None:
        """Refuse a ledger that is older than, or differs from, a countersigned entry (rollback).

        An entry for whose loss a BURN was charged is passed over.
        """
        check_receipt(self._entries, receipt)

    def _reservation(self, plan: RoundPlan | FigureTerms) -> LedgerEntry:
        return self._next(Kind.RESERVE, **reservation(self._history, plan))

    def _end(self, kind: Kind, plan: str, **fields: Any) -> LedgerEntry:
        last = self._history.plans.get(plan)
        if last is None:
            raise LedgerError("there is no RESERVE for this plan", remedy="reserve before training")
        return self._next(
            kind,
            run_id=last.run_id,
            round=last.round,
            stage=last.stage,
            plan=plan,
            attempt=last.attempt,
            time=last.time,
            **fields,
        )

    def _next(self, kind: Kind, officer: SigningKey | None = None, **fields: Any) -> LedgerEntry:
        """The next entry, signed and within the rules, not yet written."""
        sequence, previous = self.head
        first = self._entries[0]
        for name in ("site", "unit", "adjacency", "delta", "simulated"):
            fields[name] = getattr(first, name)
        number = next_sequence(sequence, fields.get("burn"))
        entry = sign_entry(self._key, officer, kind=kind, sequence=number, previous=previous, **fields)
        self._history.check(entry)
        return entry

    def _append(self, entry: LedgerEntry) -> LedgerEntry:
        """Entry and second head on disk, in this order; neither half is acknowledged alone."""
        if self._dispute is not None and entry.countersignature is None:
            raise self._dispute
        self._file.append(to_bytes(entry) + b"\n")
        self._entries.append(entry)
        self._history.add(entry)
        if self._head is not None:
            try:
                self._head.write(entry)
            except LedgerError as error:
                self._dispute = error
                raise
        self._dispute = None
        return entry

    def _settle(self, for_officer: bool) -> None:
        """Mend a second head that a crash left behind; refuse one that is missing or ahead."""
        self._head = SecondHead.of(self._history.terms, self._key)
        try:
            if self._head is not None:
                self._head.settle(self._entries)
        except LedgerError as error:
            self._dispute = error
            if not for_officer:
                raise
