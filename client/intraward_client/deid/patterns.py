"""Rules for numbers: record, account, licence and device numbers, and every code that tells one person.

45 CFR 164.514(b)(2)(i) items G to K, M, P and R. Each cue word may be followed by a few lower-case words
("SSN on intake form 947-..."). Where no cue stands, a run of six digits or a long mixed code is an
identifier until a person says otherwise: the second look refuses such runs anyway. A code keeps the
capital letters it is printed with ("CSN 014081165", "LOT J39859").
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from intraward_client.deid.rules import Rule

_GAP = r"(?:[ \t]*(?:[:=#(\-]|(?i:nos?\.?|nr\.?|nbr\.?|num\.?|number|id|code)(?!\w)|\b(?!mg\b|ml\b|kg\b)[a-z]{1,12}\b)){0,5}(?:(?<=[:=#])\s*|[ \t]*)"
_MARK = r"[ \t]*(?:(?i:nos?\.?|nr\.?|nbr\.?|num\.?|number|id|code|ref\.?)(?!\w)[ \t]*[:=#]?|[:=#])\s*(?:is[ \t]+)?"
_PIECE = r"(?:[-/._]\w++)*+"
_MARK_NO = r"[ \t]*(?:(?i:nos?\.?|nr\.?|nbr\.?|num\.?|number|id)(?!\w)[ \t]*[:=#]*|#)\s*(?:is[ \t]+)?"
_LAST_LETTERS = r"(?: (?!(?:MD|DO|RN|NP|PA|PT|ED|OR|ER|IV|BP|HR|RR|OT|GP|ID)\b)[A-Z]{1,2}(?=[,.;)]|[ \t]*$))?"


def _value(digits: int) -> str:
    """A code with at least ``digits`` digits: groups joined by one space, hyphen, slash, dot or underscore."""
    return (
        rf"(?=(?:[A-Za-z/.\-_ ]{{0,7}}\d){{{digits}}})(?:[A-Z]{{1,5}} )?(?=[\w/._-]*\d)[A-Za-z\d]\w*+{_PIECE}"
        rf"(?: (?!\d{{1,2}}(?: |[/-]\d|$))[A-Z]?\d\w*+{_PIECE}){{0,4}}{_LAST_LETTERS}"
    )


def _cued(entity: str, name: str, cue: str, digits: int, gap: str = _GAP) -> Rule:
    return Rule(entity, name, rf"(?<!\w)(?i:{cue})(?![a-z]){gap}\K{_value(digits)}")


IDENTIFIERS = (
    _cued(
        "MRN",
        "medical record number",
        r"m\.?r\.?n\.?(?!A-\d)|m\.?r\.? ?#|medical record|health record|hospital record|obstetric record|record|chart|urn|uhid|crn|mpi|hosp(?:ital)? (?:no\.?|number|id)|patient (?:no\.?|number|id|identifier)|unit (?:no\.?|number)|pid",
        4,
    ),
    Rule("MRN", "prefixed record number", r"\b(?i:mrn|pt|pat|mr)[-_#]?\d{5,}\b"),
    _cued("NHS_NUMBER", "NHS number", r"nhs|chi (?:no\.?|number)", 9),
    Rule("NHS_NUMBER", "NHS grouping", r"(?<![\d-])\d{3}([ -])\d{3}\1\d{4}(?![\d-])"),
    _cued(
        "SSN",
        "social security number",
        r"ssn|social security|social(?! (?:history|hx|work\w*|services?|determinants|issues|support|drink\w*|habits|smok\w*|distancing|media|isolation|situation|needs|anxiety|context|circumstances|function\w*|care|skills|phobia|visit|background))|soc\.? sec\.?|ss no\.?|s\.s\.n\.|ss ?#|national insurance|national id|sin|tax id|tin|itin|pps|bsn|cpf|curp|aadhaar|nino",
        4,
    ),
    Rule(
        "SSN",
        "SSN grouping",
        r"(?<![\d-])(?:\d{3}|[Xx*]{3})([- .\u2010-\u2014]|[ ][-\u2010-\u2014][ ])(?:\d{2}|[Xx*]{2})\1\d{4}(?![\d-])",
    ),
    Rule(
        "SSN",
        "masked but for the end",
        r"(?<![\w*#\u2022\u25cf])(?:[*#\u2022\u25cf]{3,}|[Xx]{3,})(?:[- ]?(?:[*#\u2022\u25cf]{2,}|[Xx]{2,}))?[- ]?(?!(?:19|20)\d\d\b)\d{4}\b",
    ),
    Rule(
        "SSN",
        "last four told",
        r"\b(?i:last|final|ending|ends)[ -](?i:in|with|4|four|5|five|3|three)\b(?![ ]+(?:(?i:days?|weeks?|months?|years?|hours?|hrs?|visits?|readings?|doses?|checks?|values|results|nights?|times|cycles?|episodes?|shifts?|sessions?|measurements?|minutes?)\b))[^.;\d]{0,40}?(?<![\w.,/-])\K\d{3,5}\b(?![./-]?\d|[ ]?(?:mg|ml|mL|units?|steps|kcal|feet|ft|m|grams?|g|cc|calories|%|/)(?!\w))",
    ),
    Rule(
        "SSN",
        "national number of another country",
        r"(?<![\w.-])(?:\d{1,2}\.\d{3}\.\d{3}-[\dkK]|[12][ ]\d\d[ ]\d\d[ ]\d\d[ ]\d{3}[ ]\d{3}(?:[ ]\d\d)?|\d\d[ ]\d{6}[ ][A-Z][ ]\d{3}|\d{2}-\d{7})(?![\w-])",
    ),
    Rule(
        "SSN",
        "end after dots",
        r"\b(?i:ssn|social)\b[^\n\w]{0,4}(?:\.{2,}|\u2026|-{2,})[ ]?\K\d{4}\b",
    ),
    Rule("SSN", "UK national insurance number", r"\b[A-Z]{2}[ -]?\d{2}[ -]?\d{2}[ -]?\d{2}[ -]?[A-D]\b"),
    _cued(
        "HEALTH_PLAN",
        "health plan number",
        r"insurance|insurer|insured|policy|member(?:ship)?|subscriber|beneficiary|health plan|plan id|medicare|medicaid|hicn?|mbi|payer|carrier|group (?:no\.?|number|id)|bcbs|aetna|cigna|humana|tricare|rx ?bin|pcn|ehic",
        4,
    ),
    Rule(
        "HEALTH_PLAN",
        "number of a dependant",
        r"\b(?i:insurance|insurer|policy|member|subscriber|beneficiary|health plan|plan id|medicare|medicaid|payer|id)\b[^\n\d;]{0,16}?\K(?=[A-Z]{0,4}\d)[A-Z\d]{7,14}(?:[ -]|[ ]?\n)0\d(?=[ ]*(?:[.,;)]|$)|[ ]{2}|[ ](?:is|was|has|for|through|under|and)\b)(?![.,]\d)",
    ),
    Rule("HEALTH_PLAN", "Medicare card of Australia", r"(?<![\d.,-])[1-9]\d{3}[ -]\d{5}[ -]\d(?!\d|[.,]\d)"),
    Rule(
        "HEALTH_PLAN",
        "Medicare beneficiary grouping",
        r"\b[1-9][A-Z][A-Z\d]\d-?[A-Z][A-Z\d]\d-?[A-Z]{2}\d{2}\b",
    ),
    Rule(
        "HEALTH_PLAN",
        "plan in brackets",
        r"(?i:insurance|policy|plan)[ ]?\(\K[^()\n]{0,4}(?=[^()\n]*\d{3})[\w -]{5,24}(?=\))",
    ),
    _cued(
        "ACCOUNT",
        "account number",
        r"acc(?:oun)?t\.?|a/c|encounter|enc|accession|fin|csn|har|claim|invoice|billing|bill|guarantor|iban|sort code|routing|card",
        4,
    ),
    Rule(
        "ACCOUNT",
        "lettered account",
        r"\b(?:CSN|HAR|FIN|ACCT?|ENC|HSP|VISIT|ACC|INV|CLM|JOB|STUDY|REQ|ORD|TKT|INC|CASE|SPEC|SUBJ)[-# ]?(?=[\w-]*\d{4})[A-Z]{0,3}\d[\w-]*",
    ),
    _cued(
        "ACCOUNT",
        "numbered visit or order",
        r"visit|order|case|specimen|sample|study|job|ticket|referral|reference|ref|episode|admission|prescription|rx|authori[sz]ation|dictation|document|report|file|confirmation|requisition|receipt|barcode",
        4,
        _MARK,
    ),
    _cued(
        "ACCOUNT",
        "numbered paper",
        r"statement|financial|p\.?o\.?|pre-?cert(?:ification)?|spell|run|pcr|transaction|payment|tracking|voucher|pathology|path|lab|cr|c\.r\.|reg\.?|ipd?|opd?|gms|petition|docket|complaint|waybill|consent",
        4,
        _MARK_NO,
    ),
    Rule(
        "ACCOUNT",
        "code in pairs",
        r"\b(?i:account|acct|a/c|record|mrn|claim|number|no\.?|sort code|policy)[ \t]*[:#]?[ \t]*\K(?:[A-Z]{1,3} )?\d{2}(?: \d{2}){2,4}\b(?![/.:]\d)",
    ),
    Rule(
        "ACCOUNT",
        "end of a card or account",
        r"\b(?i:visa|amex|master ?card|discover|card|account|acct)\b[^\n\d.;]{0,20}?(?i:ending|ends|last (?:4|four))(?i: in| with|:)?[ ]\K\d{4}\b",
    ),
    Rule("ACCOUNT", "bank branch", r"\bBSB[ :]*\K\d{3}[- ]?\d{3}\b"),
    Rule("ACCOUNT", "laboratory accession", r"(?<![\w:])\d{2}:[A-Z]{1,3}-?\d{3,}\b"),
    Rule("ACCOUNT", "parcel", r"\b1Z(?: ?[A-Z\d]{2,4}){4,7}\b"),
    Rule(
        "MRN",
        "index of another country",
        r"\b(?:NHI|IHI|PHN|HCN|EMPI)[ :#]*(?:(?i:no\.?|number|is)[ :]*)?\K[A-Z]{3}\d{2,4}[A-Z\d]{0,2}\b",
    ),
    Rule(
        "OTHER_ID",
        "participant or ticket",
        rf"(?i:\b(?:study|trial|research|participant|subject|enrol?ment|randomi[sz]ation|ticket|job|incident|dispatch|case|badge|locker|dictation|transcription|donor|bag|unit|wristband|blood bank|employee|student|staff|protocol|registry|token|voucher|key|id))\b(?:[ \t]*(?:(?i:participant|subject|patient|no\.?|number|id|code|ref|report|record|was|is)\b\.?|[:#(])){{0,3}}[ \t]*\K(?=[\w/.-]*(?: [\w-]*)?\d{{3}}){_value(3)}",
    ),
    _cued(
        "LICENSE",
        "licence or certificate",
        r"licen[cs]e|lic|dea|npi|gmc|nmc|gphc|hcpc|ahpra|registration|certificate|certification|cert|badge|provider (?:no\.?|number|id)|upin|passport|visa|driver'?s|bvn",
        4,
    ),
    Rule(
        "LICENSE",
        "lettered licence",
        r"\b(?:RN|LPN|MD|DO|NP|PA|LIC|DEA|NPI|GMC|NMC|PIN|DL)[-# ]{0,2}(?=[A-Z]{0,2}\d{4})[A-Z]{0,2}\d[\dA-Z-]*",
    ),
    Rule("LICENSE", "DEA number", r"\b[ABCDEFGHJKLMPRSTUX][A-Z9]\d{7}\b"),
    _cued(
        "DEVICE",
        "device serial or lot",
        r"serial|s/n|sn|lot|batch|udi|gtin|device|implant|(?:pacemaker|generator|defibrillator|lead|pump)(?! (?:set|settings?|mode|programmed|rates?|pac)\b)|stimulator|prosthesis|monitor|sensor|model|imei|catalog(?:ue)?",
        4,
    ),
    Rule(
        "DEVICE",
        "serial code",
        r"\b(?:(?i:lot|batch|serial|ser|s/n|sn|udi|model|catalog(?:ue)?)|REF)[-:#. ]{1,2}(?:(?i:no\.?|nr\.?|number|code|id|is|was)[:# ]{1,2}){0,2}\K(?=[\w-]*\d[\w-]*\d)(?=[\w-]*[A-Z]|\d{4})(?!(?:19|20)\d\d\b)[A-Z\d]+(?:-[A-Z\d]+)*\b",
    ),
    Rule("OTHER_ID", "blood donation", r"\b[A-Z]\d{4}[ ]?\d\d[ ]?\d{6}(?:[ ]?[A-Z\d]{1,2}\b)?"),
    Rule(
        "ACCOUNT",
        "reference in two groups",
        r"\b(?i:reference|ref|report|case|claim|ticket|confirmation|authori[sz]ation|file)[ ]\K\d{3,5}-\d{3,5}\b(?!-)",
    ),
    Rule(
        "LICENSE",
        "licence with a point",
        r"\b(?i:licen[cs]e|lic|cert(?:ificate|ification)?)\b[^\n\d;]{0,14}\K\d{1,3}\.\d{4,}\b",
    ),
    Rule("DEVICE", "UDI string", r"\(01\)[ ]?\d{8,16}(?:[ ]?\(\d\d\d?\)[ ]?[\w\-./]+)*"),
    Rule(
        "BIOMETRIC",
        "biometric identifier",
        r"\b(?i:fingerprint|thumbprint|finger|retinal?|iris|voice ?(?:print)?|speech|fac(?:e|ial)|palm(?: vein)?|hand|vein|gait|ear|biometric|genom\w+|dna|genetic)[ \t]+(?i:(?:geometry|recognition|print|scan|record|template|hash|profile|sample|code|pattern|image|identifier|signature|id)[ \t]*){1,3}[^\n\w]{0,3}(?:(?i:no\.?|id|number|code|is|was|on file|stored as|as)[^\n\w]{0,3}){0,3}\K(?=[\w-]*\d)[\w-]{4,}",
    ),
    Rule(
        "OTHER_ID",
        "long number",
        r"(?<![\w.,])(?!(?i:rs)\d{4,9}\b|(?:N[CGMPRTW]|X[MPR]|LRG|ENS[GPT])_?\d)(?:[A-Za-z]{1,5}[-_]?)?\d{6,}\w*(?:[-/]\w*\d\w*|-[A-Z]{1,2}\b)*",
    ),
    Rule(
        "OTHER_ID",
        "grouped number",
        r"(?<![\d.,/-])(?=(?:\d[ -]?){8,})(?!(?:\d{0,2}[05][ -]){2,}\d{0,2}[05](?![\d-]))\d{2,5}(?:[ -]\d{2,5}){2,}(?![\d/]|[ ]?(?:dB|Hz|mmHg|mm|cm|mg|%))",
    ),
    Rule("OTHER_ID", "UUID", r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"),
)
