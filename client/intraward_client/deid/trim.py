"""Where a found name begins and ends: titles, labels, credentials and words of the clinic cut off its edges.

A cue rule takes up to four capitalised words, the model whatever it likes ("Heike Schneider\\nDOB"). Cut are
words of the clinic, titles and credentials at either edge, regular inflections behind a name ("Karthik
Vaccines"), and everything behind a line end. A span of which nothing is left was no name, unless a title
stands before it.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

import regex

from intraward_client.deid.deeds import is_abbreviated_name
from intraward_client.deid.lexicon import is_inflected, listed
from intraward_client.deid.wordkinds import MAYBE, Kind, WordKinds
from intraward_client.deid.wordlists import fold, word_list

_WORD = regex.compile(r"\p{L}[\p{L}\p{M}]*(?:['-]\p{L}[\p{L}\p{M}]*)*")
_TITLED = regex.compile(
    r"\b(?:Drs?|Doctor|Mr|Mrs|Ms|Miss|Mx|Prof|Professor|Sister|Nurse|Rev|Father|DR|MR|MRS|MS)\b\.? *$"
)
_EDGE = listed(
    """dr drs doctor mr mrs ms miss mx prof professor gp pcp md do rn np pa phd mbbs lcsw dpt pharmd crna lpn pa-c facs frcs mrcp
    patient pt client resident name re dear att attending consultant consult physician therapist surgeon nurse practitioner
    vehicle photo prior lungs tel telephone vin dob mrn ssn nhs sex age enc loc acct phone fax email pager ext id signed
    dictated transcribed reviewed provider hospital clinic ward unit room bed today yesterday status lives from to cc and with
    fyi hello hi hey saw wrote called page paged please thanks thank sincerely regards"""
)
_DAYS = listed("Thu Sun Mon May Mai Jan April June August")
"""Days and months that are names too, where a name follows."""
_ARTICLES = listed("do da de du von van ter ten Ter Ten Van Von De Den Der La Le El Al Bin Ibn Pa")
"""Printed with a capital they belong to the name behind them."""
_PRONOUNS = listed("i you he she it we they that there who what let here")


def trimmed(text: str, start: int, end: int, kinds: WordKinds) -> tuple[int, int] | None:
    """``text[start:end]`` cut to the name it holds; None when it holds none."""
    if "\n" in text[start:end].strip():
        end = start + text[start:end].index("\n")
    tokens = list(_WORD.finditer(text, start, end))
    if tokens and is_abbreviated_name(text, *tokens[-1].span()):
        return tokens[0].start(), tokens[-1].end()
    titled = _TITLED.search(text, max(0, start - 14), start) is not None
    while (
        tokens
        and _is_edge(tokens[0].group(), kinds)
        and not (
            len(tokens) > 1
            and (tokens[0].group() in _DAYS or text[tokens[0].end()] == ",")
            and (kinds.is_name(tokens[1].group()) or kinds.of(tokens[1].group()) in MAYBE)
        )
        and not (titled and tokens[0].group().lower() not in _EDGE)
    ):
        tokens.pop(0)
    while len(tokens) > 1 and (_is_edge(tokens[-1].group(), kinds) or _is_tail(text, tokens[-1], kinds)):
        tokens.pop()
    if len(tokens) == 1 and not titled and _is_acronym(tokens[0].group(), kinds):
        return None
    if not tokens:
        return (start, end) if titled else None
    return tokens[0].start(), _closing(text, tokens[-1].end(), end)


def _is_edge(token: str, kinds: WordKinds) -> bool:
    if len(token) == 1 or token in _ARTICLES:
        return False
    lowered = token.lower()
    return lowered in _EDGE or lowered.split("'")[0] in _PRONOUNS or kinds.of(token) is Kind.CLINICAL


def _is_acronym(token: str, kinds: WordKinds) -> bool:
    return token.isupper() and len(token) <= 5 and kinds.of(token) in {Kind.WORD, Kind.UNKNOWN}


def _is_tail(text: str, word: regex.Match[str], kinds: WordKinds) -> bool:
    """A word that only follows a name: an inflected verb or noun that is no family name, and ends no phrase."""
    token = word.group()
    return (
        kinds.of(token) is Kind.WORD
        and text[word.end() : word.end() + 1] not in {",", ")", ";", "|", "\n"}
        and is_inflected(token, kinds.words)
        and fold(token) not in word_list("family_words")
    )


def _closing(text: str, position: int, end: int) -> int:
    """Past the full stop of an initial or a suffix."""
    if position < end and text[position] == "." and text[position - 2 : position - 1] in {" ", "."}:
        return position + 1
    return position
