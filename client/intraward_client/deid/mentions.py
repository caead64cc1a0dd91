"""Names found once are found everywhere in the note.

A name that a cue gave away ("Dr. Foley", "his wife Rose") stands bare elsewhere ("Foley agreed"). Every
part of a found name is searched again with a capital; a part that is an English word only where a cue
makes it a name, an eponym only where it does not stand beside the thing it names.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

import re
from collections.abc import Sequence

import regex

from intraward_client.deid.filters import is_eponym
from intraward_client.deid.wordkinds import MAYBE, NAMES, Kind, WordKinds

Span = tuple[int, int, str]
_PART = regex.compile(r"\p{L}[\p{L}\p{M}']+(?:-\p{L}[\p{L}\p{M}']+)*")
_COUPLED_LEFT = regex.compile(r"(\p{Lu}\p{Ll}[\p{L}'-]+)(?: and | & |/)$")
_COUPLED_RIGHT = regex.compile(r"(?: and | & )(\p{Lu}\p{Ll}[\p{L}'-]+)(?!\p{L})")
_BESIDE_PERSON = regex.compile(
    r"(?:'s|s')?(?: (?:said|says|reports?|reported|states?|stated|denies|agreed|agrees|asked|asks|called|calls|wants|"
    r"is|was|has|had|will|lives|missed|tolerated|feels|felt|came|presented)\b|'s\b)"
)


def other_mentions(text: str, spans: Sequence[Span], kinds: WordKinds) -> list[Span]:
    """Further mentions in ``text`` of the names among ``spans``."""
    parts: dict[str, bool] = {}
    for start, end, kind in spans:
        if kind != "NAME":
            continue
        for token in _PART.findall(text[start:end]):
            for part in {token, *token.split("-")}:
                if len(part) > 2 and part[0].isupper():
                    found = kinds.of(part)
                    if found in NAMES or found is Kind.UNKNOWN or "-" in part:
                        parts[part] = True
                    elif found in MAYBE:
                        parts.setdefault(part, False)
    if not parts:
        return []
    forms = {form: sure for part, sure in parts.items() for form in (part, part.upper(), part.capitalize())}
    longest_first = "|".join(map(re.escape, sorted(forms, key=len, reverse=True)))
    pattern = re.compile(
        rf"(?<![^\W\d_])(?:{longest_first})(?![^\W\d_])"
    )  # a fifth of regex's time to compile
    found_spans: list[Span] = []
    for match in pattern.finditer(text):
        if not forms[match.group()] and not _BESIDE_PERSON.match(text, match.end()):
            continue
        if not is_eponym(match.group(), text, match.end()):
            found_spans.append((match.start(), match.end(), "NAME"))
    return found_spans + _coupled(text, [*spans, *found_spans], kinds)


def _coupled(text: str, spans: Sequence[Span], kinds: WordKinds) -> list[Span]:
    """ "Brown and Qureshi": the word on the other side of "and", when it can be a name."""
    coupled: list[Span] = []
    for start, end, kind in spans:
        if kind != "NAME":
            continue
        before, after = _COUPLED_LEFT.search(text, max(0, start - 30), start), _COUPLED_RIGHT.match(text, end)
        for match in (before, after):
            if match and kinds.of(match.group(1)) in MAYBE | NAMES | {Kind.UNKNOWN}:
                coupled.append((match.start(1), match.end(1), "NAME"))
    return coupled
