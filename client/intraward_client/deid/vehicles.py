"""Rules for vehicles: plates of many countries near a word of the road, and identification numbers.

45 CFR 164.514(b)(2)(i) item L. A plate has no shape of its own ("T12 ABC", "GCS 15"): it is one in a clause
that tells of a car, a permit or a road, or in a form that nothing clinical has.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from intraward_client.deid.rules import Rule

_WORDS = "the|and|was|for|but|had|has|her|him|his|not|who|out|off|got|did|via|per|are|ago|bed|mph|kph|kmh|lbs|min|hrs|sec|deg|old|yrs|day|mcg|bpm|pos|neg|mmh|tab|cap|iop|icu|via|new|all|any|now"
_TESTS = "gcs|bp|hr|rr|ct|mri|cxr|wbc|wcc|hgb|plt|inr|ldl|hdl|bmi|ekg|ecg|sbp|dbp|map|tsh|bnp|ast|alt|iss|ais|ef|phq|gad|icd|cpt|mrn|ssn|dob|doi|dos|age|apt|unit|rm|bed|er|ed|icu|day|pod|the|and|was|for|at|in|on|to|of|by|is|or|as|no|age|sat|spo|co|po|iv|im|mg|ml|cd|ca|ck|hla|il|glu|bun|cr|na|cl|esr|crp|mcv|tee|tte|pvr|fhr|efw|lot|ndc|npi|upc|din|ext|tel|fax|pgr|am|pm|us|uk|hwy|rte|sr|fm|cr"
_NOT = rf"(?!(?i:{_TESTS})(?![a-zA-Z]))(?!\d+[ -]?(?i:{_WORDS})\b)(?!\d{{1,3}}[ ]?(?i:mm|cm|mg|ml|kg|km|am|pm|ft|f|m|mi|yo|y|l|x|h|hr)\b)(?![A-Za-z]\d{{1,3}}[ -](?i:{_WORDS})\b)"
_STRICT = r"(?:[A-Z]\d{1,3}[ -]?[A-Z]{3}|[A-Z]{2}\d\d[ -]?[A-Z]{3}|\d[A-Z]{3}[ -]?\d{3}|\d{2,3}[ -][A-Z]{3}|[A-Z]{3}[ -]?\d{3,4}[A-Z]?)"
_PLATE = (
    rf"{_NOT}(?:{_STRICT}|\d{{2,3}}-[A-Z]{{1,2}}-\d{{1,6}}|[A-Z]{{2}}[ -]?\d{{1,2}}[ -]?[A-Z]{{1,3}}[ -]?\d{{1,4}}|[A-Z]{{2}}[ -]?\d\d[ -]?[A-Z]{{2}}[ -]?[A-Z]{{2}}|[A-Z]{{2,3}}[ -]\d{{2,3}}[ -]?[A-Z]{{1,3}}"
    r"|[A-Z]{1,3}-[A-Z]{1,2}[ -]?\d{1,4}[EH]?|[A-Z]{1,2}[ -]?\d{4,6}[A-Z]?|\d{2}-[A-Z]{2,3}-\d{1,2}|\d{1,2}-?[A-Z]{2,3}-?\d{2,3}|[A-Z]{3}\d[A-Z]\d\d|\d{2,4}[ -][A-Z]{2,3}(?:[ -]\d{2})?|\d{4}[ -]?[A-Z]{3}|\d{2}[ ]?[A-Z]{1,3}[ ]?\d{2,4}|[A-Z]{2}-\d{2}-\d{2}|[A-Z]{3}[ ]?\d{2}[ ]?[A-Z]{2}|\d{3}[ ][A-Z]{2}[ ]\d{2,3}|[A-Z]{2}[ ]\d{2}[ ]\d{3}|(?!D5W|A1C)(?:[A-Z]\d[A-Z]|[A-Z]{2}\d|\d[A-Z]{1,2}|\d{2}[A-Z])[ -](?=[A-Z]*\d)[A-Z\d]{3,5}|\d{3}[ -][A-Z]\d[A-Z]|\d{3}[ ][A-Z]{2}\d)(?![\w-])"
)
_ROAD = (
    "cars?|vans?|trucks?|lorry|taxis?|cabs?|uber|lyft|rideshare|mini-?vans?|minibus|bus|shuttle|ambulance|vehicles?|autos?|automobiles?|suv|jeep|sedan|pickup|ute|motor-?(?:bike|cycle|home)|"
    "scooter|moped|trailer|camper|rv|boat|tractor|tow|towing|parking|parked|permit|placard|blue badge|hang ?tag|plates?|rego|registration|registered|reg|towed|garage|valet|driver|drives|driven|driving|"
    "kennzeichen|immatriculation|matr[ií]cula|targa|transport|conveyance|fleet|rig|toyota|honda|ford|nissan|bmw|audi|volkswagen|vw|hyundai|kia|subaru|mazda|chevrolet|chevy|tesla|vauxhall|renault|peugeot|skoda|"
    "mercedes|fiat|volvo|mitsubishi|suzuki|dodge|buick|lexus|gmc|holden|opel|citro[eë]n|camry|corolla|civic|accord|prius|sienna|f-?150"
)
_STATES = (
    "alabama|alaska|arizona|arkansas|california|colorado|connecticut|delaware|florida|georgia|hawaii|idaho|illinois|indiana|iowa|kansas|kentucky|louisiana|maine|maryland|massachusetts|michigan|minnesota|"
    "mississippi|missouri|montana|nebraska|nevada|new[ ](?:hampshire|jersey|mexico|york|brunswick)|(?:north|south)[ ](?:carolina|dakota)|ohio|oklahoma|oregon|pennsylvania|rhode[ ]island|tennessee|texas|utah|vermont|"
    "virginia|washington|wisconsin|wyoming|ontario|quebec|alberta|manitoba|saskatchewan|british[ ]columbia|nova[ ]scotia|newfoundland|victoria|queensland|nsw|tasmania"
)
_GROUPS = (
    rf"(?!(?i:{_WORDS}|vin|d5w|d10w)\b)(?=(?i:[A-Z\d]{{0,4}}[A-Z]|[A-Z\d]{{1,4}}[ -][A-Z\d]{{0,5}}[A-Z]))(?:(?=[A-Za-z]*\d)[A-Za-z\d]{{2,4}}[ -](?=[A-Za-z]*\d)[A-Za-z\d]{{2,5}}|(?=[A-Za-z]*\d)[A-Za-z\d]{{2,4}}[ -](?!(?i:{_WORDS}|{_TESTS})\b)[A-Za-z]\d?[A-Za-z]{{1,2}}"
    r"|[A-Z]{1,4}[ -]\d{2,5}[A-Z]{0,2}|(?i:[a-z]{1,2}[ -]\d{2,3}[ -][a-z]{2,3}|[a-z]{3}[ -]\d{3,4})|[A-Z\d]{5,8}(?<=[A-Z]\d+|\d[A-Z]+))(?![\w-])(?![ ]?(?i:mg|mcg|ml|units?|cm|mm|kg|bpm|degrees|hours|days|weeks)\b)"
)
"""Two groups of letters and figures in any case, behind a word that only a plate follows."""
VEHICLES = (
    Rule(
        "VEHICLE",
        "plate in two groups",
        rf"\b(?:(?i:{_STATES})[ ](?:(?i:licen[cs]e|lic|vanity|temporary|temp|disabled|handicap)\b\.?[ ])?(?:(?i:number[ ])?(?i:plates?|tags?|registration|registered|reg|rego|marked)\b\.?)?|(?i:reg(?:o|d|istration)?|tags?|(?:number|licen[cs]e)?[ ]?plates?|vrm|vrn)\b\.?(?<!\b(?i:rhythm|rate|s1 ?s2|insulin|humulin|novolin)[ ,]{{1,2}}reg\.?))"
        rf"(?:[ ]?[:=#(]|[ ](?i:is|was|of|no\.?|nr\.?|number|mark|reads?|ending)\b){{0,3}}[ ]?[\"']?(?<![A-Za-z])\K{_GROUPS}",
    ),
    Rule(
        "VEHICLE",
        "plate near a word of the road",
        rf"\b(?i:{_ROAD})\b(?:[^.;\n]|(?<=\b(?i:nos?|nr|reg|num|lic))\.){{1,60}}?(?<![\w./-])\K{_PLATE}",
    ),
    Rule(
        "VEHICLE",
        "plate in small letters",
        rf"\b(?:{_ROAD})\b[^.;\n]{{1,40}}?(?<![\w./-])\K{_NOT}(?i:{_STRICT})(?![\w-])(?<=\d\w*|\d[ -]\w{{3}})",
    ),
    Rule(
        "VEHICLE",
        "plate in brackets",
        rf"\b(?i:{_ROAD})[ ]?[(:,][ ]?\K{_NOT}(?=[A-Z\d -]{{0,8}}\d)(?=[\d -]{{0,6}}[A-Z])(?=(?:[ -]?[A-Z\d]){{5}})[A-Z\d]{{1,5}}(?:[ -]?[A-Z\d]{{1,5}}){{0,3}}(?=[ ]?[),.;]|[ ]?$)",
    ),
    Rule(
        "VEHICLE",
        "plate called so",
        rf"\b(?i:(?:plates?|tags?|rego?|registration|reg|tail|hull|side|fleet|unit|truck|cab|medallion)[ ]?(?:no\.?|nos?\.?|nr\.?|number|mark|id|\#|:|is|was|as|reads?)|licen[cs]e (?:plate|tag)|rego|plates?)(?!\w)[^\n\w]{{0,4}}(?:(?i:no|nr|number|mark|of|the|is|was|on|file|reads?|as|vehicle|car|reg|listed|given|lists?|with|state|temporary|personali[sz]ed|vanity)\b[^\n\w]{{0,3}}){{0,5}}\K(?!(?i:{_WORDS}|{_TESTS}|vin|of|in|at)\b)(?=(?:[ -]?[A-Z\d]){{4}})(?=[\w -]{{0,7}}\d)(?=[A-Za-z\d -]{{0,8}}[A-Za-z])[A-Z\d]{{1,5}}(?:[ -]?[A-Z\d]{{1,5}}){{1,3}}\b(?<![A-Z][ ](?:AND|WAS|FOR|THE))",
    ),
    Rule(
        "VEHICLE",
        "British plate",
        r"\b(?!(?:CD|HR|BP|RR|PR|HB|SP)\d)[A-Z]{2}\d\d (?!POS|NEG|BPM|MMH|AND|WAS|FOR|THE)[A-Z]{3}\b",
    ),
    Rule(
        "VEHICLE",
        "VIN in groups",
        r"(?i:\bvin|\bvehicle identification|\bchassis)\b[^\n\w]{0,3}(?:(?i:no|number|is|was|code|ending|in|last|six|6|eight|8|digits|characters)\b[^\n\w]{0,3}){0,6}\K(?=(?:[A-Z -]{0,6}\d){4})[A-Z\d](?:[ -]?[A-Z\d]){3,19}\b",
    ),
    Rule("VEHICLE", "VIN", r"\b(?=[A-HJ-NPR-Z\d]*\d)(?=[A-HJ-NPR-Z\d]*[A-Z])[A-HJ-NPR-Z\d]{17}\b"),
)
