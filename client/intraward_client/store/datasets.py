"""Training records and tables: the patient is the unit, and order never depends on chance.

Keeps rule 5 of DESIGN.md. Records hold de-identified text and their patient's unit, nothing else that
could name one. A table is ordered by unit and row id, refuses a row that appears under two patients, and
splits by a keyed hash of the unit: no count, no position and no other patient decides where a row goes.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Generic, TypeVar

from intraward_shared.errors import VaultError

MOST_TIED = 12
"""Answers of one rank; Plackett-Luce looks at every subset of them."""


@dataclass(frozen=True, slots=True)
class NoteRecord:
    """A de-identified note."""

    unit: str
    note_id: str
    text: str = field(repr=False)

    @property
    def row_id(self) -> str:
        """Name of the row."""
        return self.note_id


@dataclass(frozen=True, slots=True)
class PromptRecord:
    """A question taken from one patient's note."""

    unit: str
    prompt_id: str
    prompt: str = field(repr=False)

    @property
    def row_id(self) -> str:
        """Name of the row."""
        return self.prompt_id


@dataclass(frozen=True, slots=True)
class SftRecord:
    """A demonstration: prompt and the completion to imitate."""

    unit: str
    prompt: str = field(repr=False)
    completion: str = field(repr=False)
    row_id: str = ""


LOWEST_RATING, HIGHEST_RATING = 1.0, 5.0


@dataclass(frozen=True, slots=True, repr=False)
class AnswerMarks:
    """What a rater said of one answer: ratings from 1 (worst) to 5, and failures that it has or has not.

    What is not named was not judged, and trains nothing.
    """

    ratings: tuple[tuple[str, float], ...] = ()
    flags: tuple[tuple[str, bool], ...] = ()

    def __post_init__(self) -> None:
        if not all(LOWEST_RATING <= rating <= HIGHEST_RATING for _, rating in self.ratings):
            raise VaultError("a rating is not from 1 to 5", remedy="rate again")
        for marks in (self.ratings, self.flags):
            if len({name for name, _ in marks}) < len(marks):
                raise VaultError("an answer is marked twice under one name", remedy="rate again")

    def __repr__(self) -> str:
        return "AnswerMarks(<redacted>)"


def check_marks(marks: tuple[AnswerMarks, ...], answers: int) -> None:
    """Refuse marks of some of a row's answers only."""
    if marks and len(marks) != answers:
        raise VaultError("marks are given for all answers of a row or for none", remedy="rate again")


@dataclass(frozen=True, slots=True)
class PairRecord:
    """A preference; ``margin`` is the strength the rater gave, 0 when none was given.

    ``marks``: of the chosen, then of the rejected answer; empty when nobody marked them.
    """

    unit: str
    prompt: str = field(repr=False)
    chosen: str = field(repr=False)
    rejected: str = field(repr=False)
    margin: float = field(default=0.0, repr=False)
    row_id: str = ""
    marks: tuple[AnswerMarks, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        check_marks(self.marks, 2)


@dataclass(frozen=True, slots=True)
class RankingRecord:
    """Several answers to one prompt in a rater's order: rank 1 is the best, equal ranks are ties."""

    unit: str
    prompt: str = field(repr=False)
    answers: tuple[str, ...] = field(repr=False)
    ranks: tuple[int, ...] = field(repr=False)
    row_id: str = ""
    marks: tuple[AnswerMarks, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        check_marks(self.marks, len(self.answers))
        if len(self.answers) < 2 or len(self.answers) != len(self.ranks):
            raise VaultError("a ranking needs two answers or more, and a rank for each", remedy="rank again")
        if max(self.ranks.count(rank) for rank in self.ranks) > MOST_TIED:
            raise VaultError(f"a ranking ties more than {MOST_TIED} answers", remedy="rank fewer at once")


def narrowed(ranking: RankingRecord) -> PairRecord | RankingRecord:
    """The first best and the last worst answer of a ranking, as one record; tied where all of them are."""
    best = ranking.ranks.index(min(ranking.ranks))
    worst = len(ranking.ranks) - 1 - ranking.ranks[::-1].index(max(ranking.ranks))
    texts, ranks = (
        (ranking.answers[best], ranking.answers[worst]),
        (ranking.ranks[best], ranking.ranks[worst]),
    )
    marks = (ranking.marks[best], ranking.marks[worst]) if ranking.marks else ()
    if ranks[0] == ranks[1]:
        return RankingRecord(ranking.unit, ranking.prompt, texts, ranks, ranking.row_id, marks)
    return PairRecord(ranking.unit, ranking.prompt, *texts, row_id=ranking.row_id, marks=marks)


Record = NoteRecord | PromptRecord | SftRecord | PairRecord | RankingRecord
RecordType = TypeVar("RecordType", bound=Record)


@dataclass(frozen=True, repr=False)
class TrainingTable(Generic[RecordType]):
    """The frozen table of a stage, made by `freeze`."""

    rows: tuple[RecordType, ...]

    def __post_init__(self) -> None:
        owner: dict[str, str] = {}
        for row in self.rows:
            if row.row_id and owner.setdefault(row.row_id, row.unit) != row.unit:
                raise VaultError("a training row names two patients", remedy="import it under one patient")

    def __repr__(self) -> str:
        return "TrainingTable(<redacted>)"

    @classmethod
    def freeze(cls, rows: Iterable[RecordType]) -> TrainingTable[RecordType]:
        """The table of ``rows``, ordered by unit, then row id, then content."""
        return cls(tuple(sorted(rows, key=_order)))

    @cached_property
    def by_unit(self) -> Mapping[str, tuple[RecordType, ...]]:
        """The rows of each unit, units in sorted order."""
        grouped: dict[str, list[RecordType]] = {}
        for row in sorted(self.rows, key=_order):
            grouped.setdefault(row.unit, []).append(row)
        return MappingProxyType({unit: tuple(rows) for unit, rows in grouped.items()})

    @property
    def units(self) -> tuple[str, ...]:
        """Units with at least one row, sorted."""
        return tuple(self.by_unit)

    def split(
        self, key: bytes, fraction: float
    ) -> tuple[TrainingTable[RecordType], TrainingTable[RecordType]]:
        """``(training, holdout)``: a patient is wholly in one of them, by `in_holdout`."""
        held = [row for row in self.rows if in_holdout(row.unit, key, fraction)]
        kept = [row for row in self.rows if not in_holdout(row.unit, key, fraction)]
        return TrainingTable.freeze(kept), TrainingTable.freeze(held)


def in_holdout(unit: str, key: bytes, fraction: float) -> bool:
    """Whether ``unit`` is held out: HMAC-SHA256(key, unit) as a number in [0, 1) is below ``fraction``."""
    digest = hmac.new(key, b"intraward holdout|" + unit.encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:7], "big") / 2**56 < fraction


def _order(row: Record) -> tuple[str, ...]:
    if isinstance(row, SftRecord):
        return row.unit, row.row_id, row.prompt, row.completion
    if isinstance(row, PairRecord):
        return row.unit, row.row_id, row.prompt, row.chosen, row.rejected
    if isinstance(row, RankingRecord):
        return row.unit, row.row_id, row.prompt, *row.answers
    return row.unit, row.row_id
