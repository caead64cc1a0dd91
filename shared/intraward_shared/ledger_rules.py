"""Which entry may follow which: a pure fold over a ledger, the same for its writer and its auditor.

DESIGN.md section 6, spending. The writer checks an entry here before it is on disk, the auditor after
it was read, so a site cannot write what an audit would refuse. The rules:

 1. POLICY comes first; site, key, officer, delta, unit, adjacency and the simulated flag never change
 2. a run reserves at most one schedule, before its rounds, and its charges are the schedule's slots
 3. (run, round, stage) belongs to one plan for ever
 4. a plan that names a schedule draws its own slot, with its mechanism, once; the first attempt is free
    because the schedule was charged, every other attempt is charged again
 5. a plan with a mechanism and without a schedule is charged at each attempt; a free one never
 6. another attempt follows only an ABORT whose process died, at most three attempts in all
 7. RELEASE and ABORT follow their own RESERVE, once, and charge nothing
 8. a later POLICY that raises the cap or changes the second path is countersigned by the privacy officer
    whom the first entry names; where none is named, neither ever happens
 9. BURN names the highest lost entry that is known, its number jumps past it, it charges at least what
    ``ledger_burn`` asks for, and the officer countersigns it
10. a figure's RESERVE is the one round of a run of its own: one unsampled step, charged, tried once
"""

from __future__ import annotations

from intraward_shared.errors import LedgerError, SignatureError
from intraward_shared.ledger_entry import OFFICER_DOMAIN, Burn, Kind, LedgerEntry, PolicyTerms
from intraward_shared.protocol import ProgramSchedule, to_bytes
from intraward_shared.signing import digest, key_id, verify

_EVIDENCE = "keep the file as evidence and ask the privacy officer; do not edit it"
_ROUND = {"round", "stage", "plan", "attempt", "mechanism", "slot", "output", "process_died", "figure"}
"""Fields that only entries about one round use."""


def next_sequence(last: int, burn: Burn | None) -> int:
    """Number of the entry after ``last`` (-1: of the first); a BURN jumps past what it names."""
    return max(last, burn.sequence if burn is not None else -1) + 1


