"""Identifiers from patterns: digits, letters, lists of words, dates and the two checksums that have a rule.

Patterns of ``values.txt``: ``#`` a digit, ``%`` a digit but 0, ``@`` a capital letter, ``&`` a hexadecimal
digit, ``<list>`` a word of that list, ``<value>`` another pattern, a backslash the next
character itself; anything else stands for itself. All
numbers are invented; telephones, domains and addresses of the net come from ranges kept for examples.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

import numpy as np

from intraward_simulation.deid_corpus.half import Author

_PART = re.compile(r"<(\w+)>|\\(.)|([#%@&])")
_MONTH_NAMES = "January February March April May June July August September October November December"
_MONTHS = _MONTH_NAMES.split()
_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
_FIELD = re.compile(r"YYYY|YY|Month|MON|Mon|MM|M|DDth|DD|D")
LAST_DAY = date(2026, 6, 30)


def expand(author: Author, pattern: str, draw: np.random.Generator) -> str:
    """A value that fits ``pattern``."""

    def part(match: re.Match[str]) -> str:
        if match[2]:
            return match[2]
        if match[3]:
            alphabet = {"#": "0123456789", "%": "123456789", "@": _LETTERS, "&": "0123456789abcdef"}[match[3]]
            return alphabet[int(draw.integers(len(alphabet)))]
        if match[1] in author.words:
            return _pick(draw, author.words[match[1]])
        if match[1] in CHECKED:
            return CHECKED[match[1]](draw)
        return value(author, match[1], draw)

    return _PART.sub(part, pattern)


def value(author: Author, name: str, draw: np.random.Generator) -> str:
    """A value of the section ``name`` of ``values.txt``."""
    return expand(author, _pick(draw, author.values[name]), draw)


def write_date(day: date, style: str) -> str:
    """``day`` in a style such as ``MM/DD/YYYY``, ``D Month YYYY`` or ``Month DDth``."""
    fields = {
        "YYYY": f"{day.year}",
        "YY": f"{day.year % 100:02d}",
        "Month": _MONTHS[day.month - 1],
        "MON": _MONTHS[day.month - 1][:3].upper(),
        "Mon": _MONTHS[day.month - 1][:3],
        "MM": f"{day.month:02d}",
        "M": f"{day.month}",
        "DDth": f"{day.day}{_ordinal(day.day)}",
        "DD": f"{day.day:02d}",
        "D": f"{day.day}",
    }
    return _FIELD.sub(lambda match: fields[match[0]], style)


def draw_day(draw: np.random.Generator, first: date, last: date = LAST_DAY) -> date:
    """A day from ``first`` to ``last``."""
    return first + timedelta(days=int(draw.integers((last - first).days + 1)))


def _ordinal(day: int) -> str:
    return "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def _nhs(draw: np.random.Generator) -> str:
    """Ten digits from 999, which is not issued, with the modulus 11 check digit."""
    while True:
        digits = [9, 9, 9, *(int(d) for d in draw.integers(10, size=6))]
        check = 11 - sum(d * w for d, w in zip(digits, range(10, 1, -1), strict=True)) % 11
        if check != 10:
            return "".join(map(str, [*digits, check % 11]))


def _npi(draw: np.random.Generator) -> str:
    """Ten digits with the Luhn digit of the prefix 80840."""
    digits = [1, *(int(d) for d in draw.integers(10, size=8))]
    doubled = [2 * d if place % 2 == 0 else d for place, d in enumerate(reversed(digits))]
    total = 24 + sum(d - 9 if d > 9 else d for d in doubled)
    return "".join(map(str, [*digits, -total % 10]))


def _spaced_nhs(draw: np.random.Generator) -> str:
    digits = _nhs(draw)
    return f"{digits[:3]} {digits[3:6]} {digits[6:]}"


def _dea(draw: np.random.Generator) -> str:
    """Two letters and seven digits with their check digit."""
    digits = [int(d) for d in draw.integers(10, size=6)]
    check = (digits[0] + digits[2] + digits[4] + 2 * (digits[1] + digits[3] + digits[5])) % 10
    letters = "".join(_pick(draw, tuple(alphabet)) for alphabet in ("ABFM", _LETTERS))
    return letters + "".join(map(str, [*digits, check]))


CHECKED = {"NHS": _nhs, "NHS_SPACED": _spaced_nhs, "NPI": _npi, "DEA": _dea}


def _pick(draw: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(draw.integers(len(choices)))]
