"""Alarms on one rater's work: gold items answered worse, straight-lining, work that became too fast.

For a person who then talks to the rater; nothing that trains reads it, and it stays in the hospital. The gold
alarm is a CUSUM of log-likelihood (Page 1954): from ``expected`` accuracy down to ``alarming``; at the
figures below a rater at 85 % raises it falsely after some 550 gold pairs, at 60 % it comes after some 20, and
who guesses is seen after some 13 (means of 400 simulated raters).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import median

from intraward_client.labeling.judgment import Item, Vote
from intraward_client.labeling.raters import gold_right

EXPECTED, ALARMING, THRESHOLD = 0.85, 0.6, 4.0
WINDOW = 30
"""Votes that the newest figures are of; before a rater has as many there is no alarm but gold's."""
_STRAIGHT_SHARE = 0.8
_FIRST_SHARE = 0.8
"""Of 30 even draws 24 or more fall to one side once in 1,400 windows."""
_FEWEST_SECONDS = 4.0
_FASTER = 1 / 3
_LEAST_RATINGS = 4
"""Ratings in a vote of which all are equal, from which it counts as straight-lined."""


@dataclass(frozen=True, slots=True)
class Watch:
    """One rater: figures and the alarms that follow from them.

    Args:
        cusum: of gold pairs, alarms above `THRESHOLD`.
        straight: share of the newest rated votes whose ratings are all the same.
        first_place: share of the newest decided votes whose best answer stood first.
        seconds: median time of the newest votes; ``before``: of all the earlier ones.
        alarms: codes ``gold``, ``straight-lining``, ``first-place``, ``too-fast``.
    """

    rater: str
    votes: int
    gold_pairs: int
    cusum: float
    straight: float | None
    first_place: float | None
    seconds: float | None
    before: float | None
    alarms: tuple[str, ...]


def watch(votes: Iterable[Vote], items: Iterable[Item]) -> tuple[Watch, ...]:
    """Every rater's figures, by name; ``votes`` from the oldest to the newest."""
    known = {item.item_id: item for item in items}
    by_rater: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        if vote.judged:
            by_rater[vote.rater].append(vote)
    return tuple(_watched(rater, own, known) for rater, own in sorted(by_rater.items()))


def gold_cusum(outcomes: Sequence[bool]) -> tuple[float, bool]:
    """The sum after all gold pairs, right or wrong in their order, and whether it ever passed."""
    right, wrong = math.log(ALARMING / EXPECTED), math.log((1 - ALARMING) / (1 - EXPECTED))
    total, passed = 0.0, False
    for outcome in outcomes:
        total = max(0.0, total + (right if outcome else wrong))
        passed = passed or total > THRESHOLD
    return total, passed


def _watched(rater: str, votes: Sequence[Vote], items: Mapping[str, Item]) -> Watch:
    outcomes = list(chain.from_iterable(_outcomes(vote, items.get(vote.item_id)) for vote in votes))
    cusum, gold = gold_cusum(outcomes)
    newest, earlier = votes[-WINDOW:], votes[:-WINDOW]
    straight, rated = _straight([vote for vote in votes if _rated(vote)][-WINDOW:])
    first, decided = _first_place(votes)
    seconds = median(vote.seconds for vote in newest)
    before = median(vote.seconds for vote in earlier) if earlier else None
    full = len(votes) >= WINDOW
    alarms = {
        "gold": gold,
        "straight-lining": rated >= WINDOW and straight is not None and straight >= _STRAIGHT_SHARE,
        "first-place": decided >= WINDOW and first is not None and first >= _FIRST_SHARE,
        "too-fast": full
        and (seconds < _FEWEST_SECONDS or (before is not None and seconds < _FASTER * before)),
    }
    named = tuple(code for code, raised in alarms.items() if raised)
    return Watch(rater, len(votes), len(outcomes), cusum, straight, first, seconds, before, named)


def _outcomes(vote: Vote, item: Item | None) -> list[bool]:
    if item is None or item.gold is None:
        return []
    pairs, right, _ = gold_right(vote, item)
    return [True] * right + [False] * (pairs - right)


def _rated(vote: Vote) -> bool:
    return sum(len(rated) for rated in vote.ratings) >= _LEAST_RATINGS


def _straight(votes: Sequence[Vote]) -> tuple[float | None, int]:
    same = [len({rating for rated in vote.ratings for rating in rated.values()}) == 1 for vote in votes]
    return (sum(same) / len(same) if same else None), len(same)


def _first_place(votes: Sequence[Vote]) -> tuple[float | None, int]:
    """Only of pairs: with more answers the first place wins less often by itself."""
    pairs = [vote for vote in votes if vote.shown and len(vote.ranks) == 2 and not vote.tied][-WINDOW:]
    won = [vote.shown[0] == vote.ranks.index(1) for vote in pairs]
    return (sum(won) / len(won) if won else None), len(won)
