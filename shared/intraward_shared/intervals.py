"""Bootstrap over groups: whole prompts are drawn again, since pairs of one prompt are not independent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

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
    return ratio_of_sums(sums, np.bincount(where, minlength=len(names)), seed)


def ratio_of_sums(sums: ArrayLike, counts: ArrayLike, seed: int) -> tuple[float, Interval]:
    """Sum over sum and its 95 % percentile interval of a bootstrap over rows.

    Args:
        sums, counts: one number a prompt or record each, say its loss and its tokens.
    """
    above, below = np.asarray(sums, dtype=float), np.asarray(counts, dtype=float)
    draws = np.random.default_rng(seed).integers(len(above), size=(DRAWS, len(above)))
    means = above[draws].sum(axis=1) / below[draws].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(above.sum() / below.sum()), (float(low), float(high))
