"""A template becomes pieces of text, each piece with its class or none: spans are exact by construction.

Slots of a template: ``{pt.full}`` a person and a style, ``{pt.he}`` and the like a word that identifies
nobody, ``{date}`` a date, ``{mrn}`` a value, ``{n:60-100}`` a number of the clinic, ``[[a|b]]`` one of
several wordings. What identifies the patient stays the same within a note; other values are drawn anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from intraward_simulation.deid_corpus.half import Author
from intraward_simulation.deid_corpus.people import ROLES, Person, make_person
from intraward_simulation.deid_corpus.values import draw_day, value, write_date

ENTITY = {
    "mrn": "MRN",
    "ssn": "SSN",
    "ssn4": "SSN",
    "nhs": "NHS",
    "plan": "HEALTH_PLAN_ID",
    "account": "ACCOUNT",
    "encounter": "ACCOUNT",
    "accession": "ACCOUNT",
    "otherid": "OTHER_ID",
    "license": "LICENSE",
    "dea": "LICENSE",
    "npi": "LICENSE",
    "device": "DEVICE_ID",
    "udi": "DEVICE_ID",
    "vin": "VEHICLE",
    "plate": "VEHICLE",
    "room": "ROOM_UNIT",
    "roomno": "ROOM_UNIT",
    "ward": "WARD",
    "phone": "PHONE",
    "phone7": "PHONE",
    "fax": "FAX",
    "pager": "PAGER",
    "ext": "PAGER",
    "url": "URL",
    "ip": "IP",
    "mac": "IP",
    "user": "USERNAME",
    "bio": "BIOMETRIC",
    "address": "ADDRESS",
    "street": "ADDRESS",
    "city": "CITY",
    "county": "CITY",
    "zip": "ZIP",
    "postcode": "ZIP",
    "hospital": "HOSPITAL",
    "facility": "HOSPITAL",
    "employer": "EMPLOYER",
    "ukaddress": "ADDRESS",
    "ukphone": "PHONE",
    "intladdress": "ADDRESS",
    "intlphone": "PHONE",
}
"""Slot of a value to the entity of its gold span."""
STABLE = frozenset({"mrn", "ssn", "nhs", "plan", "account", "encounter", "room", "hospital", "ward", "city"})
"""Values of which a note has one; ``{mrn}`` twice is the same number twice."""
_SLOT = re.compile(r"\{([^{}]+)\}")
_CHOICE = re.compile(r"\[\[(.*?)\]\]", re.DOTALL)
_OLD_SHARE = 0.12


@dataclass(frozen=True)
class Piece:
    """Text, and what it is: an entity and perhaps a role, or neither."""

    text: str
    entity: str | None = None
    role: str | None = None


@dataclass
class Story:
    """Who and what a note is about; filled as templates ask for it."""

    author: Author
    draw: np.random.Generator
    people: dict[str, Person] = field(default_factory=dict)
    stable: dict[str, str] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        draw = self.draw
        self.day = draw_day(draw, date(2023, 1, 1))
        self.old = bool(draw.random() < _OLD_SHARE)
        self.age = int(draw.integers(90, 107) if self.old else draw.integers(18, 88))
        birthday = draw_day(draw, date(2023, 1, 1), date(2023, 12, 28))
        self.birth = birthday.replace(
            year=self.day.year - self.age - (birthday.replace(year=self.day.year) > self.day)
        )
        self.date_style = self._pick(self.author.values["date"])
        self.birth_style = self._pick(self.author.values["date"])

    def person(self, slot: str) -> Person:
        """The person of a slot, the same throughout."""
        if slot not in self.people:
            patient = self.person("pt") if slot.startswith("kin") else None
            taken = {p.family for p in self.people.values()} if patient is None else set()
            made = make_person(self.author, self.draw, kin_of=patient)
            while made.family in taken or any(made.given == p.given for p in self.people.values()):
                made = make_person(self.author, self.draw, kin_of=patient)
            self.people[slot] = made
        return self.people[slot]

    def fresh(self, sentences: tuple[str, ...]) -> str:
        """A sentence that this note has not had, while there is one."""
        left = tuple(sentence for sentence in sentences if sentence not in self.said)
        chosen = self._pick(left or sentences)
        self.said.add(chosen)
        return chosen

    def render(self, template: str) -> list[Piece]:
        """The pieces of a template, wordings chosen and slots filled."""
        chosen = _CHOICE.sub(lambda match: self._pick(tuple(match[1].split("|"))), template)
        pieces, at = [], 0
        for match in _SLOT.finditer(chosen):
            pieces += [Piece(chosen[at : match.start()]), *self._fill(match[1])]
            at = match.end()
        return [piece for piece in [*pieces, Piece(chosen[at:])] if piece.text]

    def _fill(self, slot: str) -> list[Piece]:
        name, _, argument = slot.partition(":")
        if name == "n":
            return [Piece(_number(argument, self.draw))]
        who, dot, style = name.partition(".")
        if dot:
            return [self._of_person(who, style)]
        if name in _SPECIAL:
            return [_SPECIAL[name](self, argument)]
        if name in STABLE:
            text = self.stable.setdefault(name, value(self.author, name, self.draw))
        else:
            text = value(self.author, name, self.draw)
        return [Piece(text, ENTITY[name])]

    def _of_person(self, who: str, style: str) -> Piece:
        person = self.person(who)
        if style in _PRONOUN:
            return Piece(_PRONOUN[style][0 if person.woman else 1])
        if style == "rel":
            return Piece(person.relation)
        if style == "Rel":
            return Piece(person.relation.capitalize())
        if style == "email":
            return Piece(person.email, "EMAIL")
        if style in {"phone", "address", "user", "ukphone", "ukaddress", "intlphone", "intladdress"}:
            key = f"{who}.{style}"
            return Piece(self.stable.setdefault(key, value(self.author, style, self.draw)), ENTITY[style])
        return Piece(person.written(style, self.draw), "PERSON", ROLES[who])

    def _date(self, style: str) -> Piece:
        """A day near the note's own; three in four in the note's style."""
        day = self.day - timedelta(days=int(self.draw.integers(0, 400)))
        return self._dated(day, style)

    def _dated(self, day: date, style: str) -> Piece:
        named = self.author.values.get(f"date {style}")
        if named:
            chosen = self._pick(named)
        else:
            chosen = self.date_style if self.draw.random() < 0.75 else self._pick(self.author.values["date"])
        return Piece(write_date(day, chosen), "DATE")

    def _born(self, style: str) -> Piece:
        styles = self.author.values.get(f"date {style}", (self.birth_style,))
        return Piece(write_date(self.birth, self._pick(styles)), "DATE")

    def _age(self, _argument: str) -> Piece:
        return Piece(str(self.age), "AGE_OVER_89" if self.old else None)

    def _great_age(self, _argument: str) -> Piece:
        return Piece(str(int(self.draw.integers(90, 108))), "AGE_OVER_89")

    def _birth_year(self, _argument: str) -> Piece:
        return Piece(str(self.birth.year), "AGE_OVER_89" if self.old else None)

    def _great_birth_year(self, _argument: str) -> Piece:
        return Piece(str(int(self.draw.integers(1916, 1934))), "AGE_OVER_89")

    def _pick(self, choices: tuple[str, ...]) -> str:
        return choices[int(self.draw.integers(len(choices)))]


_SPECIAL: dict[str, Callable[[Story, str], Piece]] = {
    "date": Story._date,
    "today": lambda story, style: story._dated(story.day, style),
    "dob": Story._born,
    "age": Story._age,
    "oldage": Story._great_age,
    "birthyear": Story._birth_year,
    "oldyear": Story._great_birth_year,
}
_PRONOUN = {
    "he": ("she", "he"),
    "He": ("She", "He"),
    "his": ("her", "his"),
    "His": ("Her", "His"),
    "him": ("her", "him"),
    "man": ("woman", "man"),
    "Man": ("Woman", "Man"),
    "male": ("female", "male"),
    "M": ("F", "M"),
    "lady": ("lady", "gentleman"),
    "Mr": ("Mrs", "Mr"),
    "Ms": ("Ms.", "Mr."),
}


def _number(argument: str, draw: np.random.Generator) -> str:
    low, _, high = argument.partition("-")
    digits = len(low.partition(".")[2])
    drawn = draw.uniform(float(low), float(high)) if digits else int(draw.integers(int(low), int(high) + 1))
    return f"{drawn:.{digits}f}"
