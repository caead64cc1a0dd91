"""The second look: the output is searched again, by rules that share nothing with the first pack.

Keeps rule 2 of DESIGN.md ("any doubt quarantines"). Plain ``re`` where the first pack uses ``regex``, coarse
where it is fine, written from the shape of what leaks rather than from the words around it, and run over
the output with the replacements masked; then the known identifiers again (``deid.echoes``), runs of digits,
and the site's canaries (invented patients whose appearance anywhere is an alarm). A test holds that no
expression is shared. A finding is a reason code, never text.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from intraward_client.deid.echoes import Echoes, Hit, fold

MASK = "\u25a1"
PREFIX = "residue:"
FIRM = frozenset({"known", "canary"})
"""Codes that no reviewer may let through as they are: the header or a planted patient says who it is."""
_UNIT = r"\s*(?:mg|mcg|g|kg|ml|l|units?|iu|cells?|copies|/|%|x10|steps|bpm|mmhg)"
_DOSED = r"\s*(?:mg|mcg|ml|units|scoops|kg|mmhg|bpm)\b"
_COUNTED = r"(?<!latelets )(?<!plt )(?<!WBC )(?<!RNA )(?<!DNA )(?<!load )(?<!counts )(?<!count )(?<!\brs)(?<![NX][CGMPRTW]_)"
"""What a run of digits is no identifier behind: a count, or a variant of a gene (``rs1799963``)."""
_PUBLIC = r"(?!(?i:rs)\d+\b|NCT\d{8}\b|G\d{1,2}P\d[\d-]{3,}(?!\d)|(?:CYP|HLA)\w)"
"""Codes of nobody: a variant, a registered trial, gravidity and parity, a gene."""
_M = r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|octo?(?:ber)?|nov(?:ember)?|dec(?:ember)?)"
RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("at-sign", re.compile(r"\S@\S")),
    ("ssn", re.compile(r"(?<!\d)[\dxX*]{3}([ -])[\dxX*]{2}\1\d{4}(?!\d)")),
    ("digits", re.compile(rf"(?<![\d.,]){_COUNTED}(?!\d*0000\b)\d{{6,}}(?!\d)(?!{_UNIT})", re.I)),
    (
        "digits",
        re.compile(
            rf"(?<![\d/-])(?:\d{{3,4}}[ -]\d{{2,4}}[ -]\d{{2,6}}|\d{{2}}-\d{{2}}-\d{{2,6}})(?![\d/-])(?!{_DOSED})",
            re.I,
        ),
    ),
    (
        "code",
        re.compile(rf"(?<![\w-]){_PUBLIC}(?=[\w-]*[A-Za-z])(?=(?:[\w-]*\d){{5}})[A-Za-z0-9-]{{6,}}(?![\w-])"),
    ),
    (
        "phone",
        re.compile(r"\(\d{3,5}\)\s?\d{3}|(?<!\d)\d{3}[-.]\d{4}(?!\d)|\+\d{1,3}[ \d-]{7}|\b0\d{4} ?\d{3}"),
    ),
    ("web", re.compile(r"://|\bwww\b|\w\.(?:org|com|edu|net|nhs|gov|co\.[a-z]{2})\b", re.I)),
    (
        "network",
        re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?!\d|\.\d)|\b(?:[0-9a-f]{1,4}:){2}[0-9a-f:]{3,}\b"),
    ),
    (
        "date",
        re.compile(
            rf"(?<![\d/.])(?<!\d-)\d{{1,4}}([/.-])\d{{1,2}}\1\d{{2,4}}(?![\d/]|-\d)(?!{_DOSED})", re.I
        ),
    ),
    ("date", re.compile(rf"\b(?=[A-Z]){_M}\.?\s+(?:\d{{1,2}}(?:[a-z]{{2}})?,?\s+)?(?:19|20)\d\d\b", re.I)),
    ("date", re.compile(rf"\b\d{{1,2}}(?:[a-z]{{2}})?[ -](?!may\b)(?:of )?{_M}\b(?!\s*(?:mg|ml))", re.I)),
    ("age", re.compile(r"\b(?:9\d|1[0-2]\d)[\s-]*(?:years?|yrs?|y)[\s/-]*(?:old|o\b|of age)", re.I)),
    (
        "age",
        re.compile(
            r"\bborn\W+(?:in\W+)?(?:18\d\d|19[0-2]\d|193[0-6])\b|\b(?:aged|died at) (?:9\d|1[0-2]\d)\b", re.I
        ),
    ),
    (
        "title",
        re.compile(
            r"\b(?:D[Rr]|M[Rr]s?|M[Ss]|P[Rr][Oo][Ff])\b\.?[ ]+(?!(?<=\bMR )(?:Imaging|[A-Z][a-z]*(?:graphy|scopy|ogram))\b|(?<=\bMS )Contin\b|(?<=\bDR )Congo\b)[A-Z][a-z]{2,}"
        ),
    ),
    ("spelled", re.compile(r"(?<!\S)(?:[A-Za-z] {1,2}){4,}[A-Za-z](?!\S)|(?<!\S)(?:\d[ -]){6,}\d(?![\w])")),
    (
        "spelled",
        re.compile(
            r"\b(?:(?:nine|eight|seven|six|five|four|three|two|one|oh|zero|double)(?:\W{1,3}|$)){7,}", re.I
        ),
    ),
    ("label", re.compile(r"\b(?:mrn|nhs|ssn|dob)\b\W{0,4}(?:no|number|id)?\W{0,4}\d{3}", re.I)),
    (
        "label",
        re.compile(r"^\s*(?i:patient|name|pt|surname|next of kin)\s*[:=]\s*[A-Z][a-z]+ [A-Z][a-z]+", re.M),
    ),
    (
        "cue",
        re.compile(
            r"\b(?:pager?|bleep|zip|room|rm|ward|log-?in|username)\b\W{1,2}(?!\d{1,2}(?:h|hr|hrs|x|l)\b)(?=\w*\d)\w{2,}\b",
            re.I,
        ),
    ),
    (
        "street",
        re.compile(r"\b\d{1,5}\s(?:[A-Z][a-z]+\s){1,3}(?:St|Str|Rd|Ave?|Ln|Dr|Blvd|Street|Road|Lane)\b"),
    ),
    (
        "place",
        re.compile(
            r"\b(?:St\.?|[A-Z][a-z]{3,}) (?:[A-Z][a-z]+ )?(?:Hospice|Infirmary|Medical Cent(?:er|re))\b"
        ),
    ),
    ("postcode", re.compile(r"\b[A-Z]{1,2}\d{1,2}[A-Z]?\s\d[A-Z]{2}\b|\b[A-Z]{2}\s\d{5}\b")),
)
"""(code, expression); applied to the output with what was replaced masked."""


def mask(output: str, replaced: Iterable[tuple[int, int]]) -> str:
    """``output`` with every replaced span overwritten, so that tags and surrogates cannot be found again."""
    characters = list(output)
    for start, end in replaced:
        characters[start:end] = MASK * (end - start)
    return "".join(characters)


def findings(
    output: str, replaced: Sequence[tuple[int, int]], echoes: Echoes, canaries: Sequence[str] = ()
) -> Iterator[Hit]:
    """Everything in ``output`` that may identify: ``(start, end, code)``, rules first.

    Args:
        output: text after replacement.
        replaced: spans in ``output`` that were put there.
        echoes: the patient's known identifiers.
        canaries: identifiers of the site's planted patients; found in what was put there, too.
    """
    masked = mask(output, replaced)
    for code, pattern in RULES:
        for match in pattern.finditer(masked):
            yield match.start(), match.end(), code
    yield from echoes.find(masked)
    if canaries:
        folded = (fold(output), fold(masked))
        if any(mark in text for mark in filter(None, map(fold, canaries)) for text in folded):
            yield 0, len(output), "canary"
