"""False-positive filters on what the statistical detectors found; cue rules are never filtered.

Keeps the clinical phrase whole ("64 year old man with chest pain for 3 days"): of the model's dates only
those with a month or a numeric date stay, of its names and places those that are an eponym beside its
disease, a drug, a test or a sentence opener go. A title, or a first name, beside the word wins over every
list: "Dr. Parkinson" is found by the title rule, and no filter sees it. Of every name the edges are cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import regex

from intraward_client.deid.clinicalcodes import is_clinical_code, is_known
from intraward_client.deid.dates import MONTH
from intraward_client.deid.eponyms import (
    ARTICLED,
    BESIDE_UNKNOWN,
    EPONYMS,
    GRADED,
    HEADED,
    NOBODY,
    OF_ONE,
    PERSON_AFTER,
    SCORED,
    SOUGHT,
    STAGED,
    STANDALONE,
    STRONG_HEAD,
    TITLED,
    is_coupled,
    is_topical,
    phrase_around,
)
from intraward_client.deid.lexicon import is_drug, is_inflected
from intraward_client.deid.libraries import RecognizerResult
from intraward_client.deid.trim import trimmed
from intraward_client.deid.wordkinds import MAYBE, NAMES, Kind, WordKinds, word_kinds
from intraward_client.deid.wordlists import fold, word_list

_DATED = regex.compile(rf"\b{MONTH}|\d{{1,4}}[/.-]\d{{1,2}}[/.-]\d{{1,4}}")
_WORD = regex.compile(r"\p{L}[\p{L}\p{M}'-]*")
_ROMAN = regex.compile(r"[IVX]+(?:[a-gsA-C]|(?<=II)F)?")
_GRADE = regex.compile(r" [IVX]+(?:[a-gsA-C]|(?<=II)F)?$")
_CALLED = regex.compile(r" (?:syndrome|classification|criteria|phenomenon|man(?:oeu|eu)ver|manoeuvre)\b")
_FORENAMED = regex.compile(r"\p{Lu}[\p{L}'-]*\.? $")
_MEASURE = regex.compile(r"[\d.,]+[ ]?(?:mg|mcg|g|ml|mL|L|mmHg|bpm|%|units?|C|F|kg|cm|mm|mmol|IU)\b")
_MORE_REGIONS = (
    "saudi arabia;south africa;south korea;north korea;sri lanka;new zealand;costa rica;"
    "el salvador;sierra leone;burkina faso;ivory coast;puerto rico;dominican republic;"
    "czech republic;papua new guinea;new york state;new jersey;new mexico;new hampshire;"
    "north carolina;south carolina;north dakota;south dakota;west virginia;rhode island;"
    "british columbia;nova scotia;new brunswick;south sudan;equatorial guinea;guinea-bissau;"
    "united arab emirates;north macedonia;northern ireland;laos;cambodia;malaysia;mongolia;nepal;"
    "bangladesh;algeria;angola;benin;botswana;burundi;cameroon;chad;eritrea;gabon;gambia;"
    "guinea;malawi;mali;mauritania;mauritius;mozambique;namibia;senegal;togo;guatemala;"
    "honduras;nicaragua;croatia;albania;belarus;moldova;lithuania;luxembourg;serbia;bosnia;"
    "kosovo;bahrain;afghanistan;kazakhstan;uzbekistan;bhutan;ontario;quebec;alberta;manitoba;"
    "saskatchewan;queensland;tasmania;south-east asia;southeast asia"
)
"""Of more than one word, or also a first name."""
_REGIONS = word_list("regions") | {
    "u.s",
    "u.s.",
    "usa",
    "uk",
    "us",
    "united states",
    "united kingdom",
    "the united states",
    *_MORE_REGIONS.split(";"),
}
"""Safe Harbor lets a state and a country stand."""

_STATISTICAL = frozenset({"SpacyRecognizer"})
_BETWEEN = regex.compile(r",? and | or |, ?|/| & ")
_LISTS = "IntrawardCapitals"
_NAMING = frozenset({"PERSON", "LOCATION", "FACILITY"})
_STAY = regex.compile(
    r"(?:Hospital|Clinic|Clinical|Ward|Unit) (?:Course|Day|Stay|Admission|Summary|Visit|Round|Note)s?"
)
"""Headings of a note that begin as a facility does."""
_HEADING = frozenset(["hospital", "hospitals", "clinic", "infirmary", "hospice", "center", "centre"])
_POSTOPERATIVE = regex.compile(r"(?:POD|HD|HOD|DOL) ?#?\d{1,3}|(?<!\b(?:in|to|on|from) )pod ?#?\d{1,3}")
_SENTENCE_ENDS = frozenset({"", ".", "!", "?", ";", "\n", "*", ">", "|"})
_PROSE = regex.compile(r" (?!(?:and|de|van|von|del|da)\b)\p{Ll}+[ ,.]|,? \d")
_BARE_MAY = regex.compile(r"(?:May|March)$")
_FILTERED = frozenset({"PERSON", "LOCATION", "FACILITY", "DATE_TIME"})


def settle(
    results: Iterable[RecognizerResult], text: str, words: frozenset[str]
) -> Iterator[tuple[int, int, str]]:
    """What of ``results`` stands, as ``(start, end, entity)``; ``words``: the model's English words."""
    kinds = word_kinds(words)
    for result in results:
        if not _stands(result, text, kinds):
            continue
        start, end, entity = result.start, result.end, result.entity_type
        if entity in {"LOCATION", "FACILITY"} and _is_region(text[start:end]):
            continue
        if entity == "ROOM" and _POSTOPERATIVE.fullmatch(text, start, end):
            continue
        if entity in {"ROOM", "LOCATION"} and _is_drug(text[start:end]):
            continue
        if entity == "LOCATION" and text[start:end].isalpha() and kinds.of(text[start:end]) is Kind.CLINICAL:
            continue
        if entity not in _NAMING and _is_measured(text, start, end, entity):
            continue
        if entity in _NAMING and _names_a_thing(text, start, end, kinds, _found_by(result)):
            continue
        if entity != "PERSON":
            yield start, end, entity
            continue
        cut = trimmed(text, start, end, kinds)
        if cut is not None and not _is_opening(text, *cut, kinds):
            yield *cut, "PERSON"


