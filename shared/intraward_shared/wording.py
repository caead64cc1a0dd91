"""An answer or prompt as rules read it: bounded, of one form, and as whole words.

Terms are found by substring search in a line of words, so no expression of a plan's author is ever compiled
(DESIGN.md section 6: a reward is a pure function of its own row). Comparison is by whole words without regard
to case, punctuation or Unicode form. It suits languages that put spaces between words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

MAX_CHARACTERS = 20_000
"""Longest text that rules read, several times the longest answer of 1,024 tokens."""
_NO_WORD = re.compile(r"[\W_]++")
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))


@dataclass(frozen=True, repr=False)
class Wording:
    """A text in one form. ``whole`` is false where it was too long and the rest was cut off."""

    text: str
    whole: bool

    @cached_property
    def words(self) -> str:
        """The words, one space before and after each."""
        return line_of(self.text)

    def has(self, terms: Iterable[str]) -> bool:
        """Whether one of ``terms`` stands in the text, as whole words."""
        return any(line_of(term) in self.words for term in terms)


def read(text: str) -> Wording:
    """A text as rules read it: NFKC, case folded, every dash a hyphen; at most ``MAX_CHARACTERS`` of it."""
    form = normal(text[:MAX_CHARACTERS])
    return Wording(form[:MAX_CHARACTERS], len(text) <= MAX_CHARACTERS and len(form) <= MAX_CHARACTERS)


def line_of(text: str) -> str:
    """The words of a text in one form, one space before and after each."""
    return f" {_NO_WORD.sub(' ', normal(text)).strip()} "


def normal(text: str) -> str:
    """NFKC, case folded, every dash a hyphen."""
    return unicodedata.normalize("NFKC", text).casefold().translate(_DASHES)
