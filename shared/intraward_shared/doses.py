"""Doses in an answer: numbers with a unit, converted to one unit a kind, and the drug that each belongs to.

For the dose rule and the critique. Every expression is bounded or possessive, so time grows with the length
of the text alone. What is not read: numbers in words ("five hundred"), and drugs by names that no rule holds.
A drug is the one right after "of", else the nearest in the sentence, else the last of the sentence before.
Concentrations and laboratory values (per litre, per 5 ml) are no doses.
"""

from __future__ import annotations

import math
import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from intraward_shared.wording import Wording, line_of

_SCALES: dict[str, tuple[str, float]] = {
    "ng": ("mass", 1e-6),
    "mcg": ("mass", 1e-3),
    "mg": ("mass", 1.0),
    "g": ("mass", 1e3),
    "kg": ("mass", 1e6),
    "ml": ("volume", 1.0),
    "l": ("volume", 1e3),
    "units": ("units", 1.0),
    "mmol": ("mmol", 1.0),
    "meq": ("meq", 1.0),
}
_SPELLINGS: dict[str, tuple[str, ...]] = {
    "ng": ("ng", "nanogram", "nanograms"),
    "mcg": ("mcg", "mcgs", "ug", "\u03bcg", "microgram", "micrograms"),
    "mg": ("mg", "mgs", "milligram", "milligrams", "milligramme", "milligrammes"),
    "g": ("g", "gm", "gms", "gram", "grams", "gramme", "grammes"),
    "kg": ("kg", "kgs", "kilogram", "kilograms"),
    "ml": ("ml", "mls", "cc", "milliliter", "milliliters", "millilitre", "millilitres"),
    "l": ("l", "liter", "liters", "litre", "litres"),
    "units": ("units", "unit", "iu", "u"),
    "mmol": ("mmol", "mmols", "millimole", "millimoles"),
    "meq": ("meq", "meqs"),
}
_UNIT_OF = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}
_NUMBER = re.compile(r"(?<![\w.])\.\d++|(?<!\d)(?<!\d[.,])\d++(?:[.,]\d++)*+(?:e[+-]?\d++)?+")
_UNIT = re.compile(r"[ \t\n-]{0,2}(" + "|".join(sorted(_UNIT_OF, key=len, reverse=True)) + r")(?!\w)")
_PER_KG = re.compile(r"\s?(?:/|per)\s?(?:kg|kilogram)(?!\w)")
_RATIO = re.compile(r"\s?(?:/|per)\s?(?:\d{1,4}\s?)?(?:ml|dl|l|litre|liter)(?!\w)")
_BETWEEN = re.compile(r"\s{0,2}(?:-|to|or)\s{0,2}")
_OF = re.compile(r"\s{0,2}of\s{1,2}")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})++(?:\.\d++)?+")
_SENTENCE_END = re.compile(r"[.!?;]\s|\n")
_MOST_DIGITS = 15


@dataclass(frozen=True, repr=False)
class Dose:
    """``amount`` of the kind's own unit (mg, ml, units, mmol, meq; per kilogram apart), and whose it is."""

    kind: str
    amount: float
    drug: str | None = None


def in_own_unit(amount: float, unit: str) -> tuple[str, float]:
    """Kind and amount of a declared unit, such as ``mcg/kg``."""
    mass, _, per = unit.partition("/")
    kind, scale = _SCALES[mass]
    return (f"{kind}/{per}" if per else kind), amount * scale


def doses(wording: Wording, drugs: Sequence[str] = ()) -> list[Dose]:
    """Every dose of a text, in order; ``drugs`` are the names that it may belong to, as rules write them."""
    mentions, found = _mentions(wording.text, drugs), []
    for kind, amount, start, end in _amounts(wording.text):
        of = _OF.match(wording.text, end)
        found.append(Dose(kind, amount, mentions.of(start, end, of.end() if of else None)))
    return found


