"""Mechanism events -> epsilon, by dp-accounting. The auditor's accountant; no torch, no Opacus.

Rule 7 of DESIGN.md: the ledger keeps events, epsilon is derived. Three figures, all for the
Poisson-subsampled Gaussian (Abadi et al., arXiv 1607.00133):

* PLD (Koskela et al., arXiv 1906.03049; Doroshenko et al., arXiv 2207.04380), tight, for events that
  were fixed before the first row was read;
* RDP (Mironov et al., arXiv 1908.10530), looser, a sanity bound: PRV <= RDP;
* RDP at one order that was fixed beforehand, for events that were not: ``gate`` says why and when.

Both RDP figures use one conversion, Canonne, Kamath and Steinke (arXiv 2004.00010, proposition 12), as
dp-accounting has it: ``epsilon = r + log(1 - 1/a) - log(a delta) / (a - 1)`` at order ``a``. It grows with
``r``, so "epsilon at the fixed order is under the cap" is the same as "r is under a fixed bound".
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from intraward_shared.errors import LedgerError
from intraward_shared.protocol import Mechanism

if TYPE_CHECKING:  # it takes SciPy's signal tools with it, over a second of every command's start
    import dp_accounting

Neighbouring = Literal["add_remove", "replace_one"]

PLD_INTERVAL = 1e-3
"""Grid of the privacy loss; 1e-4 lowers epsilon by under 0.0013 (11 schedules) and takes 8 times as long."""

TOLERANCE = 0.005
"""Largest difference between Opacus PRV (``eps_error=1e-3``) and PLD that counts as agreement."""

LEAST_NOISE = 0.08
"""Less noise is no privacy: one whole step has an epsilon above 130, more than any cap (100)."""

MOST_EPSILON = 10_000.0
"""By RDP; ten times the highest cap of a ledger. More is not accounted for: PLD would need gigabytes."""

ORDERS: tuple[float, ...] = (
    2.0,
    *(tenth / 10 for tenth in range(26, 100)),
    *(float(whole) for whole in range(10, 65)),
    96.0,
    128.0,
    256.0,
)
"""Renyi orders. Whole ones always converge; of the fractional ones only those from 2.6 on are taken. On a
grid of 23 rates and 16 noise multipliers their series fails for rates within 0.002 of a half with noise of
100 and more, where the order is left out (a filter at that order refuses); below, it fails from 0.2 on."""


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
        LedgerError: delta is not in (0, 1), too little noise, or no finite epsilon exists.
    """
    check_delta(delta)
    groups = group_events(mechanisms)
    check_noise(groups)
    if _converted(ORDERS, _renyi(groups), delta) > MOST_EPSILON:
        raise LedgerError("these events have no epsilon worth the name", remedy="more noise, or fewer steps")
    return _pld(groups, delta, neighbouring)


def rdp_epsilon(mechanisms: Iterable[Mechanism], delta: float) -> float:
    """Epsilon of all events together by RDP at its best order; add/remove."""
    check_delta(delta)
    spent = _renyi(group_events(mechanisms))
    return _converted(ORDERS, spent, delta)


def epsilon_at_order(mechanisms: Iterable[Mechanism], order: float, delta: float) -> float:
    """Epsilon of all events together by RDP at one of ``ORDERS``; infinite if it does not converge there."""
    check_delta(delta)
    spent = _renyi(group_events(mechanisms))[ORDERS.index(order)]
    return _converted((order,), (spent,), delta)


def filter_order(first: Mechanism, cap: float, delta: float) -> float:
    """The order at which most steps of ``first`` fit under ``cap``; a function of these three alone.

    Args:
        first: the first mechanism ever charged.
        cap: lifetime epsilon in the ledger's first POLICY entry.
        delta: the site's lifetime delta.
    """
    check_delta(delta)
    each = _renyi_step(first.sample_rate, first.noise_multiplier)
    room = [
        (cap - math.log1p(-1 / order) + math.log(delta * order) / (order - 1)) / step if step > 0 else 0.0
        for order, step in zip(ORDERS, each, strict=True)
    ]
    return ORDERS[room.index(max(room))]


def check_delta(delta: float) -> None:
    """Refuse a delta that is not a probability."""
    if not 0 < delta < 1:
        raise LedgerError("delta is not between 0 and 1", remedy="correct privacy.delta in the policy")


def check_noise(groups: Iterable[Group]) -> None:
    """Refuse noise that no tight accountant can hold on its grid."""
    if any(group.noise_multiplier < LEAST_NOISE for group in groups):
        raise LedgerError(
            f"a noise multiplier below {LEAST_NOISE} has no epsilon worth the name",
            remedy="raise noise_multiplier",
        )


@lru_cache(maxsize=1024)
def _pld(groups: tuple[Group, ...], delta: float, neighbouring: Neighbouring) -> float:
    if not groups:
        return 0.0
    import dp_accounting
    from dp_accounting.pld import PLDAccountant

    relation = dp_accounting.NeighboringRelation
    chosen = relation.REPLACE_ONE if neighbouring == "replace_one" else relation.ADD_OR_REMOVE_ONE
    accountant = PLDAccountant(chosen, PLD_INTERVAL)
    try:
        for group in groups:
            accountant.compose(_event(group))
        epsilon = float(accountant.get_epsilon(delta))
    except MemoryError:
        epsilon = math.inf
    if not epsilon < math.inf:
        raise LedgerError("these events have no finite epsilon", remedy="raise the noise multiplier")
    return epsilon


def _event(group: Group) -> dp_accounting.DpEvent:
    import dp_accounting

    gaussian = dp_accounting.GaussianDpEvent(group.noise_multiplier)
    step = dp_accounting.PoissonSampledDpEvent(group.sample_rate, gaussian)
    return dp_accounting.SelfComposedDpEvent(step, group.steps)


@lru_cache(maxsize=4096)
def _renyi_step(sample_rate: float, noise_multiplier: float) -> tuple[float, ...]:
    """Renyi divergence of one step at each of ``ORDERS``; infinite if the series does not converge."""
    if noise_multiplier < LEAST_NOISE:  # dp-accounting divides by its square
        return (math.inf,) * len(ORDERS)
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant(list(ORDERS))
    accountant.compose(_event(Group(sample_rate, noise_multiplier, 1)))
    return tuple(max(0.0, float(value)) for value in accountant.rdp)


def _renyi(groups: tuple[Group, ...]) -> tuple[float, ...]:
    """Renyi divergence of all steps at each of ``ORDERS``: it adds up."""
    total = [0.0] * len(ORDERS)
    for group in groups:
        each = _renyi_step(group.sample_rate, group.noise_multiplier)
        total = [sum_ + group.steps * one for sum_, one in zip(total, each, strict=True)]
    return tuple(total)


def _converted(orders: tuple[float, ...], renyi: tuple[float, ...], delta: float) -> float:
    if not any(renyi):
        return 0.0
    from dp_accounting.rdp import compute_epsilon

    epsilon, _ = compute_epsilon(orders, renyi, delta)
    return float(epsilon)
