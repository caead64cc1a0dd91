"""The people of a note and every way in which notes write their names."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal

import numpy as np

from intraward_simulation.deid_corpus.half import Author

Role = Literal["PATIENT", "RELATIVE", "STAFF", "OTHER"]
ROLES: dict[str, Role] = {
    "pt": "PATIENT",
    "kin": "RELATIVE",
    "kin2": "RELATIVE",
    "doc": "STAFF",
    "doc2": "STAFF",
    "doc3": "STAFF",
    "nurse": "STAFF",
    "other": "OTHER",
}
"""Slot of a person to its role."""
_WOMEN_KIN = "wife mother sister daughter niece aunt granddaughter grandmother partner cousin daughter-in-law"
_MEN_KIN = "husband father brother son nephew uncle grandson grandfather partner cousin son-in-law"


_BARE = str.maketrans(
    {"\u00f8": "o", "\u00d8": "O", "\u0142": "l", "\u0141": "L", "\u0131": "i", "\u00df": "ss"}
)
"""Letters that Unicode does not take apart."""


@dataclass(frozen=True)
class Person:
    """One invented person."""

    given: str
    family: str
    middle: str
    woman: bool
    eastern: bool
    relation: str
    email: str

    @property
    def full(self) -> str:
        """Given and family name, in this person's order."""
        return f"{self.family} {self.given}" if self.eastern else f"{self.given} {self.family}"

    def written(self, style: str, draw: np.random.Generator) -> str:
        """The name as ``style`` writes it; ``any`` is one of several."""
        if style == "any":
            styles = ("full", "full", "full", "mid", "lastfirst", "ilast", "full")
            style = styles[int(draw.integers(len(styles)))]
        given, family, middle = self.given, self.family, self.middle[0]
        forms = {
            "full": self.full,
            "first": given,
            "last": family,
            "mid": f"{given} {middle}. {family}",
            "middle": self.middle,
            "lastfirst": f"{family}, {given}",
            "lastfirstmid": f"{family}, {given} {middle}",
            "caps": f"{family}, {given}".upper(),
            "capslast": f"{family.upper()}, {given}",
            "capsfull": self.full.upper(),
            "initials": f"{given[0]}.{family[0]}.",
            "ilast": f"{given[0]}. {family}",
            "lasti": f"{family} {given[0]}",
            "lower": self.full.lower(),
            "lowerfirst": given.lower(),
            "lowerlast": family.lower(),
            "part": family.replace("-", " ").split()[-1],
            "typo": _mistyped(family, draw),
            "joined": _ascii(given + family),
        }
        return forms[style]


def make_person(author: Author, draw: np.random.Generator, *, kin_of: Person | None = None) -> Person:
    """Draw a person; a relative shares the family name half of the time."""
    area = author.areas[int(draw.integers(len(author.areas)))]
    woman = bool(draw.random() < 0.5)
    given = _pick(draw, area.women if woman else area.men)
    middle = _pick(draw, area.women if woman else area.men)
    family = _pick(draw, area.family)
    if draw.random() < 0.06 and " " not in family and "-" not in family:
        family = f"{family}-{_pick(draw, area.family)}"
    if kin_of is not None and draw.random() < 0.5:
        family = kin_of.family
    relation = _pick(draw, tuple((_WOMEN_KIN if woman else _MEN_KIN).split()))
    pattern = _pick(draw, author.values["email"])
    email = pattern.replace("<f>", _ascii(given)).replace("<l>", _ascii(family))
    email = email.replace("<i>", _ascii(given)[:1]).replace("##", f"{int(draw.integers(10, 100))}")
    eastern = area.eastern and bool(draw.random() < 0.4)
    return Person(given, family, middle, woman, eastern, relation, email)


def _mistyped(name: str, draw: np.random.Generator) -> str:
    """One edit away, past the first letter; names under seven letters stay as they are."""
    if len(name) < 7:
        return name
    at = int(draw.integers(2, len(name) - 2))
    edits = (
        name[:at] + name[at + 1 :],
        name[:at] + name[at] + name[at:],
        name[:at] + name[at + 1] + name[at] + name[at + 2 :],
    )
    return edits[int(draw.integers(3))]


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.translate(_BARE))
    return "".join(c for c in plain if c.isascii() and c.isalnum()).lower()


def _pick(draw: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(draw.integers(len(choices)))]