class History:
    """What the entries so far say. ``check`` is pure; ``add`` checks and takes the entry in."""

    def __init__(self) -> None:
        self.first: LedgerEntry | None = None
        self.terms: PolicyTerms | None = None
        self.last = -1
        self.plans: dict[str, LedgerEntry] = {}
        self.schedules: dict[str, LedgerEntry] = {}
        self.reserved: dict[str, LedgerEntry] = {}
        self._charged_runs: set[str] = set()
        self._owners: dict[tuple[object, ...], str] = {}
        self._drawn: dict[tuple[str | None, int], str] = {}

    def add(self, entry: LedgerEntry) -> None:
        """Take in the next entry.

        Raises:
            LedgerError: it breaks a rule; names the sequence number and the rule.
        """
        self.check(entry)
        self.last = entry.sequence
        if entry.kind is Kind.POLICY:
            self.first = self.first or entry
            self.terms = entry.terms
        elif entry.kind is Kind.BURN:
            pass
        elif entry.is_schedule:
            self.schedules[str(entry.run_id)] = entry
        else:
            plan = str(entry.plan)
            self.plans[plan] = entry
            self._owners[_round_of(entry)] = plan
            if entry.kind is Kind.RESERVE:
                self.reserved[plan] = entry
            if entry.charges:
                self._charged_runs.add(str(entry.run_id))
            if entry.slot is not None:
                self._drawn[entry.schedule, entry.slot] = plan

    def check(self, entry: LedgerEntry) -> None:
        """Refuse an entry that may not come next; changes nothing."""
        if entry.kind is Kind.POLICY:
            self._check_policy(entry)
        self._check_constants(entry)
        self._check_officer(entry)
        if entry.kind is Kind.BURN:
            self._check_burn(entry)
        elif entry.kind is Kind.RESERVE and entry.is_schedule:
            self._check_schedule(entry)
        elif entry.kind is Kind.RESERVE:
            self._check_reserve(entry)
        elif entry.kind is not Kind.POLICY:
            self._check_end(entry)

    def _check_policy(self, entry: LedgerEntry) -> None:
        if entry.terms is None or entry.charges or _any_set(entry, _ROUND | {"schedule", "run_id"}):
            raise _broken(entry, 1, "a POLICY entry holds the site's terms and nothing else")
        if key_id(entry.terms.public) != entry.key_id:
            raise _broken(entry, 1, "key id is not that of the public key")
        if self.terms is not None and self.terms.public != entry.terms.public:
            raise _broken(entry, 1, "the site's key changed")
        if self.terms is not None and self.terms.officer != entry.terms.officer:
            raise _broken(entry, 1, "the officer changed")

    def _check_constants(self, entry: LedgerEntry) -> None:
        first = self.first
        if first is None:
            if entry.kind is not Kind.POLICY:
                raise _broken(entry, 1, "the first entry is not POLICY")
            return
        for name in ("site", "key_id", "delta", "unit", "adjacency", "simulated"):
            if getattr(entry, name) != getattr(first, name):
                raise _broken(entry, 1, f"{name} differs from the first entry")
        if entry.kind is not Kind.POLICY and entry.terms is not None:
            raise _broken(entry, 1, "only POLICY holds terms")
        if (entry.burn is not None) != (entry.kind is Kind.BURN):
            raise _broken(entry, 9, "BURN, and nothing else, names a lost entry")

    def _check_officer(self, entry: LedgerEntry) -> None:
        """Whether the officer had to sign, and did."""
        before = self.terms
        if entry.kind is Kind.POLICY and entry.terms is not None and before is not None:
            raised = entry.terms.lifetime_epsilon > before.lifetime_epsilon
            needed, rule = raised or entry.terms.second_path != before.second_path, 8
        else:
            needed, rule = entry.kind is Kind.BURN, 9
        if entry.countersignature is None:
            if needed:
                raise _broken(entry, rule, "the privacy officer did not sign it")
            return
        if before is None or before.officer is None or entry.kind not in (Kind.POLICY, Kind.BURN):
            raise _broken(entry, rule, "a countersignature where no officer signs")
        try:
            verify(before.officer, OFFICER_DOMAIN, entry.officer_bytes, entry.countersignature)
        except SignatureError:
            raise _broken(entry, rule, "the privacy officer's signature does not verify") from None

    def _check_burn(self, entry: LedgerEntry) -> None:
        # the accountants are slow to import, and almost no ledger has a burn
        from intraward_shared.ledger_burn import burn_charges, charges_enough

        if entry.burn is None or _any_set(entry, _ROUND | {"schedule", "run_id"}):
            raise _broken(entry, 9, "a BURN names the lost entry and its charge, nothing else")
        if entry.charges != burn_charges(entry.burn):
            raise _broken(entry, 9, "charges are not the rounds that it burns")
        cap = self.terms.lifetime_epsilon if self.terms is not None else 0.0
        if not charges_enough(entry.burn, self.last, cap, entry.delta):
            raise _broken(entry, 9, "it charges less than the lost entries may have cost")

    def _check_schedule(self, entry: LedgerEntry) -> None:
        if entry.run_id is None or entry.schedule is None or _any_set(entry, _ROUND):
            raise _broken(entry, 2, "a schedule's RESERVE names run, schedule and slots only")
        if entry.run_id in self.schedules:
            raise _broken(entry, 2, "the run already has a schedule")
        if entry.run_id in self._charged_runs:
            raise _broken(entry, 2, "the run was charged before its schedule")
        slots = [(slot.stage, slot.round) for slot in entry.charges]
        if len(set(slots)) != len(slots):
            raise _broken(entry, 2, "two slots of the schedule are for one round")
        schedule = ProgramSchedule(run_id=entry.run_id, slots=entry.charges)
        if digest(to_bytes(schedule)) != entry.schedule:
            raise _broken(entry, 2, "charges are not the schedule's slots")

    def _check_reserve(self, entry: LedgerEntry) -> None:
        named = (entry.run_id, entry.round, entry.stage, entry.attempt)
        if any(item is None for item in named) or entry.output is not None or entry.process_died is not None:
            raise _broken(entry, 7, "a round's RESERVE names run, round, stage, plan and attempt")
        if self._owners.get(_round_of(entry), entry.plan) != entry.plan:
            raise _broken(entry, 3, "another plan was reserved for the same run, round and stage")
        self._check_attempt(entry)
        if entry.figure is not None:
            self._check_figure(entry)
        if entry.schedule is None:
            self._check_single(entry)
        else:
            self._check_slot(entry)

    def _check_attempt(self, entry: LedgerEntry) -> None:
        last = self.plans.get(str(entry.plan))
        if last is None:
            if entry.attempt != 1:
                raise _broken(entry, 6, "the first attempt is not number 1")
            return
        if _round_of(last) != _round_of(entry) or last.attempt is None:
            raise _broken(entry, 3, "the plan was reserved for another round")
        if last.kind is not Kind.ABORT or not last.process_died:
            raise _broken(entry, 6, "the plan was reserved before, and its process did not die")
        if entry.attempt != last.attempt + 1:
            raise _broken(entry, 6, "attempts do not count up")

    def _check_single(self, entry: LedgerEntry) -> None:
        wanted = () if entry.mechanism is None else (entry.mechanism,)
        if entry.slot is not None or _mechanisms(entry) != wanted:
            raise _broken(entry, 5, "charges are not exactly the mechanism")
        if any(slot.stage != entry.stage for slot in entry.charges):
            raise _broken(entry, 5, "the charge is for another stage")

    def _check_figure(self, entry: LedgerEntry) -> None:
        event = entry.mechanism
        if event is None or (event.sample_rate, event.steps) != (1, 1) or entry.schedule is not None:
            raise _broken(entry, 10, "a figure is one unsampled step of no schedule")
        if (entry.round, entry.attempt) != (1, 1) or entry.run_id in self._charged_runs:
            raise _broken(entry, 10, "a figure is the one round of a run of its own, tried once")

    def _check_slot(self, entry: LedgerEntry) -> None:
        reserved = self.schedules.get(str(entry.run_id))
        if reserved is None or reserved.schedule != entry.schedule:
            raise _broken(entry, 4, "the schedule was not reserved in this run")
        if entry.slot is None or entry.slot >= len(reserved.charges):
            raise _broken(entry, 4, "the schedule has no such slot")
        slot = reserved.charges[entry.slot]
        if slot.mechanism != entry.mechanism or slot.stage != entry.stage:
            raise _broken(entry, 4, "the mechanism is not the slot's")
        if self._drawn.get((entry.schedule, entry.slot), entry.plan) != entry.plan:
            raise _broken(entry, 4, "the slot was drawn before")
        if entry.charges != (() if entry.attempt == 1 else (slot,)):
            raise _broken(entry, 4, "a first attempt charges nothing, a later one its slot")

    def _check_end(self, entry: LedgerEntry) -> None:
        last = self.plans.get(str(entry.plan))
        if last is None or last.kind is not Kind.RESERVE:
            raise _broken(entry, 7, "there is no open RESERVE for it")
        same = _round_of(last) == _round_of(entry) and last.attempt == entry.attempt
        bare = not (entry.charges or _any_set(entry, {"mechanism", "schedule", "slot", "figure"}))
        if not same or not bare or last.time != entry.time:
            raise _broken(entry, 7, "it does not match its RESERVE")
        released = entry.kind is Kind.RELEASE
        if (entry.output is not None) != released or (entry.process_died is None) != released:
            raise _broken(entry, 7, "a RELEASE names its output, an ABORT whether the process died")


def _round_of(entry: LedgerEntry) -> tuple[object, ...]:
    return entry.run_id, entry.round, entry.stage


def _any_set(entry: LedgerEntry, names: set[str]) -> bool:
    return any(getattr(entry, name) is not None for name in names)


def _mechanisms(entry: LedgerEntry) -> tuple[object, ...]:
    return tuple(slot.mechanism for slot in entry.charges)


def _broken(entry: LedgerEntry, rule: int, message: str) -> LedgerError:
    return LedgerError(f"ledger entry {entry.sequence}: rule {rule}: {message}", remedy=_EVIDENCE)
