"""Properties of the three accountants over all that the protocol can say, absurd values included."""

from __future__ import annotations

import math

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from intraward_client.privacy import budget
from intraward_client.privacy.budget import fits, prv_epsilon, tight_epsilon
from intraward_shared.errors import LedgerError
from intraward_shared.gate import Book
from intraward_shared.privacy import TOLERANCE, events_to_epsilon, filter_order, rdp_epsilon
from intraward_shared.protocol import Mechanism

DELTA = 1e-5
SLACK = 0.002
"""Both tight accountants round on a grid of 0.001."""
FEW = settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MANY = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def mechanism(rate: float, noise: float, steps: int) -> Mechanism:
    return Mechanism(
        sample_rate=rate,
        noise_multiplier=noise,
        max_grad_norm=1.0,
        steps=steps,
        nominal_batch=32,
        max_records_per_unit=4,
    )


RATES = st.one_of(st.floats(1e-12, 1.0), st.sampled_from((1e-300, 1e-9, 0.5, 1.0)))
NOISES = st.one_of(st.floats(1e-6, 1000.0), st.sampled_from((5e-324, 0.1, 0.3, 1000.0)))
STEPS = st.one_of(st.integers(1, 100), st.sampled_from((1, 1000, 100_000)))
ANY = st.builds(mechanism, RATES, NOISES, STEPS)
USUAL = st.builds(mechanism, st.floats(0.01, 0.3), st.floats(0.8, 5.0), st.integers(1, 60))


@pytest.fixture
def small_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    """What needs a large grid is refused at once, as a larger one is in the product."""
    monkeypatch.setattr(budget, "MAX_GRID", 1 << 16)


@MANY
@given(events=st.lists(ANY, min_size=1, max_size=2), delta=st.sampled_from((1e-5, 1e-9, 0.5)))
def test_an_accountant_answers_with_a_number_or_with_our_own_error(
    small_grid: None, events: list[Mechanism], delta: float
) -> None:
    for accountant in (rdp_epsilon, prv_epsilon, tight_epsilon, events_to_epsilon):
        try:
            figure = accountant(events, delta)
        except LedgerError as error:
            assert error.remedy
        else:
            assert figure >= 0 and (math.isfinite(figure) or accountant is rdp_epsilon)


@MANY
@given(first=ANY, later=ANY, cap=st.sampled_from((0.01, 1.0, 8.0, 100.0)))
def test_the_gate_answers_yes_no_or_our_own_error(
    small_grid: None, first: Mechanism, later: Mechanism, cap: float
) -> None:
    filter_order(first, cap, DELTA)
    for book in (
        Book(cap, DELTA).with_schedule([first, later]),
        Book(cap, DELTA).with_schedule([first]).with_retry(first),
        Book(cap, DELTA).with_plan(first, later),
    ):
        try:
            taken = fits(book, cap)
        except LedgerError as error:
            assert error.remedy
        else:
            assert not taken or book.gate == "program" or rdp_epsilon(book.spent, DELTA) < 3 * cap + 1


@FEW
@given(event=USUAL, more=st.integers(1, 100), factor=st.floats(1.05, 2.0))
def test_more_steps_less_noise_and_a_higher_rate_never_cost_less(
    event: Mechanism, more: int, factor: float
) -> None:
    worse = (
        event.model_copy(update={"steps": event.steps + more}),
        event.model_copy(update={"noise_multiplier": event.noise_multiplier / factor}),
        event.model_copy(update={"sample_rate": min(1.0, event.sample_rate * factor)}),
    )
    for accountant in (rdp_epsilon, events_to_epsilon, prv_epsilon):
        before = accountant([event], DELTA)
        assert all(accountant([other], DELTA) >= before - SLACK for other in worse)


@pytest.mark.exhaustive
@FEW
@given(events=st.lists(USUAL, min_size=1, max_size=3))
def test_the_tight_accountants_agree_and_rdp_is_never_below_them(events: list[Mechanism]) -> None:
    pld, prv = events_to_epsilon(events, DELTA), prv_epsilon(events, DELTA)
    assume(pld < 50)
    assert abs(prv - pld) <= TOLERANCE
    assert max(prv, pld) <= rdp_epsilon(events, DELTA) + SLACK
    assert events_to_epsilon(events, DELTA, "replace_one") >= pld - SLACK
