"""The known-identifier pass: what the structured header says is searched in the note in every variant.

The cheapest large win there is (facts, section 4: patient names 0.71 -> 0.986 alone). Variants: case,
possessive, hyphen and space parts, reversed order, initials, one edit for names of six letters and more,
digits with any separators, a date in every usual format. A name part that is also an English word
("Young", "Rose") is searched capitalised only, a function word ("An", "So") only beside another part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

import regex

from intraward_client.deid.known_dates import KnownDate, find_dates, read_dates
from intraward_client.deid.lexicon import is_word, listed
from intraward_client.deid.libraries import STOP_WORDS

Span = tuple[int, int, str]

_CLASS = {
    "mrn": "MRN",
    "nhs": "NHS",
    "ssn": "SSN",
    "account": "ACCOUNT",
    "encounter": "ACCOUNT",
    "accession": "ACCOUNT",
    "insurance": "HEALTH_PLAN",
    "health_plan": "HEALTH_PLAN",
    "license": "LICENSE",
    "device": "DEVICE",
    "vehicle": "VEHICLE",
    "username": "USERNAME",
    "url": "URL",
    "ip": "IP",
    "room": "ROOM",
    "zip": "ZIP",
    "postcode": "ZIP",
    "phone": "PHONE",
    "fax": "PHONE",
    "mobile": "PHONE",
    "email": "EMAIL",
}
_NAME_KEYS = (
    "first",
    "last",
    "middle",
    "name",
    "kin",
    "clinician",
    "surname",
    "forename",
    "doctor",
    "carer",
    "spouse",
    "mother",
    "father",
    "maiden",
    "alias",
    "contact",
)
_PLACE_KEYS = ("address", "street", "city", "town", "hospital", "facility", "employer", "site", "county")
_DATE_KEYS = ("dob", "date", "birth", "admit", "admission", "discharge")
_TITLES = listed(
    """dr mr mrs ms miss mx prof sir dame lady lord rev nurse doctor md rn np do phd jr sr ii iii"""
)
_TOKEN = regex.compile(r"\p{L}[\p{L}\p{M}'-]*")
_PART = regex.compile(r"\p{L}[\p{L}\p{M}']*")
_JOIN = r"[\s.\-/()]{0,3}"
_FUZZY_FROM = 6
_LONG_DIGITS = 5
_BEFORE, _BEHIND = r"(?<![^\W_])", r"(?![^\W_])"
"""Neither letter nor digit beside a variant."""
_SEPARATORS = re.compile(r"[\W_]+")


class _Variant:
    """Spellings of one identifier as an expression, compiled when a text holds what they all need.

    Args:
        forms: expressions, of which the longest is tried first.
        needs: letters and figures, run together; a text that holds none of them holds no form.
    """

    def __init__(self, forms: Iterable[str], kind: str, needs: Iterable[str], *, fold: bool) -> None:
        self._forms, self._fold = set(forms), fold
        self._compiled: re.Pattern[str] | None = None
        self.kind, self._needs = kind, {squash(need) for need in needs}

    def find(self, text: str, squashed: str) -> Iterator[tuple[int, int]]:
        """Where a form stands in ``text``, which is ``squashed`` without its separators."""
        if not any(need in squashed for need in self._needs):
            return
        if self._compiled is None:
            body = "|".join(sorted(self._forms, key=len, reverse=True))
            self._compiled = re.compile(f"{_BEFORE}(?:{body}){_BEHIND}", re.IGNORECASE if self._fold else 0)
        for match in self._compiled.finditer(text):
            yield match.span()


class KnownIdentifiers:
    """The identifiers of one patient, compiled once per note and used on the input and on the output."""

    def __init__(self, known: Mapping[str, str], words: frozenset[str], patient_id: str = "") -> None:
        self._words = words
        self._variants: list[_Variant] = []
        self._dates: list[KnownDate] = []
        self._initials: re.Pattern[str] | None = None
        self._fuzzy: set[str] = set()
        self._names: dict[str, str] = {}
        for key in sorted(known):
            self._add(key.lower(), known[key].strip())
        if sum(letter.isdigit() for letter in patient_id) >= _LONG_DIGITS:
            self._add("mrn", patient_id)
        self._add_combinations()

    def __repr__(self) -> str:
        return "KnownIdentifiers(<redacted>)"

    def find(self, text: str) -> Iterator[Span]:
        """Spans ``(start, end, class)`` of every variant in ``text``; they may overlap."""
        squashed = squash(text)
        for variant in self._variants:
            for start, end in variant.find(text, squashed):
                yield start, end, variant.kind
        if self._dates:
            yield from find_dates(text, self._dates)
        if self._initials:
            for match in self._initials.finditer(text):
                start, end = match.span(match.lastindex or 0)
                yield start, end, "NAME"
        if self._fuzzy:
            yield from self._find_fuzzy(text)

    def squashed(self) -> tuple[str, ...]:
        """Run-together names for the second look, lower-case letters only."""
        first, last = self._names.get("first", ""), self._names.get("last", "")
        joined = [first + last, last + first] if len(first) > 2 and len(last) > 2 else []
        return tuple("".join(filter(str.isalnum, value.lower())) for value in joined)

    def _add(self, key: str, value: str) -> None:
        if len(value) < 2:
            return
        if key.startswith(_DATE_KEYS) or key.endswith("date"):
            self._dates += (read for _, _, read in read_dates(value))
            self._compile([r"\s+".join(map(re.escape, value.split()))], "DATE", [value])
        elif key.split("_")[0] in _NAME_KEYS or key.endswith("_name"):
            self._add_name(key, value)
        elif key.split("_")[0] in _PLACE_KEYS:
            self._add_place(key, value)
        else:
            self._add_code(key, value)

    def _add_name(self, key: str, value: str) -> None:
        tokens = [token for token in _TOKEN.findall(value) if token.lower().strip(".") not in _TITLES]
        if key in {"first", "last"}:
            self._names[key] = tokens[0] if key == "first" and tokens else " ".join(tokens)
        capitals = [token for token in tokens if token[0].isupper() or key in {"first", "last", "middle"}]
        if len(capitals) > 1:
            self._compile(
                [r"[\s,.\-]{1,3}".join(map(re.escape, order)) for order in (capitals, capitals[::-1])],
                "NAME",
                capitals,
                fold=True,
            )
        for token in capitals:
            for part in {token, *_PART.findall(token)}:
                self._add_part(part)

    def _add_part(self, part: str) -> None:
        lowered = part.lower()
        if lowered in STOP_WORDS or len(part) < 2:
            return
        english = len(part) < 3 or is_word(part, self._words)
        forms = [part.capitalize(), part.upper(), part] if english else [part]
        self._compile([re.escape(form) + r"(?:'?[sS])?" for form in forms], "NAME", forms, fold=not english)
        if len(part) >= _FUZZY_FROM:
            self._fuzzy.add(lowered)

    def _add_combinations(self) -> None:
        first, last = self._names.get("first", ""), self._names.get("last", "")
        if not (first and last):
            return
        a, b = re.escape(first), re.escape(last)
        whole = [
            rf"{a}(?:\s+[^\W\d_]\.?)?[\s.,_-]{{1,3}}{b}",
            rf"{b}[\s.,_-]{{1,3}}{a}",
            rf"{a[:1]}\.?\s?{b}",
            rf"{b},?\s{a[:1]}\b\.?",
            a + b,
            b + a,
        ]
        self._compile(whole, "NAME", [last], fold=True)
        self._initials = _initials(first[0].upper(), last[0].upper())

    def _add_place(self, key: str, value: str) -> None:
        kind = "ADDRESS" if key in {"address", "street"} else "LOCATION"
        kind = "FACILITY" if key in {"hospital", "facility", "employer", "site"} else kind
        pieces = [piece.strip() for piece in re.split(r"[,\n;]", value)]
        usable = [
            piece
            for piece in (value, *pieces)
            if len(piece) > 3 and not re.fullmatch(r"[A-Z]{2}|\d{1,4}", piece)
        ]
        self._compile(
            [r"[\s,]+".join(map(re.escape, piece.replace(",", " ").split())) for piece in usable],
            kind,
            usable,
            fold=True,
        )
        codes = re.findall(r"\b\d{5}\b", value)
        self._compile([rf"{zip_code}(?:-\d{{4}})?" for zip_code in codes], "ZIP", codes)
        street = regex.match(r"\d+[A-Za-z]?\s+(\p{Lu}[\p{L}'-]+(?:\s\p{Lu}[\p{L}'-]+){1,3})", value)
        if street:
            words = street.group(1).split()
            self._compile([r"\s+".join(map(re.escape, words))], kind, ["".join(words)], fold=True)

    def _add_code(self, key: str, value: str) -> None:
        kind = next((name for start, name in _CLASS.items() if key.startswith(start)), "ID")
        forms, needs = [r"\s+".join(map(re.escape, value.split()))], [value]
        digits = "".join(filter(str.isdigit, value))
        if len(digits) >= _LONG_DIGITS:
            runs = [digits, digits[-10:], digits[-7:]] if kind == "PHONE" and len(digits) >= 10 else [digits]
            forms += map(_JOIN.join, runs)
            needs += runs
        characters = "".join(filter(str.isalnum, value))
        if len(characters) >= _LONG_DIGITS and characters != digits:
            forms.append(r"[\s.\-/]?".join(map(re.escape, characters)))
        if kind == "EMAIL" and "@" in value and len(value.split("@")[0]) > 3:
            forms.append(re.escape(value.split("@")[0]))
            needs.append(value.split("@")[0])
        self._compile(forms, kind, needs, fold=True)

    def _compile(self, forms: list[str], kind: str, needs: Iterable[str], *, fold: bool = False) -> None:
        if forms:
            self._variants.append(_Variant(forms, kind, needs, fold=fold))

    def _find_fuzzy(self, text: str) -> Iterator[Span]:
        for match in _TOKEN.finditer(text):
            for part in _PART.finditer(match.group()):
                word = part.group().lower().removesuffix("'s")
                if len(word) < _FUZZY_FROM - 1 or (part.group().islower() and is_word(word, self._words)):
                    continue
                if any(within_one_edit(word, name) for name in self._fuzzy):
                    yield match.start() + part.start(), match.start() + part.end(), "NAME"


def squash(text: str) -> str:
    """Letters and figures of ``text`` in small letters, all else left out."""
    return _SEPARATORS.sub("", text).lower()


@lru_cache(maxsize=1024)
def _initials(first: str, last: str) -> re.Pattern[str]:
    """Initials with full stops, or run together behind a word for a person."""
    i, j = re.escape(first), re.escape(last)
    return re.compile(
        rf"{_BEFORE}{i}\.\s?(?:[^\W\d_]\.\s?)?{j}\.?(?![^\W\d_])"
        rf"|\b(?:[Ii]nitials|[Pp]atient|[Pp]t|Mr|Ms|Mrs)[:.]?\s({i}{j})(?![^\W\d_])"
    )


def within_one_edit(a: str, b: str) -> bool:
    """Whether one insertion, deletion, substitution or swap of neighbours turns ``a`` into ``b``."""
    if a == b:
        return True
    if abs(len(a) - len(b)) > 1:
        return False
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    rest_a, rest_b = a[start:], b[start:]
    if len(a) == len(b):
        swapped = rest_a[:2] == rest_b[:2][::-1] and rest_a[2:] == rest_b[2:]
        return rest_a[1:] == rest_b[1:] or swapped
    return rest_a[1:] == rest_b if len(a) > len(b) else rest_a == rest_b[1:]
