"""Rules for towns, counties and other places that no list holds: part of Safe Harbor item B."""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from intraward_client.deid.addresses import NO_MONTH, STATE, STATE_NAME
from intraward_client.deid.rules import Rule

TOWNS = (
    Rule(
        "LOCATION",
        "labelled town",
        r"(?i:\b(?:city|town|village|hometown|suburb|county|birthplace|place of birth))[ ]*[:=][ ]*\K\p{Lu}[\p{L}'-]+(?:[ ]\p{Lu}[\p{L}'-]+){0,2}",
    ),
    Rule("LOCATION", "Irish county", r"\bCo\.?[ ]\p{Lu}\p{Ll}{3,}\b"),
    Rule(
        "LOCATION",
        "town and state",
        rf"\b\p{{Lu}}\p{{Ll}}+(?:[ \t]\p{{Lu}}\p{{Ll}}+){{0,2}},[ \t]*(?:(?!(?:MD|PA|DO|OD|ND|MA)\b){STATE}\b(?![ \t]*(?:[:=]|\d))|{STATE_NAME}\b)|\b(?:in|from|of|near|to|at)[ ]\K\p{{Lu}}\p{{Ll}}+(?:[ \t]\p{{Lu}}\p{{Ll}}+){{0,2}},[ \t]*(?:MD|PA|MA|ND)\b",
    ),
    Rule(
        "LOCATION",
        "place after cue",
        rf"\b(?i:liv(?:es?|ing|ed)|resid(?:es?|ing|ed|ent)|born|rais(?:es?|ed)|mov(?:ed|ing|es)|travell?(?:s|ed|ing)?|flew|visit(?:s|ed|ing)?|work(?:s|ed|ing)?|comes?|came|native|transferred|commut\w+|holiday\w*|vacation\w*|emigrated|immigrated|spent|stay(?:s|ed|ing)?|trip|drove|returned|grew up|collision|accident|crash|farm\w*|seen|fly|flies|flying|drives?|driving|head(?:ed|ing)|going|goes|go|went|travel)(?:[ \t]+[a-z]{{1,8}}){{0,3}}?[ \t]+(?:in|from|to|at|near|outside(?: of)?|around|towards?|through)[ \t]+(?:the[ \t]+)?\K(?!(?:IP|ZIP|ED|ER|ICU|Emergency|Dr|Mr|Mrs|Ms|I|ITU|A&E|OR|Type|Stage|Grade|Class|Level|Phase|Group)\b){NO_MONTH}\p{{Lu}}[\p{{L}}'-]+(?:[ \t](?:(?:of|upon|de|la|sur|am|on)[ \t])?{NO_MONTH}\p{{Lu}}[\p{{L}}'-]+){{0,2}}",
    ),
    Rule(
        "LOCATION",
        "town behind a street",
        rf"\b\d{{1,6}}[A-Za-z]?[ ](?:\p{{Lu}}[\p{{L}}'.-]*[ ]){{1,4}}(?:St|Street|Rd|Road|Ave?|Avenue|Dr|Drive|Ln|Lane|Ct|Court|Blvd|Boulevard|Way|Cir|Circle|Pl|Place|Terrace|Close|Crescent|Cres|Hwy|Highway|Pkwy|Parkway|Trail|Row)\b\.?,?[ ](?:in|near|outside|over in|out in|up in|down in)[ ]\K{NO_MONTH}\p{{Lu}}[\p{{L}}'-]+(?:[ ]\p{{Lu}}[\p{{L}}'-]+){{0,2}}",
    ),
    Rule(
        "LOCATION",
        "where somebody is from",
        rf"\b(?i:man|woman|boy|girl|male|female|family|patient|lady|gentleman|resident|native|visitor|up|down|over|ambulance|transfer|\p{{Lu}}\p{{Ll}}+)[ \t]+(?:from|of(?<=(?:resident|native) of))[ \t]+\K(?!(?:IP|ED|ER|ICU|OR|Dr|Mr|Mrs|Ms|The)\b){NO_MONTH}\p{{Lu}}[\p{{L}}'-]+(?:[ \t]{NO_MONTH}\p{{Lu}}[\p{{L}}'-]+){{0,2}}",
    ),
    Rule(
        "LOCATION",
        "county, town or village named",
        r"\b(?i:town|city|village|county|borough|parish|suburb|district|neighbou?rhood|island|reservation) of \K\p{Lu}[\p{L}'-]+(?:[ ]\p{Lu}[\p{L}'-]+){0,2}|\b\p{Lu}[\p{L}'-]+(?:[ ]\p{Lu}[\p{L}'-]+)?[ ](?:County|Township|Parish|Borough|Village|Shire|Municipality|Precinct)\b|\b[Cc]ounty \p{Lu}\p{Ll}{2,}\b(?<!Health|Jail|Hospital|Clinic|Court|Hall)",
    ),
    Rule(
        "LOCATION",
        "town behind its hospital",
        rf"\b(?:Hospital|Infirmary|Clinic|Surgery|Practice|Medical[ ]Cent(?:er|re)|Health[ ]Cent(?:er|re)|Hospice|Institute),[ ]\K(?!(?:Department|Division|Ward|Unit|Room|Emergency|Service|Dept|Attending|Attn|Dr|Mr|Mrs|Ms|Fax|Tel|Phone)\b){NO_MONTH}\p{{Lu}}\p{{Ll}}{{2,}}(?:[ ]\p{{Lu}}\p{{Ll}}+){{0,2}}(?=[ ]*(?:$|[,;|(]|[ ]{{2}}))",
    ),
)