_ABBREVIATED = regex.compile(r"([\p{Lu}\p{Ll}]{2,6}) (\S+)")
_NUMBERED = frozenset({"MRN", "SSN", "ACCOUNT", "DEVICE", "OTHER_ID", "LICENSE", "HEALTH_PLAN"})
_RATIO = regex.compile(r"\d{1,2}/\d{1,2}")
_RATED = regex.compile(
    r"(?:(?i:\b(?:bite|teeth|tooth|crowns?|incisors?|fillings?|caries|implants?)[ ](?:on |of |at )?)"
    r"|(\p{L}[\p{L}'-]+) )$"
)
_DIOPTERS = regex.compile(r" [+-]?\d{1,2}(?:\.\d{1,2})? ?D\b")
_DOSED = regex.compile(r"(\p{L}[\p{L}-]{3,}) \d{1,3}(?:\.\d+)?")
_SIGNS = regex.compile(r"\d{1,3}, (?:QTc?|PR|QRS|HR|BP|RR|SpO2|sats?|temp|Na|K|Cr|Hgb|Hb|WBC)\b")


def _is_measured(text: str, start: int, end: int, entity: str) -> bool:
    """Whether a number or a place is a measure: a test's value, a score, a lens, a dose, vital signs."""
    span = text[start:end]
    test = _ABBREVIATED.fullmatch(span)
    numbered = entity in _NUMBERED
    if (
        numbered
        and test is not None
        and is_known(test[1])
        and (is_clinical_code(test[2]) or _VALUE.fullmatch(test[2]))
    ):
        return True
    if _RATIO.fullmatch(span):
        rated = _RATED.search(text, max(0, start - 24), start)
        word = "" if rated is None else fold(rated.group(1) or "")
        halves = span.split("/")
        passed = word == "passed" and halves[0] == halves[1]
        return rated is not None and (rated.group(1) is None or passed or word in EPONYMS)
    dosed = _DOSED.fullmatch(span)
    if dosed is not None and is_drug(dosed[1]):
        return True
    return _DIOPTERS.match(text, end) is not None or _SIGNS.match(span) is not None


_VALUE = regex.compile(r"[<>]?\d{1,3}(?:\.\d{1,2})?(?:[-/]\d{1,3}(?:\.\d{1,2})?){0,2}")


def _found_by(result: RecognizerResult) -> str:
    return str((result.recognition_metadata or {}).get(RecognizerResult.RECOGNIZER_NAME_KEY))


def _is_drug(span: str) -> bool:
    """Whether a place is a drug or a device, or one with its dose ("Lasix 40", "Humira")."""
    word, _, rest = span.partition(" ")
    return fold(word) in word_list("brands") and not any(map(str.isalpha, rest))


def _is_region(span: str) -> bool:
    """Whether a place is one or more countries and states and nothing else."""
    return all(fold(part) in _REGIONS for part in _BETWEEN.split(span))


def _names_a_thing(text: str, start: int, end: int, kinds: WordKinds, by: str) -> bool:
    """Whether a span is an eponym beside its noun, or a phrase of them; a title or a first name still wins.

    What a cue rule found must be the phrase whole, or an eponym with a sure noun behind it; what the lists
    found (``capitals``) was asked there.
    """
    span = text[start:end]
    phrase = phrase_around(text, start, end)
    if phrase is not None:
        return phrase < start or _untitled(text, start, end, span.lower() in NOBODY)
    if _STAY.fullmatch(span) or _is_heading(text, start, end, kinds):
        return True
    if span.isupper() and fold(span) in word_list("abbreviations"):
        return _untitled(text, start, end)
    if by == _LISTS and _GRADE.search(span) is None:
        return False
    tokens = [
        token
        for token in _WORD.finditer(text, start, end)
        if (
            not _ROMAN.fullmatch(token.group())
            and len(token.group()) > 1
            and kinds.of(token.group()) not in {Kind.WORD, Kind.CLINICAL}
        )
        or fold(token.group()) in EPONYMS
    ]
    if not tokens or (kinds.of(tokens[0].group()) is Kind.GIVEN and len(tokens) > 1):
        return False
    if not _untitled(text, tokens[0].start(), tokens[-1].end()):
        return False
    if by not in _STATISTICAL and by != _LISTS:
        last = tokens[-1]
        word = fold(last.group())
        sure = all(part in EPONYMS for part in word.split("-")) or kinds.of(last.group()) is Kind.UNKNOWN
        tail = last.end() - 2 if last.group().endswith("'s") else last.end()
        headed = STRONG_HEAD.match(text, tail) or (word in STANDALONE and HEADED.match(text, tail))
        return len(tokens) == 1 and sure and bool(headed)
    return all(is_eponym(token.group(), text, token.end()) for token in tokens)


