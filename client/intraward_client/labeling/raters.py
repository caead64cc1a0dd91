"""How reliable raters are: for people to look at, and as training weights only what gold items tell.

Dawid and Skene (1979) for flags and Crowd-BT (Chen et al., WSDM 2013) for comparisons learn a rater's
reliability from everybody's votes. Such figures couple patients (section 6 of DESIGN.md), so nothing that
trains may read them. `gold_weights` comes from gold items alone.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from intraward_client.labeling.agreement import preferences
from intraward_client.labeling.bootstrap import wilson
from intraward_client.labeling.judgment import Item, Vote
from intraward_client.labeling.ratings import Ratings

_ROUNDS = 100
_CLOSE = 1e-6
_PRIOR_RIGHT, _PRIOR_WRONG = 4.0, 1.0
"""What is thought of a rater before the first gold item: right four times in five."""
_MOST_WEIGHT = 3.0


@dataclass(frozen=True, slots=True)
class GoldScore:
    """A rater on gold items: pairs of answers put in the right order, and critical failures found."""

    rater: str
    items: int
    pairs: int
    right: int
    interval: tuple[float, float]
    missed: int

    @property
    def accuracy(self) -> float:
        """Share of pairs in the right order; 0 without any."""
        return self.right / self.pairs if self.pairs else 0.0


def gold_right(vote: Vote, item: Item) -> tuple[int, int, int]:
    """``(pairs, right, missed)`` of one vote on a gold item; ``missed``: failures that had to be found."""
    if item.gold is None or not vote.judged:
        return 0, 0, 0
    key = Vote(item.item_id, "", ranks=item.gold.ranks)
    given = dict(preferences(vote))
    pairs = [(name, value) for name, value in preferences(key) if value]
    right = sum(given[name] == value for name, value in pairs)
    missed = sum(len(kinds - vote.flagged(answer)) for answer, kinds in enumerate(item.gold.flags))
    return len(pairs), right, missed


def gold_scores(votes: Iterable[Vote], items: Iterable[Item]) -> tuple[GoldScore, ...]:
    """Every rater's score on gold items, by name."""
    gold = {item.item_id: item for item in items if item.gold is not None}
    told: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for vote in votes:
        if vote.item_id in gold and vote.judged:
            told[vote.rater].append(gold_right(vote, gold[vote.item_id]))
    scores = []
    for rater, each in sorted(told.items()):
        pairs, right, missed = (sum(column) for column in zip(*each, strict=True))
        scores.append(GoldScore(rater, len(each), pairs, right, wilson(right, pairs), missed))
    return tuple(scores)


def gold_weights(scores: Iterable[GoldScore]) -> Mapping[str, float]:
    """Weight of a vote by rater, 0 to 3: log-odds of being right on gold, 1 for one as good as the prior."""
    usual = math.log(_PRIOR_RIGHT / _PRIOR_WRONG)
    return {
        score.rater: min(
            _MOST_WEIGHT,
            max(
                0.0,
                math.log((score.right + _PRIOR_RIGHT) / (score.pairs - score.right + _PRIOR_WRONG)) / usual,
            ),
        )
        for score in scores
    }


@dataclass(frozen=True, slots=True)
class Reliability:
    """``sensitivity`` and ``specificity`` of a rater's flags by the Dawid-Skene model."""

    rater: str
    ratings: int
    sensitivity: float
    specificity: float


