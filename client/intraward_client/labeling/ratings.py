"""A table of ratings, and the statistics of agreement between its columns: kappas of two raters, W, ICC.

One row is one thing that was rated (an answer under one criterion, a pair of answers, a flag), one column a
rater; what a rater did not rate is NaN. Rows of one item belong together: intervals are drawn by item.
Kappa, tau, W and ICC follow the papers named. What a table does not determine is None, never 0. Alpha and
Fleiss' kappa, which sum over rows, are in ``reliability``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True, repr=False)
class Ratings:
    """``values`` (rows, raters) with NaN for what is missing; ``items`` (rows,) are numbers of items."""

    values: Matrix
    items: NDArray[np.int64]
    raters: tuple[str, ...]

    def __repr__(self) -> str:
        return "Ratings(<redacted>)"

    @classmethod
    def of(cls, cells: Iterable[tuple[str, str, str, float]]) -> Ratings:
        """From cells (item, row within the item, rater, value); the last value of a cell counts."""
        found = {(item, row, rater): value for item, row, rater, value in cells}
        rows = sorted({(item, row) for item, row, _ in found})
        raters = tuple(sorted({rater for _, _, rater in found}))
        place = {row: number for number, row in enumerate(rows)}
        column = {rater: number for number, rater in enumerate(raters)}
        values = np.full((len(rows), len(raters)), np.nan)
        for (item, row, rater), value in found.items():
            values[place[item, row], column[rater]] = value
        numbers = {item: number for number, item in enumerate(dict.fromkeys(item for item, _ in rows))}
        return cls(values, np.array([numbers[item] for item, _ in rows], dtype=np.int64), raters)

    @property
    def shared(self) -> Ratings:
        """The rows that two raters or more have rated; nothing else says anything of agreement."""
        rows = (~np.isnan(self.values)).sum(1) >= 2
        return Ratings(self.values[rows], self.items[rows], self.raters)

    def counts(self) -> tuple[NDArray[np.int64], Matrix]:
        """How many raters gave each value ``(rows, values)``, and the values in order ``(values,)``."""
        domain = np.unique(self.values[~np.isnan(self.values)])
        return (self.values[:, :, None] == domain).sum(1), domain


def cohen_kappa(
    one: Matrix, other: Matrix, weights: Literal["none", "linear", "quadratic"] = "none"
) -> float | None:
    """Cohen's kappa of two raters' ratings ``(rows,)`` of the same rows; weighted by Cohen (1968)."""
    domain = np.unique(np.concatenate([one, other]))
    if len(domain) < 2:
        return None
    first, second = np.searchsorted(domain, one), np.searchsorted(domain, other)
    table = np.zeros((len(domain), len(domain)))
    np.add.at(table, (first, second), 1 / len(one))
    apart = np.abs(domain[:, None] - domain[None, :])
    cost = {"none": (apart > 0).astype(float), "linear": apart, "quadratic": apart**2}[weights]
    chance = float((cost * np.outer(table.sum(1), table.sum(0))).sum())
    return 1 - float((cost * table).sum()) / chance if chance > 0 else None


def kappas(
    ratings: Ratings, weights: Literal["none", "linear", "quadratic"] = "none", fewest: int = 5
) -> dict[tuple[str, str], float]:
    """Cohen's kappa of every two raters who share ``fewest`` rows; their mean is Light's kappa (1971)."""
    found = {}
    for (one, first), (other, second) in combinations(enumerate(ratings.raters), 2):
        both = ~np.isnan(ratings.values[:, [one, other]]).any(1)
        if both.sum() >= fewest:
            kappa = cohen_kappa(ratings.values[both, one], ratings.values[both, other], weights)
            if kappa is not None:
                found[first, second] = kappa
    return found


def kendall_tau(one: Matrix, other: Matrix) -> float | None:
    """Kendall's tau-b of two rankings ``(answers,)``; None where one of them ties everything.

    Written out, because scipy's takes a millisecond a call and a report needs one for every two votes.
    """
    first, second = (np.sign(ranks[:, None] - ranks[None, :]) for ranks in (one, other))
    most = np.abs(first).sum() * np.abs(second).sum()
    return float((first * second).sum() / np.sqrt(most)) if most else None


def kendall_w(rankings: Matrix) -> float | None:
    """Kendall's W of complete rankings ``(raters, answers)``, corrected for ties (Kendall 1948)."""
    raters, answers = rankings.shape
    below = (rankings[:, :, None] > rankings[:, None, :]).sum(2)
    equal = (rankings[:, :, None] == rankings[:, None, :]).sum(2)
    totals = (below + (equal + 1) / 2).sum(0)  # mean ranks of ties, summed over raters
    ties = float((equal**2 - 1).sum())  # t^3 - t of each group, a share of it at each of its t answers
    most = raters**2 * (answers**3 - answers) - raters * ties
    spread = float(((totals - totals.mean()) ** 2).sum())
    return 12 * spread / most if raters >= 2 and most > 0 else None


def icc(block: Matrix) -> tuple[float, float] | None:
    """ICC(2,1) and ICC(2,k) of a complete block ``(rows, raters)``: two-way random, absolute agreement.

    Shrout and Fleiss (1979): of a single rater, and of the mean of all of them.
    """
    rows, raters = block.shape
    if rows < 2 or raters < 2:
        return None
    grand = block.mean()
    between_rows = raters * float(((block.mean(1) - grand) ** 2).sum()) / (rows - 1)
    between_raters = rows * float(((block.mean(0) - grand) ** 2).sum()) / (raters - 1)
    rest = block - block.mean(1, keepdims=True) - block.mean(0, keepdims=True) + grand
    error = float((rest**2).sum()) / ((rows - 1) * (raters - 1))
    single = between_rows + (raters - 1) * error + raters * (between_raters - error) / rows
    average = between_rows + (between_raters - error) / rows
    if single <= 0 or average <= 0:
        return None
    return (between_rows - error) / single, (between_rows - error) / average


def complete_block(ratings: Ratings) -> Ratings:
    """The raters, and the rows that all of them rated, with the most ratings beyond the first of each row."""
    there = ~np.isnan(ratings.values)
    most, rows, columns = 0, np.flatnonzero([]), np.flatnonzero([])
    for used in np.unique(there[there.sum(1) >= 2], axis=0):
        rated = np.flatnonzero(there[:, used].all(1))
        if len(rated) * (used.sum() - 1) > most:
            most, rows, columns = len(rated) * (used.sum() - 1), rated, np.flatnonzero(used)
    raters = tuple(ratings.raters[column] for column in columns)
    return Ratings(ratings.values[np.ix_(rows, columns)], ratings.items[rows], raters)
