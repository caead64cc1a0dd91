"""How far raters agree: per question asked, over all and by specialty, with intervals; and position bias.

Only first, blind votes count: an adjudicator sees the hard items alone, a repeat is the same person again,
and gold items were chosen for having one answer. Figures of private data, for the hospital's own eyes.
Krippendorff's customary limits: alpha of 0.8 or more is reliable, of 0.667 or more tentative.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from intraward_client.labeling.bootstrap import wilson
from intraward_client.labeling.judgment import Item, Vote
from intraward_client.labeling.ratings import Ratings, complete_block, icc, kappas, kendall_tau, kendall_w
from intraward_client.labeling.reliability import Estimate, Level, alpha, fleiss_kappa, mean, percent

RELIABLE, TENTATIVE = 0.8, 2 / 3
PREFERENCE, STRENGTH, UNACCEPTABLE = "preference", "preference with strength", "all unacceptable"
Cell = tuple[str, str, str, float]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement on one question; None where the ratings do not determine a figure.

    ``question`` is `PREFERENCE`, ..., ``rating: criterion`` or ``flag: kind``; ``specialty`` is "" for all.
    ``kappa`` is the mean of Cohen's over every two raters with 5 rows or more in common, ``weighted_kappa``
    the same with quadratic weights (ratings). ``icc`` is (2,1) and (2,k) over the largest set of rows that
    the same raters have all rated, whose size is ``icc_rows`` and ``icc_raters``.
    """

    question: str
    specialty: str
    level: Level
    items: int
    raters: int
    percent: Estimate | None
    alpha: Estimate | None
    fleiss: Estimate | None
    kappa: float | None
    weighted_kappa: float | None
    icc: tuple[float, float] | None
    icc_rows: int
    icc_raters: int

    @property
    def verdict(self) -> str:
        """``reliable``, ``tentative``, ``low``, or ``unknown``."""
        if self.alpha is None:
            return "unknown"
        value = self.alpha.value
        return "reliable" if value >= RELIABLE else "tentative" if value >= TENTATIVE else "low"


@dataclass(frozen=True, slots=True)
class Rankings:
    """Kendall's tau-b (mean over every two raters of an item) and W, both as means over items."""

    specialty: str
    items: int
    tau: Estimate | None
    w: Estimate | None


@dataclass(frozen=True, slots=True)
class PositionBias:
    """How often the best answer stood first; ``expected`` without bias, by how many answers there were."""

    answers: int
    votes: int
    first_won: int
    share: float
    interval: tuple[float, float]
    expected: float

    @property
    def biased(self) -> bool:
        """Whether the interval leaves out what is expected."""
        return not self.interval[0] <= self.expected <= self.interval[1]


@dataclass(frozen=True, slots=True)
class Report:
    """All of it; ``repeats`` is agreement of raters with themselves."""

    questions: tuple[Agreement, ...]
    rankings: tuple[Rankings, ...]
    position: tuple[PositionBias, ...]
    repeats: Agreement | None

    def as_json(self) -> dict[str, Any]:
        """For ``--json`` and for pages."""
        value = asdict(self)
        for written, question in zip(value["questions"], self.questions, strict=True):
            written["verdict"] = question.verdict
        for written, found in zip(value["position"], self.position, strict=True):
            written["biased"] = found.biased
        return value


def report(votes: Iterable[Vote], items: Iterable[Item]) -> Report:
    """Agreement of ``votes`` on ``items``; withdrawn votes are left out by whoever reads them."""
    votes, known = tuple(vote for vote in votes if vote.judged), {item.item_id: item for item in items}
    votes = tuple(vote for vote in votes if vote.item_id in known)
    first = [vote for vote in votes if vote.stage == "first" and known[vote.item_id].gold is None]
    questions, rankings = [], []
    for specialty, part in _by_specialty(first, known).items():
        questions += [_agreement(name, specialty, *cells) for name, cells in questions_of(part).items()]
        rankings.append(_rankings(specialty, part))
    return Report(tuple(questions), tuple(rankings), position_bias(first), _repeats(votes))


