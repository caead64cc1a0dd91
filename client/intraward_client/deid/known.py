"""The known-identifier pass: what the structured header says is searched in the note in every variant.

The cheapest large win there is (facts, section 4: patient names 0.71 -> 0.986 alone). Variants: case,
possessive, hyphen and space parts, reversed order, initials, one edit for names of six letters and more,
digits with any separators, a date in every usual format. A name part that is also an English word
("Young", "Rose") is searched capitalised only, a function word ("An", "So") only beside another part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import regex
from spacy.lang.en.stop_words import STOP_WORDS

from intraward_client.deid.lexicon import MONTHS, is_word, listed
from intraward_client.deid.rules import RULE_TIMEOUT_SECONDS

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


class KnownIdentifiers:
    """The identifiers of one patient, compiled once per note and used on the input and on the output."""

    def __init__(self, known: Mapping[str, str], words: frozenset[str], patient_id: str = "") -> None:
        self._words = words
        self._patterns: list[tuple[regex.Pattern[str], str]] = []
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
        for pattern, kind in self._patterns:
            for match in pattern.finditer(text, timeout=RULE_TIMEOUT_SECONDS):
                if match.end() > match.start():
                    yield match.start(), match.end(), kind
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
            self._compile(_date_variants(value), "DATE")
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
                [r"[\s,.\-]{1,3}".join(map(regex.escape, order)) for order in (capitals, capitals[::-1])],
                "NAME",
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
        self._compile([regex.escape(form) + r"(?:'?[sS])?" for form in forms], "NAME", fold=not english)
        if len(part) >= _FUZZY_FROM:
            self._fuzzy.add(lowered)

    def _add_combinations(self) -> None:
        first, last = self._names.get("first", ""), self._names.get("last", "")
        if not (first and last):
            return
        a, b = regex.escape(first), regex.escape(last)
        whole = [
            rf"{a}(?:\s+\p{{L}}\.?)?[\s.,_-]{{1,3}}{b}",
            rf"{b}[\s.,_-]{{1,3}}{a}",
            rf"{a[:1]}\.?\s?{b}",
            rf"{b},?\s{a[:1]}\b\.?",
            a + b,
            b + a,
        ]
        self._compile(whole, "NAME", fold=True)
        i, j = regex.escape(first[0].upper()), regex.escape(last[0].upper())
        self._compile(
            [
                rf"{i}\.\s?(?:\p{{Lu}}\.\s?)?{j}\.?",
                rf"(?<=\b(?:[Ii]nitials|[Pp]atient|[Pp]t|Mr|Ms|Mrs)[:.]?\s){i}{j}",
            ],
            "NAME",
            edge=False,
        )

    def _add_place(self, key: str, value: str) -> None:
        kind = "ADDRESS" if key in {"address", "street"} else "LOCATION"
        kind = "FACILITY" if key in {"hospital", "facility", "employer", "site"} else kind
        pieces = [piece.strip() for piece in regex.split(r"[,\n;]", value)]
        usable = [
            piece
            for piece in (value, *pieces)
            if len(piece) > 3 and not regex.fullmatch(r"[A-Z]{2}|\d{1,4}", piece)
        ]
        self._compile(
            [r"[\s,]+".join(map(regex.escape, piece.replace(",", " ").split())) for piece in usable],
            kind,
            fold=True,
        )
        self._compile([rf"{zip_code}(?:-\d{{4}})?" for zip_code in regex.findall(r"\b\d{5}\b", value)], "ZIP")
        street = regex.match(r"\d+[A-Za-z]?\s+(\p{Lu}[\p{L}'-]+(?:\s\p{Lu}[\p{L}'-]+){1,3})", value)
        if street:
            self._compile([r"\s+".join(map(regex.escape, street.group(1).split()))], kind, fold=True)

    def _add_code(self, key: str, value: str) -> None:
        kind = next((name for start, name in _CLASS.items() if key.startswith(start)), "ID")
        forms = [r"\s+".join(map(regex.escape, value.split()))]
        digits = "".join(filter(str.isdigit, value))
        if len(digits) >= _LONG_DIGITS:
            forms.append(_JOIN.join(digits))
            if kind == "PHONE" and len(digits) >= 10:
                forms += [_JOIN.join(digits[-10:]), _JOIN.join(digits[-7:])]
        characters = "".join(filter(str.isalnum, value))
        if len(characters) >= _LONG_DIGITS and characters != digits:
            forms.append(r"[\s.\-/]?".join(map(regex.escape, characters)))
        if kind == "EMAIL" and "@" in value and len(value.split("@")[0]) > 3:
            forms.append(regex.escape(value.split("@")[0]))
        self._compile(forms, kind, fold=True)

    def _compile(self, forms: list[str], kind: str, *, fold: bool = False, edge: bool = True) -> None:
        if not forms:
            return
        body = "|".join(sorted(set(forms), key=len, reverse=True))
        bounded = (
            rf"(?<![\p{{L}}\d])(?:{body})(?![\p{{L}}\d])"
            if edge
            else rf"(?<![\p{{L}}\d])(?:{body})(?!\p{{L}})"
        )
        self._patterns.append((regex.compile(bounded, regex.IGNORECASE if fold else 0), kind))

    def _find_fuzzy(self, text: str) -> Iterator[Span]:
        for match in _TOKEN.finditer(text):
            for part in _PART.finditer(match.group()):
                word = part.group().lower().removesuffix("'s")
                if len(word) < _FUZZY_FROM - 1 or (part.group().islower() and is_word(word, self._words)):
                    continue
                if any(within_one_edit(word, name) for name in self._fuzzy):
                    yield match.start() + part.start(), match.start() + part.end(), "NAME"


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


def _date_variants(value: str) -> list[str]:
    """The usual spellings of a known date as patterns; the literal value when it is no date we can read."""
    literal = [r"\s+".join(map(regex.escape, value.split()))]
    iso = regex.fullmatch(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})", value)
    if iso:
        return [*literal, *_spell(int(iso[1]), {(int(iso[2]), int(iso[3]))})]
    numeric = regex.fullmatch(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})", value)
    if numeric:
        one, two = int(numeric[1]), int(numeric[2])
        return [*literal, *_spell(int(numeric[3]), {(one, two), (two, one)})]
    return literal


def _spell(year: int, pairs: set[tuple[int, int]]) -> list[str]:
    short = rf"(?:{year}|'?{year % 100:02d})"
    forms = []
    for month, day in sorted(pairs):
        if not (1 <= month <= 12 and 1 <= day <= 31):
            continue
        name = MONTHS[month - 1]
        named = rf"(?i:{name}|{name[:3]}\.?)"
        forms += [
            rf"{year}[-/. ]?0?{month}[-/. ]?0?{day}",
            rf"0?{month}[-/. ]0?{day}[-/. ]{short}",
            rf"0?{day}[-/. ]0?{month}[-/. ]{short}",
            rf"{month:02d}{day:02d}{year}",
            rf"{day:02d}{month:02d}{year}",
            rf"{named}[\s-]*0?{day}(?:st|nd|rd|th)?,?[\s-]*{short}",
            rf"0?{day}(?:st|nd|rd|th)?(?:\s+of)?[\s-]*{named},?[\s-]*{short}",
        ]
    return forms
