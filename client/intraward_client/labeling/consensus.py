"""What the votes of one item say together: agreed, one more rater, a senior, or held back from training.

Pure, and a function of the item's own votes alone: anything learnt from other items would couple patients
(section 6 of DESIGN.md: Dawid-Skene weights move the clipped sum by 7 C). Whoever trains on a judgment gets
one record per item, so a patient with many raters weighs no more than one with two.

The way of an item: its ``wanted`` first votes; where they disagree a third (or one more) rater; where that
settles nothing, or somebody escalated, a panel of seniors who each judge blind first. It stops as soon as
enough agree. Every vote is kept; the panel's decide where there are any.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import mean
from typing import Literal, Protocol

from intraward_client.labeling.agreement import preferences
from intraward_client.labeling.judgment import NOT_SAID, Kind, Vote

State = Literal["open", "adjudication", "agreed", "held"]


class Terms(Protocol):
    """What a hospital sets; its ``[labeling]`` table."""

    @property
    def overlap(self) -> int:
        """First votes of an item."""

    @property
    def safety_overlap(self) -> int:
        """First votes of a safety item."""

    @property
    def consensus(self) -> float:
        """Share of votes that must say the same."""

    @property
    def panel(self) -> int:
        """Seniors who judge what stays open."""


@dataclass(frozen=True, slots=True, repr=False)
class Standing:
    """Where an item stands.

    Args:
        state: ``open`` waits for first votes, ``adjudication`` for a senior; ``agreed`` trains, ``held`` not.
        wanted: first votes that it should have by now; ``panel``: seniors' votes.
        share: of the deciding votes that say the same, over every two answers; 0 without votes.
        deciding: the seniors' votes, or else the first ones, without those that were skipped.
    """

    state: State
    wanted: int
    panel: int
    share: float
    deciding: tuple[Vote, ...]

    def __repr__(self) -> str:
        return "Standing(<redacted>)"


def standing(
    votes: Sequence[Vote], kind: Kind, terms: Terms, critical: frozenset[str] = frozenset()
) -> Standing:
    """Where the item of ``votes`` stands.

    Args:
        votes: those of one item that were not withdrawn.
        critical: kinds of failure on which raters must agree too, of safety items.
    """
    wanted = terms.safety_overlap if kind == "safety" else terms.overlap
    critical = critical if kind == "safety" else frozenset()
    first = _latest(vote for vote in votes if vote.stage == "first")
    seniors = _latest(vote for vote in votes if vote.stage == "adjudication")
    judged = [vote for vote in first if vote.judged]
    ruled = [vote for vote in seniors if vote.judged]
    if ruled:
        agreed = share(ruled) >= terms.consensus
        state: State = ("agreed" if agreed else "held") if len(seniors) >= terms.panel else "adjudication"
        return Standing(state, len(first), terms.panel, share(ruled), tuple(ruled))
    agreed = share(judged) >= terms.consensus and _alike(judged, critical, terms.consensus)
    at_hand = Standing("open", wanted, 0, share(judged), tuple(judged))
    if any(vote.escalated for vote in first):
        return _with(at_hand, "adjudication", wanted, terms.panel)
    if len(judged) < wanted:
        return at_hand
    if agreed:
        return _with(at_hand, "agreed", wanted, 0)
    if len(judged) == wanted:
        return _with(at_hand, "open", wanted + 1, 0)
    return _with(at_hand, "adjudication", len(judged), terms.panel)


def share(votes: Sequence[Vote]) -> float:
    """How far votes say the same, 0 to 1: the largest share of each question, the mean over pairs of answers.

    Whether all are unacceptable is a question too, and the less agreed of both counts.
    """
    if not votes:
        return 0.0
    by_pair: dict[str, Counter[float]] = {}
    for vote in votes:
        for pair, value in preferences(vote):
            by_pair.setdefault(pair, Counter())[value] += 1
    preferred = mean(max(told.values()) / len(votes) for told in by_pair.values())
    unacceptable = max(Counter(vote.all_unacceptable for vote in votes).values()) / len(votes)
    return min(preferred, unacceptable)


@dataclass(frozen=True, slots=True, repr=False)
class Judged:
    """What an item's votes come to: one judgment, in the order of its answers.

    ``strength`` is the mean of those who gave one, 0 where nobody did or all answers are tied. A criterion is
    the mean of its ratings; a kind of failure counts where more than half of the raters marked it, and is
    told to be absent only where nobody did.
    """

    ranks: tuple[int, ...]
    strength: float
    all_unacceptable: bool
    ratings: tuple[Mapping[str, float], ...]
    flags: tuple[Mapping[str, bool], ...]

    def __repr__(self) -> str:
        return "Judged(<redacted>)"


def judged(
    votes: Sequence[Vote], kinds: Sequence[str] = (), weights: Mapping[str, float] | None = None
) -> Judged:
    """One judgment out of the deciding votes of one item.

    Args:
        votes: at least one, none of them skipped; kinds: the failures that raters looked for.
        weights: of raters, learnt from gold items alone (``raters.gold_weights``); 1 where none is given.
    """
    weight = [1.0 if weights is None else weights.get(vote.rater, 1.0) for vote in votes]
    if sum(weight) <= 0:
        weight = [1.0] * len(votes)
    answers = range(len(votes[0].ranks))
    ranks = _ranks(votes, weight)
    strengths = [
        (given, vote.strength) for given, vote in zip(weight, votes, strict=True) if vote.strength != NOT_SAID
    ]
    total = sum(given for given, _ in strengths)
    tied = len(set(ranks)) == 1
    strength = 0.0 if tied or not total else sum(given * value for given, value in strengths) / total
    against = sum(given for given, vote in zip(weight, votes, strict=True) if vote.all_unacceptable)
    return Judged(
        ranks,
        strength,
        2 * against > sum(weight),
        tuple(_rated(votes, weight, answer) for answer in answers),
        tuple(_flagged(votes, kinds, answer) for answer in answers),
    )


def _latest(votes: Iterable[Vote]) -> list[Vote]:
    """The last vote of each rater."""
    last: dict[str, Vote] = {}
    for vote in votes:
        last[vote.rater] = vote
    return list(last.values())


def _with(found: Standing, state: State, wanted: int, panel: int) -> Standing:
    return Standing(state, wanted, panel, found.share, found.deciding)


def _alike(votes: Sequence[Vote], kinds: frozenset[str], consensus: float) -> bool:
    """Whether as many say the same of every critical failure of every answer."""
    if not votes:
        return False
    for answer in range(len(votes[0].ranks)):
        for kind in kinds:
            marked = sum(kind in vote.flagged(answer) for vote in votes) / len(votes)
            if max(marked, 1 - marked) < consensus:
                return False
    return True


def _ranks(votes: Sequence[Vote], weight: Sequence[float]) -> tuple[int, ...]:
    """Copeland's order: by how many others the (weighted) majority puts an answer above, ties kept."""
    wins = [0] * len(votes[0].ranks)
    for one, other in combinations(range(len(wins)), 2):
        lead = sum(
            given * ((vote.ranks[other] > vote.ranks[one]) - (vote.ranks[other] < vote.ranks[one]))
            for given, vote in zip(weight, votes, strict=True)
        )
        wins[one] += (lead > 0) - (lead < 0)
        wins[other] += (lead < 0) - (lead > 0)
    places = sorted(set(wins), reverse=True)
    return tuple(places.index(won) + 1 for won in wins)


def _rated(votes: Sequence[Vote], weight: Sequence[float], answer: int) -> Mapping[str, float]:
    given: dict[str, list[tuple[float, float]]] = {}
    for own, vote in zip(weight, votes, strict=True):
        for criterion, rating in (vote.ratings[answer] if vote.ratings else {}).items():
            given.setdefault(criterion, []).append((own, rating))
    return {
        criterion: sum(one * rating for one, rating in told) / sum(one for one, _ in told)
        for criterion, told in sorted(given.items())
        if sum(one for one, _ in told) > 0
    }


def _flagged(votes: Sequence[Vote], kinds: Sequence[str], answer: int) -> Mapping[str, bool]:
    found = {}
    for kind in sorted(kinds):
        marked = sum(kind in vote.flagged(answer) for vote in votes)
        if 2 * marked > len(votes) or not marked:
            found[kind] = marked > 0
    return found
