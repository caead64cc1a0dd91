"""The course and the gold items: a file that the hospital may edit, and how a rater did in it.

Facts B.1 and B.2: pages to read, items with a known answer and an explanation, a pass mark, no critical
failure missed. Nobody is given an item before they passed, and it is taken again after a while. The file also
holds the gold items that are hidden in the queue; they are invented, so they are nobody's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator
from sqlalchemy import Connection, func, insert, select

from intraward_client.labeling.accounts import Account
from intraward_client.labeling.judgment import GoldKey, Item, Kind, Vote
from intraward_client.labeling.schema import lessons
from intraward_client.labeling.sealing import ItemTexts
from intraward_client.labeling.terms import LabelingTerms
from intraward_shared.config import Strict, load_toml
from intraward_shared.errors import ConfigError

Key = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=20_000)]
PUBLIC = "gold:"
"""Begins the prompt id of an item whose texts stand in the course file."""
_DAY = 86400.0
_BEGIN = "begin"
"""Stands for the item in the row that opens a further attempt."""


class CoursePage(Strict):
    """One page to read."""

    title: Text
    text: tuple[Text, ...] = Field(min_length=1)


class KnownItem(Strict):
    """An item with a known judgment; ``flags`` by answer, failures that must be found."""

    key: Key
    prompt: Text
    answers: tuple[Text, ...] = Field(min_length=2, max_length=4)
    ranks: tuple[int, ...]
    flags: tuple[tuple[str, ...], ...] = ()
    explanation: Text
    kind: Kind = "answers"

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        if len(self.ranks) != len(self.answers) or set(self.ranks) != set(range(1, max(self.ranks) + 1)):
            raise ValueError("ranks are 1 and up, one for each answer")
        if self.flags and len(self.flags) != len(self.answers):
            raise ValueError("flags are one list for each answer")
        return self

    def texts(self) -> ItemTexts:
        """What a page shows."""
        return ItemTexts(self.prompt, self.answers)

    def gold(self) -> GoldKey:
        """The right judgment."""
        return GoldKey(self.ranks, tuple(map(frozenset, self.flags)), self.explanation)


class Course(Strict):
    """A course file."""

    version: Text
    pages: tuple[CoursePage, ...] = Field(min_length=1)
    items: tuple[KnownItem, ...] = Field(min_length=1)
    gold: tuple[KnownItem, ...] = ()


def load_course(path: Path | None) -> Course:
    """The hospital's course file, or the shipped one.

    Raises:
        ConfigError: names file and key.
    """
    if path is None:
        with as_file(files("intraward_client.labeling") / "course.toml") as shipped:
            return load_course(shipped)
    course = load_toml(path, Course)
    for table, known in (("items", course.items), ("gold", course.gold)):
        keys = [item.key for item in known]
        if len(set(keys)) != len(keys):
            raise ConfigError(path, table, "a key is there twice", remedy="give each item its own key")
    return course


def gold_items(course: Course, unit: str, salt: bytes) -> tuple[Item, ...]:
    """The hidden gold of a course as items of nobody; ids say nothing of what they are."""
    return tuple(
        Item(
            _name(salt, f"item|{course.version}|{known.key}"),
            unit,
            PUBLIC + _name(salt, f"prompt|{course.version}|{known.key}"),
            tuple(_name(salt, f"answer|{known.key}|{place}") for place in range(len(known.answers))),
            known.kind,
            seed=_name(salt, f"seed|{known.key}"),
            gold=known.gold(),
        )
        for known in course.gold
    )


def gold_texts(course: Course, salt: bytes) -> Mapping[str, ItemTexts]:
    """Texts by prompt id, for `Sealer.publish`."""
    return {
        PUBLIC + _name(salt, f"prompt|{course.version}|{known.key}"): known.texts() for known in course.gold
    }


def _name(salt: bytes, what: str) -> str:
    return hashlib.sha256(salt + what.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Marked:
    """How one course item was judged: as the key has it, and without missing a critical failure."""

    right: bool
    missed: frozenset[str]


def mark(known: KnownItem, vote: Vote, critical: Iterable[str]) -> Marked:
    """Hold a judgment against the known one: the order of the answers must be the same."""
    wanted, found = known.ranks, vote.ranks
    same = all(
        _sign(wanted[one] - wanted[other]) == _sign(found[one] - found[other])
        for one in range(len(wanted))
        for other in range(one)
    )
    seen = [vote.flagged(answer) for answer in range(len(wanted))]
    asked = [set(flags) & set(critical) for flags in known.flags]
    missed = {kind for flags, own in zip(asked, seen, strict=False) for kind in flags if not own}
    return Marked(same, frozenset(missed))


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an account is in the course: its attempt, what is answered, and whether it may judge now."""

    attempt: int
    answered: Mapping[str, Marked]
    qualified: bool
    ends: float | None

    def next_item(self, course: Course) -> KnownItem | None:
        """The first item without an answer in this attempt."""
        return next((known for known in course.items if known.key not in self.answered), None)


def standing(connection: Connection, account: Account, terms: LabelingTerms, now: float) -> Standing:
    """How an account stands in its newest attempt."""
    newest = select(func.max(lessons.c.attempt)).where(lessons.c.user_id == account.user_id)
    attempt = connection.execute(newest).scalar() or 1
    query = select(lessons).where(lessons.c.user_id == account.user_id, lessons.c.attempt == attempt)
    answered = {
        row.item: Marked(row.right, frozenset({"critical"} if row.missed else ()))
        for row in connection.execute(query).all()
        if row.item != _BEGIN
    }
    return Standing(attempt, answered, qualified(account, terms, now), ends_of(account, terms))


def ends_of(account: Account, terms: LabelingTerms) -> float | None:
    """When an account must take the course again; None where it did not pass."""
    return account.qualified + terms.requalify_days * _DAY if account.qualified is not None else None


def qualified(account: Account, terms: LabelingTerms, now: float) -> bool:
    """Whether an account may judge now."""
    ends = ends_of(account, terms)
    return ends is not None and now < ends


def note_answer(
    connection: Connection, account: Account, attempt: int, key: str, marked: Marked, now: float
) -> None:
    """Write down a course item's answer; the first one counts."""
    there = select(lessons.c.lesson_id).where(
        lessons.c.user_id == account.user_id, lessons.c.attempt == attempt, lessons.c.item == key
    )
    if connection.execute(there).first() is None:
        values = {"user_id": account.user_id, "attempt": attempt, "item": key, "time": now}
        connection.execute(insert(lessons).values(**values, right=marked.right, missed=bool(marked.missed)))


def begin_again(connection: Connection, account: Account, attempt: int, now: float) -> None:
    """Open the next attempt: a row of no item, so that the newest attempt is the new one."""
    values = {"user_id": account.user_id, "attempt": attempt + 1, "item": _BEGIN, "time": now}
    connection.execute(insert(lessons).values(**values, right=True, missed=False))


def passed(course: Course, answered: Mapping[str, Marked], pass_mark: float) -> bool | None:
    """Whether an attempt passes; None until every item has an answer."""
    if any(known.key not in answered for known in course.items):
        return None
    found = [answered[known.key] for known in course.items]
    return sum(one.right for one in found) >= pass_mark * len(found) and not any(one.missed for one in found)
