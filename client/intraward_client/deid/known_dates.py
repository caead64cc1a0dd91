"""Dates of the structured header, found in a note however they are spelled there.

Part of the known-identifier pass (``known``). A note is read for dates of every usual format, and each is
compared with the dates that are known by its figures, both ways where nothing says which is the month. Of a
year in two figures the century is not asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from intraward_client.deid.lexicon import MONTHS

_MONTH = "|".join(f"{name}|{name[:3]}" if name != "September" else "September|Sept|Sep" for name in MONTHS)
_YEAR = r"\d{4}|'?\d{2}"
_ORDINAL = r"(?:st|nd|rd|th)?"
_NUMERIC = re.compile(
    r"(?<![^\W_])(?:(?P<eight>\d{8})|(?P<y1>\d{4}) ?[-/. ] ?(?P<a1>\d{1,2}) ?[-/. ] ?(?P<b1>\d{1,2})"
    rf"|(?P<a2>\d{{1,2}}) ?[-/. ] ?(?P<b2>\d{{1,2}}) ?[-/. ] ?(?P<y2>{_YEAR}))(?![^\W_])"
)
_SPELLED = re.compile(
    rf"(?<![^\W_])(?:(?P<m1>{_MONTH})[\s.-]*(?P<d1>\d{{1,2}}){_ORDINAL},?[\s.-]*(?P<y1>{_YEAR})"
    rf"|(?P<d2>\d{{1,2}}){_ORDINAL}(?:\s+of)?[\s.-]*(?P<m2>{_MONTH})\.?,?[\s.-]*(?P<y2>{_YEAR}))(?![^\W_])",
    re.IGNORECASE,
)
Span = tuple[int, int, str]


@dataclass(frozen=True, slots=True, repr=False)
class KnownDate:
    """A date as figures; ``pairs`` holds (month, day), both ways where either may be meant."""

    year: int
    pairs: frozenset[tuple[int, int]]

    def same(self, other: KnownDate) -> bool:
        """Whether both may be the same day."""
        short = min(self.year, other.year) < 100
        years = (self.year % 100, other.year % 100) if short else (self.year, other.year)
        return years[0] == years[1] and not self.pairs.isdisjoint(other.pairs)


def read_dates(text: str) -> Iterator[tuple[int, int, KnownDate]]:
    """Start, end and figures of every full date in ``text``."""
    for match in _NUMERIC.finditer(text):
        for read in _of_figures(match):
            yield match.start(), match.end(), read
    for match in _SPELLED.finditer(text):
        month = _month_of(match["m1"] or match["m2"])
        pairs = frozenset({(month, int(match["d1"] or match["d2"]))})
        yield match.start(), match.end(), KnownDate(_year_of(match["y1"] or match["y2"]), pairs)


def find_dates(text: str, known: list[KnownDate]) -> Iterator[Span]:
    """Spans of the dates in ``text`` that may be one of ``known``."""
    for start, end, found in read_dates(text):
        if any(found.same(one) for one in known):
            yield start, end, "DATE"


def _of_figures(match: re.Match[str]) -> Iterator[KnownDate]:
    if eight := match["eight"]:
        for year, a, b in ((eight[:4], eight[4:6], eight[6:]), (eight[4:], eight[:2], eight[2:4])):
            yield KnownDate(int(year), _either(int(a), int(b)))
        return
    year = _year_of(match["y1"] or match["y2"])
    yield KnownDate(year, _either(int(match["a1"] or match["a2"]), int(match["b1"] or match["b2"])))


def _either(one: int, two: int) -> frozenset[tuple[int, int]]:
    return frozenset((m, d) for m, d in ((one, two), (two, one)) if 1 <= m <= 12 and 1 <= d <= 31)


def _year_of(figures: str) -> int:
    return int(figures.lstrip("'"))


def _month_of(name: str) -> int:
    return next(number for number, month in enumerate(MONTHS, 1) if month[:3].lower() == name[:3].lower())
