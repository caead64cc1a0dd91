"""The cues by which ``recase`` reads a text that lost its capitals: expressions and short lists of words.

Public knowledge of how charts are typed, the same at every site (DESIGN section 6). Nothing here decides
anything; each cue says what may stand behind or before it.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

import regex

from intraward_client.deid.lexicon import MONTHS as MONTH_NAMES
from intraward_client.deid.lexicon import listed
from intraward_client.deid.venues import FIRMS, HOUSES

WORD = regex.compile(r"(?<![\p{L}\d])\p{L}[\p{L}\p{M}]*(?:['-]\p{L}[\p{L}\p{M}]*)*(?![\p{L}\d])")
LETTERS = regex.compile(
    r"(?<![\p{L}\p{M}\d])(?!(?:of|the)\b)(?<!(?<=\p{L})')\p{L}[\p{L}\p{M}]*|(?<=\p{L}')\p{L}[\p{L}\p{M}]+"
)
MISREAD = regex.compile(
    r"(?<![\w@.-])\p{Lu}(?:\p{Ll}{3,12}[015]\p{Ll}|\p{Ll}{1,2}[015]\p{Ll}{2}|0\p{Ll}{3})\p{Ll}*(?![\w@-])"
)
"""A printed name in which a scanner read a digit for a letter ("Mire1a", "J0nes")."""
INITIAL = regex.compile(r"(?<!\p{L})\p{L}\. ?$")
INITIALS = regex.compile(
    r"(?i)(?<=(?<!\p{L})(?:transcribed|dictated|typed|signed|entered|verified|initials|scribe)(?: by)?[:.]? {1,2})(?:\p{L}\. ?){2,3}(?!\p{L})"
)
CAPITALISED = regex.compile(r"(?<!\p{L})\p{Lu}\p{Ll}")
CODE = regex.compile(
    r"(?<![\w@.%+])(?=[\w-]*\d)(?=[\w-]*[a-z])(?!\d+[a-z]{1,4}\b(?!-))\w+(?:-\w+)*(?![\w@]|\.\w)"
)
PREFIX = regex.compile(
    r"(?i)(?<!\w)(?:csn|har|fin|lot|job|sn|rn|ref|req|acct?|enc|dl|lic|md|study|hsp)(?=[ #:-][a-z]{0,2}\d{3})"
)
MONTHS = frozenset(month.lower() for month in MONTH_NAMES) | listed(
    "jan feb mar apr jun jul aug sept sep oct nov dec"
)
MONTH = regex.compile(
    r"(?i)(?<!\p{L})(?:may|mar(?:ch)?|dec|sept?)(?=\.? ?(?:[12]?\d|3[01])(?:st|nd|rd|th)?(?!\d|[ ]?(?:times|mg|days|weeks|months|hours|x|tabs?|cm|mm))|,? (?:19|20)\d\d)"
    r"|(?<=\d(?:st|nd|rd|th)?(?: of)? )(?:may|mar(?:ch)?|dec|sept?)(?=[ ,.]*(?:19|20)\d\d|[ ,.;]|$)"
)
"""A month whose name is also a word, beside a day or a year."""

TITLES = listed("mr mrs ms miss mx dr drs prof doctor professor sister nurse rev father sir dame")
LABEL = regex.compile(
    r"(?im)(?:^|[|;>]|\s{2})[ \t]*(?:patient(?:'s)?(?: name)?|pt|(?:full |first |last |legal )?name|surname|forename|client|resident|"
    r"next of kin|nok|attending|provider|att|pcp|gp|signed|from|to|cc|dear|radiologist|pathologist|surgeon|assistant|an[a]?esth\w+|physician|nurse|technologist|midwife|therapist|pharmacist|cardiologist|consultant|registrar|resident physician|ordering|referring|interpreter|informant|author|spouse|wife|husband|mother|father|son|daughter|contact|guarantor|subscriber)[ \t]*[:=]?[ \t]+(?=\p{L})"
)
CUE = regex.compile(
    r"(?i)(?<!\p{L})(?:pt|patient|client|resident|named|called|mr|mrs|ms|miss|dr|doctor|nurse|son|daughter|wife|husband|mother|father|"
    r"mom|mum|dad|sister|brother|partner|spouse|niece|nephew|aunt|uncle|cousin|friend|neighbou?r|carer|caregiver|guardian|"
    r"grand(?:son|daughter|mother|father|child)|for|re|about|with|on|from|see|seen by|page|call|ask|is|hi|hello|hey|fyi|at|of|to|tell|and|than|text|(?:room|rm|bed) \w+|asking for|ot|rn|np|slp|rt|sw|crna|cna|by|per|d/w|w/|(?:float|intern|senior|fellow|attending|covering|on-?call|day|night|days|nights):|(?:summary|letter|instructions|handout|leaflet|note)(?: for|:)|(?:(?:grand|step)?(?:daughter|son|mother|father)|wife|husband|sister|brother|aunt|uncle|niece|nephew|family|neighbou?r|roommate|next of kin|nok|proxy|carer|caregiver) of)\.?[ ,:(]{1,2}"
    r"(?:(?:de la|de los|de las|de|del|dos|van der|van den|van|von|el|al|bin|abu) )?"
)
PERSON_CUE = regex.compile(
    r"(?i)(?<!\p{L})(?:named|mr|mrs|ms|miss|dr|doctor|son|daughter|wife|husband|mother|father|mom|mum|dad|sister|brother|"
    r"niece|nephew|aunt|uncle|cousin|partner|spouse|family|baby|twin|roommate|neighbou?r|friend|carer|caregiver|grand(?:son|daughter|mother|father)|hi|hello|hey|(?:(?:grand|step)?(?:daughter|son|mother|father)|wife|husband|sister|brother|aunt|uncle|niece|nephew|next of kin|nok|proxy|carer|caregiver) of)\.?[ ,:(]{1,2}"
)
ORIGIN = regex.compile(
    r"(?i)(?<!\p{L})(?:originally|native|hails|lives?|living|lived|resid(?:es?|ing|ed|ent)|moved|relocated|born|raised|grew up|flew|flown|commutes?|visiting|transferred|travell?ed)(?: \p{L}+){0,2} (?:from|in|of|to|near|outside) $"
)
"""Where somebody is from or went, before the word."""
BIRTH_CUE = regex.compile(
    r"(?i)(?<!\p{L})(?:named|baby|(?:his|her|their|my|the) (?:brother|sister|son|daughter|husband|wife|mother|father|aunt|uncle|cousin|niece|nephew|partner|roommate))[ ,]{1,2}"
)
UNKNOWN_CUE = regex.compile(
    rf"{PERSON_CUE.pattern}|(?<!\p{{L}})(?:pt|patient|client|resident|surgeon|attending|pcp|gp|provider|consultant|np|rn|sw|ot|"
    r"crna|pharmd|cc|fwd|re|did|does|subject|tell|ask|text|page|call|has|is|can|does|did|for|from|by|per|d/w|s/w|w/|asking for|seen by|scribe)"
    r"[ ]?[.:]?[ ]{1,2}"
)
"""Behind these a word in small letters that no list knows is rather a name than a slip."""
FACILITY = (
    HOUSES
    | FIRMS
    | listed(
        "facility district system living group associates center centre home institute foundation laboratories unit ward wing"
    )
    | listed("tower centers centres authority health regional memorial care drugs")
)
WEAK_AFTER = listed(
    "surgery surgeon medicine practice practitioner appearance condition anesthesia anaesthesia public population consensus floor ward catheter access session sessions days treatment treatments unit nurse"
)
PARTICLES = listed("de la los las del der den van von el al bin abu dos da do di du le st san santa ter ten")
WEAK_KINDS = listed("dialysis general")
"""Kinds of house that are also words of the clinic: only behind a place's "at" or "from"."""
BESIDE = listed(
    """hospital medical general regional memorial health care center centre home nursing living assisted family clinic
    practice surgery community cancer children's childrens women's veterans va university college elementary middle
    high skilled facility unified school district rehabilitation rehab dialysis surgical trust system group associates county state
    city national royal saint st mount our lady mercy holy cross north south east west upper lower new old fort lake"""
)
STREET = regex.compile(
    r"(?i)(?<![\w.-])\d{1,6}[a-z]?,?[ ]+(?:[nsew]\.?[ ]+)?(?:\p{L}[\p{L}'.-]*[ ]+){1,4}(?:street|st|road|rd|avenue|ave|boulevard|blvd|drive|dr|"
    r"lane|ln|court|ct|place|pl|square|sq|terrace|close|crescent|parkway|pkwy|highway|hwy|way|circle|trail|row|mews|gardens|grove|hill|rise|parade|view|walk|park|green|loop|path|quay|wharf|gate|vale|heights|crossing|esplanade|cove|run|cl|cres|cir|pkwy|landing|ridge|trace|bend)\b"
    r"(?:\.?,?[ ]+(?!(?:and|or|with|on|in|at|to|from|for|the|since|has|is|was)\b)\p{L}[\p{L}'-]*){0,3}"
)
PLACE_STARTS = listed(
    """port fort mount mt lake saint st san santa los las new north south east west el la le cedar oak pine maple elm green rocky
    lower upper fort isle cape great grand twin white black red blue silver golden clear bright stone copper vista palm rose river glen old little big high"""
)
COMMON_KIND = listed(
    """missed scheduled regular maintenance peritoneal hemo chronic current recent last next first his her their our transferring receiving referring sending accepting prior previous psychiatric correctional detention licensed nearest local community nearby outside another regional general rural urban teaching referring home retail mail order online
    specialty public private nursing care assisted living long term acute rehab rehabilitation dialysis outpatient
    inpatient memory palliative comfort aged social managed end life skilled health home care center centre community surgical medical stroke cardiac intensive emergency step down day walk urgent family primary group"""
)
TOWARDS = listed("contact attends attending off in from to at near of outside through visiting on for by via")
PLACE_LABEL = regex.compile(
    r"(?i)(?<!\p{L})(?:employer|workplace|hospital|facility|clinic|school|pharmacy|agency|site|discharged to|transferred (?:to|from)|city|town)[ \t]*:[ \t]*\K\p{L}[\p{L}\d&'., -]{2,50}?(?=[ ]{2}|[ ]*(?:$|[\n|;(,]))"
)
TOWN_STATE = regex.compile(
    r"(?i)(?<=,[ \n])\p{L}[\p{L}'-]+(?:[ ]\p{L}[\p{L}'-]+){0,2}(?=,?[ ][a-z]{2},?[ ]+\d{5}\b)"
)
POSTCODE = regex.compile(
    r"(?i)(?<![\w-])[a-z]{1,2}\d[a-z\d]?[ ]\d(?!hr|hz|ft|st|nd|rd|th|ug|gr)[abd-hjlnp-uw-z]{2}(?![\w-])"
)
STATE_ZIP = regex.compile(r"(?i)(?<=[ ,])(?<!\d[ ,])[a-z]{2}(?=,?[ ]+\d{5}\b)")
COMPASS = regex.compile(
    r"(?i)(?<![\w./])\d{1,2}[a-z]?[ -]?(?:north ?west|north ?east|south ?west|south ?east|north|south|east|west|main|central|center|centre|pavilion|plaza|annex|tower)(?:[ -](?:tower|wing|pavilion))?\b"
)
HOLY = regex.compile(
    r"(?i)(?<!\p{L})(?:our lady of (?:the )?\p{L}+|saint \p{L}+|st\.? {1,2}(?!changes|elevat|segment|depress|wave|deviat|abnormal)\p{L}{3,}|holy \p{L}+|mount \p{L}+)(?=(?:'s)? +\p{L}|,)"
)
CREDENTIAL = regex.compile(r"(?i)(?:(?<=, ?)(?:md|do|rn|np|pa)|(?<= )(?:md|phd|lcsw|mbbs|lpn|pharmd))\b")
SIGNED = regex.compile(
    r"(?i)(?:[.?!\")'\n][ ]?[-\u2013\u2014]{1,2}|(?<!\p{L})(?:thanks|thx|thank you|ty|cheers|regards|sincerely),?)[ \n]{0,2}(?=\p{L}[\p{L}'-]+(?:[ ]\p{L}[\p{L}'-]+)?\s*\Z)"
)
"""Before the last one or two words: a sign-off."""
MODALS = listed("will may can might")
"""Names that after a person are a verb or an adjective far more often."""
WORDISH = regex.compile(r"(?:\p{L}{3}ing|[^aeiou]ed|[st]ion|ous|less|ness|able|ible|ized|ised)$")
"""How a word ends that is misspelt or missing from the index, and no name."""
VOWEL = regex.compile(r"[aeiouy]|[^\x00-\x7f]")
WORDS_A_CAPITAL = 60
FEWEST = 8
