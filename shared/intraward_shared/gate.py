"""The budget gate as pure arithmetic, one for the site that asks it and the auditor who repeats it.

Rule 7 and "Budget gate" in section 6 of DESIGN.md. A ``Book`` is what a ledger has charged, by how it came
about; ``figure`` is the epsilon that has to stay under the cap. The site computes it with Opacus PRV
before a row is read, the auditor with PLD afterwards; everything else they share.

*A schedule that comes first* was fixed before any output existed. Its parts may be taken in any order, or
left out: tight accounting of the whole is valid, and that is its figure as long as nothing follows.

*Whatever comes later* was chosen by somebody who had seen outputs, and tight accounting is not valid for a
choice: with sigma 1, rate 0.05, 200 steps first and three options that bring epsilon to 8.00 each on its
own, choosing by the first output reaches 8.30. Renyi divergence of one order ``a`` is: if every path of
choices keeps ``sum r_i(a) <= B``, all outputs together are (a, B)-RDP (Feldman and Zrnic, arXiv 2008.11193,
theorem 3.1; Lecuyer, arXiv 2103.01379, theorem 1). The conversion to (epsilon, delta) is applied once, to
the pair of whole transcripts, and is increasing in B, so "converted sum <= cap" is that very filter. It
needs one order for all paths. So the order follows from the first mechanism ever charged and the cap of
the ledger's *first* POLICY entry, both older than the first output: neither a cap that an officer raised
later nor a policy file that asks for less can move it. Taking the best order afterwards would be the error.

*Which gate rules* is fixed by the same two for ever (``gate``): ``filter`` if the schedule and one retry of
its worst part pass the filter; then everything, the schedule included, is held by the filter. Otherwise
``program``: the schedule fits only tightly, and nothing but retries of its own slots may ever follow.

*A retry under* ``program`` counts as ``worst_of`` the schedule: highest rate, least noise, most steps. One
copy of it simulates whichever slot is retried. Let a step be the pair (P, Q) = (N(0, s^2), (1 - q) N(0, s^2)
+ q N(1, s^2)). Fewer steps: drop the rest. More noise: add the rest. A lower rate q' < q: keep the draw with
probability q'/q, else draw anew from P, which maps P to P and Q to the Q of q'. Each is a channel applied
to both sides of the pair at once, whatever was seen before, so a schedule with k retries chosen from outputs
is post-processing of (schedule, k copies of the worst): fixed but for k, and the cap bounds k.

*A raised cap* restates the promise: it then holds for the highest cap that an officer may ever sign.
*A burn* charges at least what lost entries had charged, so it stands for them in either gate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from intraward_shared.errors import LedgerError
from intraward_shared.ledger_chain import charged
from intraward_shared.ledger_entry import Kind, LedgerEntry
from intraward_shared.privacy import epsilon_at_order, filter_order
from intraward_shared.protocol import Mechanism

Gate = Literal["program", "filter"]
Accountant = Callable[[Sequence[Mechanism], float], float]
"""(mechanisms, delta) -> epsilon of all of them together, tightly."""


@dataclass(frozen=True)
class Book:
    """What was charged, by how it came about, and what was fixed before the first output.

    ``cap`` is that of the ledger's first POLICY entry. ``schedule`` is what was charged first, if that was a
    whole schedule; ``retries`` are further charges of its slots; ``later`` is everything else that a plan or
    another schedule brought; ``burned`` stands for entries that were lost.
    """

    cap: float
    delta: float
    schedule: tuple[Mechanism, ...] = ()
    retries: tuple[Mechanism, ...] = ()
    later: tuple[Mechanism, ...] = ()
    burned: tuple[Mechanism, ...] = ()
    first: Mechanism | None = None

    @property
    def spent(self) -> tuple[Mechanism, ...]:
        """Everything charged; sums do not depend on its order."""
        return (*self.schedule, *self.retries, *self.later, *self.burned)

    @property
    def gate(self) -> Gate:
        """Which gate rules for ever; it depends on the first charge and the first cap alone."""
        if not self.schedule or self.filtered((*self.schedule, worst_of(self.schedule))) <= self.cap:
            return "filter"
        return "program"

    def with_schedule(self, slots: Sequence[Mechanism]) -> Book:
        """After charging a whole schedule."""
        if not slots:
            return self
        if self.first is not None:
            return replace(self, later=(*self.later, *slots))
        return replace(self, schedule=tuple(slots), first=slots[0])

    def with_plan(self, *charges: Mechanism) -> Book:
        """After charging what the first schedule did not foresee."""
        first = self.first or (charges[0] if charges else None)
        return replace(self, later=(*self.later, *charges), first=first)

    def with_retry(self, *charges: Mechanism) -> Book:
        """After charging slots of the first schedule once more."""
        return replace(self, retries=(*self.retries, *charges))

    @property
    def chosen(self) -> bool:
        """Whether anything was charged by somebody who may have seen outputs."""
        return bool(self.retries or self.later or self.burned)

    def figure(self, tight: Accountant, copies: int = 1) -> float:
        """What has to be under the cap.

        Args:
            tight: PRV at the site, PLD at the auditor's.
            copies: hospitals that all charged the same, for the patient of all of them.

        Raises:
            LedgerError: something was charged that its gate could not have let through.
        """
        if not self.chosen:
            return tight(self.schedule * copies, self.delta) if self.schedule else 0.0
        if self.gate == "filter":
            return self.filtered(self.spent * copies)
        if self.later:
            raise LedgerError(
                "charged beside a schedule that left room for retries only",
                remedy="ask the site how its budget gate let this through",
            )
        again = [worst_of(self.schedule)] * len(self.retries)
        return tight((*self.schedule, *again, *self.burned) * copies, self.delta)

    def admits(self, cap: float, tight: Accountant) -> bool:
        """Whether this book, with what was just added to it, is within a cap."""
        if self.later and self.gate == "program":
            return False
        return self.figure(tight) <= cap

    def filtered(self, mechanisms: Sequence[Mechanism]) -> float:
        """Epsilon of mechanisms by RDP at the order that this ledger fixed."""
        first = self.first or mechanisms[0]
        return epsilon_at_order(mechanisms, filter_order(first, self.cap, self.delta), self.delta)


def read_book(entries: Sequence[LedgerEntry]) -> Book:
    """The book of a verified ledger, or of its first entries.

    Raises:
        LedgerError: there is no POLICY entry in front.
    """
    if not entries or entries[0].terms is None:
        raise LedgerError("the ledger has no POLICY entry", remedy="restore the newest ledger")
    kept: dict[str, list[Mechanism]] = {"schedule": [], "retries": [], "later": [], "burned": []}
    opening: LedgerEntry | None = None
    for entry in entries:
        charges = charged((entry,))
        if not charges:
            continue
        opening = opening or entry
        kept[_origin(entry, opening)] += charges
    first = charged((opening,))[0] if opening is not None else None
    parts = {name: tuple(items) for name, items in kept.items()}
    return Book(cap=entries[0].terms.lifetime_epsilon, delta=entries[0].delta, first=first, **parts)


def worst_of(mechanisms: Sequence[Mechanism]) -> Mechanism:
    """A mechanism that dominates each of ``mechanisms``: highest rate, least noise, most steps."""
    if not mechanisms:
        raise LedgerError("no mechanism to take the worst of")
    return mechanisms[0].model_copy(
        update={
            "sample_rate": max(item.sample_rate for item in mechanisms),
            "noise_multiplier": min(item.noise_multiplier for item in mechanisms),
            "steps": max(item.steps for item in mechanisms),
        }
    )


def _origin(entry: LedgerEntry, opening: LedgerEntry) -> str:
    if entry.kind is not Kind.RESERVE:
        return "burned"
    if entry is opening and entry.is_schedule:
        return "schedule"
    if opening.is_schedule and entry.schedule == opening.schedule:
        return "retries"
    return "later"
