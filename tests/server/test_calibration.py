"""Calibration against literal computations and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from intraward_server.calibration import brier, calibration_error, disagreement, length_matched


def test_brier_is_the_mean_squared_doubt() -> None:
    assert brier([0.0]) == 0.25
    assert brier([math.log(3), -math.log(3)]) == pytest.approx((0.25**2 + 0.75**2) / 2)
    assert brier([800.0, -800.0]) == pytest.approx(0.5)
    assert math.isnan(brier([]))


def test_brier_is_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(1).normal(size=50)
    probability = 1 / (1 + np.exp(-draw))
    labels = np.array([1, 0] * 25)
    signed = np.where(labels == 1, draw, -draw)
    assert brier(list(signed)) == pytest.approx(metrics.brier_score_loss(labels, probability))


def test_calibration_error_by_hand() -> None:
    """Bins of 0.05: three pairs at 0.75, two of them right; one tie at 0.5 is perfectly calibrated."""
    three_quarters = math.log(3)
    assert calibration_error([three_quarters, three_quarters, -three_quarters, 0.0]) == pytest.approx(
        3 / 4 * abs(0.75 - 2 / 3)
    )
    assert calibration_error([50.0] * 4) == pytest.approx(0)
    assert calibration_error([-50.0] * 4) == pytest.approx(1)
    assert math.isnan(calibration_error([]))


def test_a_calibrated_model_has_next_to_no_error_and_a_boastful_one_has() -> None:
    draw = np.random.default_rng(2)
    difference = np.abs(draw.normal(size=40_000))
    right = draw.random(40_000) < 1 / (1 + np.exp(-difference))
    signed = np.where(right, difference, -difference)
    assert calibration_error(list(signed)) < 0.01
    assert calibration_error(list(5 * signed)) > 0.15


def test_only_pairs_of_like_length_count() -> None:
    lengths = [(100, 91), (100, 89), (10, 10), (10, 9), (2, 1)]
    pairs = [{"prompt": "p", "chosen": "a" * a, "rejected": "b" * b} for a, b in lengths]
    rate = length_matched(pairs, [1.0, 1.0, -1.0, 0.0, 1.0])
    assert rate.total == 3 and rate.value == 0.5
    assert length_matched([], []).interval == [0.0, 1.0]


def test_disagreement_of_an_ensemble_by_hand() -> None:
    """Two members: they agree on the first pair, differ on the second (right) and the third (wrong)."""
    found = disagreement(np.array([[1.0, 1.0], [3.0, -1.0], [-5.0, 1.0]]), np.zeros((3, 2)))
    assert found.pop("lowest_member_accuracy_interval")[0] < 1 / 3
    assert found == {
        "members": 2,
        "lowest_member_accuracy": pytest.approx(1 / 3),
        "disagreement": pytest.approx((0 + 2 + 3) / 3),
        "disagreement_right": pytest.approx(1.0),
        "disagreement_wrong": pytest.approx(3.0),
        "unanimous": pytest.approx(1 / 3),
    }
    behind = disagreement(np.array([[1.0, 9.0]]), np.array([[2.0, 0.5]]))
    assert behind["lowest_member_accuracy"] == 1.0  # 1 against 0.5, though a member prefers the other answer
    assert disagreement(np.ones((3, 2)), np.zeros((3, 2)))["disagreement_wrong"] is None
    assert disagreement(np.ones((3, 1)), np.zeros((3, 1))) == {}
    assert disagreement(np.zeros((0, 2)), np.zeros((0, 2))) == {}
