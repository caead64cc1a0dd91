"""The bounds against literal numbers, against counting by hand, and against what they must never say."""

from __future__ import annotations

import itertools
import math

import dp_accounting
import numpy as np
import pytest
from scipy.stats import norm

from intraward_simulation.attacks.bounds import (
    auc,
    fdp_epsilon,
    gaussian_epsilon,
    guess_ends,
    one_run_epsilon,
    one_run_p_value,
    rates_epsilon,
)


@pytest.mark.parametrize(
    ("canaries", "guesses", "correct", "epsilon"),
    [(1000, 500, 500, 5.0875), (1000, 1000, 621, 0.3845), (1000, 500, 400, 1.1980), (1000, 500, 260, 0.0)],
)
def test_one_run_bound_has_the_numbers_of_the_reference(
    canaries: int, guesses: int, correct: int, epsilon: float
) -> None:
    """5.0875 and 0.3845 are jax_privacy 2.0.0's, at delta 1e-5 and confidence 95 %."""
    assert one_run_epsilon(canaries, guesses, correct, 1e-5) == pytest.approx(epsilon, abs=1e-4)


def test_one_run_p_value_counts_outcomes_when_delta_is_zero() -> None:
    right = 1 / (1 + math.exp(-0.7))
    for correct in range(1, 9):
        exact = sum(
            right ** sum(hits) * (1 - right) ** (8 - sum(hits))
            for hits in itertools.product((0, 1), repeat=8)
            if sum(hits) >= correct
        )
        assert one_run_p_value(20, 8, correct, 0.7, 0.0) == pytest.approx(exact, rel=1e-12)


def test_one_run_p_value_pays_for_delta_by_the_worst_slope() -> None:
    """Written out as in the paper: F(v) + 2 m delta max_i (F(v - i) - F(v)) / i."""
    guesses, correct, epsilon, delta, canaries = 12, 10, 0.5, 1e-3, 40
    right = 1 / (1 + math.exp(-epsilon))

    def tail(least: int) -> float:
        return sum(
            math.comb(guesses, k) * right**k * (1 - right) ** (guesses - k) for k in range(least, guesses + 1)
        )

    slope = max((tail(correct - i) - tail(correct)) / i for i in range(1, correct + 1))
    wanted = tail(correct) + 2 * canaries * delta * slope
    assert one_run_p_value(canaries, guesses, correct, epsilon, delta) == pytest.approx(wanted, rel=1e-12)


def test_fdp_bound_has_the_number_of_the_reference_and_follows_its_recursion() -> None:
    assert fdp_epsilon(1000, 500, 500, 1e-5) == pytest.approx(9.9194, abs=1e-4)
    assert fdp_epsilon(1000, 500, 300, 1e-5) == pytest.approx(0.4388, abs=1e-4)
    assert fdp_epsilon(1000, 500, 260, 1e-5) == 0.0


def test_fdp_bound_of_one_guess_of_one_coin_is_that_of_a_single_test() -> None:
    """One canary, one right guess: refuted once the Gaussian's own best guess is right too rarely."""
    epsilon, significance = fdp_epsilon(1, 1, 1, 1e-5, significance=0.6), 0.6
    shift = 1 / dp_accounting.get_sigma_gaussian(epsilon, 1e-5)
    assert significance + norm.cdf(norm.ppf(significance) - shift) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("bound", [one_run_epsilon, fdp_epsilon])
def test_bounds_rise_with_right_guesses_and_fall_with_confidence(bound: object) -> None:
    assert callable(bound)
    values = [bound(200, 100, correct, 1e-5) for correct in (60, 75, 90, 100)]
    assert values == sorted(values) and values[-1] > values[0]
    assert bound(200, 100, 90, 1e-5, 0.001) < bound(200, 100, 90, 1e-5, 0.05)


def test_bounds_of_a_true_gaussian_stay_below_its_epsilon() -> None:
    draw = np.random.default_rng(5)
    epsilon, delta = 2.0, 1e-5
    sigma = dp_accounting.get_sigma_gaussian(epsilon, delta)
    above = {"one-run": 0, "fdp": 0}
    for _ in range(15):
        inside = draw.random(1000) < 0.5
        correct = guess_ends(inside + draw.normal(0, sigma, 1000), inside, 500)
        above["one-run"] += one_run_epsilon(1000, 500, correct, delta) > epsilon
        above["fdp"] += fdp_epsilon(1000, 500, correct, delta) > epsilon
    assert above == {"one-run": 0, "fdp": 0}


def test_guesses_are_taken_from_both_ends() -> None:
    scores = np.array([9.0, 8.0, 0.0, 0.1, -7.0, -8.0])
    inside = np.array([True, False, True, True, False, True])
    assert guess_ends(scores, inside, 4) == 2
    assert guess_ends(scores, inside, 2) == 1


def test_auc_counts_pairs_with_ties_as_half() -> None:
    inside, outside = np.array([3.0, 1.0, 2.0]), np.array([2.0, 0.0])
    wins = sum((a > b) + 0.5 * (a == b) for a in inside for b in outside)
    assert auc(inside, outside) == pytest.approx(wins / 6)


def test_gaussian_epsilon_inverts_the_claim() -> None:
    grid = np.random.default_rng(0).normal(size=200_000)
    sigma = dp_accounting.get_sigma_gaussian(4.0, 1e-5)
    found = gaussian_epsilon(1.0 + sigma * grid[:100_000], sigma * grid[100_000:], 1e-5)
    assert found == pytest.approx(4.0, rel=0.02)
    assert gaussian_epsilon(-1.0 + grid[:100], grid[100:200], 1e-5) == 0.0


def test_rates_refute_by_clopper_pearson_at_no_false_positive() -> None:
    """64 of 64 found and 0 of 64 false, each at 97.5 %: ln((0.025^(1/64) - delta) / (1 - 0.025^(1/64)))."""
    rate, epsilon = rates_epsilon(np.ones(64), np.zeros(64), 1e-3)
    edge = 0.025 ** (1 / 64)
    assert rate == 1.0 and epsilon == pytest.approx(math.log((edge - 1e-3) / (1 - edge)))
    assert rates_epsilon(np.zeros(64), np.ones(64), 1e-3) == (0.0, 0.0)
    assert rates_epsilon(np.array([1.0, 1.0, 2.0]), np.array([1.0, 0.0]), 1e-3)[0] == pytest.approx(1 / 3)
