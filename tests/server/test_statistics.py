"""Intervals against published and hand-computed values."""

from __future__ import annotations

import numpy as np
import pytest

from intraward_server.statistics import mean_gain, wilson, win_rate


def test_wilson_known_values() -> None:
    rate = wilson(81, 263)  # Newcombe 1998, Statistics in Medicine 17:857, table I: 0.2553 to 0.3662
    assert (round(rate.low, 4), round(rate.high, 4)) == (0.2553, 0.3662)
    rate = wilson(0, 20)  # same table: 0 to 0.1611
    assert (rate.low, round(rate.high, 4)) == (0.0, 0.1611)
    assert wilson(0, 0).interval == [0.0, 1.0]


def test_win_rate_counts_ties_half() -> None:
    rate = win_rate([1, 2, 3, 4], [0, 2, 4, 4])
    assert rate.value == 0.5 and rate.total == 4
    with pytest.raises(ValueError):
        win_rate([1], [1, 2])


def test_mean_gain_is_paired() -> None:
    draw = np.random.Generator(np.random.Philox(1))
    base = draw.normal(0, 10, 400)
    ours = base + 0.5 + draw.normal(0, 0.1, 400)
    gain = mean_gain(list(ours), list(base), 3)
    assert gain.value == pytest.approx(0.5, abs=0.02) and 0.48 < gain.low < gain.high < 0.53
    assert gain == mean_gain(list(ours), list(base), 3)
    assert mean_gain([], [], 1).interval == [0.0, 0.0]


def test_interval_covers_at_its_rate() -> None:
    draw = np.random.Generator(np.random.Philox(9))
    hits = 0
    for seed in range(200):
        sample = draw.normal(1.0, 1.0, 60)
        gain = mean_gain(list(sample), [0.0] * 60, seed)
        hits += gain.low <= 1.0 <= gain.high
    assert 175 <= hits <= 200
