"""Rules for numbers: record, account, licence, device and vehicle numbers, and every code that tells one person.

45 CFR 164.514(b)(2)(i) items G to M, P and R. Each cue word may be followed by a few lower-case words
("SSN on intake form 947-..."). Where no cue stands, a run of six digits or a long mixed code is an
identifier until a person says otherwise: the second look refuses such runs anyway. A code keeps the
capital letters it is printed with ("CSN 014081165", "LOT J39859").
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from intraward_client.deid.rules import Rule

_GAP = r"(?:[ \t]*(?:[:=#(\-]|(?i:nos?\.?|nr\.?|num\.?|number|id|code)(?!\w)|\b(?!mg\b|ml\b|kg\b)[a-z]{1,12}\b)){0,5}(?:(?<=[:=#])\s*|[ \t]*)"
_MARK = r"[ \t]*(?:(?i:nos?\.?|nr\.?|num\.?|number|id|code|ref\.?)(?!\w)[ \t]*[:=#]?|[:=#])\s*(?:is[ \t]+)?"
_PIECE = r"(?:[-/._]\w++)*+"


def _value(digits: int) -> str:
    """A code with at least ``digits`` digits: groups joined by one space, hyphen, slash, dot or underscore."""
    return (
        rf"(?=(?:[A-Za-z/.\-_ ]{{0,7}}\d){{{digits}}})(?:[A-Z]{{2,5}} )?(?=[\w/._-]*\d)[A-Za-z\d]\w*+{_PIECE}"
        rf"(?: (?!\d{{1,2}}(?: |[/-]\d|$))[A-Z]?\d\w*+{_PIECE}){{0,4}}"
    )


def _cued(entity: str, name: str, cue: str, digits: int, gap: str = _GAP) -> Rule:
    return Rule(entity, name, rf"(?<!\w)(?i:{cue})(?![a-z]){gap}\K{_value(digits)}")


IDENTIFIERS = (
    _cued(
        "MRN",
        "medical record number",
        r"m\.?r\.?n\.?|m\.?r\.? ?#|medical record|health record|hospital record|obstetric record|record|chart|urn|uhid|crn|mpi|hosp(?:ital)? (?:no\.?|number|id)|patient (?:no\.?|number|id|identifier)|unit (?:no\.?|number)|pid",
        4,
    ),
    Rule("MRN", "prefixed record number", r"\b(?i:mrn|pt|pat|mr)[-_#]?\d{5,}\b"),
    _cued("NHS_NUMBER", "NHS number", r"nhs|chi (?:no\.?|number)", 9),
    Rule("NHS_NUMBER", "NHS grouping", r"(?<![\d-])\d{3}([ -])\d{3}\1\d{4}(?![\d-])"),
    _cued(
        "SSN",
        "social security number",
        r"ssn|social security|social|soc\.? sec\.?|ss no\.?|s\.s\.n\.|ss ?#|national insurance|national id|sin|tax id|tin|itin|pps|bsn|cpf|curp|aadhaar|nino",
        4,
    ),
    Rule("SSN", "SSN grouping", r"(?<![\d-])(?:\d{3}|[Xx*]{3})([- .])(?:\d{2}|[Xx*]{2})\1\d{4}(?![\d-])"),
    Rule(
        "SSN",
        "masked SSN",
        r"(?i:ssn|social security)[^\n\d]{0,20}(?i:last (?:four|4)|ending(?: in)?)[^\n\d]{0,8}\K\d{4}\b",
    ),
    Rule("SSN", "UK national insurance number", r"\b[A-Z]{2}[ ]?\d{2}[ ]?\d{2}[ ]?\d{2}[ ]?[A-D]\b"),
    _cued(
        "HEALTH_PLAN",
        "health plan number",
        r"insurance|insurer|insured|policy|member(?:ship)?|subscriber|beneficiary|health plan|plan id|medicare|medicaid|hicn?|mbi|payer|carrier|group (?:no\.?|number|id)|bcbs|aetna|cigna|humana|tricare|rx ?bin|pcn|ehic",
        4,
    ),
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
        r"acc(?:oun)?t|a/c|encounter|enc|accession|fin|csn|har|claim|invoice|billing|bill|guarantor|iban|sort code|routing|card",
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
    Rule(
        "OTHER_ID",
        "participant or ticket",
        rf"(?i:\b(?:study|trial|research|participant|subject|enrol?ment|randomi[sz]ation|ticket|job|incident|dispatch|case|badge|locker|dictation|transcription|donor|bag|unit|wristband|blood bank|employee|student|staff|protocol|registry|token|voucher|key|id))\b(?:[ \t]*(?:(?i:participant|subject|patient|no\.?|number|id|code|ref|report|record|was|is)\b\.?|[:#(])){{0,3}}[ \t]*\K(?=[\w/.-]*(?: [\w-]*)?\d{{3}}){_value(3)}",
    ),
    _cued(
        "LICENSE",
        "licence or certificate",
        r"licen[cs]e|lic|dea|npi|gmc|nmc|gphc|hcpc|ahpra|registration|certificate|certification|badge|provider (?:no\.?|number|id)|upin|passport|visa|driver'?s|bvn",
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
        r"serial|s/n|sn|lot|batch|udi|gtin|device|implant|pacemaker|generator|defibrillator|lead|pump|stimulator|prosthesis|monitor|sensor|model|imei|catalog(?:ue)?",
        4,
    ),
    Rule(
        "DEVICE", "serial code", r"\b(?:SN|S/N|LOT|UDI|REF)[-:# ]{1,2}(?=[\w-]*\d)[A-Z0-9]+(?:-[A-Z0-9]+)*\b"
    ),
    Rule("DEVICE", "UDI string", r"\(01\)\d{14}(?:\(\d\d\)[\w\-]+)*"),
    _cued(
        "VEHICLE",
        "plate or VIN",
        r"(?:licen[cs]e |number |vehicle )?plates?|vin|vehicle (?:reg(?:istration)?|no\.?|number|id)|reg(?:istration)?(?: no\.?| number)?|licen[cs]e tag",
        2,
    ),
    Rule(
        "VEHICLE",
        "plate after cue",
        r"\b(?i:plates?|vehicle(?: reg(?:istration)?)?|registration|reg|tag)\b[ \t:#(,]*(?!(?i:vin|was|is)\b)(?:(?i:no\.?|number|is|was|registration|reg)[ \t:]+)?\K(?=[A-Za-z0-9 -]{0,8}\d)(?=[A-Za-z0-9 -]{0,8}[A-Za-z])[A-Za-z0-9]{1,4}[ -]?[A-Z0-9]{2,5}(?:[ -][A-Z]{1,3})?\b(?![ ]?(?:mg|mm|cm|ml|am|pm|years?|days?|weeks?))",
    ),
    Rule(
        "VEHICLE",
        "plate with letters and figures",
        r"(?i:\b(?:plate|tag|reg(?:istration)?)\b[^\n\d.;]{0,14}?)\b\K(?i:[A-Z]{2,3}[ -]?\d{3,4}[A-Z]?|\d{3}[ -]?[A-Z]{3}|[A-Z]{2}\d\d[ ]?[A-Z]{3})\b",
    ),
    Rule("VEHICLE", "VIN", r"\b(?=[A-HJ-NPR-Z\d]*\d)(?=[A-HJ-NPR-Z\d]*[A-Z])[A-HJ-NPR-Z\d]{17}\b"),
    Rule(
        "BIOMETRIC",
        "biometric identifier",
        r"\b(?i:fingerprint|thumbprint|finger|retinal?|iris|voice ?(?:print)?|speech|fac(?:e|ial)|palm(?: vein)?|hand|vein|gait|ear|biometric|genom\w+|dna|genetic)[ \t]+(?i:(?:geometry|recognition|print|scan|record|template|hash|profile|sample|code|pattern|image|identifier|signature|id)[ \t]*){1,3}[^\n\w]{0,3}(?:(?i:no\.?|id|number|code|is|was|on file|stored as|as)[^\n\w]{0,3}){0,3}\K(?=[\w-]*\d)[\w-]{4,}",
    ),
    Rule(
        "OTHER_ID",
        "long number",
        r"(?<![\w.,])(?:[A-Za-z]{1,5}[-_]?)?\d{6,}\w*(?:[-/]\w*\d\w*|-[A-Z]{1,2}\b)*",
    ),
    Rule(
        "OTHER_ID",
        "coded number",
        r"\b[A-Z]{1,6}[-_/]?\d{3,}[-_/]\w*\d\w*(?:[-_/]\w+)*\b|\b[A-Z]{2,6}[-_]\d{4,}(?:-[A-Z\d]+)*\b|\b[A-Z]{1,5}\d{5,}[A-Z]?\b|\b[A-Z]{2,6}-(?:[A-Z]{1,4}|\d{2,4})-\d{3,}[A-Z]?\b|\b[A-Z]{1,4}\d{0,3}-?\d{2,}-\d{3,}\b|\b[A-Z]{1,4}\d{1,3}-\d{4,}\b",
    ),
    Rule(
        "OTHER_ID", "grouped number", r"(?<![\d.,/-])(?=(?:\d[ -]?){8,})\d{2,5}(?:[ -]\d{2,5}){2,}(?![\d/])"
    ),
    Rule("OTHER_ID", "three groups", r"(?<![\w.,/-])\d{2,4}-\d{2,4}-\d{2,5}(?![\w/-])"),
    Rule("OTHER_ID", "mixed code", r"\b(?=\w*[A-Za-z])(?=(?:[A-Za-z]*\d){4})[A-Z0-9]{8,}\b"),
    Rule("OTHER_ID", "UUID", r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"),
)
