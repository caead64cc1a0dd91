"""What a ledger charged, round after round, with the outcome of each: the bars of a picture of spending.

Rule 7 of DESIGN.md: epsilon is derived from the entries, by PLD, the auditor's accountant, once a bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from intraward_shared.ledger_chain import BURNED, charged_for
from intraward_shared.ledger_entry import Kind, LedgerEntry
from intraward_shared.privacy import events_to_epsilon
from intraward_shared.protocol import Mechanism

MOST_BARS = 120
"""More charges than this are drawn as every n-th."""
_OUTCOMES = {Kind.RELEASE: "released", Kind.ABORT: "aborted", Kind.RESERVE: "open"}


@dataclass(frozen=True)
class Charge:
    """One charged round: what it was for, what became of it, and what had been spent with it.

    ``outcome``: ``released``, ``aborted``, ``open`` (no end yet), ``paid`` (not yet drawn) or ``burned``.
    ``cap`` is the one in force when it was charged.
    """

    stage: str
    outcome: str
    again: bool
    cap: float
    mechanisms: tuple[Mechanism, ...]
    epsilon: float = 0.0


def charges_of(entries: Sequence[LedgerEntry]) -> list[Charge]:
    """Every charged round of a ledger in order, with its outcome; epsilon is not filled in."""
    ends: dict[tuple[str | None, int | None], Kind] = {
        (entry.plan, entry.attempt): entry.kind for entry in entries if entry.plan is not None
    }
    draws = {
        (entry.schedule, entry.slot): (entry.plan, entry.attempt)
        for entry in reversed(entries)
        if entry.slot is not None
    }
    cap, found = 0.0, []
    for entry in entries:
        cap = entry.terms.lifetime_epsilon if entry.terms is not None else cap
        if entry.kind is Kind.BURN:
            mechanisms = tuple(slot.mechanism for slot in entry.charges)
            found.append(Charge(BURNED, "burned", False, cap, mechanisms))
            continue
        for index, slot in enumerate(entry.charges):
            drawn = draws.get((entry.schedule, index)) if entry.is_schedule else (entry.plan, entry.attempt)
            outcome = "paid" if drawn is None else _OUTCOMES[ends[drawn]]
            again = not entry.is_schedule and (entry.attempt or 1) > 1
            found.append(Charge(charged_for(entry, slot), outcome, again, cap, (slot.mechanism,)))
    return found


def thinned(charges: Sequence[Charge], delta: float, most: int = MOST_BARS) -> list[Charge]:
    """At most about ``most`` of the charges, the last among them, each with epsilon of all up to it."""
    every = max(1, -(-len(charges) // most))
    shown: list[Charge] = []
    spent: list[Mechanism] = []
    for index, charge in enumerate(charges):
        spent += charge.mechanisms
        if (index + 1) % every == 0 or index + 1 == len(charges):
            values = {**charge.__dict__, "epsilon": events_to_epsilon(spent, delta)}
            shown.append(Charge(**values))
    return shown
