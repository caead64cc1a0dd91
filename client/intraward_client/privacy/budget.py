"""The budget gate: may this schedule or plan be charged? Answered before any row is read.

Rules 3, 4 and 7 and "Budget gate" in section 6 of DESIGN.md. What must stay under the cap, and why that is
valid for plans that were chosen after seeing results, stands in ``intraward_shared.gate``; this module
brings the site's tight accountant and the ledger.

Accountant: Opacus PRV (Gopi et al., arXiv 2106.02848) with ``eps_error=1e-3``; the auditor's is dp-accounting
PLD. Opacus's GDP accountant under-reports and reads only its last event, so there is no way to name an
accountant here. Departure: PRV alone does not decide. For very much noise over very many steps its grid is
coarser than the loss of a step, and it reports too little (rate 1, noise 1000, 100,000 steps: 1.20 where
the exact value is 1.31). ``tight_epsilon`` therefore asks PLD too and refuses where they disagree.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from opacus.accountants import PRVAccountant
from opacus.accountants.analysis.prv.prvs import PoissonSubsampledGaussianPRV

from intraward_shared.errors import BudgetExhausted, LedgerError
from intraward_shared.figure import FigureTerms
from intraward_shared.gate import Book, read_book
from intraward_shared.ledger import Ledger, LedgerEntry, first_schedule
from intraward_shared.privacy import (
    TOLERANCE,
    Group,
    check_delta,
    check_noise,
    events_to_epsilon,
    group_events,
    rdp_epsilon,
)
from intraward_shared.protocol import Mechanism, ProgramSchedule, RoundPlan

EPS_ERROR = 1e-3
MAX_GRID = 1 << 23
"""Points of PRV's grid at ``EPS_ERROR``; this many take about eight seconds and 1 GB."""
HOPELESS = 3.0
"""RDP is never this many times the tight figure plus one where a cap is in reach; then PRV is not asked."""

_SPENT = "ask for a shorter or noisier programme; raising the cap is the privacy officer's decision"
_ACCOUNT = "ask for fewer steps, or more noise a step"


def prv_epsilon(mechanisms: Iterable[Mechanism], delta: float) -> float:
    """Epsilon of all events together by Opacus PRV, an upper bound within 0.001; add/remove.

    Raises:
        LedgerError: delta is not in (0, 1), the grid would not fit, or no finite epsilon.
    """
    check_delta(delta)
    groups = group_events(mechanisms)
    check_noise(groups)
    return _prv(groups, delta)


def tight_epsilon(mechanisms: Iterable[Mechanism], delta: float) -> float:
    """The site's own figure: PRV, held against PLD.

    Raises:
        LedgerError: as ``prv_epsilon``, or PRV is below or above PLD by more than ``TOLERANCE``.
    """
    events = tuple(mechanisms)
    epsilon = prv_epsilon(events, delta)
    if abs(epsilon - events_to_epsilon(events, delta)) > TOLERANCE:
        raise LedgerError(
            "the two accountants disagree on these events; neither is believed", remedy=_ACCOUNT
        )
    return epsilon


@lru_cache(maxsize=256)
def _prv(groups: tuple[Group, ...], delta: float) -> float:
    if not groups:
        return 0.0
    accountant = PRVAccountant()
    accountant.history = [(group.noise_multiplier, group.sample_rate, group.steps) for group in groups]
    try:
        # Opacus takes logarithms on both sides of a ``where``, and warns of orders in a bound on the grid.
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _check_grid(accountant, groups, delta)
            epsilon = float(accountant.get_epsilon(delta, eps_error=EPS_ERROR))
    except (
        ArithmeticError,
        MemoryError,
        RuntimeError,
        ValueError,
    ):  # what its grid raises when it does not fit
        raise LedgerError("PRV cannot account for these events", remedy=_ACCOUNT) from None
    if not math.isfinite(epsilon) or epsilon < 0:
        raise LedgerError("these events have no finite epsilon", remedy="raise the noise multiplier")
    return epsilon


