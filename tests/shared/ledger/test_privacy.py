"""Epsilon from events: golden figures, monotonicity, composition, the adaptive filter."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
from dp_accounting.rdp import RdpAccountant
from hypothesis import given, settings
from hypothesis import strategies as st

from intraward_shared.errors import LedgerError
from intraward_shared.privacy import (
    ORDERS,
    epsilon_at_order,
    events_to_epsilon,
    filter_order,
    group_events,
    rdp_epsilon,
)

GOLDEN = (  # rate, noise, steps, delta, add/remove, replace-one: dp-accounting 0.6.0, grid 1e-4
    (0.05, 1.0, 200, 1e-5, 4.7659, 7.1070),
    (0.1, 0.8, 60, 1e-4, 7.2874, 9.7573),
    (0.02, 1.2, 1000, 1e-6, 3.1767, 5.3897),
    (0.25, 2.0, 100, 1e-3, 4.6118, 9.9419),
    (0.01, 0.6, 3000, 1e-5, 12.0444, 15.4940),
    (1.0, 5.0, 20, 1e-5, 3.8486, 8.7208),
    (0.5, 3.0, 50, 1e-6, 6.2943, 13.2139),
)
STAGES = ((500, 1.1, 0.02), (200, 1.3, 0.05), (300, 1.0, 0.01))
"""SFT, reward model, PPO of one hospital (steps, noise, rate): 3.897 together, 6.81 added at delta / 3."""


@pytest.mark.parametrize(("rate", "noise", "steps", "delta", "add_remove", "replace_one"), GOLDEN)
def test_golden_epsilons(
    mechanism_of: Any,
    rate: float,
    noise: float,
    steps: int,
    delta: float,
    add_remove: float,
    replace_one: float,
) -> None:
    events = [mechanism_of(steps, noise, rate)]
    assert events_to_epsilon(events, delta) == pytest.approx(add_remove, abs=0.001)
    assert events_to_epsilon(events, delta, "replace_one") == pytest.approx(replace_one, abs=0.001)
    assert events_to_epsilon(events, delta) < rdp_epsilon(events, delta)


def test_one_full_batch_gaussian_step_is_the_analytic_gaussian_mechanism(mechanism_of: Any) -> None:
    """Balle and Wang (arXiv 1805.06530), theorem 8: delta of epsilon for noise sigma, sensitivity 1."""
    sigma = 1.5
    epsilon = events_to_epsilon([mechanism_of(1, sigma, 1.0)], 1e-5)

    def phi(x: float) -> float:
        return 0.5 * math.erfc(-x / math.sqrt(2))

    delta = phi(0.5 / sigma - epsilon * sigma) - math.exp(epsilon) * phi(-0.5 / sigma - epsilon * sigma)
    assert delta == pytest.approx(1e-5, rel=0.01)


def test_three_stages_compose_in_one_accountant(mechanism_of: Any) -> None:
    events = [mechanism_of(*stage) for stage in STAGES]
    assert events_to_epsilon(events, 1e-5) == pytest.approx(3.897, abs=0.001)
    assert sum(events_to_epsilon([event], 1e-5 / 3) for event in events) == pytest.approx(6.81, abs=0.01)
    assert events_to_epsilon(events * 3, 1e-5) == pytest.approx(7.10, abs=0.01)
    assert rdp_epsilon(events, 1e-5) == pytest.approx(4.288, abs=0.002)


def test_nothing_charged_is_zero(mechanism_of: Any) -> None:
    assert events_to_epsilon([], 1e-5) == rdp_epsilon([], 1e-5) == epsilon_at_order([], 4.0, 1e-5) == 0


def test_rounds_are_one_long_run_whatever_their_order(mechanism_of: Any) -> None:
    parts = [mechanism_of(50), mechanism_of(10, 2.0), mechanism_of(150)]
    assert group_events(parts) == group_events(parts[::-1]) == ((0.05, 1.0, 200), (0.05, 2.0, 10))
    whole = events_to_epsilon([mechanism_of(200), mechanism_of(10, 2.0)], 1e-5)
    assert abs(events_to_epsilon(parts, 1e-5) - whole) < 1e-9


def test_delta_must_be_a_probability(mechanism_of: Any) -> None:
    for delta in (0.0, 1.0, -1.0, math.nan):
        with pytest.raises(LedgerError, match="delta"):
            events_to_epsilon([mechanism_of()], delta)
        with pytest.raises(LedgerError, match="delta"):
            rdp_epsilon([mechanism_of()], delta)


def test_a_delta_below_the_accountants_own_precision_is_an_error_not_a_number(mechanism_of: Any) -> None:
    with pytest.raises(LedgerError, match="finite"):
        events_to_epsilon([mechanism_of()], 1e-18)


@settings(max_examples=12, deadline=None)
@given(
    steps=st.integers(1, 300),
    noise=st.floats(0.7, 5.0),
    rate=st.floats(0.005, 0.3),
    cap=st.sampled_from((1.0, 4.0, 8.0)),
)
def test_the_filter_is_never_below_what_was_spent(
    mechanism_of: Any, steps: int, noise: float, rate: float, cap: float
) -> None:
    event = mechanism_of(steps, noise, rate)
    tight = events_to_epsilon([event], 1e-5)
    assert tight <= rdp_epsilon([event], 1e-5) + 1e-9
    at_order = epsilon_at_order([event], filter_order(event, cap, 1e-5), 1e-5)
    assert rdp_epsilon([event], 1e-5) <= at_order + 1e-9


def test_renyi_adds_up_at_one_order_and_is_dp_accountings_own(mechanism_of: Any) -> None:
    first, later = mechanism_of(100), mechanism_of(100, 3.0, 0.2)
    order = filter_order(first, 8.0, 1e-5)
    costs = [epsilon_at_order([first, *[later] * n], order, 1e-5) for n in range(4)]
    steps = [after - before for before, after in pairwise(costs)]
    assert steps[0] == pytest.approx(steps[1]) == pytest.approx(steps[2])
    single = RdpAccountant([order])
    single.compose(SelfComposedDpEvent(PoissonSampledDpEvent(0.05, GaussianDpEvent(1.0)), 100))
    assert costs[0] == pytest.approx(single.get_epsilon(1e-5), abs=1e-12)


def test_the_conversion_is_proposition_12_written_out(mechanism_of: Any) -> None:
    """Full batch: r = a T / (2 sigma^2); epsilon = r + log(1 - 1/a) - log(a delta) / (a - 1)."""
    order, steps, sigma, delta = 6.0, 20, 5.0, 1e-5
    r = order * steps / (2 * sigma**2)
    expected = r + math.log(1 - 1 / order) - math.log(order * delta) / (order - 1)
    assert epsilon_at_order([mechanism_of(steps, sigma, 1.0)], order, delta) == pytest.approx(
        expected, abs=1e-9
    )


@pytest.mark.parametrize("cap", [0.5, 4.0, 8.0, 30.0])
def test_the_filters_order_is_the_one_at_which_most_steps_fit(mechanism_of: Any, cap: float) -> None:
    first = mechanism_of(1)
    order = filter_order(first, cap, 1e-5)
    assert order in ORDERS

    def most(at: float) -> int:
        return sum(epsilon_at_order([mechanism_of(2**n)], at, 1e-5) <= cap for n in range(17))

    assert most(order) == max(most(at) for at in ORDERS)


@pytest.mark.parametrize("rate", [0.2, 0.25, 0.3, 0.35, 0.4, 0.45])
def test_no_order_is_left_out_at_rates_where_others_do_not_converge(mechanism_of: Any, rate: float) -> None:
    for noise in (0.5, 1.0, 2.0, 5.0, 20.0):
        event = [mechanism_of(1, noise, rate)]
        assert all(math.isfinite(epsilon_at_order(event, order, 1e-5)) for order in ORDERS)


REFUSED = ((0.05, 0.0799, 1), (0.5, 0.001, 1), (1.0, 0.0001, 100_000))


@pytest.mark.parametrize(("rate", "noise", "steps"), REFUSED)
def test_noise_that_is_none_is_refused(mechanism_of: Any, rate: float, noise: float, steps: int) -> None:
    with pytest.raises(LedgerError, match="noise multiplier below"):
        events_to_epsilon([mechanism_of(steps, noise, rate)], 1e-5)
