"""The gate against a coordinator that picks the next plan after seeing outputs, computed exactly."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution
from scipy.signal import fftconvolve

from intraward_shared.errors import LedgerError
from intraward_shared.gate import Book, worst_of
from intraward_shared.privacy import PLD_INTERVAL, epsilon_at_order, events_to_epsilon, filter_order
from intraward_shared.protocol import Mechanism

DELTA, CAP = 1e-5, 8.0
Event = tuple[float, float, int]
Array = Any
WIDTH = 100_000
"""Half the grid of what is left of epsilon: 100 to either side."""
FIRST: Event = (0.05, 1.0, 200)
NAIVE: tuple[Event, ...] = ((1.0, 0.75085, 1), (0.05, 0.86385, 200), (0.001, 0.34345, 50))
"""Rate, noise, steps: with ``FIRST`` each alone brings epsilon to 8.00. One full batch, many middling steps,
and few that catch a patient rarely and then nearly without noise: their losses are as unlike as can be."""


def mechanism(event: Event) -> Mechanism:
    rate, noise, steps = event
    return Mechanism(
        sample_rate=rate,
        noise_multiplier=noise,
        max_grad_norm=1.0,
        steps=steps,
        nominal_batch=32,
        max_records_per_unit=4,
    )


@lru_cache(maxsize=64)
def loss_of(event: Event) -> Any:
    """Privacy loss distribution of one event, both directions."""
    rate, noise, steps = event
    one = privacy_loss_distribution.from_gaussian_mechanism(
        noise, value_discretization_interval=PLD_INTERVAL, sampling_prob=rate
    )
    return one.self_compose(steps)


def adaptive_delta(stages: Sequence[Sequence[Event]], epsilon: float) -> float:
    """Worst hockey-stick divergence when each stage's option is chosen after seeing all outputs before it.

    Backwards: with nothing left to run and x of epsilon left, delta is ``max(0, 1 - e^x)``; a stage makes of
    it ``max_o sum_l p_o(l) delta(x - l)``, the same choices for a patient added and for one removed.
    """
    return max(
        _adaptive_delta(tuple(map(tuple, stages)), epsilon, side) for side in ("_pmf_remove", "_pmf_add")
    )


def _adaptive_delta(stages: tuple[tuple[Event, ...], ...], epsilon: float, side: str) -> float:
    left = np.arange(-WIDTH, WIDTH + 1) * PLD_INTERVAL
    delta = np.maximum(0.0, -np.expm1(np.minimum(left, 0.0)))
    for options in reversed(stages):
        delta = np.max([_before(delta, option, side) for option in options], axis=0)
    return float(delta[WIDTH + round(epsilon / PLD_INTERVAL)])


def _before(delta: Array, option: Event, side: str) -> Array:
    """Delta by what is left of epsilon before an option runs; beyond the grid it is bounded from above."""
    pmf = getattr(loss_of(option), side).to_dense_pmf()
    lowest, highest = pmf._lower_loss, pmf._lower_loss + pmf.size - 1
    below, above = np.ones(max(0, highest)), np.full(max(0, -lowest), delta[-1])
    wide = np.concatenate([below, delta, above])
    sums = fftconvolve(wide, pmf._probs, mode="full")[max(0, highest) - lowest :][: delta.size]
    return np.minimum(1.0, pmf._infinity_mass + sums)


def adaptive_epsilon(stages: Sequence[Sequence[Event]]) -> float:
    """Epsilon at ``DELTA`` of the adaptive choices."""
    low, high = CAP - 4, CAP + 4
    while high - low > 0.005:
        middle = (low + high) / 2
        low, high = (middle, high) if adaptive_delta(stages, middle) > DELTA else (low, middle)
    return high


def admitted(options: Sequence[Event], first: Event = FIRST) -> list[Event]:
    """What our gate would let through after ``first`` was charged as a single plan."""
    book = Book(CAP, DELTA).with_plan(mechanism(first))
    return [o for o in options if book.with_plan(mechanism(o)).admits(CAP, events_to_epsilon)]


def loudest(rate: float, steps: int) -> Event:
    """The option of this rate and these steps with the least noise that our gate admits."""
    low, high = 0.3, 50.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if admitted([(rate, middle, steps)]) else (middle, high)
    return rate, high, steps


def test_the_exact_figure_of_one_option_is_its_plain_composition() -> None:
    for option in NAIVE:
        plain = loss_of(FIRST).compose(loss_of(option)).get_delta_for_epsilon(CAP)
        assert adaptive_delta([[FIRST], [option]], CAP) == pytest.approx(plain, rel=1e-4)
        assert plain == pytest.approx(DELTA, rel=0.02) and plain <= DELTA


def test_a_gate_that_checks_each_plan_by_itself_is_passed_by_choosing() -> None:
    """8.00 becomes 8.30: each option is within the cap by tight accounting, the choice among them is not."""
    for option in NAIVE:
        assert events_to_epsilon([mechanism(FIRST), mechanism(option)], DELTA) <= CAP
    assert adaptive_delta([[FIRST], NAIVE], CAP) > 1.5 * DELTA
    assert adaptive_epsilon([[FIRST], NAIVE]) == pytest.approx(8.30, abs=0.02)


def test_our_gate_admits_none_of_them_and_holds_for_the_loudest_that_it_admits() -> None:
    assert admitted(NAIVE) == []
    options = [loudest(rate, steps) for rate, _, steps in NAIVE]
    assert admitted(options) == options
    assert adaptive_delta([[FIRST], options], CAP) <= DELTA
    assert 6.0 < adaptive_epsilon([[FIRST], options]) <= CAP


def test_choosing_again_after_the_second_output_stays_within_too() -> None:
    first = loudest(1.0, 1), loudest(0.05, 200), loudest(0.001, 50)
    half = [(rate, 1.6 * noise, steps) for rate, noise, steps in first]
    book = Book(CAP, DELTA).with_plan(mechanism(FIRST))
    paths = [book.with_plan(mechanism(a), mechanism(b)) for a in half for b in half]
    assert [path.admits(CAP, events_to_epsilon) for path in paths] == [True] * 9
    assert adaptive_delta([[FIRST], half, half], CAP) <= DELTA


def test_choosing_which_slot_to_retry_is_passed_if_retries_count_as_they_are() -> None:
    """Two unlike slots; at this cap either retry fits by itself, and counted as the worst neither does."""
    slots: list[Event] = [(1.0, 1.2, 1), (0.002, 0.42, 100)]
    schedule = [mechanism(slot) for slot in slots]
    cap = max(events_to_epsilon([*schedule, again], DELTA) for again in schedule)
    assert adaptive_delta([slots[:1], slots[1:], slots], round(cap, 3)) > 1.05 * DELTA
    book = Book(cap, DELTA).with_schedule(schedule)
    assert book.gate == "program" and book.admits(cap, events_to_epsilon)
    assert [book.with_retry(again).admits(cap, events_to_epsilon) for again in schedule] == [False, False]


def test_worst_of_dominates_each() -> None:
    some = [mechanism((0.01, 1.0, 10)), mechanism((0.05, 2.0, 30)), mechanism((0.2, 3.0, 20))]
    worst = worst_of(some)
    assert (worst.steps, worst.noise_multiplier, worst.sample_rate) == (30, 1.0, 0.2)
    losses = loss_of((0.2, 1.0, 30))
    for epsilon in (0.0, 0.5, 2.0, 8.0):  # the whole curve, not only at one delta
        for event in ((0.01, 1.0, 10), (0.05, 2.0, 30), (0.2, 3.0, 20)):
            assert losses.get_delta_for_epsilon(epsilon) >= loss_of(event).get_delta_for_epsilon(epsilon)
    with pytest.raises(LedgerError):
        worst_of([])


def test_the_gate_depends_on_room_for_one_retry_and_on_the_first_cap_alone() -> None:
    schedule = [mechanism((0.05, 1.0, 50))] * 4  # 4.77 tight, 5.37 by RDP
    assert Book(8.0, DELTA).with_schedule(schedule).gate == "filter"
    assert Book(5.0, DELTA).with_schedule(schedule).gate == "program"
    assert Book(5.0, DELTA).with_plan(*schedule).gate == "filter"
    raised = Book(5.0, DELTA).with_schedule(schedule).with_plan(schedule[0])
    assert not raised.admits(50.0, events_to_epsilon)  # whatever cap is in force now
    with pytest.raises(LedgerError, match="room for retries only"):
        raised.figure(events_to_epsilon)


def test_the_filters_order_does_not_move_with_what_comes_later() -> None:
    first, later = mechanism((0.05, 1.0, 200)), mechanism((0.5, 3.0, 10))
    order = filter_order(first, CAP, DELTA)
    assert order != filter_order(later, CAP, DELTA) and order != filter_order(first, 2.0, DELTA)
    for book in (
        Book(CAP, DELTA).with_plan(first, later),
        Book(CAP, DELTA).with_schedule([first]).with_plan(later),
        Book(CAP, DELTA).with_schedule([first]).with_retry(first),
    ):
        assert book.figure(events_to_epsilon) == epsilon_at_order(book.spent, order, DELTA)


def test_a_second_schedule_and_one_after_single_plans_are_later_choices() -> None:
    slots = [mechanism((0.05, 1.0, 20))] * 2
    for book in (Book(CAP, DELTA).with_schedule(slots), Book(CAP, DELTA).with_plan(slots[0])):
        after = book.with_schedule(slots)
        assert after.later[-2:] == tuple(slots) and after.schedule == book.schedule
        assert after.gate == "filter" and after.figure(events_to_epsilon) > events_to_epsilon(
            after.spent, DELTA
        )


def test_nothing_charged_costs_nothing() -> None:
    assert Book(CAP, DELTA).figure(events_to_epsilon) == 0.0
    assert Book(CAP, DELTA).with_schedule([]) == Book(CAP, DELTA)
