"""A prompt with its answers and everybody's votes, as it goes into a file and comes out of one.

Answers are named a, b, c, d: no adapter, no site, no id of the vault. Whose prompt it is stands as ``unit``,
the site's own keyed name of the patient, in what this site exported, and as ``patient`` in what other tools
made: a file without either has no privacy unit and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from intraward_client.labeling.judgment import FEWEST_ANSWERS, KINDS, MOST_ANSWERS, Flag, Kind, Stage, Vote
from intraward_shared.errors import ContractError, InputError

LETTERS = "abcd"
STRENGTHS = ("", "slightly", "clearly", "much")
REMEDY = "mend the file; nothing of it was stored"
_PLAIN = re.compile(r"[A-Za-z0-9_.:-]{1,40}")


@dataclass(frozen=True, slots=True, repr=False)
class JudgedTask:
    """One task of a file. ``patient`` or ``unit`` is empty."""

    task_id: str
    prompt: str
    answers: tuple[str, ...]
    votes: tuple[Vote, ...] = ()
    patient: str = ""
    unit: str = ""
    kind: Kind = "answers"
    known: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return "JudgedTask(<redacted>)"


class Fields:
    """One object of a file whose every field must be read: what is left over at the end is unknown.

    Args:
        where: place in words, ``task 3, annotation 1``.
    """

    def __init__(self, file: str, where: str, value: object) -> None:
        if not isinstance(value, dict):
            raise InputError(file, 0, f"{where}: is not an object", remedy=REMEDY)
        self.file, self.where, self._left = file, where, dict(value)

    def refuse(self, message: str) -> InputError:
        """The error of this place."""
        return InputError(self.file, 0, f"{self.where}: {message}", remedy=REMEDY)

    def take(self, key: str, kind: type | tuple[type, ...], default: Any = None) -> Any:
        """A field's value; ``default`` where it is absent or null."""
        value = self._left.pop(key, None)
        if value is None:
            return default
        wanted = kind if isinstance(kind, tuple) else (kind,)
        if (isinstance(value, bool) and bool not in wanted) or not isinstance(value, wanted):
            raise self.refuse(f"{key} is of another type than it should be")
        return value

    def text(self, key: str) -> str:
        """A text with words in it."""
        value: str = self.take(key, str, "")
        if not value.strip():
            raise self.refuse(f"{key} is missing or empty")
        return value

    def skip(self, keys: Sequence[str]) -> None:
        """Fields of the tool's own books, which say nothing of the judgment."""
        for key in keys:
            self._left.pop(key, None)

    def done(self) -> None:
        """Refuse what was not read; a plain name is told, anything else could be content.

        Raises:
            InputError: there is a field that is not known.
        """
        if self._left:
            name = min(map(str, self._left))
            told = f" {name!r}" if _PLAIN.fullmatch(name) else ""
            raise self.refuse(f"holds a field{told} that is not known")


def check_answers(place: Fields, answers: Sequence[str]) -> tuple[str, ...]:
    """Two to four different answers with words in them.

    Raises:
        InputError: names the place.
    """
    if not FEWEST_ANSWERS <= len(answers) <= MOST_ANSWERS:
        raise place.refuse("does not hold 2 to 4 answers")
    if not all(answer.strip() for answer in answers):
        raise place.refuse("an answer is empty")
    if len({tuple(answer.split()) for answer in answers}) < len(answers):
        raise place.refuse("two answers are the same")
    return tuple(answers)


def whose(place: Fields, data: Fields, patient: str = "patient") -> tuple[str, str]:
    """Patient and unit, one of them empty.

    Raises:
        InputError: neither is there, or both are.
    """
    named, unit = data.take(patient, (str, int), ""), data.take("unit", str, "")
    if bool(str(named).strip()) == bool(unit):
        raise place.refuse(f"needs {patient!r}: whose prompt it is; without it there is no privacy unit")
    return str(named), unit


def kind_of(place: Fields, data: Fields) -> Kind:
    """What is judged; other tools' files do not say, and are of answers.

    Raises:
        InputError: it is no kind.
    """
    found: Kind = data.take("kind", str, "answers")
    if found not in KINDS:
        raise place.refuse(f"kind is none of {', '.join(KINDS)}")
    return found


@dataclass(slots=True)
class Said:
    """One person's results while a file is read."""

    rater: str
    ranks: dict[int, int] = field(default_factory=dict)
    strength: int = 0
    all_unacceptable: bool = False
    ratings: dict[int, dict[str, int]] = field(default_factory=dict)
    flags: dict[int, list[Flag]] = field(default_factory=dict)
    rationale: str = ""
    correction: str = ""
    skipped: str | None = None
    escalated: bool = False
    seconds: float = 0.0
    stage: Stage = "first"
    shown: tuple[int, ...] = ()

    def vote(self, place: Fields, item_id: str, answers: int) -> Vote:
        """The vote.

        Raises:
            InputError: it says nothing, or contradicts itself.
        """
        common = Vote(
            item_id,
            self.rater,
            rationale=self.rationale,
            correction=self.correction,
            skipped=self.skipped or "skipped",
            escalated=self.escalated,
            seconds=self.seconds,
            stage=self.stage,
        )
        if self.skipped is not None:
            return common
        if sorted(self.ranks) != list(range(answers)):
            raise place.refuse("does not rank every answer")
        order = sorted(set(self.ranks.values()))
        try:
            return replace(
                common,
                skipped=None,
                ranks=tuple(order.index(self.ranks[answer]) + 1 for answer in range(answers)),
                strength=self.strength,
                all_unacceptable=self.all_unacceptable,
                ratings=tuple(self.ratings.get(n, {}) for n in range(answers)) if self.ratings else (),
                flags=tuple(tuple(self.flags.get(n, ())) for n in range(answers)) if self.flags else (),
                shown=self.shown,
            )
        except ContractError as error:
            raise place.refuse(error.message) from None


def letter(place: Fields, name: object, answers: int) -> int:
    """The answer of a letter or of the tool's own id ``answer-a``.

    Raises:
        InputError: there is no such answer.
    """
    found = LETTERS.find(str(name).removeprefix("answer-").removeprefix("answer_"))
    if not 0 <= found < answers or len(str(name).removeprefix("answer-").removeprefix("answer_")) != 1:
        raise place.refuse("names an answer that the task does not have")
    return found
