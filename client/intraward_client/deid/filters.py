"""False-positive filters on what the statistical detectors found; cue rules are never filtered.

Keeps the clinical phrase whole ("64 year old man with chest pain for 3 days"): of the model's dates only
those with a month or a numeric date stay, of its names and places those that are an eponym beside its
disease, a drug, a test or a sentence opener go. A title, or a first name, beside the word wins over every
list: "Dr. Parkinson" is found by the title rule, and no filter sees it.
"""

from __future__ import annotations

import regex
from presidio_analyzer import RecognizerResult

from intraward_client.deid.dates import MONTH
from intraward_client.deid.lexicon import (
    EPONYMS,
    HEADED,
    POSSESSIVE,
    STANDALONE,
    is_clinical,
    is_inflected,
    is_word,
)

_DATED = regex.compile(rf"\b{MONTH}|\d{{1,4}}[/.-]\d{{1,2}}[/.-]\d{{1,4}}")
_WORD = regex.compile(r"\p{L}[\p{L}\p{M}'-]*")
_MEASURE = regex.compile(r"[\d.,]+[ ]?(?:mg|mcg|g|ml|mL|L|mmHg|bpm|%|units?|C|F|kg|cm|mm|mmol|IU)\b")
_STATISTICAL = frozenset({"SpacyRecognizer", "IntrawardUnknownCapitals"})
_FILTERED = frozenset({"PERSON", "LOCATION", "FACILITY", "DATE_TIME"})


def keep(result: RecognizerResult, text: str, words: frozenset[str]) -> bool:
    """Whether a detection stands. ``words`` is the English word list of the model."""
    metadata = result.recognition_metadata or {}
    if metadata.get(RecognizerResult.RECOGNIZER_NAME_KEY) not in _STATISTICAL:
        return True
    if result.entity_type not in _FILTERED:
        return True
    span = text[result.start : result.end]
    if result.entity_type == "DATE_TIME":
        return _DATED.search(span) is not None
    return _names_someone(span, text, result.end, words)


def _names_someone(span: str, text: str, end: int, words: frozenset[str]) -> bool:
    """Whether a model's PERSON, LOCATION or FACILITY span can be a name at all."""
    tokens = _WORD.findall(span)
    if not tokens or _MEASURE.search(span):
        return False
    capitals = [token for token in tokens if token[0].isupper()]
    if not capitals or (len(capitals) == 1 and capitals[0].isupper() and len(capitals[0]) <= 5):
        return False
    if is_eponym(capitals[-1], text, end) and len(capitals) == 1:
        return False
    if len(capitals) == 1:
        return not (is_clinical(capitals[0]) or is_inflected(capitals[0], words))
    if all(is_clinical(token) or token.lower() in STANDALONE for token in capitals):
        return False
    common = all(is_word(token, words) for token in capitals)
    return not (common and any(is_clinical(token) or is_inflected(token, words) for token in capitals))


def is_eponym(token: str, text: str, end: int) -> bool:
    """Whether ``token``, which ends at ``end``, is an eponym beside what it names, or a test or device."""
    bare = token.lower().removesuffix("'s").removesuffix("'")
    if bare in STANDALONE:
        return True
    parts = bare.split("-")
    if not all(part in EPONYMS for part in parts):
        return False
    tail_from = end - 2 if token.endswith("'s") else end
    return bool(HEADED.match(text, tail_from) or POSSESSIVE.match(text, tail_from))
