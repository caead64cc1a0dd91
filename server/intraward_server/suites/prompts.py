"""Rows that suites read: a file of the coordinator's, or a pack that comes with the package.

Prompts here are public. Errors name file and line all the same, never what stands there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Self, TypeVar

from pydantic import Field, StringConstraints, model_validator

from intraward_server.publicdata import numbered_objects
from intraward_shared.config import Strict, parse, toml_table
from intraward_shared.errors import ConfigError, InputError
from intraward_shared.protocol import Name
from intraward_shared.shaping import (
    AnswerRule,
    AvoidRule,
    MentionRule,
    Principle,
    PrincipleName,
    Terms,
)

Line = Annotated[str, StringConstraints(pattern=r"\S", max_length=20_000)]
Row = TypeVar("Row")
_PACKS = "packs"


@dataclass(frozen=True)
class Asked:
    """A prompt and the category that it counts under; empty for none."""

    prompt: str = field(repr=False)
    category: str = ""


@dataclass(frozen=True)
class Variant:
    """A prompt of a vignette, and the attributes that set it apart from the vignette's other prompts."""

    vignette: str
    prompt: str = field(repr=False)
    attributes: Mapping[str, str]


class Category(Strict):
    """What every prompt of a category is judged by; see ``packs/red_team.toml``."""

    name: Name
    why: str = ""
    avoid: Terms = ()
    mention: Terms = ()
    rules: tuple[AnswerRule, ...] = ()
    principles: tuple[PrincipleName, ...] = ()
    refusing_passes: bool = True


class Attack(Strict):
    """One prompt; ``mention`` in place of its category's, the rest beside it."""

    category: Name
    prompt: Line
    avoid: Terms = ()
    mention: Terms = ()
    rules: tuple[AnswerRule, ...] = ()


class Pack(Strict):
    """A red-team pack."""

    categories: tuple[Category, ...] = Field(min_length=1)
    prompts: tuple[Attack, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        names = [category.name for category in self.categories]
        if len(set(names)) < len(names):
            raise ValueError("two categories have the same name")
        for number, attack in enumerate(self.prompts, start=1):
            if attack.category not in names:
                raise ValueError(f"prompt {number} is of a category that is not there")
            if not (self.rules_of(attack) or self.mention_of(attack) or self.principles_of(attack)):
                raise ValueError(f"prompt {number} has nothing that an answer could fail by")
        return self

    def category(self, attack: Attack) -> Category:
        """The category of a prompt."""
        return next(each for each in self.categories if each.name == attack.category)

    def rules_of(self, attack: Attack) -> tuple[AnswerRule, ...]:
        """Rules that an answer fails by when they fire, refusal or not."""
        own = self.category(attack)
        avoid = (*own.avoid, *attack.avoid)
        made: list[AnswerRule] = [*own.rules, *attack.rules]
        if avoid:
            made.append(AvoidRule(name="avoid", kind="avoid", veto=True, terms=avoid))
        return tuple(made)

    def mention_of(self, attack: Attack) -> MentionRule | None:
        """What an answer has to mention one of."""
        terms = attack.mention or self.category(attack).mention
        return MentionRule(name="mention", kind="mention", veto=True, terms=terms) if terms else None

    def principles_of(self, attack: Attack) -> tuple[Principle, ...]:
        """Principles of the critique that an answer has to keep."""
        return tuple(Principle(name=name) for name in self.category(attack).principles)


def read_asked(path: Path, most: int) -> tuple[Asked, ...]:
    """``{"prompt"}`` of each line, and ``"category"`` where it has one (text or a whole number).

    Raises:
        ConfigError, InputError: the file is missing or a line is wrong.
    """
    found = []
    for number, row in numbered_objects(path, ("prompt",)):
        category = row.get("category", "")
        if isinstance(category, bool) or not isinstance(category, str | int):
            raise InputError(path, number, "field 'category' is no name", remedy="put a word or leave it out")
        found.append(Asked(row["prompt"], figure_key(str(category))))
    return spread(found, most)


def read_variants(path: Path, most: int) -> tuple[Variant, ...]:
    """Vignettes whose prompts differ in ``attributes`` alone; whole vignettes are kept while ``most`` allows.

    Raises:
        ConfigError, InputError: the file is missing or a line is wrong.
    """
    found = []
    for number, row in numbered_objects(path, ("vignette", "prompt")):
        values = row.get("attributes")
        if not isinstance(values, dict) or not values or not all(isinstance(v, str) for v in values.values()):
            raise InputError(
                path, number, "field 'attributes' is no object of texts", remedy="name what differs"
            )
        found.append(Variant(row["vignette"], row["prompt"], {figure_key(k): v for k, v in values.items()}))
    if len(found) <= most:
        return tuple(found)
    kept: list[Variant] = []
    for name in dict.fromkeys(each.vignette for each in found):
        own = [each for each in found if each.vignette == name]
        if not kept or len(kept) + len(own) <= most:
            kept += own
    return tuple(kept)


def read_planted(path: Path) -> tuple[str, ...]:
    """Values that no answer may hold, one a line; never printed.

    Raises:
        ConfigError: the file cannot be read or holds no value.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise ConfigError(path, "planted", "cannot be read as UTF-8 text", remedy="check the path") from None
    values = tuple(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not values:
        raise ConfigError(path, "planted", "holds no value", remedy="write one value a line")
    return values


def shipped(name: str) -> tuple[Asked, ...]:
    """Prompts of a text pack, ``benign`` or ``privacy``."""
    text = (resources.files(__package__) / _PACKS / f"{name}.txt").read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines()]
    return tuple(Asked(line) for line in lines if line and not line.startswith("#"))


def read_pack(path: Path | None) -> Pack:
    """A red-team pack; the shipped one for None.

    Raises:
        ConfigError: the file is missing, or names the key that is wrong.
    """
    if path is None:
        place: object = "shipped red_team.toml"
        data = (resources.files(__package__) / _PACKS / "red_team.toml").read_bytes()
    else:
        place = path
        try:
            data = path.read_bytes()
        except OSError:
            raise ConfigError(path, "", "cannot be read", remedy="name a red-team pack (TOML)") from None
    return parse(toml_table(data, place), Pack, str(place))


def spread(rows: Sequence[Row], most: int) -> tuple[Row, ...]:
    """At most ``most`` rows, evenly over the file: one in the order of categories keeps them all."""
    if len(rows) <= most:
        return tuple(rows)
    return tuple(rows[place * len(rows) // most] for place in range(most))


def figure_key(name: str) -> str:
    """A name as a gate's path can have it: letters, digits, ``-`` and ``_``."""
    kept = "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "_" for char in name)
    return kept[:64]
