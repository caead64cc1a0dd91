"""Intervals: percentile bootstrap by item (Efron), and Wilson's for a share.

Items are drawn, never single ratings: the answers of one item, and its raters' moods, go together. A seed
fixed in the code makes a page that is loaded twice show the same interval.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

DRAWS = 400
_SEED = 20_240_917
_FEWEST_ITEMS = 5
"""Of fewer no interval is given: it would be narrow for want of variety alone."""
_AT_ONCE = 50
"""Draws held in memory together, a weight for each item."""
Interval = tuple[float, float]
Matrix = NDArray[np.float64]


def interval(
    statistic: Callable[[Matrix], Matrix],
    rows: Matrix,
    items: NDArray[np.int64],
    draws: int = DRAWS,
    level: float = 0.95,
) -> Interval | None:
    """Interval of a statistic of sums over rows, when whole items are drawn with replacement.

    Args:
        statistic: of summed rows ``(draws, columns)``; NaN where they do not determine it.
        rows: what is summed ``(rows, columns)``; items: number of the item of each row ``(rows,)``.
    """
    names, place = np.unique(items, return_inverse=True)
    if len(names) < _FEWEST_ITEMS:
        return None
    by_item = np.zeros((len(names), rows.shape[1]))
    np.add.at(by_item, place, rows)
    generator, even = np.random.default_rng(_SEED), np.full(len(names), 1 / len(names))
    found = np.concatenate(
        [
            statistic(generator.multinomial(len(names), even, size=some).astype(float) @ by_item)
            for some in _parts(draws)
        ]
    )
    found = found[~np.isnan(found)]
    if 2 * len(found) < draws:
        return None
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _parts(draws: int) -> list[int]:
    return [min(_AT_ONCE, draws - done) for done in range(0, draws, _AT_ONCE)]


def wilson(successes: int, trials: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a share; 0 to 1 without trials."""
    from scipy.stats import binomtest  # takes a second to import

    if trials == 0:
        return 0.0, 1.0
    found = binomtest(successes, trials).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)
