"""Checks before detection: text whose encoding, length or language the detectors cannot be trusted with.

Keeps rule 2 of DESIGN.md. A look-alike letter or a digit of another script walks past every pattern, so
such a note is quarantined, not repaired. Harmless variants (no-break spaces, typographic quotes and
dashes, invisible joiners) are normalised first.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

import unicodedata

import regex

from intraward_client.deid.lexicon import is_word, listed
from intraward_client.deid.libraries import STOP_WORDS
from intraward_client.deid.markup import read_through

_PLAIN = str.maketrans(
    {
        **dict.fromkeys("\u00a0\u202f\u2009\u2007", " "),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014", "-"),
        **dict.fromkeys("\u2018\u2019", "'"),
        **dict.fromkeys("\u201c\u201d", '"'),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff\u00ad", ""),
    }
)
_MOJIBAKE = regex.compile(r"\u00c3[\u0080-\u00bf]|\u00e2\u0080|\u00e2\u20ac|\ufffd|\u00c2[\u00a0-\u00bf]")
_ODD = regex.compile(
    r"[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Nd}--\n0-9]",
    regex.VERSION1,
)
"""Control characters, unassigned or private code points, lone surrogates, digits of another script."""
_MIXED = regex.compile(r"(?=\w*\p{Latin})(?=\w*[\p{Cyrillic}\p{Greek}])\w*[\p{Cyrillic}\p{Greek}]\w*")
_GREEK_UNIT = regex.compile(r"[\u03bc\u00b5\u03b1-\u03c9\u0391-\u03a9]")
_MARKUP = regex.compile(
    r"</?(?:html|head|body|script|style|img|iframe|object|embed|svg|form|input|meta|link|base|title|a)\b[^<>]*>|<!|<\?xml"
    r"|<\p{L}+\d?\s[^<>]*[=\"'][^<>]*>|(?i:data:[a-z/+.-]{3,30};base64)|[A-Za-z0-9+/]{120,}"
    r"|&(?!lt;|gt;)(?:[a-z]{2,8}|#\d{1,6}|#x[0-9a-f]{1,5});|\{\\rtf",
    regex.IGNORECASE,
)
"""What ``markup`` leaves: scripts, links, pictures, comments, values of attributes, entities nobody knows, RTF."""
_FOREIGN = listed(
    """los las una unos unas por para pero como está fue según muy más sobre desde hasta niega refiere
    paciente años dolor les une dans avec pour sur pas qui nous sont chez depuis était douleur und nicht mit
    wegen eine einen einer wird wurde beim seit sich auch gli della delle nella questo è sono dolore uma não
    dos das foi são com há dor"""
)
"""Common words of Spanish, French, German, Italian and Portuguese, neither English nor particles of names."""
_FEW_FOREIGN = 3
_OTHER_SCRIPT = regex.compile(r"[\p{L}'-]*[\p{L}--\p{Latin}][\p{L}'-]*", regex.VERSION1)
_WORD = regex.compile(r"\p{L}[\p{L}'-]+")
_LANGUAGE_FROM = 15
_ENGLISH_SHARE = 0.4


def normalise(text: str) -> str:
    """Plain tags and entities read, NFC, plain spaces, quotes and dashes, no invisible joiners, ``\\n`` ends."""
    plain = unicodedata.normalize("NFC", read_through(text)).translate(_PLAIN)
    return plain.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    ")


def reason_to_refuse(text: str, max_chars: int, words: frozenset[str]) -> str | None:
    """Why a normalised text cannot be judged: ``too-long``, ``encoding``, ``markup``, ``language``; or None.

    Markup hides names in attributes and comments; what ``markup`` could not read through is refused.
    """
    if len(text) > max_chars:
        return "too-long"
    if _ODD.search(text) or _MOJIBAKE.search(text):
        return "encoding"
    if any(not _GREEK_UNIT.search(match.group()) for match in _MIXED.finditer(text)):
        return "encoding"
    if _MARKUP.search(text):
        return "markup"
    found = _WORD.findall(text)
    if any(len(match.group()) > 2 for match in _OTHER_SCRIPT.finditer(text)):
        return "language"
    lowered = [word for word in found if word.islower()]
    foreign = sum(word in _FOREIGN for word in lowered)
    if foreign >= _FEW_FOREIGN and foreign > sum(word in STOP_WORDS for word in lowered):
        return "language"
    if len(lowered) >= _LANGUAGE_FROM:
        share = sum(is_word(word, words) for word in lowered) / len(lowered)
        if share < _ENGLISH_SHARE:
            return "language"
    return None
