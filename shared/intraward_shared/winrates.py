"""How often a policy's answer is better than the reference policy's, ties half, and with length held equal.

The length-controlled rate follows Dubois et al. (arXiv 2404.04475): a logistic regression of the outcome on
``tanh`` of the difference of lengths over its standard deviation; the rate is what it says at no difference.
Departs from it in two ways: a tie is an outcome of one half, and a small ridge keeps the slope finite where
length alone parts wins from losses. Intervals draw whole prompts again, each with all its seeds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from intraward_shared.intervals import DRAWS, Interval

Figures = NDArray[np.float64]
_WORD = re.compile(r"[a-z0-9']+")
_RIDGE = 0.1
_NEWTON_STEPS = 12


@dataclass(frozen=True)
class WinRate:
    """Shares in [0, 1] with 95 % percentile intervals of a bootstrap over prompts."""

    rate: float
    interval: Interval
    controlled: float
    controlled_interval: Interval


def unigram_f1(answer: str, reference: str) -> float:
    """Harmonic mean of precision and recall of the words that both have; a judge that needs no model."""
    ours, theirs = (Counter(_WORD.findall(text.lower())) for text in (answer, reference))
    common = (ours & theirs).total()
    return 2 * common / (ours.total() + theirs.total()) if common else 0.0


def outcomes(ours: Sequence[float], theirs: Sequence[float]) -> Figures:
    """1 where ``ours`` is above, 0.5 where equal, 0 where below ``(prompts,)``."""
    difference = np.asarray(ours, float) - np.asarray(theirs, float)
    found: Figures = (np.sign(difference) + 1) / 2
    return found


def win_rate(won: Figures, longer: Figures, seed: int) -> WinRate:
    """Win rate and its length-controlled form.

    Args:
        won: outcomes ``(seeds, prompts)``. longer: length of ours minus length of theirs, as ``won``.
        seed: of the bootstrap.
    """
    prompts = won.shape[1]
    scale = float(longer.std()) or 1.0
    shift = np.tanh(longer / scale)
    drawn = np.random.default_rng(seed).multinomial(prompts, np.full(prompts, 1 / prompts), size=DRAWS)
    weights = np.vstack([np.ones(prompts), drawn])
    rates = weights @ won.mean(axis=0) / prompts
    controlled = _at_no_difference(won, shift, weights)
    return WinRate(float(rates[0]), _middle(rates[1:]), float(controlled[0]), _middle(controlled[1:]))


def _at_no_difference(won: Figures, shift: Figures, weights: Figures) -> Figures:
    """Logistic regressions' value at ``shift`` 0 ``(draws,)``, by Newton's method for all draws at once."""
    level, slope = np.zeros(len(weights)), np.zeros(len(weights))
    for _ in range(_NEWTON_STEPS):
        share = 1 / (1 + np.exp(-(level[:, None, None] + slope[:, None, None] * shift)))
        rest = weights[:, None, :] * (won - share)
        spread = weights[:, None, :] * share * (1 - share)
        first = rest.sum(axis=(1, 2)) - _RIDGE * level
        second = (rest * shift).sum(axis=(1, 2)) - _RIDGE * slope
        a = spread.sum(axis=(1, 2)) + _RIDGE
        b = (spread * shift).sum(axis=(1, 2))
        c = (spread * shift**2).sum(axis=(1, 2)) + _RIDGE
        determinant = a * c - b * b
        level += (c * first - b * second) / determinant
        slope += (a * second - b * first) / determinant
    found: Figures = 1 / (1 + np.exp(-level))
    return found


def _middle(values: Figures) -> Interval:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)
