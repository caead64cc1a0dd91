"""Rules for dates: Safe Harbor item C.

All elements of a date but the year go. Relative dates ("for 3 days", "two weeks ago", "on Tuesday") say
nothing that Safe Harbor protects and are what a clinical phrase is made of, so no rule touches them; a
weekday goes when a date stands beside it. Ratios ("17/30", "128/76") are vitals or
scores: a bare day and month counts as a date only behind a cue.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from intraward_client.deid.lexicon import MONTHS
from intraward_client.deid.rules import Rule

_SHORT = ("Jan", "Feb", "Mar", "Apr", "Jun", "Jul", "Aug", "Sept", "Sep", "Oct", "Nov", "Dec")
_AMBIGUOUS = frozenset({"may", "mar", "march"})
_SPELLED = sorted(
    {
        form
        for month in (*MONTHS, *_SHORT)
        for form in (month, month.upper(), month.lower())
        if form not in _AMBIGUOUS
    },
    key=lambda form: (-len(form), form),
)
MONTH = rf"(?:{'|'.join(_SPELLED)})\b(?:\.(?=[ ]?\d))?"
_MONTH_LONG = rf"(?:{'|'.join((*MONTHS, *(m.upper() for m in MONTHS)))})\b"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_ORDINAL = rf"{_DAY}(?i:st|nd|rd|th)?"
_YEAR = r"(?:1[89]|20)\d\d"
_MON = r"(?:0?[1-9]|1[0-2])"
_ANY = r"(?:0?[1-9]|[12]\d|3[01])"
_EDGE = r"(?<![\w/.-])"
_NOT_SCORE = r"(?![ \t]*(?:pain|strength|power|motor|murmur|in severity|on the|systolic|diastolic|scale|points?|score|mmHg|mg|ml|tabs?|tablets?|vision|reflexes|positive|negative|cores|nodes?|lymph|patients|of|items?|sleep|seconds|minutes|hours|days|weeks|months|years)\b)"
_NOT_RATIO = r"(?<!\b(?i:pain|scores?|scored|scale|severity|level|rated|rating|strength|apgars?|power|intensity|gcs|glasgow(?: coma)?|mmse|moca|mini-?mental|slums|rudas|phq\S*|gad\S*|epds|hads|ess|epworth|norton|braden|barthel|tinetti|poma|berg|sppb|ipss|ciwa\S*|amt\S*|4at|beighton|index|acuity|vision|va|visual|snellen|od|os|ou|re|le|eyes?|pinhole|ph|unaided|aided|corrected|uncorrected|glasses|bipap|ipap|bilevel|niv|vpap|cpap|avaps|nodes?|ln|lns|bp|pressures?|ratio|positive|murmur|grade|reflexes|pulses|dose|ventil\w+|settings?|cores?|audit|dast|cat|items?|recall|orientation|attention|sessions|attended|day|d|wk|week|cycle|round|fraction|fx)\b[^\n.;/]{0,18}\d\d?/\d\d?)(?<!(?:pril|artan|statin|ipine|zide|hctz|HCT|HCTZ|cet|codone|oxone|lol|phine|norco|Norco|targin\w*|lotrel|Lotrel|caduet|Caduet|azor|Azor|vytorin|Vytorin|symbyax|Symbyax|ezetimibe|Sinemet|dopa|mide|olol|Lotensin|Vaseretic)[ ]\d\d?/\d\d?)"
_NO_MACHINE = r"(?<!\b(?i:ps|psv|pc|ac|simv|cmv|prvc|aprv|support|peep|epap|prongs|vent|drive|block|conduction|ratio|regimen|schedule|cycles?|h/h|hgb|hb|hct|crit|bun|cr|creatinine|suture|vicryl|prolene|monocryl|silk|nylon|chromic|pds|gauge|grade|type|stage|class|lantus|humalog|mix|patch|cream|every|q|roughly|ratio of|fraction of|about|about a|odds|beat|meter|time)[ ]\d\d?/\d\d?)"
_BARE_END = rf"(?![\w/%-]|\.\d|,\d){_NOT_SCORE}(?![ ]?(?:OD|OS|OU|RE|LE|R|L|BL|bilaterally|right|left|eye|sessions?|nodes?|visits|classes|doses|meals|feeds|LN|LNs|lymph|correct|cmH|cm|mm|kg|lb|in (?:the )?(?:right|left|both)|with (?:glasses|correction|pinhole)|sites|quadrants|joints|criteria|domains|questions|words|objects|tasks)\b)"
_WEEKDAY = r"(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?"
_NUMERIC = r"\d{1,4}[-/.]\d{1,2}(?:[-/.]\d{1,4})?"
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
        rf"(?<!\w){MONTH}[ \t-]*{_ORDINAL}(?!\d)(?![ \t]*(?:%|mg|times))(?:[ \t]*(?:-|to|and|&)[ \t]*{_ORDINAL}(?!\d))?(?:,?[ \t-]*(?:\n[ \t]*)?(?:{_YEAR}|'\d\d)(?!\d))?",
    ),
    Rule(
        "DATE_TIME",
        "day first",
        rf"(?<![\w.])(?:(?i:the)[ ](?=\d\d?(?i:st|nd|rd|th)[ ](?i:of)))?{_ORDINAL}(?:[ \t]+(?i:(?:day[ \t]+)?of))?[ \t/-]*{MONTH}(?:,?[ \t/-]*(?:(?:\n[ \t]*)?{_YEAR}|'?\d\d)(?!\d))?",
    ),
    Rule(
        "DATE_TIME",
        "month and year",
        rf"(?<!\w){MONTH},?[ \t-]*(?:of[ \t]+)?(?:(?:\n[ \t]*)?{_YEAR}|'\d\d)(?!\d)",
    ),
    Rule(
        "DATE_TIME",
        "month alone",
        rf"\b(?i:in|since|until|till|last|next|early|late|mid|from|by|during|this|before|after|between|and|of|to|through)[ -](?:(?:early|late|mid)[ -])?\K{_MONTH_LONG}",
    ),
    Rule(
        "DATE_TIME",
        "day and month behind a cue",
        rf"(?:(?<!\b(?i:pain|scores?|severity|level|rated|rating|strength|apgar|power|intensity)[ ])|(?=(?i:since|until|till|dated?)[ ]))\b(?i:on|since|until|till|dated?|from|by|before|after|between|through|thru|of|seen|saw|visit(?:ed)?|admit(?:ted)?|adm|discharged?|dc'?d?|started|stopped|due|appointment|appt|exp(?:ires)?|last|next|scheduled|drawn|collected|labs?|cx|cultures?|ct|mri|cxr|xray|x-ray|echo|scan|surgery|op|procedure|injury|fell|onset|lmp|edd|dob|born|signed|repeat|rescheduled|moved|cancelled|arrived|refill(?:ed)?|dose|change|changed|placed|inserted|removed|replaced|completed|resulted|faxed|vaccinated|booster|today|yesterday|tomorrow|{_WEEKDAY})[ \t:(,]+(?:the[ ]|on[ ])?\K(?:(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01])|(?:0?[1-9]|[12]\d|3[01])/(?:0?[1-9]|1[0-2])|(?:0?[1-9]|[12]\d|3[01])\.(?:0?[1-9]|1[0-2])\.(?!\d))(?![\w/]|\.\d)(?:[ ]?(?:-|to|and|&|through)[ ]?(?:0?[1-9]|[12]\d|3[01])/(?:0?[1-9]|[12]\d|3[01])(?![\w/]))?{_NOT_SCORE}",
    ),
    Rule(
        "DATE_TIME",
        "day and month that something is set for",
        rf"\b(?i:(?:set|booked|scheduled|planned|slated|penci?lled(?: in)?|offered|slotted|fixed|arranged|listed|due|down|surgery|appointment|appt|visit|infusion|clinic|follow-?up|f/u|bed|slot|next \w+|last \w+)\b[^.;:\n\d]{{0,40}}? )(?i:for|around|about|circa|approx\.?)[ ]\K{_ANY}/{_ANY}{_BARE_END}|\b(?i:for)[ ]\K(?:0?[1-9]|1[0-2])/(?:0?[1-9]|1[1-9]|2\d|3[01])(?=[.,;)]?[ ]*$|[.;)][ ]\p{{Lu}})(?<!5/5)"
        rf"|\b(?i:began|begun|started?|starting|onset|since|occurred|happened|symptoms?|rash|fever|cough|sometime|from)\b[^.;:\n\d]{{0,30}}?(?<![\w])(?i:around|about|circa|approx\.?|on or about|~)[ ]\K{_ANY}/{_ANY}{_BARE_END}"
        rf"|\b(?i:around|about)[ ]\K{_ANY}/{_ANY}(?=,?[ ](?:after|before|when|while|following)\b)|\b(?i:next|last) (?:infusion|dose|visit|appointment|appt|session|cycle|treatment|injection|clinic|scan|draw|cbc|follow-?up|surgery|round|transfusion|chemo)[ ]\K{_ANY}/{_ANY}{_BARE_END}",
    ),
    Rule(
        "DATE_TIME",
        "bare day and month",
        rf"{_EDGE}(?!24/7\b)(?=\d\d?/\d)(?:(?:0?[1-9]|1[0-2])/(?:1[3-9]|2\d|3[01])|(?:1[3-9]|2\d|3[01])/(?:0?[1-9]|1[0-2])|0[1-9]/(?:0?[1-9]|1[0-2])|(?:[1-9]|1[0-2])/0[1-9]){_BARE_END}{_NOT_RATIO}|{_EDGE}(?:0[1-9]|[12]\d|3[01])\.(?:0[1-9]|1[0-2])\.(?=[ ]\p{{Ll}})",
    ),
    Rule(
        "DATE_TIME",
        "day and month that is no score",
        rf"(?<=[\p{{Ll}}),:][ ])(?=\d\d?/\d)(?:2/1|3/[12]|4/[1-3]|5/[1-4]|6/[1-5]|7/[1-6]|8/[1-7]|9/[1-8]|10/[1-9]|11/(?:[1-9]|10)|12/(?:[1-9]|1[01])){_BARE_END}{_NOT_RATIO}{_NO_MACHINE}",
    ),
    Rule(
        "DATE_TIME",
        "day and month behind a deed",
        rf"(?<=\p{{L}}[ ])(?=\d\d?/\d){_ANY}/{_ANY}(?!\d){_BARE_END}(?<!\b(?i:rated|scored|graded|decreased|increased|improved|reported|described|assessed|measured|noted|palpated|tested|limited|diminished|reduced|preserved|maintained|documented|counted|current|present|patient|constant|right|left|dependent|different|stent|vent|percent|extent|often|between|then|when|even|seven|listen|own|down|none|done|one|bone|tone|but|about|gut|bilateral|absent|intermittent|persistent)[ ]\d\d?/\d\d?)(?<=(?:ed|wn|en|nt|ut|ne)[ ]\d\d?/\d\d?)|\b(?i:done|out|off)[ ]\K(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01])(?=[ ]*(?:$|[,.;:)?]|(?:and|by|for|at|with|per)\b))(?![.,]\d)",
    ),
    Rule(
        "DATE_TIME",
        "day and month that open a line",
        rf"^[ \t]*(?:[-*\u2022][ \t]*)?\K{_ANY}/{_ANY}(?=[ ]?[:\u2013-](?![ ]?\d))",
    ),
    Rule(
        "DATE_TIME",
        "weekday beside a date",
        rf"\b{_WEEKDAY}\b\.?(?=,?[ ](?:the[ ])?(?:{_NUMERIC}|{_ORDINAL}(?:[ ]of)?[ ]{MONTH}|{MONTH}|{_ORDINAL}\b))|(?:(?<=\d{{4}},?[ ]\(?)|(?<=\d/\d{{1,4}}[ ]\(?)){_WEEKDAY}\b",
    ),
    Rule(
        "DATE_TIME",
        "season or quarter of a year",
        rf"\b(?i:(?:early|late|mid)?[ -]?(?:spring|summer|autumn|fall|winter)(?:[ ]of)?|Q[1-4])[ ,]+(?={_YEAR}\b)",
    ),
    Rule(
        "DATE_TIME",
        "birth year",
        r"\b(?i:born(?: (?:in|on|circa|around|about|c\.))?|birth year|year of birth|yob|dob|b\.|birthdate)[ \t:=(]*(?:\p{Lu}\p{Ll}+,?[ ])?\K(?:18\d\d|19[0-4]\d)\b(?![-/.]\d)",
    ),
    Rule(
        "DATE_TIME",
        "compact with month",
        rf"(?<![\w])\d{{1,2}}(?:{'|'.join(m.upper() for m in _SHORT)}|MAY|{'|'.join(_SHORT)}|May)(?:{_YEAR}|\d\d)(?!\w)",
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
        r"\b(?:Christmas(?: Eve| Day)?(?! (?:disease|tree))|Boxing Day|Thanksgiving|Easter(?: Sunday| Monday)?|New Year's(?: Eve| Day)?|Independence Day|Labor Day|Memorial Day|Halloween|Valentine's Day|Diwali|Hanukkah|Yom Kippur)\b",
    ),
)
