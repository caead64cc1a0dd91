"""False-positive filters on what the statistical detectors found; cue rules are never filtered.

Keeps the clinical phrase whole ("64 year old man with chest pain for 3 days"): of the model's dates only
those with a month or a numeric date stay, of its names and places those that are an eponym beside its
disease, a drug, a test or a sentence opener go. A title, or a first name, beside the word wins over every
list: "Dr. Parkinson" is found by the title rule, and no filter sees it. Of every name the edges are cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import regex
from presidio_analyzer import RecognizerResult

from intraward_client.deid.dates import MONTH
from intraward_client.deid.lexicon import (
    EPONYMS,
    GRADED,
    HEADED,
    OF_ONE,
    PERSON_AFTER,
    SOUGHT,
    STANDALONE,
    STRONG_HEAD,
    is_inflected,
)
from intraward_client.deid.trim import trimmed
from intraward_client.deid.wordkinds import NAMES, Kind, WordKinds, word_kinds
from intraward_client.deid.wordlists import fold, word_list

_DATED = regex.compile(rf"\b{MONTH}|\d{{1,4}}[/.-]\d{{1,2}}[/.-]\d{{1,4}}")
_WORD = regex.compile(r"\p{L}[\p{L}\p{M}'-]*")
_TITLE_BEFORE = regex.compile(r"\b(?:Drs?|Doctor|Mr|Mrs|Ms|Miss|Prof)\b\.? *$")
_ROMAN = regex.compile(r"[IVX]+[ab]?")
_MEASURE = regex.compile(r"[\d.,]+[ ]?(?:mg|mcg|g|ml|mL|L|mmHg|bpm|%|units?|C|F|kg|cm|mm|mmol|IU)\b")
_REGIONS = word_list("regions") | {
    "u.s",
    "u.s.",
    "usa",
    "uk",
    "us",
    "united states",
    "united kingdom",
    "the united states",
}
"""Safe Harbor lets a state and a country stand."""

_STATISTICAL = frozenset({"SpacyRecognizer"})
_FILTERED = frozenset({"PERSON", "LOCATION", "FACILITY", "DATE_TIME"})


def settle(
    results: Iterable[RecognizerResult], text: str, words: frozenset[str]
) -> Iterator[tuple[int, int, str]]:
    """What of ``results`` stands, as ``(start, end, entity)``; ``words``: the model's English words."""
    kinds = word_kinds(words)
    for result in results:
        if not _stands(result, text, kinds):
            continue
        if result.entity_type == "LOCATION" and fold(text[result.start : result.end]) in _REGIONS:
            continue
        if result.entity_type != "PERSON":
            yield result.start, result.end, result.entity_type
            continue
        cut = trimmed(text, result.start, result.end, kinds)
        if cut is not None and not _names_a_disease(text, *cut):
            yield *cut, "PERSON"


def _names_a_disease(text: str, start: int, end: int) -> bool:
    """A cue before an eponym that its noun follows ("saw Bell's palsy"); a title still wins."""
    word = text[start:end]
    if not all(part in EPONYMS for part in fold(word).split("-")):
        return False
    tail = end - 2 if word.endswith("'s") else end
    return (
        STRONG_HEAD.match(text, tail) is not None
        and _TITLE_BEFORE.search(text, max(0, start - 14), start) is None
    )


def _stands(result: RecognizerResult, text: str, kinds: WordKinds) -> bool:
    """Whether a detection stands."""
    metadata = result.recognition_metadata or {}
    if metadata.get(RecognizerResult.RECOGNIZER_NAME_KEY) not in _STATISTICAL:
        return True
    if result.entity_type not in _FILTERED:
        return True
    span = text[result.start : result.end]
    if result.entity_type == "DATE_TIME":
        return _DATED.search(span) is not None
    return _names_someone(span, text, result.start, kinds)


def _names_someone(span: str, text: str, start: int, kinds: WordKinds) -> bool:
    """Whether a model's PERSON, LOCATION or FACILITY span can be a name at all."""
    tokens = list(_WORD.finditer(span))
    if not tokens or _MEASURE.search(span):
        return False
    capitals = [
        token for token in tokens if token.group()[0].isupper() and not _ROMAN.fullmatch(token.group())
    ]
    if not capitals or (
        len(capitals) == 1 and capitals[0].group().isupper() and len(capitals[0].group()) <= 5
    ):
        return False
    words = [token.group() for token in capitals]
    if all(is_eponym(token.group(), text, start + token.end()) for token in capitals):
        return False
    found = [kinds.of(word) for word in words]
    if any(kind in NAMES or kind is Kind.UNKNOWN for kind in found):
        return True
    if found == [Kind.WORD_GIVEN]:
        return (
            text[max(0, start - 2) : start - 1] in {",", ")"} or text[max(0, start - 2) : start - 1].islower()
        )
    if len(found) > 1 and Kind.CLINICAL not in found:
        return found[0] is Kind.WORD_GIVEN or not any(is_inflected(word, kinds.words) for word in words)
    return False


def is_headed(text: str, end: int) -> bool:
    """Whether a noun that eponyms name, or a grade, follows at ``end``."""
    return any(head.match(text, end) for head in (HEADED, STRONG_HEAD, GRADED))


def is_eponym(token: str, text: str, end: int) -> bool:
    """Whether ``token``, which ends at ``end``, is an eponym beside what it names, or a test or device.

    A cue of a person behind it (a credential, a deed, a relative) wins over every list.
    """
    bare = fold(token)
    tail = end - 2 if token.endswith("'s") else end
    if PERSON_AFTER.match(text, tail):
        return False
    parts = bare.split("-")
    if bare in STANDALONE or (len(parts) > 1 and any(part in STANDALONE for part in parts)):
        return True
    if STRONG_HEAD.match(text, tail) and (len(parts) > 1 or bare not in word_list("given_names")):
        return True
    if not all(part in EPONYMS for part in parts):
        return False
    if HEADED.match(text, tail) or GRADED.match(text, tail):
        return True
    start = end - len(token)
    return any(before.search(text, max(0, start - 24), start) is not None for before in (OF_ONE, SOUGHT))