def _is_heading(text: str, start: int, end: int, kinds: WordKinds) -> bool:
    """Whether a place is a heading of plain words ("Home Environment:")."""
    words = [word.group() for word in _WORD.finditer(text, start, end)]
    return (
        text[end : end + 1] == ":"
        and text[max(0, start - 1) : start] in {"", "\n"}
        and len(words) > 1
        and words[-1].lower() not in _HEADING
        and all(kinds.of(word) in {Kind.WORD, Kind.CLINICAL} for word in words)
    )


def _untitled(text: str, start: int, end: int, nobody: bool = False) -> bool:
    """Whether no cue of a person stands before; kin with a disease is none ("Father: Wilson disease")."""
    cue = TITLED.search(text, max(0, start - 24), start)
    if cue is None:
        return True
    tail = end - 2 if text[end - 2 : end] == "'s" else end
    return cue["title"] is None and (nobody or STRONG_HEAD.match(text, tail) is not None)


def _is_opening(text: str, start: int, end: int, kinds: WordKinds) -> bool:
    """Whether an English word that opens a sentence, or the text behind a label, was taken for a name."""
    word = text[start:end]
    if kinds.of(word) not in {Kind.WORD, Kind.WORD_FAMILY} or not word.isalpha() or word.isupper():
        return False
    before = text[max(0, start - 3) : start].rstrip(" ")[-1:]
    if before in _SENTENCE_ENDS:
        return kinds.of(word) is Kind.WORD and _untitled(text, start, end) and text[end : end + 1] != ","
    return before == ":" and _PROSE.match(text, end) is not None


def _stands(result: RecognizerResult, text: str, kinds: WordKinds) -> bool:
    """Whether a detection stands."""
    metadata = result.recognition_metadata or {}
    if metadata.get(RecognizerResult.RECOGNIZER_NAME_KEY) not in _STATISTICAL:
        return True
    if result.entity_type not in _FILTERED:
        return True
    span = text[result.start : result.end]
    if result.entity_type == "DATE_TIME":
        if _BARE_MAY.match(span) and text[result.end : result.end + 2].strip().islower():
            return False
        return _DATED.search(span) is not None
    return _names_someone(span, text, result.start, kinds)


def _names_someone(span: str, text: str, start: int, kinds: WordKinds) -> bool:
    """Whether a model's PERSON, LOCATION or FACILITY span can be a name at all."""
    tokens = [token for token in _WORD.finditer(span) if not _beside_digit(text, start, token)]
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
    if len(found) > 1 and Kind.CLINICAL not in found and not MAYBE.isdisjoint(found):
        return found[0] is Kind.WORD_GIVEN or not any(is_inflected(word, kinds.words) for word in words)
    return False


def _beside_digit(text: str, start: int, token: regex.Match[str]) -> bool:
    """Whether a word is part of a code ("G2P1", "C2M4")."""
    left, right = start + token.start(), start + token.end()
    return text[max(0, left - 1) : left].isdigit() or text[right : right + 1].isdigit()


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
    start = end - len(token)
    if not _untitled(text, start, end):
        return False
    parts = bare.split("-")
    if bare in STANDALONE or (len(parts) > 1 and any(part in STANDALONE for part in parts)):
        return True
    if phrase_around(text, start, end) is not None:
        return True
    given = bare in word_list("given_names")
    if not given and (STRONG_HEAD.match(text, tail) or SCORED.match(text, tail)):
        return True
    if len(parts) > 1 and (STRONG_HEAD.match(text, tail) or BESIDE_UNKNOWN.match(text, tail)):
        return True
    if not given and bare not in word_list("family_names") and BESIDE_UNKNOWN.match(text, tail):
        return True
    if (STAGED.match(text, tail) or _CALLED.match(text, tail)) and not _FORENAMED.search(
        text, max(0, start - 24), start
    ):
        return True
    if is_topical(text, start, tail):
        return True
    if not all(part in EPONYMS for part in parts):
        return False
    if HEADED.match(text, tail) or GRADED.match(text, tail) or is_coupled(text, start, tail):
        return True
    return any(
        before.search(text, max(0, start - 24), start) is not None for before in (OF_ONE, SOUGHT, ARTICLED)
    )
