"""Rules for dates and ages: Safe Harbor item C.

All elements of a date but the year go; ages over 89 go. Relative dates ("for 3 days", "two weeks ago")
and ages under 90 say nothing that Safe Harbor protects and are what a clinical phrase is made of, so
no rule touches them. Ratios ("17/30", "128/76") are vitals or scores: a bare day and month counts as a
date only behind a cue.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from intraward_client.deid.lexicon import MONTHS
from intraward_client.deid.rules import Rule

_SHORT = ("Jan", "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sept", "Sep", "Oct", "Nov", "Dec")
_AMBIGUOUS = frozenset({"may", "mar", "march", "dec", "sep"})
_SPELLED = sorted(
    {
        form
        for month in (*MONTHS, *_SHORT)
        for form in (month, month.upper(), month.lower())
        if form not in _AMBIGUOUS
    },
    key=len,
    reverse=True,
)
MONTH = rf"(?:{'|'.join(_SPELLED)})\b(?:\.(?=[ ]?\d))?"
_MONTH_LONG = rf"(?:{'|'.join((*MONTHS, *(m.upper() for m in MONTHS)))})\b"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_ORDINAL = rf"{_DAY}(?:st|nd|rd|th)?"
_YEAR = r"(?:1[89]|20)\d\d"
_MON = r"(?:0?[1-9]|1[0-2])"
_ANY = r"(?:0?[1-9]|[12]\d|3[01])"
_EDGE = r"(?<![\w/.-])"
_OLD = r"(?:9\d|1[0-3]\d)"
_OLD_WORDS = r"(?i:ninety(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?|(?:one|a) hundred(?:[- ]and[- ]\w+)?)"
_YEARS_OLD = r"[ -]?(?i:y(?:ea)?rs?\.?[ -]?(?:old|of age)|y\.?[/ ]?o\.?(?!\w)|yo[mf]?\b|y\.o\.)"

DATES = (
    Rule(
        "DATE_TIME",
        "year first",
        rf"(?<![\d/.-]){_YEAR}[-/.]{_MON}[-/.]{_DAY}(?:[T ]\d\d:\d\d(?::\d\d)?Z?)?(?!\d)",
    ),
    Rule("DATE_TIME", "year last", rf"{_EDGE}{_ANY}([-/.]){_ANY}\1(?:{_YEAR}|'?\d\d)(?![\d/-])"),
    Rule("DATE_TIME", "spaced year last", rf"{_EDGE}{_ANY} ?/ ?{_ANY} ?/ ?(?:{_YEAR}|\d\d)(?!\d)"),
    Rule("DATE_TIME", "compact", r"(?<![\w-])(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\w)"),
    Rule(
        "DATE_TIME",
        "month and year by number",
        rf"{_EDGE}{_MON}[/-]{_YEAR}(?![\d/-])|{_EDGE}{_YEAR}[/-]{_MON}(?![\d/-])",
    ),
    Rule(
        "DATE_TIME",
        "month first",
        rf"(?<!\w){MONTH}[ \t-]*{_ORDINAL}(?!\d)(?![ \t]*(?:%|mg|times))(?:[ \t]*(?:-|to|and|&)[ \t]*{_ORDINAL}(?!\d))?(?:,?[ \t-]*(?:{_YEAR}|'\d\d)(?!\d))?",
    ),
    Rule(
        "DATE_TIME",
        "day first",
        rf"(?<![\w.]){_ORDINAL}(?:[ \t]+(?:day[ \t]+)?of)?[ \t/-]*{MONTH}(?:,?[ \t/-]*(?:{_YEAR}|'?\d\d)(?!\d))?",
    ),
    Rule("DATE_TIME", "month and year", rf"(?<!\w){MONTH},?[ \t-]*(?:of[ \t]+)?(?:{_YEAR}|'\d\d)(?!\d)"),
    Rule(
        "DATE_TIME",
        "month alone",
        rf"\b(?i:in|since|until|till|last|next|early|late|mid|from|by|during|this|before|after|between|and|of|to|through)[ -](?:(?:early|late|mid)[ -])?\K{_MONTH_LONG}",
    ),
    Rule(
        "DATE_TIME",
        "day and month behind a cue",
        r"\b(?i:on|since|until|till|dated?|from|by|before|after|between|seen|visit|admitted|discharged|started|due|appointment|exp(?:ires)?)[ \t:]+\K(?:0?[1-9]|[12]\d|3[01])/(?:0?[1-9]|[12]\d|3[01])(?![\d/])",
    ),
    Rule(
        "DATE_TIME",
        "padded day and month",
        r"(?<![\d/.])(?:0[1-9]|[12]\d|3[01])/(?:0[1-9])(?![\d/])|(?<![\d/.])(?:0[1-9])/(?:0[1-9]|[12]\d|3[01])(?![\d/])",
    ),
    Rule(
        "DATE_TIME",
        "day of the month",
        r"\b(?i:on) the \K(?:[1-9]|[12]\d|3[01])(?:st|nd|rd|th)\b(?! (?:day|week|month|visit|attempt|dose|cycle|rib|toe|finger|occasion|floor|night|post))",
    ),
    Rule(
        "DATE_TIME",
        "labelled date",
        r"\b(?i:d\.?o\.?b\.?|date of birth|birth ?date|born(?: on)?|d\.?o\.?a\.?|d\.?o\.?d\.?)[ \t]*[:=]?[ \t]*\K[\d]{1,4}(?:[-/. ][\dA-Za-z]{1,9}){1,3}",
    ),
    Rule(
        "DATE_TIME",
        "holiday",
        r"\b(?:Christmas(?: Eve| Day)?|Boxing Day|Thanksgiving|Easter(?: Sunday| Monday)?|New Year's(?: Eve| Day)?|Independence Day|Labor Day|Memorial Day|Halloween|Valentine's Day|Diwali|Hanukkah|Yom Kippur)\b",
    ),
)

AGES = (
    Rule(
        "AGE_OVER_89",
        "age and unit",
        rf"(?<![\d.,/]){_OLD}(?={_YEARS_OLD})|{_OLD_WORDS}(?=[ -]years?[ -](?:old|of age))",
    ),
    Rule(
        "AGE_OVER_89",
        "years in brackets",
        rf"(?<=[(,][ ]?){_OLD}(?=[ -]?(?:years?|yrs?|y)?[ ]*[),])(?![ ]*%)",
    ),
    Rule(
        "AGE_OVER_89",
        "aged",
        rf"\b(?i:aged?|age is|age of|turned|turning|turns)[ \t]*[:=]?[ \t]*\K{_OLD}\b(?![.,]\d|[ \t]*(?:%|mg|mm|/))",
    ),
    Rule(
        "AGE_OVER_89",
        "age and sex",
        rf"(?<![\d.,/]){_OLD}(?=[ -]?(?:M|F|[mM]ale|[fF]emale|[mM]an|[wW]oman|gentleman|lady)\b)",
    ),
    Rule(
        "AGE_OVER_89",
        "bare years",
        rf"(?<![\d.,/]){_OLD}(?=[ -](?:years|yrs)\b(?![ \t]+(?:ago|of|history|later)))",
    ),
    Rule(
        "AGE_OVER_89",
        "in their nineties",
        r"\b(?i:mid|late|early)?[ -]?(?i:nineties)\b|\b90s\b|\b(?i:centenarian|nonagenarian)\b|\b\d{2,3}(?:th|st|nd|rd) birthday\b",
    ),
)
