"""How many more rounds fit: asked of the very gate that would rule them.

Item 3 of the privacy section: a forecast that is wrong is worse than none. What comes after a ledger's
first schedule is ruled by the Renyi filter, which admits fewer rounds than the tight figure of the
certificate suggests; a ledger under ``program`` admits none, only retries (``intraward_shared.gate``). So
nothing is extrapolated: rounds are added to the book until ``budget.fits`` refuses, by bisection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from intraward_client.privacy.budget import fits
from intraward_client.privacy.planning import most_that_fit, retries_that_fit
from intraward_shared.gate import Gate, read_book
from intraward_shared.ledger_chain import charged_for
from intraward_shared.ledger_entry import Kind, LedgerEntry
from intraward_shared.protocol import Mechanism

MOST_ROUNDS = 10_000
"""A forecast beyond this says "at least"."""


@dataclass(frozen=True)
class StageForecast:
    """One stage at its last setting.

    ``paid``: rounds that are charged and not yet drawn. ``more``: further rounds that the gate would take
    if they were all of this stage; ``MOST_ROUNDS`` means at least so many.
    """

    stage: str
    sample_rate: float
    noise_multiplier: float
    steps: int
    paid: int
    more: int


@dataclass(frozen=True)
class Forecast:
    """``retries`` of the costliest round of the first schedule; only they may follow under ``program``."""

    gate: Gate
    stages: tuple[StageForecast, ...]
    retries: int


def forecast(entries: Sequence[LedgerEntry], cap: float) -> Forecast:
    """What still fits under a cap.

    Args:
        entries: a verified ledger.
        cap: the lower of the policy file's and the ledger's.
    """
    book, paid = read_book(entries), paid_rounds(entries)
    stages = []
    for stage, mechanism in last_settings(entries).items():

        def taken(count: int, mechanism: Mechanism = mechanism) -> bool:
            return fits(book.with_plan(*[mechanism] * count), cap)

        more = most_that_fit(taken, MOST_ROUNDS) if book.gate == "filter" else 0
        rate, noise = mechanism.sample_rate, mechanism.noise_multiplier
        stages.append(StageForecast(stage, rate, noise, mechanism.steps, paid.get(stage, 0), more))
    retries = retries_that_fit(book, cap, book.schedule) if book.schedule else 0
    return Forecast(gate=book.gate, stages=tuple(stages), retries=retries)


def last_settings(entries: Sequence[LedgerEntry]) -> dict[str, Mechanism]:
    """What each stage, or figures, were charged last, in the order of first appearance; burns have none."""
    return {
        charged_for(entry, slot): slot.mechanism
        for entry in entries
        if entry.kind is Kind.RESERVE
        for slot in entry.charges
    }


def paid_rounds(entries: Sequence[LedgerEntry]) -> dict[str, int]:
    """Slots of charged schedules that no plan has drawn, by stage."""
    drawn = {(entry.schedule, entry.slot) for entry in entries if entry.slot is not None}
    left: dict[str, int] = {}
    for entry in entries:
        if entry.is_schedule:
            for index, slot in enumerate(entry.charges):
                left[slot.stage.value] = left.get(slot.stage.value, 0) + (
                    (entry.schedule, index) not in drawn
                )
    return left
