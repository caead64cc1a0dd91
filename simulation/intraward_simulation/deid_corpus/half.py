"""The two halves of the corpus, and what each of their authors wrote: names, words, formats, templates.

``dev`` is for those who write rules, from several authors; ``held_out`` is to measure with, and nobody who
writes rules reads it. Its author knew none of the others. What an author says stands in files, so that the
code cannot make two of them alike:

- ``names.txt``: ``area | women | men | family``, names apart by spaces, ``_`` for a space within one;
- ``words.txt``, ``values.txt``: ``[section]`` and one entry a line;
- ``headers.txt``, ``notes.txt``, ``footers.txt``: ``[section]`` and blocks, apart by a line ``%%``;
- ``phi.txt``, ``clinical.txt``, ``queries.txt``, ``clean.txt``, ``lines.txt``: one sentence a line.

A line that begins with ``//`` is a comment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal

from intraward_simulation.names import REGIONS

HalfName = Literal["dev", "held-out"]
BLOCK = "%%"


@dataclass(frozen=True)
class Area:
    """Names of a language area; ``eastern`` areas write the family name first now and then."""

    name: str
    women: tuple[str, ...]
    men: tuple[str, ...]
    family: tuple[str, ...]

    @property
    def eastern(self) -> bool:
        """Whether the family name may come first."""
        return self.name.endswith("*")


@dataclass(frozen=True)
class Author:
    """Everything that one author's rows are made from."""

    half: HalfName
    letter: str
    areas: tuple[Area, ...]
    words: Mapping[str, tuple[str, ...]]
    values: Mapping[str, tuple[str, ...]]
    texts: Mapping[str, tuple[str, ...]]
    """By file and section: ``headers``, ``notes``, ``footers``, ``phi``, ``clinical``, ``queries``, ..."""


@cache
def load_half(name: HalfName) -> tuple[Author, ...]:
    """Read a half's files, author by author."""
    folder = files(__package__) / name.replace("-", "_")
    letters = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and len(entry.name) == 1)
    return tuple(_read_author(folder / letter, name, letter) for letter in letters)


def _read_author(folder: Traversable, half: HalfName, letter: str) -> Author:
    def read(file: str) -> str:
        return (folder / f"{file}.txt").read_text(encoding="utf-8")

    texts = {file: _blocks(read(file)) for file in ("headers", "notes", "footers")}
    for file in ("phi", "clinical", "queries", "clean", "lines"):
        texts[file] = _entries(read(file))
    areas = _areas(read("names")) + (_shared_areas() if (half, letter) == ("dev", "a") else ())
    return Author(half, letter, areas, _sections(read("words")), _sections(read("values")), texts)


def _entries(text: str) -> tuple[str, ...]:
    return tuple(line for line in text.splitlines() if line.strip() and not line.startswith("//"))


def _blocks(text: str) -> tuple[str, ...]:
    return tuple(block.strip("\n") for block in text.split(f"\n{BLOCK}\n"))


def _sections(text: str) -> dict[str, tuple[str, ...]]:
    sections: dict[str, list[str]] = {}
    for line in _entries(text):
        if line.startswith("[") and line.endswith("]"):
            sections[line[1:-1]] = entries = []
        else:
            entries.append(line)
    return {name: tuple(entries) for name, entries in sections.items()}


def _shared_areas() -> tuple[Area, ...]:
    """The simulation's own names belong to the half that rules are written by, and its first author."""
    return tuple(Area(name, region.women, region.men, region.surnames) for name, region in REGIONS.items())


def _areas(text: str) -> tuple[Area, ...]:
    areas = []
    for line in _entries(text):
        name, *lists = (part.strip() for part in line.split("|"))
        areas.append(Area(name, *(tuple(n.replace("_", " ") for n in names.split()) for names in lists)))
    return tuple(areas)