def questions_of(votes: Sequence[Vote]) -> Mapping[str, tuple[Level, list[Cell]]]:
    """Cells (item, row, rater, value) of every question that was asked, and at what level it is measured."""
    found: dict[str, tuple[Level, list[Cell]]] = {}

    def put(question: str, level: Level, vote: Vote, row: str, value: float) -> None:
        found.setdefault(question, (level, []))[1].append((vote.item_id, row, vote.rater, value))

    kinds = {flag.kind for vote in votes for marked in vote.flags for flag in marked}
    for vote in votes:
        for row, value in preferences(vote):
            put(PREFERENCE, "nominal", vote, row, value)
            if vote.strength or not value:
                put(STRENGTH, "ordinal", vote, row, value * vote.strength)
        put(UNACCEPTABLE, "nominal", vote, "", vote.all_unacceptable)
        for answer, rated in enumerate(vote.ratings):
            for criterion, rating in rated.items():
                put(f"rating: {criterion}", "ordinal", vote, str(answer), rating)
        for answer in range(len(vote.ranks)):
            for kind in kinds:
                put(f"flag: {kind}", "nominal", vote, str(answer), kind in vote.flagged(answer))
    return dict(sorted(found.items()))


def preferences(vote: Vote) -> Iterator[tuple[str, float]]:
    """Every two answers of a vote: 1 where the first is better, -1 where the second is, 0 for a tie."""
    for (one, first), (other, second) in combinations(enumerate(vote.ranks), 2):
        yield f"{one}-{other}", float(np.sign(second - first))


def position_bias(votes: Iterable[Vote]) -> tuple[PositionBias, ...]:
    """How often a single best answer stood at the first place, by number of answers."""
    told: dict[int, list[bool]] = defaultdict(list)
    for vote in votes:
        if vote.shown and vote.ranks.count(1) == 1:
            told[len(vote.ranks)].append(vote.shown[0] == vote.ranks.index(1))
    return tuple(
        PositionBias(
            answers, len(won), sum(won), sum(won) / len(won), wilson(sum(won), len(won)), 1 / answers
        )
        for answers, won in sorted(told.items())
    )


def _by_specialty(votes: Sequence[Vote], items: Mapping[str, Item]) -> dict[str, Sequence[Vote]]:
    """All votes under "", then those of each named specialty, where there is more than one."""
    parts: dict[str, list[Vote]] = defaultdict(list)
    for vote in votes:
        parts[items[vote.item_id].specialty].append(vote)
    apart = {name: part for name, part in sorted(parts.items()) if name} if len(parts) > 1 else {}
    return {"": votes, **apart}


def _agreement(question: str, specialty: str, level: Level, cells: list[Cell]) -> Agreement:
    ratings = Ratings.of(cells).shared
    alone, scaled = kappas(ratings), kappas(ratings, "quadratic") if level == "ordinal" else {}
    block = complete_block(ratings)
    return Agreement(
        question,
        specialty,
        level,
        items=len(np.unique(ratings.items)),
        raters=len(ratings.raters),
        percent=percent(ratings),
        alpha=alpha(ratings, level),
        fleiss=fleiss_kappa(ratings),
        kappa=_mean(alone.values()),
        weighted_kappa=_mean(scaled.values()),
        icc=icc(block.values) if level == "ordinal" else None,
        icc_rows=len(block.values),
        icc_raters=len(block.raters),
    )


def _rankings(specialty: str, votes: Sequence[Vote]) -> Rankings:
    by_item: dict[str, dict[str, tuple[int, ...]]] = defaultdict(dict)
    for vote in votes:
        by_item[vote.item_id][vote.rater] = vote.ranks
    taus, ws = [], []
    for ranks in by_item.values():
        table = np.array(list(ranks.values()), dtype=float)
        if len(table) < 2:
            continue
        pairs = [kendall_tau(table[one], table[other]) for one, other in combinations(range(len(table)), 2)]
        taus += [value for value in [_mean(tau for tau in pairs if tau is not None)] if value is not None]
        ws += [value for value in [kendall_w(table)] if value is not None]
    tau, w = (mean(np.array(each), np.arange(len(each))) for each in (taus, ws))
    return Rankings(specialty, sum(len(ranks) > 1 for ranks in by_item.values()), tau, w)


def _repeats(votes: Sequence[Vote]) -> Agreement | None:
    """Agreement of raters with their own earlier judgment of the same item."""
    before = {(vote.item_id, vote.rater): vote for vote in votes if vote.stage == "first"}
    cells: list[Cell] = []
    for again in votes:
        first = before.get((again.item_id, again.rater))
        if again.stage == "repeat" and first is not None:
            for name, vote in (("first", first), ("again", again)):
                cells += [
                    (vote.item_id, f"{vote.rater}|{row}", name, value) for row, value in preferences(vote)
                ]
    return _agreement(PREFERENCE, "", "nominal", cells) if cells else None


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return sum(found) / len(found) if found else None