def _check_grid(accountant: PRVAccountant, groups: tuple[Group, ...], delta: float) -> None:
    """Refuse what would need more memory than a ward has, before any of it is taken."""
    domain = accountant._get_domain(
        prvs=[PoissonSubsampledGaussianPRV(group.sample_rate, group.noise_multiplier) for group in groups],
        num_self_compositions=[group.steps for group in groups],
        eps_error=EPS_ERROR,
        delta_error=delta / 1000,
    )
    if domain.size > MAX_GRID:
        raise LedgerError("too many steps of too much epsilon to be accounted for", remedy=_ACCOUNT)


class Budget:
    """The gate of one ledger: its cap, its delta, what is charged already."""

    def __init__(self, ledger: Ledger, cap: float, delta: float) -> None:
        """Bind the gate to a ledger.

        Args:
            ledger: the site's, open for writing.
            cap: lifetime epsilon of the policy file; lower than the ledger's is stricter, and allowed.
            delta: lifetime delta of the policy file.

        Raises:
            LedgerError: delta is not the ledger's, or the cap is above it.
        """
        recorded = ledger.privacy
        if delta != recorded.delta:
            raise LedgerError(
                "privacy.delta of the policy is not the ledger's; it is a constant of the site",
                remedy="put the old delta back into policy.toml",
            )
        if cap > recorded.lifetime_epsilon:
            raise LedgerError(
                "privacy.lifetime_epsilon of the policy is above the one that the ledger records",
                remedy="put the old cap back, or record the change: intraward-client officer amend",
            )
        self._ledger, self._cap = ledger, cap

    def admit_schedule(self, schedule: ProgramSchedule, time: str) -> LedgerEntry:
        """Gate a run's whole schedule and RESERVE it; once it is charged this does nothing.

        Args:
            schedule: verified to be signed by the coordinator.
            time: slot time of the plan that brought it.

        Raises:
            BudgetExhausted: it does not fit under the cap; nothing was written or read.
            LedgerError: the run has another schedule, or it cannot be accounted for.
        """
        if not self._ledger.has_schedule(schedule):
            slots = [slot.mechanism for slot in schedule.slots]
            book = read_book(self._ledger.entries).with_schedule(slots)
            if slots and not fits(book, self._cap):
                raise _exhausted(book, "schedule")
            tight_epsilon(book.spent, book.delta)  # what the accountants cannot agree on, no auditor passes
        return self._ledger.reserve_schedule(schedule, time)

    def admit(self, plan: RoundPlan | FigureTerms) -> None:
        """Gate one plan or figure; free plans and first draws of a charged slot cost nothing.

        Raises:
            BudgetExhausted: it does not fit under the cap; nothing was written or read.
            LedgerError: the ledger would refuse to reserve it, or it cannot be accounted for.
        """
        new = self._ledger.pending_charges(plan)
        if not new:
            return
        book, first = read_book(self._ledger.entries), first_schedule(self._ledger.entries)
        again = first is not None and plan.schedule == first.schedule
        book = book.with_retry(*new) if again else book.with_plan(*new)
        if not fits(book, self._cap):
            raise _exhausted(book, "retry" if again else "plan")
        tight_epsilon(book.spent, book.delta)


def fits(book: Book, cap: float) -> bool:
    """Whether a book, with what was just added to it, may stand under ``cap``."""
    if rdp_epsilon(book.spent, book.delta) > HOPELESS * cap + 1:
        return False
    return book.admits(cap, tight_epsilon)


def _exhausted(book: Book, what: str) -> BudgetExhausted:
    if book.gate == "program" and book.later:
        return BudgetExhausted(
            f"the first schedule left room for retries of its own rounds only, and this is another {what}",
            remedy="plan a first schedule that leaves room (intraward-client budget plan)",
        )
    return BudgetExhausted(f"the {what} would pass the site's lifetime epsilon", remedy=_SPENT)
