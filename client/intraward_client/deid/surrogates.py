"""What stands in place of an identifier: one presidio-anonymizer operator, two profiles.

``safe-harbor`` (default, 45 CFR 164.514(b)(2)): tags such as ``[NAME]``; a date keeps its year unless the
year alone tells an age over 89; ages over 89 become ``90+``; a ZIP code keeps three digits, or ``000``
for the prefixes of few inhabitants. ``research`` (Expert Determination, not Safe Harbor): dates shifted by
one secret offset per patient and consistent, HMAC-keyed names and numbers; a surrogate that equals a known
identifier is drawn again. Presidio's own ``hash`` and ``encrypt`` operators are guessable or reversible
(facts, section 2) and are not used.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import regex
from presidio_anonymizer.operators import Operator, OperatorType

from intraward_client.deid.lexicon import MONTHS, listed

OPERATOR = "intraward"
LOW_POPULATION_ZIP3 = listed(
    """036 059 063 102 202 203 204 205 369 556 692 753 772 790 821 823 830 831 878 879 884 890 893"""
)
"""Three-digit ZIP areas of 20,000 people or fewer (HHS guidance, census 2000 joined with 2010)."""

_GIVEN = tuple(
    sorted(
        listed(
            """Robin Casey Morgan Jamie Riley Avery Quinn Rowan
            Skyler Emery Kerry Leslie Marion Noel Shannon Tracy
    Blair Devon Ellis Harper Jordan Kendall Logan Parker"""
        )
    )
)
_FAMILY = tuple(
    sorted(
        listed(
            """Ashdown Birchwood Coldwell Dunhaven Eastlake Fairholm Greenmoor Haywick Inglewood Kestrelby
    Larkfield Millbrook Northam Oakhurst Penhallow Quarrington Ridgewell Southby Thornbury Underhill
    Vennwood Westerby Yarrowdale Zellwood"""
        )
    )
)
_TOWNS = tuple(
    sorted(
        listed(
            """Alderbrook Brackenridge Cloverfield Dovermere Elmstead Foxhollow Glenmoor Harrowgate Ivybridge
    Junipero Knollwood Lindenvale"""
        )
    )
)
_YEAR = regex.compile(r"(?<!\d)((?:18|19|20)\d\d)(?!\d)")
_ZIP = regex.compile(r"(?<!\d)(\d{5})(?:-\d{4})?$")
_STATE_ZIP = regex.compile(r"(?:\b([A-Z]{2})[ \t,]+)?(\d{5})(?:-\d{4})?$")
_AGE_LIMIT = 89


@dataclass(frozen=True, slots=True)
class PatientKey:
    """What a replacement may depend on: the site's secret, the patient, and what must never be produced."""

    secret: bytes = field(repr=False)
    patient_id: str = field(repr=False)
    reference_year: int = 0
    forbidden: Callable[[str], bool] = field(repr=False, default=lambda _value: False)

    def draw(self, kind: str, value: str, attempt: int = 0) -> int:
        """A 128-bit number, equal for equal (patient, class, normalised value) and secret otherwise."""
        message = "|".join((self.patient_id, kind, " ".join(value.lower().split()), str(attempt)))
        digest = hmac.new(self.secret, b"intraward surrogate|" + message.encode(), hashlib.sha256).digest()
        return int.from_bytes(digest[:16], "big")

    @property
    def offset(self) -> timedelta:
        """The patient's date shift, 1 to 364 days back; the same in all their notes."""
        return timedelta(days=-(1 + self.draw("DATE", "offset") % 364))


class SurrogateOperator(Operator):
    """presidio-anonymizer operator; params: ``profile``, ``kind`` (class of identifier), ``key``."""

    def operate(self, text: str, params: dict[str, Any] | None = None) -> str:
        """The replacement of one span."""
        given = params or {}
        kind, key = given["kind"], given["key"]
        if given["profile"] == "research":
            return research(kind, text, key)
        return safe_harbor(kind, text, key.reference_year)

    def validate(self, params: dict[str, Any] | None = None) -> None:
        """Refuse a call without class, key or a known profile."""
        given = params or {}
        if (
            given.get("profile") not in {"safe-harbor", "research"}
            or "kind" not in given
            or "key" not in given
        ):
            raise ValueError("surrogate operator needs profile, kind and key")

    def operator_name(self) -> str:
        """Name under which the engine registers it."""
        return OPERATOR

    def operator_type(self) -> OperatorType:
        """One way only."""
        return OperatorType.Anonymize


