"""Mechanism events -> epsilon, by dp-accounting. The auditor's accountant; no torch, no Opacus.

Rule 7 of DESIGN.md: the ledger keeps events, epsilon is derived. Three figures, all for the
Poisson-subsampled Gaussian (Abadi et al., arXiv 1607.00133):

* PLD (Koskela et al., arXiv 1906.03049; Doroshenko et al., arXiv 2207.04380), tight, for events that
  were fixed before the first row was read;
* RDP (Mironov et al., arXiv 1908.10530), looser, a sanity bound: PRV <= RDP;
* the fixed-order RDP filter (Feldman and Zrnic, arXiv 2008.11193), which stays valid when the
  coordinator chooses the next mechanism after seeing results (DESIGN.md section 6, budget gate).

Departure from the papers: the filter's order is the best one for the *first* charged mechanism alone.
That one is chosen before any output exists, so the order depends on nothing private.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import dp_accounting
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant

from intraward_shared.errors import LedgerError
from intraward_shared.protocol import Mechanism

Neighbouring = Literal["add_remove", "replace_one"]
Gate = Literal["program", "filter"]

PLD_INTERVAL = 1e-3
"""Grid of the privacy loss; 1e-4 lowers epsilon by under 0.0013 (11 schedules) and takes 8 times as long."""

TOLERANCE = 0.005
"""Largest difference between Opacus PRV (``eps_error=1e-3``) and PLD that counts as agreement."""

ORDERS: tuple[float, ...] = (*(1 + tenth / 10 for tenth in range(7, 100)), *range(11, 65), 96.0, 128.0, 256.0)
"""Renyi orders; below 1.7 the series of fractional orders does not converge for common settings."""


class Group(NamedTuple):
    """Equal steps taken together: sampling rate, noise multiplier, number of steps."""

    sample_rate: float
    noise_multiplier: float
    steps: int


def group_events(mechanisms: Iterable[Mechanism]) -> tuple[Group, ...]:
    """Mechanisms with their steps added up by (rate, noise), sorted; the order of events is free."""
    steps: dict[tuple[float, float], int] = {}
    for item in mechanisms:
        key = (item.sample_rate, item.noise_multiplier)
        steps[key] = steps.get(key, 0) + item.steps
    return tuple(Group(*key, count) for key, count in sorted(steps.items()))


def events_to_epsilon(
    mechanisms: Iterable[Mechanism], delta: float, neighbouring: Neighbouring = "add_remove"
) -> float:
    """Epsilon of all events together, by PLD.

    Args:
        mechanisms: what was charged, in any order; nothing charged is epsilon 0.
        delta: the site's lifetime delta, in (0, 1).
        neighbouring: the claim is ``add_remove``; print ``replace_one`` beside it.

    Raises:
        LedgerError: delta is not in (0, 1), or no finite epsilon exists.
    """
    _check_delta(delta)
    return _pld(group_events(mechanisms), delta, neighbouring)


def rdp_epsilon(mechanisms: Iterable[Mechanism], delta: float) -> float:
    """Epsilon of all events together by RDP at its best order; add/remove."""
    _check_delta(delta)
    return _rdp(group_events(mechanisms), delta, ORDERS)[0]


def fixed_order_epsilon(mechanisms: Sequence[Mechanism], cap: float, delta: float) -> float:
    """Epsilon by RDP at the one order that the filter fixed with the first of ``mechanisms``.

    Args:
        mechanisms: in the order in which they were charged.
        cap: lifetime epsilon of the site.
        delta: lifetime delta of the site.
    """
    _check_delta(delta)
    if not mechanisms:
        return 0.0
    first = mechanisms[0]
    order = _filter_order(first.sample_rate, first.noise_multiplier, cap, delta)
    return _rdp(group_events(mechanisms), delta, (order,))[0]


def rdp_filter_allows(spent: Sequence[Mechanism], new: Sequence[Mechanism], cap: float, delta: float) -> bool:
    """Whether ``new`` may follow ``spent`` under ``cap``, though ``new`` was chosen after seeing results."""
    return fixed_order_epsilon((*spent, *new), cap, delta) <= cap


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


def gate_of(schedule: Sequence[Mechanism], cap: float, delta: float) -> Gate:
    """Which gate rules a ledger whose first charge is ``schedule`` (empty: it is a single plan).

    ``filter``: everything, the schedule included, stays under the fixed-order RDP filter. ``program``:
    the schedule with one retry passes only the tight accountant; then nothing but retries of its
    slots may ever follow, each counted as the worst of its mechanisms (``worst_of``), so that choosing
    what to retry gains nothing. The choice depends on the schedule and the cap alone.
    """
    if not schedule or rdp_filter_allows((), (*schedule, worst_of(schedule)), cap, delta):
        return "filter"
    return "program"


def _check_delta(delta: float) -> None:
    if not 0 < delta < 1:
        raise LedgerError("delta is not between 0 and 1", remedy="correct privacy.delta in the policy")


def _event(group: Group) -> dp_accounting.DpEvent:
    gaussian = dp_accounting.GaussianDpEvent(group.noise_multiplier)
    step = dp_accounting.PoissonSampledDpEvent(group.sample_rate, gaussian)
    return dp_accounting.SelfComposedDpEvent(step, group.steps)


@lru_cache(maxsize=1024)
def _pld(groups: tuple[Group, ...], delta: float, neighbouring: Neighbouring) -> float:
    if not groups:
        return 0.0
    relation = dp_accounting.NeighboringRelation
    chosen = relation.REPLACE_ONE if neighbouring == "replace_one" else relation.ADD_OR_REMOVE_ONE
    accountant = PLDAccountant(chosen, PLD_INTERVAL)
    for group in groups:
        accountant.compose(_event(group))
    return _finite(float(accountant.get_epsilon(delta)))


@lru_cache(maxsize=4096)
def _rdp(groups: tuple[Group, ...], delta: float, orders: tuple[float, ...]) -> tuple[float, float]:
    """Epsilon and the order that gave it; an order that does not converge counts as infinite."""
    if not groups:
        return 0.0, orders[0]
    accountant = RdpAccountant(list(orders))
    for group in groups:
        accountant.compose(_event(group))
    epsilon, order = accountant.get_epsilon_and_optimal_order(delta)
    return float(epsilon), float(order)


@lru_cache(maxsize=256)
def _filter_order(sample_rate: float, noise_multiplier: float, cap: float, delta: float) -> float:
    """Best order for as many steps of one mechanism as fit under ``cap``."""
    most = 1
    while most < 1 << 24 and _steps_epsilon(sample_rate, noise_multiplier, 2 * most, delta)[0] <= cap:
        most *= 2
    low, high = most, 2 * most
    while high - low > max(1, low // 100):
        middle = (low + high) // 2
        fits = _steps_epsilon(sample_rate, noise_multiplier, middle, delta)[0] <= cap
        low, high = (middle, high) if fits else (low, middle)
    return _steps_epsilon(sample_rate, noise_multiplier, low, delta)[1]


def _steps_epsilon(
    sample_rate: float, noise_multiplier: float, steps: int, delta: float
) -> tuple[float, float]:
    return _rdp((Group(sample_rate, noise_multiplier, steps),), delta, ORDERS)


def _finite(epsilon: float) -> float:
    if not epsilon < float("inf"):
        raise LedgerError("these events have no finite epsilon", remedy="raise the noise multiplier")
    return epsilon
