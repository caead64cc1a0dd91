"""Whether a single word stands where a person is named, whatever the lists say of it.

"Any update for Hashimoto?", "Rajaratnam 72M with COPD", "CRNA Haldane placed the line": an eponym or a word
nobody knows is a person there, "workup for Hashimoto" is not. Read by ``capitals`` before its eponyms; drugs
and words of the clinic never come here.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

import regex

from intraward_client.deid.eponyms import EPONYMS
from intraward_client.deid.lexicon import listed
from intraward_client.deid.wordkinds import MAYBE, NAMES, Kind
from intraward_client.deid.wordlists import fold

_ERRAND = regex.compile(
    r"(?i)(?:(?:update|news|word|refills?|scripts?|rx|orders?|labs?|results?|appt|appointment|note|message|msg|letter|meds|bed|"
    r"records?|form|referral|prescription|consent|transport|paperwork|ride|chart|vitals|hgb|bp|k) (?:for|on|of|from|re|to)|"
    r"\bwrong (?:pt|patient)[.:,]|(?:^|[.?!]\s)for) $"
)
"""An errand that is done for a person; what ends the phrase behind the word decides with it."""
_END = regex.compile(
    r"'?s?[ ]?(?:[?!.,;:)]|$)|'?s? (?:is|was|to|by|before|in|from|today|tomorrow|please|pls|sent|attached|back)\b"
)
_ROLE = regex.compile(
    r"(?<![\p{L}/])(?:SW|NP|RN|LPN|LVN|CRNA|PharmD|SLP|RT|PT|OT|CNA|CM|MA|PA|NPs?|d/w|D/W|s/w|S/W|w/|cc|fwd|[Ee]-?signed(?: by)?|"
    r"[Ss]cribed? by|[Ss]een w/?|[Pp]er|[Bb]ed \w{1,4}:?|[Rr]oom \w{1,4}:?) $"
)
"""A role, a bed or a sign-off before the word."""
_BY = regex.compile(
    r"(?i)(?<!\p{L})(?:by|for|to|with|from|and|of|about|on|at|see|saw|extubate|intubate|discharge|transfer|admit|consent|consult|call|page|text|"
    r"ask|tell|examine|wean|sedate|move|cc|d/w|is|did|does|thinks) $"
)
_STOPS = regex.compile(r"'?s? ?(?:[?!;)]|[.,:](?!\d)|\Z)")
_BEDDED = regex.compile(
    r"(?i) in (?:the )?(?:bed|bay|room|rm|suite|cubicle|cube|pod|chair|trolley|slot|bassinet|isolette|unit|stretcher|hallway) ?#?\p{L}{0,2}-?\d"
)
"""A place of the ward with its number, behind the word for who lies there."""
_MOVED = regex.compile(
    r"(?i)(?: \p{Lu}[\p{L}'-]+)? (?:from|to|into|out of|over to) (?:the )?(?:bed|bay|room|rm|suite|cubicle|cube|pod|unit|ward|icu|hallway) ?#?\p{L}{0,2}-?\d"
)
_MOVING = regex.compile(
    r"(?i)(?<!\p{L})(?:move|moving|moved|transfer|transferring|swap|swapping|take|bring|send|turn|get|put|shift|wheel|bump)(?: pt| patient| mr\.?| mrs\.?| ms\.?)? $"
)
"""Who is moved, before and behind the word."""
_ANYONE = listed(
    """patient patients pt man woman lady gentleman male female guy kid boy girl baby infant toddler child neonate teen person
    resident client veteran roommate neighbor neighbour visitor family nurse someone somebody anyone nobody who that he she they
    him her them it this was is and or now still boarding sitting lying placed seen admitted remains alone asleep awake resting
    sleeping today overnight back here currently everyone staff one left up down stable transferred moved spill fall code waiting
    isolation light outlet leak monitor phone tv window equipment pump ventilator"""
)
_PERSON = regex.compile(
    r"[ ,(]{1,2}\d{1,3} ?(?:[MFmf]\b|y\b|yo\b|y/o|y\.o|yrs?\b|years? old)|, \d{2},|"
    r" in (?:[Rr]m|[Rr]oom|[Bb]ed|bay) \w|(?:'s)? (?:is|was) (?:NPO|npo|here|asking|waiting|ready|back|in (?:rm|room|bed|clinic))\b"
)
"""An age, a bed or a state behind the word."""


def is_aged(text: str, end: int, kind: Kind) -> bool:
    """Whether an age, a bed or a state of a person follows the word of ``kind`` that ends at ``end``."""
    tail = end - 2 if text[end - 2 : end] == "'s" else end
    return kind in NAMES | MAYBE | {Kind.UNKNOWN} and _PERSON.match(text, tail) is not None


def is_bedded(text: str, start: int, end: int, kind: Kind) -> bool:
    """Whether who lies in a bed with a number is named by ``text[start:end]`` ("tourette in suite 433")."""
    if kind is Kind.CLINICAL or text[start:end].lower() in _ANYONE:
        return False
    if kind is Kind.WORD and fold(text[start:end]) not in EPONYMS:
        return False
    if _BEDDED.match(text, end) is not None:
        return True
    return _MOVED.match(text, end) is not None and _MOVING.search(text, max(0, start - 24), start) is not None


def is_person_there(text: str, start: int, end: int, kind: Kind) -> bool:
    """Whether ``text[start:end]``, a word of ``kind``, stands behind a role or an errand as a person does."""
    if kind in MAYBE and text[start].isupper() and text[start - 2 : start - 1].islower():
        return _BY.search(text, max(0, start - 12), start) is not None and _STOPS.match(text, end) is not None
    if kind not in NAMES | {Kind.UNKNOWN}:
        return False
    if _ROLE.search(text, max(0, start - 16), start):
        return True
    tail = end - 2 if text[end - 2 : end] == "'s" else end
    return _ERRAND.search(text, max(0, start - 28), start) is not None and _END.match(text, tail) is not None
