"""Intervals and comparisons for figures of the coordinator: Wilson, paired bootstrap, win rate.

Pure; 95 % throughout. Ties count half on both sides of a comparison, and intervals travel with every
rate, so that no figure is printed without what it is worth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Z95 = 1.959963984540054
_DRAWS = 2000


@dataclass(frozen=True)
class Rate:
    """A share with its 95 % Wilson interval; ``total`` is what it was counted on."""

    value: float
    low: float
    high: float
    total: int

    @property
    def interval(self) -> list[float]:
        """``[low, high]``."""
        return [self.low, self.high]

    def figures(self, name: str) -> dict[str, Any]:
        """The share and its interval, as ``evaluation.json`` has them; None where nothing was counted."""
        value, interval = (self.value, self.interval) if self.total else (None, None)
        return {name: value, f"{name}_interval": interval}


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    @property
    def interval(self) -> list[float]:
        """``[low, high]``."""
        return [self.low, self.high]


def wilson(successes: float, total: int) -> Rate:
    """Wilson score interval (Wilson 1927); a tie counts as half a success. Nothing counted: [0, 1]."""
    if total == 0:
        return Rate(0.0, 0.0, 1.0, 0)
    return _wilson(successes / total, total, total)


def grouped_rate(values: Sequence[float], groups: Sequence[str]) -> Rate:
    """Share with a Wilson interval on the effective number of values, where those of a group go together.

    Args:
        values: 0 to 1, one a row; groups: the row's prompt or vignette.

    The effective number is the one at which independent values would vary as the groups' shares do
    (Korn and Graubard 1998), never more than the rows; where all values agree it is the number of groups.
    With one row a group this is ``wilson``.
    """
    names = {name: place for place, name in enumerate(dict.fromkeys(groups))}
    if len(names) == len(values):
        return wilson(sum(values), len(values))
    where = np.array([names[group] for group in groups])
    sums, counts = np.bincount(where, weights=np.asarray(values, np.float64)), np.bincount(where)
    total, share = len(values), float(sums.sum() / len(values))
    spread = float(((sums - share * counts) ** 2).sum()) * len(names) / max(1, len(names) - 1) / total**2
    alone = share * (1 - share)
    effective = float(len(names)) if spread <= 0 or alone <= 0 else min(float(total), alone / spread)
    return _wilson(share, max(1.0, effective), total)


def _wilson(share: float, effective: float, total: int) -> Rate:
    scale = 1 + Z95**2 / effective
    middle = (share + Z95**2 / (2 * effective)) / scale
    half = Z95 * math.sqrt(share * (1 - share) / effective + Z95**2 / (4 * effective**2)) / scale
    return Rate(share, max(0.0, middle - half), min(1.0, middle + half), total)


def win_rate(ours: Sequence[float], theirs: Sequence[float]) -> Rate:
    """Share of items on which ``ours`` scores higher, ties half."""
    pairs = list(zip(ours, theirs, strict=True))
    wins = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs)
    return wilson(wins, len(pairs))


def mean_gain(ours: Sequence[float], theirs: Sequence[float], seed: int) -> Estimate:
    """Mean of the paired difference ``ours - theirs`` with a percentile bootstrap over items."""
    difference = np.asarray(ours, np.float64) - np.asarray(theirs, np.float64)
    if len(difference) == 0:
        return Estimate(0.0, 0.0, 0.0)
    draw = np.random.Generator(np.random.Philox(seed))
    picks = draw.integers(0, len(difference), size=(_DRAWS, len(difference)))
    low, high = np.quantile(difference[picks].mean(axis=1), [0.025, 0.975])
    return Estimate(float(difference.mean()), float(low), float(high))
