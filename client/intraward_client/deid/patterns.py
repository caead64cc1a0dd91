"""Rules for numbers, places and addresses: the Safe Harbor items that Presidio does not ship.

45 CFR 164.514(b)(2)(i) items B, D to R. Each cue word may be followed by a few lower-case words
("SSN on intake form 947-..."). Where no cue stands, a run of six digits or a long mixed code is an
identifier until a person says otherwise: the second look refuses such runs anyway.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from intraward_client.deid.rules import Rule

_GAP = r"(?:[ \t]*(?:[:=#(\-]|(?i:nos?\.?|nr\.?|num\.?|number|id|code)(?!\w)|\b[a-z]{1,10}\b)){0,5}(?:(?<=[:=#])\s*|[ \t]*)"
_MARK = r"[ \t]*(?:(?i:nos?\.?|nr\.?|num\.?|number|id|code|ref\.?)(?!\w)[ \t]*[:=#]?|[:=#])\s*(?:is[ \t]+)?"


def _value(digits: int) -> str:
    """A code with at least ``digits`` digits, its groups joined by one space, hyphen, slash or dot."""
    return rf"(?=(?:[A-Za-z/.\- ]{{0,5}}\d){{{digits}}})[A-Za-z]{{0,5}}[-/ ]?\d\w*(?:[-/. ]?\d\w*|-[A-Z]\w*\d\w*)*"


def _cued(entity: str, name: str, cue: str, digits: int, gap: str = _GAP) -> Rule:
    return Rule(entity, name, rf"(?<!\w)(?i:{cue})(?![a-z]){gap}\K{_value(digits)}")


IDENTIFIERS = (
    _cued(
        "MRN",
        "medical record number",
        r"m\.?r\.?n\.?|medical record|health record|record|chart|urn|uhid|crn|mpi|hospital (?:no\.?|number|id)|patient (?:no\.?|number|id|identifier)|unit (?:no\.?|number)|pid",
        4,
    ),
    Rule("MRN", "prefixed record number", r"\b(?i:mrn|pt|pat)[-_]?\d{5,}\b"),
    _cued("NHS_NUMBER", "NHS number", r"nhs", 9),
    Rule("NHS_NUMBER", "NHS grouping", r"(?<![\d-])\d{3} \d{3} \d{4}(?![\d-])"),
    _cued(
        "SSN",
        "social security number",
        r"ssn|social security|s\.s\.n\.|national insurance|sin|tax id|itin",
        4,
    ),
    Rule("SSN", "SSN grouping", r"(?<![\d-])(?:\d{3}|[Xx*]{3})[- ](?:\d{2}|[Xx*]{2})[- ]\d{4}(?![\d-])"),
    Rule("SSN", "UK national insurance number", r"\b[A-Z]{2}[ ]?\d{2}[ ]?\d{2}[ ]?\d{2}[ ]?[A-D]\b"),
    _cued(
        "HEALTH_PLAN",
        "health plan number",
        r"insurance|insurer|policy|member(?:ship)?|subscriber|beneficiary|health plan|plan id|medicare|medicaid|hicn?|mbi|payer|group (?:no\.?|number|id)",
        4,
    ),
    _cued(
        "ACCOUNT",
        "account number",
        r"acc(?:oun)?t|a/c|encounter|accession|fin|csn|har|claim|invoice|billing|guarantor|iban|sort code",
        4,
    ),
    _cued(
        "ACCOUNT",
        "numbered visit or order",
        r"visit|order|case|specimen|sample|study|job|ticket|referral|reference|ref|episode|admission|prescription|rx|authori[sz]ation|dictation|document|report|file",
        4,
        _MARK,
    ),
    _cued(
        "LICENSE",
        "licence or certificate",
        r"licen[cs]e|dea|npi|gmc|nmc|gphc|hcpc|registration|certificate|badge|provider (?:no\.?|number|id)|upin|passport|visa",
        4,
    ),
    _cued(
        "DEVICE",
        "device serial or lot",
        r"serial|s/n|sn|lot|batch|udi|gtin|device|implant|pacemaker|pump|stimulator|model|imei",
        4,
    ),
    Rule("DEVICE", "serial code", r"\b(?:SN|S/N|LOT|UDI|REF)[-:#][A-Z0-9]+(?:-[A-Z0-9]+)*\b"),
    Rule("DEVICE", "UDI string", r"\(01\)\d{14}(?:\(\d\d\)[\w\-]+)*"),
    _cued(
        "VEHICLE",
        "plate or VIN",
        r"(?:licen[cs]e |number |vehicle )?plates?|vin|vehicle (?:reg(?:istration)?|no\.?|number|id)|reg(?:istration)?(?: no\.?| number)?",
        2,
    ),
    Rule(
        "VEHICLE",
        "plate after cue",
        r"\b(?i:plates?|vehicle reg(?:istration)?|number plate)\b[ \t:#]*(?:(?:no\.?|number|is|was)[ \t]+)?\K(?=[A-Z0-9 -]*\d)[A-Z0-9]{2,4}[ -]?[A-Z0-9]{2,5}\b",
    ),
    Rule("VEHICLE", "VIN", r"\b(?=[A-HJ-NPR-Z\d]*\d)(?=[A-HJ-NPR-Z\d]*[A-Z])[A-HJ-NPR-Z\d]{17}\b"),
    Rule(
        "USERNAME",
        "user name",
        r"\b(?i:user ?(?:name|id)?|login|log-in|handle|screen ?name|portal id|skype|twitter|instagram|facebook|whatsapp)[ \t]*(?:(?i:name|id|is)[ \t]*)?[:=][ \t]*\K[\w.@\-]{3,}",
    ),
    Rule("USERNAME", "handle", r"(?<![\w.@])@[A-Za-z_][\w.]{2,}"),
    Rule(
        "BIOMETRIC",
        "biometric identifier",
        r"\b(?i:fingerprint|retina|iris|voice ?print|face|palm|biometric|genome|dna)[ \t]+(?i:id|scan|record|template|hash|profile|sample|code)\b[^\n\w]{0,3}(?:(?:no\.?|id|number|code)[^\n\w]{0,3})?\K(?=[\w-]*\d)[\w-]{4,}",
    ),
    Rule("OTHER_ID", "long number", r"(?<![\w.,])(?:[A-Za-z]{1,5}[-_]?)?\d{6,}\w*(?:[-/]\w*\d\w*)*"),
    Rule(
        "OTHER_ID",
        "coded number",
        r"\b[A-Z]{1,6}[-_/]?\d{3,}[-_/]\w*\d\w*(?:[-_/]\w+)*\b|\b[A-Z]{2,6}[-_]\d{4,}\b|\b[A-Z]{1,5}\d{5,}[A-Z]?\b",
    ),
    Rule(
        "OTHER_ID", "grouped number", r"(?<![\d.,/-])(?=(?:\d[ -]?){8,})\d{2,5}(?:[ -]\d{2,5}){2,}(?![\d/])"
    ),
    Rule("OTHER_ID", "mixed code", r"\b(?=\w*[A-Za-z])(?=(?:[A-Za-z]*\d){4})[A-Z0-9]{8,}\b"),
)

CONTACT = (
    Rule(
        "PHONE_NUMBER",
        "North American number",
        r"(?<![\d-])(?:\+?1[ .-]?)?\(?\d{3}\)?[ .-]{0,2}\d{3}[ .-]\d{4}(?:[ \t]*(?i:ext?\.?|x|extension)[ \t]*\d{1,6})?(?![\d-])",
    ),
    Rule("PHONE_NUMBER", "international number", r"\+\d{1,3}[ .()-]{0,2}(?:\d[ .()-]{0,2}){6,12}\d"),
    Rule("PHONE_NUMBER", "national number", r"(?<![\d.,/-])\(?0\d{2,4}\)?[ -]?\d{3,4}[ -]?\d{3,4}(?!\d)"),
    Rule(
        "PHONE_NUMBER",
        "local number",
        r"(?<![\d.,/-])[2-9]\d{2}[-. ]\d{4}(?![\d/])(?![ \t]*(?:mg|mcg|ml|mL|units|g|kcal|IU)\b)",
    ),
    Rule(
        "PHONE_NUMBER",
        "phone after cue",
        r"\b(?i:tel(?:ephone)?|ph(?:one)?|mob(?:ile)?|cell|fax|pager|pgr|beeper|bleep|call ?back|contact|reach\w*|ring|hotline)\b\.?"
        + _GAP
        + r"\K\+?(?=(?:[ .()/-]{0,3}\d){4})\(?\d[\d .()/-]{2,17}\d(?:[ \t]*(?i:ext?\.?|x)[ \t]*\d+)?",
    ),
    Rule(
        "PHONE_NUMBER",
        "extension",
        r"\b(?i:ext(?:ension)?|extn|bleep|pager|beeper|pgr)\b\.?[ \t]*(?:(?:no\.?|number|#|:)[ \t]*)?\K\d{2,7}\b",
    ),
    Rule("EMAIL_ADDRESS", "e-mail", r"[\w.+%'-]+[ ]?(?:@|\(at\)|\[at\])[ ]?[\w-]+(?:\.[\w-]+)*"),
    Rule(
        "URL",
        "web address",
        r"(?i:\b(?:https?|ftp)://[^\s<>\"')\]]+|\bwww\.[^\s<>\"')\]]+|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|edu|gov|health|nhs\.uk|co\.uk|ac\.uk|io|example|test|invalid)(?:/[^\s<>\"')\]]*)?)(?<![.,;])",
    ),
    Rule("IP_ADDRESS", "IPv4", r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)"),
)

_STATE = r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|PR|RI|S[CD]|T[NX]|UT|V[AIT]|W[AIVY])"
_WAY = r"(?:Street|St|Road|Rd|Avenue|Ave|Boulevard|Blvd|Drive|Dr|Lane|Ln|Court|Ct|Place|Pl|Square|Sq|Terrace|Ter|Close|Crescent|Cres|Parkway|Pkwy|Highway|Hwy|Way|Circle|Cir|Trail|Trl|Row|Mews|Gardens|Grove|Hill|Walk|Park|Green|View|Rise|Loop|Alley|Quay|Wharf|Plaza|Pike|Turnpike|Bypass|Ridge|Heights|Broadway)"
_CAPS = r"\p{Lu}[\p{L}'.-]*"
_POSTCODE = r"[A-Z]{1,2}\d[A-Z\d]?[ ]?\d[A-Z]{2}"
_TAIL = rf"(?:,?[ \t]+(?i:apt|apartment|suite|ste|unit|flat|\#)\.?[ \t]*\w+)?(?:\s*,\s*{_CAPS}(?:[ \t]+{_CAPS}){{0,3}}){{0,3}}(?:,?[ \t]+(?:{_STATE}|{_CAPS})(?=[ \t,]+\d{{5}}))?(?:,?\s+(?:\d{{5}}(?:-\d{{4}})?|{_POSTCODE})\b)?"
_PLACE_KIND = r"(?:Hospital|Infirmary|Clinic|Hospice|Sanatorium|Polyclinic|Pharmacy|University|College|Academy|School|Church|Prison|Hotel|Shelter|Foundation|Institute|Laborator(?:y|ies)|Rehabilitation|Rehab|Surgery|Practice|Healthcare|Health[ ](?:System|Cent(?:er|re)|Trust|Services)|Medical[ ](?:Cent(?:er|re)|Group|Associates|College|Practice|Park|Campus)|(?:Care|Cancer|Heart|Trauma|Surgical|Community|Day|Wellness|Eye|Birth|Stroke|Dialysis|Rehabilitation)[ ]Cent(?:er|re)|(?:Nursing|Care|Retirement|Rest)[ ]Home|Senior[ ]Living|Assisted[ ]Living|NHS[ ](?:Foundation[ ])?Trust|Health[ ]Board|Manor|Lodge|VA)"
_UNNAMED = r"(?!(?:The|A|An|This|Our|Pain|General|Outpatient|Local|Emergency|At|In|To|From|Of|On|And|Her|His|Their|Your)\b)"

PLACES = (
    Rule(
        "ADDRESS",
        "street address",
        rf"\b\d{{1,6}}[A-Za-z]?(?:-\d+)?,?[ \t]+(?:[NSEW]{{1,2}}\.?[ \t]+)?(?:{_CAPS}[ \t]+|\d+(?:st|nd|rd|th)[ \t]+){{1,4}}{_WAY}\b\.?{_TAIL}",
    ),
    Rule(
        "ADDRESS",
        "numbered street, one word",
        rf"\b\d{{1,6}}[ \t]+\p{{Lu}}\p{{Ll}}+(?:[ \t]\p{{Lu}}\p{{Ll}}+){{0,3}}\s*,\s*{_CAPS}(?:[ \t]{_CAPS}){{0,2}},?[ \t]+(?:{_STATE}[ \t]+\d{{5}}|{_POSTCODE})(?:-\d{{4}})?",
    ),
    Rule(
        "ADDRESS",
        "address after cue",
        rf"\b(?i:address|addr|residence|lives at|residing at|resides at|living at|home is)\b[^\n:\d]{{0,14}}[:\s]\s*\K\d{{1,6}}[A-Za-z]?,?[ \t]+{_CAPS}(?:[ \t]+{_CAPS}){{0,4}}{_TAIL}",
    ),
    Rule(
        "ADDRESS",
        "labelled address line",
        r"^[ \t]*(?i:(?:home |mailing |postal )?address|addr)[ \t]*:[ \t]*\K[^\n;|]{4,120}?(?=[ \t]{2,}|[ \t]*(?:$|;|\||\b(?i:phone|tel|dob|mrn|mobile|email|e-mail|nhs|ssn)\b))",
    ),
    Rule("ADDRESS", "post office box", rf"\b(?i:p\.?[ ]?o\.?[ ]?box)[ \t]*\d+{_TAIL}"),
    Rule(
        "ADDRESS",
        "town, state and ZIP",
        rf"{_CAPS}(?:[ \t]{_CAPS}){{0,2}},?[ \t]+{_STATE}[ \t,]+\d{{5}}(?:-\d{{4}})?\b",
    ),
    Rule(
        "ZIP",
        "ZIP after cue",
        r"\b(?i:zip(?: ?code)?|post(?:al)? ?code)\b[ \t:#]*(?:is[ \t]+)?\K(?:\d{5}(?:-\d{4})?|[A-Z0-9]{2,4}[ ]?[A-Z0-9]{3})\b",
    ),
    Rule("ZIP", "ZIP plus four", r"(?<![\w-])\d{5}-\d{4}(?![\w-])"),
    Rule("ZIP", "state and ZIP", rf"\b{_STATE}[ \t,]+\K\d{{5}}\b"),
    Rule("ZIP", "UK postcode", rf"\b{_POSTCODE}\b(?<!\b[A-Z]\d\d[A-Z]{{2}})"),
    Rule(
        "LOCATION",
        "town and state",
        rf"\b\p{{Lu}}\p{{Ll}}+(?:[ \t]\p{{Lu}}\p{{Ll}}+){{0,2}},[ \t]*{_STATE}\b(?![ \t]*(?:[:=]|\d))",
    ),
    Rule(
        "LOCATION",
        "place after cue",
        r"\b(?i:liv(?:es?|ing|ed)|resid(?:es?|ing|ed|ent)|born|rais(?:es?|ed)|mov(?:ed|ing|es)|travell?(?:s|ed|ing)?|flew|visit(?:s|ed|ing)?|work(?:s|ed|ing)?|comes?|came|native|transferred|commut\w+|holiday\w*|emigrated|immigrated)(?:[ \t]+[a-z]{1,8}){0,3}?[ \t]+(?:in|from|to|at|near|of|outside|around|towards?|through)[ \t]+(?:the[ \t]+)?\K(?!(?:ED|ER|ICU|Emergency|Dr|Mr|Mrs|Ms|I|ITU|A&E)\b)\p{Lu}[\p{L}'-]+(?:[ \t]\p{Lu}[\p{L}'-]+){0,2}",
    ),
    Rule(
        "LOCATION",
        "county, town or village named",
        r"\b(?i:town|city|village|county|borough|parish|suburb|district|neighbou?rhood) of \K\p{Lu}[\p{L}'-]+(?:[ ]\p{Lu}[\p{L}'-]+){0,2}|\b\p{Lu}[\p{L}'-]+(?:[ ]\p{Lu}[\p{L}'-]+)?[ ](?:County|Township|Parish|Borough|Village)\b|\bCounty \p{Lu}\p{Ll}+",
    ),
    Rule(
        "FACILITY",
        "named facility",
        rf"\b{_UNNAMED}(?:St\.?[ ]|Mt\.?[ ]|Our Lady of[ ])?\p{{Lu}}[\p{{L}}'.-]*(?:[ ](?:(?:of|the|and|for|&|de|at)[ ]){{0,2}}\p{{Lu}}[\p{{L}}'.-]*){{0,4}}?[ ]{_PLACE_KIND}\b(?:[ ](?:of|at|in|for)[ ]\p{{Lu}}[\p{{L}}'-]+(?:[ ]\p{{Lu}}[\p{{L}}'-]+)?)?",
    ),
    Rule(
        "FACILITY",
        "facility of a place",
        r"\b(?:University|Hospital|Clinic|Infirmary|Institute|College|Children's Hospital|School) (?:Hospital )?(?:of|for|at) (?:the )?\p{Lu}[\p{L}'-]+(?:[ ](?:of |and )?\p{Lu}[\p{L}'-]+){0,3}",
    ),
    Rule("FACILITY", "saint", r"\b(?:St|Saint)\b\.?[ ]\p{Lu}\p{Ll}{3,}(?:'s)?\b"),
    Rule(
        "FACILITY",
        "labelled facility",
        r"^[ \t]*(?i:hospital|facility|clinic|site|practice|pharmacy|employer|school|organi[sz]ation)[ \t]*:[ \t]*\K\p{Lu}[\p{L}&'., -]{2,60}",
    ),
    Rule(
        "ROOM",
        "room or bed",
        r"\b(?i:room|rm|bed|bay|ward|suite|floor|theatre|cubicle|pod|apt|apartment|flat|o\.?r\.?|desk|locker)[ \t]*(?i:no\.?|number|:|#)?[ \t]*#?\K(?:\d{1,4}[A-Z]?(?:-[A-Z0-9]{1,3})?|[A-Z]{1,2}-?\d{1,4}[A-Z]?|[A-Z](?:-\d{1,3})?)\b(?![ \t]*(?:mg|ml|days?|weeks?|hours?|%|times?|/|\.\d))",
    ),
    Rule(
        "ROOM",
        "unit",
        r"\b(?i:unit|wing|tower|building|block)[ \t]+\K(?:\d{1,3}[A-Z]\b|[A-Z]-?\d{0,3}\b)(?!\.)",
    ),
)
