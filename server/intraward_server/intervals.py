"""Bootstrap over groups: whole prompts are drawn again, since pairs of one prompt are not independent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

DRAWS = 2000
Interval = tuple[float, float]


def grouped_mean(values: Sequence[float], groups: Sequence[str], seed: int) -> tuple[float, Interval]:
    """Mean over all values and its 95 % percentile interval of a bootstrap over groups.

    Args:
        values: one number per row; groups: the row's prompt or document.
    """
    names = sorted(set(groups))
    place = {name: index for index, name in enumerate(names)}
    where = np.array([place[group] for group in groups])
    sums = np.bincount(where, weights=np.asarray(values, dtype=float), minlength=len(names))
    counts = np.bincount(where, minlength=len(names))
    draws = np.random.default_rng(seed).integers(len(names), size=(DRAWS, len(names)))
    means = sums[draws].sum(axis=1) / counts[draws].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(sums.sum() / counts.sum()), (float(low), float(high))
