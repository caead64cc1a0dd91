"""The word lists of the package: public knowledge, the same at every site, read once from ``lists/``.

Keeps rule 2 of DESIGN.md, and its section 6: nothing here is learnt from notes, so no list couples two
patients. Each file names its origin in its first line. Words stand in small letters with their accents
folded; ``fold`` brings a word of a note to that form.
"""

# ruff: noqa: RUF001 -- letters of other alphabets are folded here

from __future__ import annotations

import hashlib
import unicodedata
from functools import cache, lru_cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "lists"
_LETTERS = str.maketrans(
    {"ł": "l", "ø": "o", "ı": "i", "đ": "d", "ß": "ss", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"}
)
NAMES = (
    "abbreviations",
    "brands",
    "cities",
    "clinical",
    "eponyms_common",
    "eponyms_phrases",
    "eponyms_rare",
    "eponyms_topics",
    "family_names",
    "family_words",
    "given_names",
    "given_words",
    "organisms",
    "regions",
)
"""The lists there are; the digest of the pack covers every one."""

_BY_LINE = frozenset({"cities", "eponyms_phrases", "eponyms_topics"})


@cache
def word_list(name: str) -> frozenset[str]:
    """The entries of ``lists/<name>.txt``: one a line for towns, phrases, topics, else all words."""
    lines = [line for line in _read(name).splitlines() if not line.startswith("#")]
    return frozenset(lines) if name in _BY_LINE else frozenset(" ".join(lines).split())


def lists_digest() -> str:
    """sha256 over the files of all lists."""
    total = hashlib.sha256()
    for name in NAMES:
        total.update(f"{name} {hashlib.sha256(_read(name).encode()).hexdigest()}\n".encode())
    return total.hexdigest()


@lru_cache(maxsize=50_000)
def fold(word: str) -> str:
    """``word`` in small letters without accents, without a possessive ending."""
    lowered = word.lower()
    if not lowered.isascii():
        marks = unicodedata.normalize("NFKD", lowered)
        lowered = "".join(mark for mark in marks if not unicodedata.combining(mark)).translate(_LETTERS)
    return lowered.removesuffix("'s").strip("'-.")


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.txt").read_text(encoding="utf-8")