def dawid_skene(ratings: Ratings) -> tuple[tuple[Reliability, ...], NDArray[np.float64]]:
    """Reliability of every rater of yes/no ratings, and the probability of yes for each row ``(rows,)``.

    Expectation-maximisation from the share of yes in each row; one count of each kind is added to every
    rater, so that who rated little is neither perfect nor hopeless.
    """
    yes, no = (ratings.values == 1).astype(float), (ratings.values == 0).astype(float)
    believed = (yes.sum(1) + 0.5) / (yes.sum(1) + no.sum(1) + 1)
    hit, clear = np.ones(yes.shape[1]), np.ones(yes.shape[1])
    for _ in range(_ROUNDS):
        hit = (believed @ yes + 1) / (believed @ (yes + no) + 2)
        clear = ((1 - believed) @ no + 1) / ((1 - believed) @ (yes + no) + 2)
        usual = np.clip(believed.mean(), 1e-6, 1 - 1e-6)
        for_yes = yes @ np.log(hit) + no @ np.log(1 - hit) + np.log(usual)
        for_no = yes @ np.log(1 - clear) + no @ np.log(clear) + np.log(1 - usual)
        before, believed = believed, 1 / (1 + np.exp(np.clip(for_no - for_yes, -700, 700)))
        if np.abs(believed - before).max(initial=0.0) < _CLOSE:
            break
    counts = (yes + no).sum(0).astype(int)
    return tuple(
        Reliability(rater, int(count), float(one), float(other))
        for rater, count, one, other in zip(ratings.raters, counts, hit, clear, strict=True)
    ), believed


@dataclass(frozen=True, slots=True)
class CrowdRater:
    """``eta``: probability that a rater's comparison follows the common scores (Crowd-BT)."""

    rater: str
    comparisons: int
    eta: float


def crowd_bt(votes: Sequence[Vote]) -> tuple[CrowdRater, ...]:
    """Every rater's eta, by expectation-maximisation over all strict comparisons.

    A comparison is right with probability eta and turned round otherwise; answers have Bradley-Terry scores
    with a standard normal prior, eta a Beta(4, 1) prior, which is also where it starts. Where only two or
    three people see an item, disagreement is as well explained by close answers: then eta says little.
    """
    found = [
        (vote.rater, (vote.item_id, best), (vote.item_id, worst))
        for vote in votes
        for best, worst in permutations(range(len(vote.ranks)), 2)
        if vote.ranks[best] < vote.ranks[worst]
    ]
    if not found:
        return ()
    raters = sorted({row[0] for row in found})
    names = {name: n for n, name in enumerate(sorted({name for row in found for name in row[1:]}))}
    rater = np.array([raters.index(row[0]) for row in found])
    winner, loser = np.array([names[row[1]] for row in found]), np.array([names[row[2]] for row in found])
    scores, eta = np.zeros(len(names)), np.full(len(raters), _PRIOR_RIGHT / (_PRIOR_RIGHT + _PRIOR_WRONG))
    counts = np.bincount(rater, minlength=len(raters))
    believed = eta[rater]
    for _ in range(_ROUNDS):
        scores = _fitted(scores, winner, loser, believed)
        won = 1 / (1 + np.exp(scores[loser] - scores[winner]))
        right = eta[rater] * won
        believed = right / (right + (1 - eta[rater]) * (1 - won))
        before = eta
        eta = (np.bincount(rater, believed, len(raters)) + _PRIOR_RIGHT) / (
            counts + _PRIOR_RIGHT + _PRIOR_WRONG
        )
        if np.abs(eta - before).max() < _CLOSE:
            break
    return tuple(
        CrowdRater(name, int(count), float(value))
        for name, count, value in zip(raters, counts, eta, strict=True)
    )


def _fitted(
    scores: NDArray[np.float64],
    winner: NDArray[np.int64],
    loser: NDArray[np.int64],
    believed: NDArray[np.float64],
) -> NDArray[np.float64]:
    """A few ascents of the scores: believed comparisons count forwards, the rest backwards.

    The step is one over a bound of the curvature by answer, so it never overshoots.
    """
    count = len(scores)
    bound = 1 + 0.5 * (np.bincount(winner, minlength=count) + np.bincount(loser, minlength=count))
    for _ in range(10):
        pull = believed - 1 / (1 + np.exp(scores[loser] - scores[winner]))
        slope = np.bincount(winner, pull, count) - np.bincount(loser, pull, count) - scores
        scores = scores + slope / bound
    return scores
