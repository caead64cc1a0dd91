"""The second look: the output is searched again, by rules that share nothing with the first pack.

Keeps rule 2 of DESIGN.md ("any doubt quarantines"). Plain ``re``, coarse on purpose, run over the output
with the replacements masked; then the known identifiers again, run-together names, and the site's
canaries (seeded fake patients whose appearance anywhere is an alarm). A finding is a reason code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from intraward_client.deid.known import KnownIdentifiers

MASK = "\u25a1"
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\b\.?"
)
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("at-sign", re.compile(r"@")),
    ("digits", re.compile(r"\d{6}")),
    ("ssn", re.compile(r"\b\d{3}[ -]\d{2}[ -]\d{4}\b")),
    (
        "phone",
        re.compile(r"\(\d{3}\) ?\d{3}|\b\d{3}[-.]\d{4}\b|\b\d{3}[ .-]\d{3}[ .-]\d{4}\b|\+\d{2}[ \d]{6}"),
    ),
    ("web", re.compile(r"https?:|www\.|\.(?:com|org|net)\b", re.I)),
    ("ip", re.compile(r"\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b")),
    ("date", re.compile(r"\b\d{1,2}[/.-]\d{1,2}[/.-](?:\d{2}){1,2}\b|\b\d{4}-\d\d?-\d\d?\b")),
    ("date", re.compile(rf"\b{_MONTH} \d{{1,2}},? \d{{4}}", re.I)),
    ("date", re.compile(rf"\b\d{{1,2}}(?:st|nd|rd|th)? (?!may\b){_MONTH}", re.I)),
    ("age", re.compile(r"\b(?:9\d|1[01]\d)[ -]?(?:years?[ -]old|y/?o\b)", re.I)),
    ("title", re.compile(r"\b(?:Dr|Mr|Mrs|Ms|Prof)\b\.? +(?!Dr|Mr|Mrs|Ms)[A-Z][a-z]+")),
    ("mrn", re.compile(r"\b(?:mrn|nhs|ssn)\b\D{0,6}\d{3}", re.I)),
    ("label", re.compile(r"^(?:patient )?name *: *[A-Z][a-z]", re.I | re.M)),
    ("street", re.compile(r"\b\d{1,5} [A-Z][a-z]+ (?:St|Street|Rd|Road|Ave|Avenue|Lane|Drive)\b")),
    ("postcode", re.compile(r"\b[A-Z]{1,2}\d{1,2}[A-Z]? \d[A-Z]{2}\b")),
)


def mask(output: str, replaced: Iterable[tuple[int, int]]) -> str:
    """``output`` with every replaced span overwritten, so that tags and surrogates cannot be found again."""
    characters = list(output)
    for start, end in replaced:
        characters[start:end] = MASK * (end - start)
    return "".join(characters)


def second_look(masked: str, known: KnownIdentifiers, canaries: Iterable[str] = ()) -> str | None:
    """A reason code such as ``residue:date`` when something that identifies may be left, else None."""
    for code, pattern in _RULES:
        if pattern.search(masked):
            return f"residue:{code}"
    if next(known.find(masked), None) is not None:
        return "residue:known"
    squashed = "".join(filter(str.isalnum, masked.lower()))
    if any(variant in squashed for variant in known.squashed()):
        return "residue:known"
    if any(canary and canary in squashed for canary in map(squash, canaries)):
        return "residue:canary"
    return None


def squash(value: str) -> str:
    """Lower-case letters and digits of ``value``."""
    return "".join(filter(str.isalnum, value.lower()))