def safe_harbor(kind: str, text: str, reference_year: int) -> str:
    """The Safe Harbor replacement of ``text``, an identifier of class ``kind``."""
    if kind == "DATE":
        year = _YEAR.search(text)
        if year and int(year[1]) >= reference_year - _AGE_LIMIT:
            return str(year[1])
        return "[DATE]"
    if kind == "AGE":
        return "90+" if text[:1].isdigit() and not text.endswith("birthday") else "[AGE]"
    if kind == "ZIP":
        return zip3(text) or "[ZIP]"
    if kind == "ADDRESS":
        tail = _STATE_ZIP.search(text)
        return f"[ADDRESS] {tail[1] + ' ' if tail[1] else ''}{zip3(tail[2])}" if tail else "[ADDRESS]"
    return f"[{kind}]"


def zip3(text: str) -> str:
    """The three digits of a US ZIP code that may stay, ``000`` for areas of few people, else empty."""
    found = _ZIP.search(text.strip())
    if not found:
        return ""
    prefix = found[1][:3]
    return "000" if prefix in LOW_POPULATION_ZIP3 else prefix


def research(kind: str, text: str, key: PatientKey) -> str:
    """The consistent surrogate of ``text`` for one patient."""
    if kind == "DATE":
        return shift_date(text, key.offset) or "[DATE]"
    if kind == "AGE":
        return safe_harbor(kind, text, key.reference_year)
    for attempt in range(8):
        surrogate = _surrogate(kind, text, key, attempt)
        if surrogate.lower() != text.lower() and not key.forbidden(surrogate):
            return surrogate
    return f"[{kind}]"


def _surrogate(kind: str, text: str, key: PatientKey, attempt: int) -> str:
    number = key.draw(kind, text, attempt)
    if kind == "NAME":
        words = regex.findall(r"\p{L}+\.?", text)
        first, last = (words[-1], words[0]) if "," in text else (words[0], words[-1]) if words else ("", "")
        family = _FAMILY[key.draw("NAME", last, attempt) % len(_FAMILY)]
        given = _GIVEN[key.draw("GIVEN", first, attempt) % len(_GIVEN)]
        return family if len(words) < 2 else f"{given} {family}"
    if kind in {"LOCATION", "FACILITY", "ADDRESS"}:
        town = _TOWNS[number % len(_TOWNS)]
        return {
            "LOCATION": town,
            "FACILITY": f"{town} Hospital",
            "ADDRESS": f"{1 + number % 98} {town} Street",
        }[kind]
    if kind in {"EMAIL", "URL", "USERNAME", "IP"}:
        return {
            "EMAIL": f"p{number % 10**6}@example.org",
            "URL": "https://example.org/x",
            "IP": "192.0.2.1",
        }.get(kind, f"user{number % 10**6}")
    return _scramble(text, number)


def _scramble(text: str, number: int) -> str:
    """The same shape with other digits and letters."""
    out = []
    for character in text:
        number, low = divmod(number, 26) if number else (0, 7)
        if character.isdigit():
            out.append(str(low % 10))
        elif character.isalpha():
            letter = chr(ord("A") + low)
            out.append(letter if character.isupper() else letter.lower())
        else:
            out.append(character)
    return "".join(out)


def shift_date(text: str, offset: timedelta) -> str:
    """``text`` moved by ``offset`` in its own format; empty when it is no full date of a known format."""
    iso = regex.fullmatch(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})", text)
    numeric = regex.fullmatch(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})", text)
    named = regex.fullmatch(r"(\p{L}+)\.? (\d{1,2})(?:st|nd|rd|th)?(,?) (\d{4})", text)
    turned = regex.fullmatch(r"(\d{1,2})(?:st|nd|rd|th)? (\p{L}+)\.?(,?) (\d{4})", text)
    try:
        if iso:
            moved = date(int(iso[1]), int(iso[3]), int(iso[4])) + offset
            return f"{moved.year:04d}{iso[2]}{moved.month:02d}{iso[2]}{moved.day:02d}"
        if numeric:
            day_first = int(numeric[1]) > 12
            day, month = (numeric[1], numeric[3]) if day_first else (numeric[3], numeric[1])
            moved = date(int(numeric[4]), int(month), int(day)) + offset
            parts = (moved.day, moved.month) if day_first else (moved.month, moved.day)
            return f"{parts[0]:02d}{numeric[2]}{parts[1]:02d}{numeric[2]}{moved.year}"
        if named:
            moved = date(int(named[4]), _month(named[1]), int(named[2])) + offset
            return f"{MONTHS[moved.month - 1]} {moved.day}{named[3]} {moved.year}"
        if turned:
            moved = date(int(turned[4]), _month(turned[2]), int(turned[1])) + offset
            return f"{moved.day} {MONTHS[moved.month - 1]}{turned[3]} {moved.year}"
    except (ValueError, OverflowError):
        return ""
    return ""


def _month(name: str) -> int:
    """1 to 12 by the first three letters; ValueError otherwise."""
    return [month[:3].lower() for month in MONTHS].index(name[:3].lower()) + 1