def _amounts(text: str) -> Iterator[tuple[str, float, int, int]]:
    """Kind, amount, start and end; the first number of a range has the unit of the last."""
    waiting: list[tuple[float, int]] = []
    last_end = 0
    for number in _NUMBER.finditer(text):
        between = _BETWEEN.fullmatch(text, last_end, number.start()) if waiting else None
        ranged = between is not None
        if not ranged:
            waiting = []
        amount = _value(number.group(), _is_negative(text, number.start()) and not ranged)
        waiting.append((amount, number.start()))
        last_end = number.end()
        unit = _UNIT.match(text, number.end())
        if unit is None:
            continue
        last_end = unit.end()
        per_kg = _PER_KG.match(text, unit.end())
        if per_kg is not None or not _is_ratio(text, number.start(), unit.end(), _UNIT_OF[unit.group(1)]):
            end = per_kg.end() if per_kg else unit.end()
            for amount, start in waiting:
                kind, own = in_own_unit(amount, _UNIT_OF[unit.group(1)])
                yield (f"{kind}/kg" if per_kg else kind), own, start, end
        waiting = []


def _is_ratio(text: str, start: int, end: int, unit: str) -> bool:
    """Whether a quantity is the upper or lower half of a concentration."""
    below = unit in ("ml", "l") and text[max(0, start - 2) : start].rstrip().endswith("/")
    return below or _RATIO.match(text, end) is not None


def _is_negative(text: str, start: int) -> bool:
    """A hyphen right before the number that neither joins it to a word nor makes a range of two."""
    before = text[max(0, start - 24) : start]
    if not before.endswith("-") or before[-2:-1].isalnum():
        return False
    word = (before[:-1].split() or [""])[-1]
    return not word[-1:].isdigit() and word not in _UNIT_OF


def _value(digits: str, negative: bool) -> float:
    """The number; infinite where it is beyond reason or has no one reading."""
    if len(digits) > _MOST_DIGITS:
        return math.inf
    plain = digits.replace(",", "") if _THOUSANDS.fullmatch(digits) else digits.replace(",", ".")
    try:
        amount = float(plain)
    except ValueError:
        return math.inf
    return -amount if negative else amount


@lru_cache(maxsize=64)
def _names(drugs: tuple[str, ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    """One expression for all names, longest first, of escaped words; and what each found form stands for."""
    forms = {line_of(drug).strip(): drug for drug in drugs}
    parts = [
        r"[\W_]{1,3}".join(map(re.escape, form.split())) for form in sorted(forms, key=len, reverse=True)
    ]
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(parts)})(?![^\W\d_])"), forms


@dataclass(frozen=True, repr=False)
class _Mentions:
    """Drugs of a text in order: where each begins and ends, and where the text's sentences end."""

    begins: list[int]
    finishes: list[int]
    drugs: list[str]
    ends: list[int]

    def of(self, start: int, end: int, following: int | None) -> str | None:
        """Whose the quantity from ``start`` to ``end`` is; ``following``: the place after "of" begins."""
        after = bisect(self.begins, end - 1)
        if following is not None and after < len(self.begins) and self.begins[after] == following:
            return self.drugs[after]
        sentence = bisect(self.ends, start)
        near = [
            (self.begins[i] - end if i == after else start - self.finishes[i], i)
            for i in (after - 1, after)
            if 0 <= i < len(self.begins) and bisect(self.ends, self.begins[i]) == sentence
        ]
        if near:
            return self.drugs[min(near)[1]]
        before = after - 1
        previous = before >= 0 and bisect(self.ends, self.begins[before]) == sentence - 1
        return self.drugs[before] if previous else None


def _mentions(text: str, drugs: Sequence[str]) -> _Mentions:
    ends = [found.end() for found in _SENTENCE_END.finditer(text)]
    if not drugs:
        return _Mentions([], [], [], ends)
    pattern, forms = _names(tuple(drugs))
    found = list(pattern.finditer(text))
    named = [forms[line_of(m.group()).strip()] for m in found]
    return _Mentions([m.start() for m in found], [m.end() for m in found], named, ends)
