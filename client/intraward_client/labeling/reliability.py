"""Percent agreement, Fleiss' kappa and Krippendorff's alpha, with bootstrap intervals by item.

All three are functions of sums over rows, so a bootstrap draw is one weighted sum over items and every draw
is computed at once: 400 draws over 10,000 items take well under a second. Alpha itself is that of
the package krippendorff (missing ratings allowed); `alpha_of_sums` is the same formula for sums that were
drawn, and a test holds the two equal. What a table does not determine is None, never 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import krippendorff
import numpy as np
from numpy.typing import NDArray

from intraward_client.labeling.bootstrap import interval
from intraward_client.labeling.ratings import Matrix, Ratings

Level = Literal["nominal", "ordinal", "interval"]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval by item; None where too few items are there."""

    value: float
    interval: tuple[float, float] | None


def percent(ratings: Ratings) -> Estimate | None:
    """Share of equal pairs of ratings among all pairs of ratings of one row."""
    counts, _ = ratings.counts()
    pairs = counts.sum(1) * (counts.sum(1) - 1)
    sums = np.column_stack([(counts * (counts - 1)).sum(1), pairs]).astype(float)
    return _estimate(_ratio, sums, ratings.items)


def fleiss_kappa(ratings: Ratings) -> Estimate | None:
    """Fleiss' kappa (1971) over the rows with the commonest number of ratings, which it needs to be fixed."""
    counts, _ = ratings.counts()
    sizes = counts.sum(1)
    if not (sizes >= 2).any():
        return None
    raters = int(np.argmax(np.bincount(sizes[sizes >= 2])))
    rows = sizes == raters
    observed = ((counts[rows] ** 2).sum(1) - raters) / (raters * (raters - 1))
    sums = np.column_stack([observed, np.ones(rows.sum()), counts[rows]])
    return _estimate(_fleiss, sums, ratings.items[rows])


def alpha(ratings: Ratings, level: Level) -> Estimate | None:
    """Krippendorff's alpha; a row with one rating says nothing and is left out."""
    counts, domain = ratings.shared.counts()
    if len(domain) < 2:
        return None
    value = krippendorff.alpha(value_counts=counts, value_domain=domain, level_of_measurement=level)
    drawn = interval(
        lambda sums: alpha_of_sums(sums, domain, level), coincidences(counts), ratings.shared.items
    )
    return Estimate(float(value), drawn)


def coincidences(counts: Counts) -> Matrix:
    """Coincidence matrix of each row, flat ``(rows, values * values)``; of ``counts`` (rows, values)."""
    pairs = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(counts.shape[1])
    flat: Matrix = pairs.reshape(len(counts), -1) / (counts.sum(1, keepdims=True) - 1)
    return flat


def alpha_of_sums(sums: Matrix, domain: Matrix, level: Level) -> Matrix:
    """Alpha of summed coincidence matrices ``(draws, values * values)``; NaN where only one value is left."""
    observed = sums.reshape(len(sums), len(domain), len(domain))
    each = observed.sum(2)
    apart = _distances(each, domain, level)
    expected = each[:, :, None] * each[:, None, :] / np.maximum(each.sum(1) - 1, 1)[:, None, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Matrix = 1 - (observed * apart).sum((1, 2)) / (expected * apart).sum((1, 2))
    return found


def _distances(each: Matrix, domain: Matrix, level: Level) -> Matrix:
    """Distance of every two values by draw; ``each``: ratings of each value ``(draws, values)``."""
    if level == "ordinal":
        place = each.cumsum(1) - each / 2
    elif level == "interval":
        place = np.broadcast_to(domain, each.shape)
    else:
        return np.broadcast_to(1 - np.eye(len(domain)), (len(each), len(domain), len(domain)))
    apart: Matrix = (place[:, :, None] - place[:, None, :]) ** 2
    return apart


def mean(values: Matrix, items: NDArray[np.int64]) -> Estimate | None:
    """Mean of one figure per row ``(rows,)``."""
    return _estimate(_ratio, np.column_stack([values, np.ones(len(values))]), items)


def _estimate(
    statistic: Callable[[Matrix], Matrix], sums: Matrix, items: NDArray[np.int64]
) -> Estimate | None:
    value = float(statistic(sums.sum(0, keepdims=True))[0])
    return None if np.isnan(value) else Estimate(value, interval(statistic, sums, items))


def _ratio(sums: Matrix) -> Matrix:
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Matrix = sums[:, 0] / sums[:, 1]
    return found


def _fleiss(sums: Matrix) -> Matrix:
    """From (observed agreement, rows, ratings of each value) by draw."""
    each = sums[:, 2:]
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = sums[:, 0] / sums[:, 1]
        expected = ((each / each.sum(1, keepdims=True)) ** 2).sum(1)
        found: Matrix = np.where(expected < 1, (observed - expected) / (1 - expected), np.nan)
    return found
