"""The budget gate: may this schedule or plan be charged? Answered before any row is read.

Rules 3, 4 and 7 and "Budget gate" in section 6 of DESIGN.md. Accountant: Opacus PRV (Gopi et al., arXiv
2106.02848) with ``eps_error=1e-3``, an upper bound; the auditor's is dp-accounting PLD. Opacus's GDP
accountant under-reports and reads only its last event, so there is no way to name an accountant here.

Three cases. The site's first schedule is fixed before any output exists: PRV on the whole. What
follows it was chosen by someone who saw results, so it passes a fixed-order RDP filter over
everything (Feldman and Zrnic, arXiv 2008.11193). If the first schedule is too near the cap for the
filter, only retries of its own slots may follow, each counted as its worst mechanism
(``privacy.gate_of``). A retry is a charge like any other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

from opacus.accountants import PRVAccountant

from intraward_shared.errors import BudgetExhausted, LedgerError
from intraward_shared.ledger import Ledger, LedgerEntry, first_schedule
from intraward_shared.privacy import (
    Group,
    gate_of,
    group_events,
    rdp_epsilon,
    rdp_filter_allows,
    worst_of,
)
from intraward_shared.protocol import Mechanism, ProgramSchedule, RoundPlan

EPS_ERROR = 1e-3
MAX_STEPS = 500_000
"""More steps than this do not fit into PRV's grid at ``EPS_ERROR`` on an ordinary machine."""

_SPENT = "ask for a shorter or noisier programme; raising the cap is the privacy officer's decision"


def prv_epsilon(mechanisms: Iterable[Mechanism], delta: float) -> float:
    """Epsilon of all events together by Opacus PRV, an upper bound within 0.001; add/remove.

    Raises:
        LedgerError: delta is not in (0, 1), too many steps, or no finite epsilon.
    """
    if not 0 < delta < 1:
        raise LedgerError("delta is not between 0 and 1", remedy="correct privacy.delta in the policy")
    return _prv(group_events(mechanisms), delta)


@lru_cache(maxsize=256)
def _prv(groups: tuple[Group, ...], delta: float) -> float:
    if not groups:
        return 0.0
    if sum(group.steps for group in groups) > MAX_STEPS:
        raise LedgerError(f"more than {MAX_STEPS} steps cannot be accounted", remedy="ask for fewer steps")
    accountant = PRVAccountant()
    accountant.history = [(group.noise_multiplier, group.sample_rate, group.steps) for group in groups]
    epsilon = float(accountant.get_epsilon(delta, eps_error=EPS_ERROR))
    if not math.isfinite(epsilon) or epsilon < 0:
        raise LedgerError("these events have no finite epsilon", remedy="raise the noise multiplier")
    return epsilon


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
                remedy="put the old cap back, or record the change in the ledger (Ledger.amend_policy)",
            )
        self._ledger, self._cap, self._delta = ledger, cap, delta

    def admit_schedule(self, schedule: ProgramSchedule, time: str) -> LedgerEntry:
        """Gate a run's whole schedule and RESERVE it; once it is charged this does nothing.

        Args:
            schedule: verified to be signed by the coordinator.
            time: slot time of the plan that brought it.

        Raises:
            BudgetExhausted: it does not fit under the cap; nothing was written or read.
            LedgerError: the run has another schedule.
        """
        if not self._ledger.has_schedule(schedule):
            new = tuple(slot.mechanism for slot in schedule.slots)
            spent = self._ledger.charges()
            if spent:
                self._admit_adaptive(new)
            elif not self._tight(new):
                raise _exhausted("schedule")
        return self._ledger.reserve_schedule(schedule, time)

    def admit(self, plan: RoundPlan) -> None:
        """Gate one plan; free plans and first draws of a charged slot cost nothing.

        Raises:
            BudgetExhausted: it does not fit under the cap; nothing was written or read.
            LedgerError: the ledger would refuse to reserve it.
        """
        new = self._ledger.pending_charges(plan)
        if not new:
            return
        first = first_schedule(self._ledger.entries)
        if first is not None and self._gate(first) == "program" and plan.schedule == first.schedule:
            fixed = [slot.mechanism for slot in first.charges]
            retries = len(self._ledger.charges()) - len(fixed) + len(new)
            if not self._tight((*fixed, *[worst_of(fixed)] * retries)):
                raise _exhausted("retry")
        else:
            self._admit_adaptive(new)

    def _admit_adaptive(self, new: tuple[Mechanism, ...]) -> None:
        if not new:
            return
        first = first_schedule(self._ledger.entries)
        if first is not None and self._gate(first) == "program":
            raise _exhausted("plan")
        if not rdp_filter_allows(self._ledger.charges(), new, self._cap, self._delta):
            raise _exhausted("plan")

    def _gate(self, first: LedgerEntry) -> str:
        return gate_of([slot.mechanism for slot in first.charges], self._cap, self._delta)

    def _tight(self, mechanisms: tuple[Mechanism, ...]) -> bool:
        """Whether PRV fits; the cheap RDP bound spares PRV a grid for what is hopeless anyway."""
        if rdp_epsilon(mechanisms, self._delta) > 3 * self._cap + 1:
            return False
        return prv_epsilon(mechanisms, self._delta) <= self._cap


def _exhausted(what: str) -> BudgetExhausted:
    return BudgetExhausted(f"the {what} would pass the site's lifetime epsilon", remedy=_SPENT)
