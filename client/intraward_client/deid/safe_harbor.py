"""Safe Harbor replacements, 45 CFR 164.514(b)(2): what of a date, an age and a ZIP code may stay.

A date keeps its year, unless the year tells an age over 89 by itself; ages over 89 become ``90+``; a US ZIP
code keeps three digits, or ``000`` for the areas of few people. Of everything else nothing stays. Stricter
than the rule where the two differ: any year that far back goes, whether somebody was born in it or not, and
the areas of two censuses count.
"""

from __future__ import annotations

import regex

from intraward_client.deid.lexicon import listed

AGE_LIMIT = 89
_CENSUS_2000 = listed("036 059 063 102 203 556 692 790 821 823 830 831 878 879 884 890 893")
_CENSUS_2010 = listed("036 059 102 202 203 204 205 369 556 692 753 772 821 823 878 879 884 893")
LOW_POPULATION_ZIP3 = _CENSUS_2000 | _CENSUS_2010
"""Three-digit areas of 20,000 people or fewer: the 17 of the HHS guidance, and census 2010."""
_YEAR = regex.compile(r"(?<!\d)((?:1[89]|20)\d\d)(?!\d)|(?<!\d)((?:1[89]|20)\d\d)(?=\d{4}(?!\d))")
_SHORT_YEAR = regex.compile(r"(?:(?<=\d[-/.]\d\d?[-/.]'?)|(?<=')|(?<=\p{L}[-, ]))(\d\d)(?![\d:/.-])")
_ZIP = regex.compile(r"(?<!\d)(\d{5})(?:-\d{4})?$")
_STATE_ZIP = regex.compile(r"(?:\b([A-Z]{2})[ \t,]+)?(\d{5})(?:-\d{4})?$")


def safe_harbor(kind: str, text: str, reference_year: int) -> str:
    """The Safe Harbor replacement of ``text``, an identifier of class ``kind``; else a tag."""
    if kind == "DATE":
        return years_of(text, reference_year) or "[DATE]"
    if kind == "AGE":
        return "90+" if text[:1].isdigit() and not text.endswith("birthday") else "[AGE]"
    if kind == "ZIP":
        return zip3(text) or "[ZIP]"
    if kind == "ADDRESS":
        tail = _STATE_ZIP.search(text)
        return f"[ADDRESS] {tail[1] + ' ' if tail[1] else ''}{zip3(tail[2])}" if tail else "[ADDRESS]"
    return f"[{kind}]"


def years_of(text: str, reference_year: int) -> str:
    """The years of a date or a range of dates; empty where there is none, or one tells an age over 89.

    A year of two digits is read in this century up to ``reference_year``, else in the last one.
    """
    years = [int(match[1] or match[2]) for match in _YEAR.finditer(text)]
    years = years or [_century(int(match[1]), reference_year) for match in _SHORT_YEAR.finditer(text)]
    if not years or min(years) < reference_year - AGE_LIMIT:
        return ""
    return "-".join(str(year) for year in dict.fromkeys(years))


def zip3(text: str) -> str:
    """The three digits of a US ZIP code that may stay, ``000`` for areas of few people, else empty."""
    found = _ZIP.search(text.strip())
    if not found:
        return ""
    prefix = found[1][:3]
    return "000" if prefix in LOW_POPULATION_ZIP3 else str(prefix)


def _century(short: int, reference_year: int) -> int:
    return 2000 + short if 2000 + short <= reference_year else 1900 + short
