"""Rules for wards, units, rooms and beds: part of Safe Harbor item R.

A room or ward goes with the word before its number: what is a name and what a kind is anybody's guess
("Maple Unit", "4 West").
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from intraward_client.deid.lexicon import MONTHS
from intraward_client.deid.rules import Rule

_ASIDE = r"(?i:side|private|single|isolation|treatment|exam(?:ination)?|procedure|consult(?:ing|ation)?|interview|recovery|delivery|labou?r|birthing|trauma|resus|triage|seclusion|quiet|swing|hall)"
_SMALL_ICU = r"(?:ed|icu|micu|sicu|picu|nicu|ccu|cvicu|pacu|itu|hdu|amu|mau|sau|a&e)"
_SIDE = r"(?:North|South|East|West|Central|Center|Centre|Main|Tower|Pavilion|Plaza|Annex|Wing|Atrium|North[ ]?[Ww]est|North[ ]?[Ee]ast|South[ ]?[Ww]est|South[ ]?[Ee]ast)"
_KINDS_OF_WARD = r"(?:Paeds|Consultant|Escalation|Step-down|Stroke|Intensive|Care|Coronary|Cardiac|Cardiology|Emergency|Medical|Surgical|Surgery|Burns?|Trauma|Dialysis|Renal|Day|Maternity|Delivery|Labou?r|Isolation|Observation|Assessment|Admissions?|Acute|Critical|High|Dependency|Step|Down|Stepdown|Psychiatric|Oncology|Neurology|Neuro|Rehab|Rehabilitation|Telemetry|Recovery|Neonatal|Pediatric|Paediatric|Children's|Geriatric|Medicine|Mental|Inpatient|Outpatient|Hounsfield|International|Per|Each|The|This|That|Our|Of|Off|On|To|In|From|Transfusion|Motor|Family|Short|Stay|Postpartum|Antenatal|Orthop(?:a)?edic|Respiratory|Chest|Pain|Sleep|Endoscopy|Infusion|Hemodialysis|Haemodialysis|Palliative|Hospice|Nursing|Same|Another|Other|Any|Every|Receiving|Discharge|Lounge|Blood|Postnatal|Antenatal|Gyna?e(?:cology)?|Obstetric|H?a?ematology|Vascular|Urology|ENT|Gastro\p{L}*|Endocrine|Diabetes|Locked|Open|General|Mixed|Male|Female|Main|Their|Your|My|His|Her|Motor|Dose|Unit|Whole|New|Old|Former|Present|Current|Busy|Elderly|Frailty|Fracture|Spinal|Surge|Host|Home|Base|Parent|Correct|Left|Right|Hospital|Ward|Private|Public|Secure|Forensic|Eating|Virtual|Heart|Liver|Transplant|Kidney|Bone|Head|Hand|Breast|Cancer|Stem|Special|Specialist|Infectious|Infection|Research|Clinical|Teaching|Triage|Ambulatory|Polysomn\p{L}*|Wound|Burn|Hyperbaric|Epilepsy|Memory|Dementia|Swing|Subacute|Sub-acute|Long|Term|Skilled|Progressive|Immediate|Intermediate|Electro\p{L}*|Ultrasound|Vertical|And|Or|For|With|By|At|At-risk|Fifth|First|Second|Third|Last|Next|Top|Low|One|Two|Three|No|Some|All)"
_ICU = r"(?:[MSCNPTBR]?ICU|LDRP?|PCU|IMCU|SDU|MSICU|AAU|CCU|CVICU|CTICU|NSICU|PACU|HDU|ITU|AMU|MAU|SAU|EAU|CDU|ED|ER|A&E|L&D|OR|NICU|PICU|SCBU|ICU)"

WARDS = (
    Rule(
        "ROOM",
        "unit that is full",
        r"(?<![\w./-])(?<!\b(?i:stage|grade|type|class|category|level|phase|group) )(?!(?i:[234]d|1c)\b)\d{1,2}[A-HNSEW]\b(?=[ ]+(?:(?i:is|was|are|at)[ ](?i:full|closed|open|short|holding|boarding|capacity|over|ready|calling|on divert)|(?i:says|called|calling|wants|paged|nurse|charge|staff|desk|bed|beds|tele|unit|RN|ward|handover|report|full|closed|huddle)\b))",
    ),
    Rule(
        "ROOM",
        "unit of an alert",
        r"(?i:\b(?:alert|code|rrt|rapid response|mrt|met call|stroke|fall|handover|huddle|admit(?:ted)?|boarder|transfer|outlier|bed|tele|location|pt)\b[^\n.;:,]{0,16}(?:,|:|-| to| in| on))[ ]\K(?!(?i:[234]d)\b)\d{1,2}[A-HNSEW]\b(?=[ ]*(?:,|;|$|\.(?:[ ]|$)|\?))",
    ),
    Rule(
        "ROOM",
        "number of who is moved",
        r"(?i:\b(?:transfer|move|swap|discharge|send|take|bring|turn)[ ])(?:\p{Lu}[\p{L}'-]+[ ]){1,3}\K(?:\d{2,4}(?:-?[A-Z]|-\d{1,2})?|[A-Z]{1,2}-?\d{1,4})(?=[ ](?:to|into|from|with|for|and|back|home|now)\b)(?![ ]to[ ]\d)",
    ),
    Rule(
        "ROOM",
        "room or bed",
        rf"\b(?:(?:{_ICU}|{_SMALL_ICU}|{_ASIDE})[ -])?(?i:room|rm\.?|bed|bay|ward|wd|suite|theatre|cubicle|pod|apt\.?|apartment|flat|desk|locker|bunk|chair|station|cell|dorm|trolley|bed[ -]?space|nursery|isolette|incubator|resus|zimmer|cath lab|hall(?:way)?(?: bed| spot)?|recliner|stretcher|bassinet|cot)[ \t]*(?i:no\.?|number|:|#|(?<=[ ])-(?=[ ][A-Z]?\d))?[ \t]*#?(?:\d{{1,5}}[A-Za-z]?(?:[-/](?=\d{{0,4}}[A-Z]|\d{{3}})\d{{0,4}}[A-Z0-9]{{0,3}}|-\d{{0,4}}[A-Z0-9]{{0,3}})?|[A-Z]{{1,2}}-?\d{{1,4}}[A-Z]?|[A-Z](?:-\d{{1,3}})?)(?![\w-])(?![ \t]*(?:mg|ml|mL|days?|weeks?|hours?|hrs?|months?|years?|%|times?|pillows?|/|\.\d|x\b|minutes?|pounds?|feet|L\b|liters?|litres?|cm\b|mm\b))",
    ),
    Rule(
        "ROOM",
        "unit by letters",
        rf"\b(?!ER[ ]\d){_ICU}[- ](?:(?i:bed|room|bay|pod)[ ]?#?)?\d{{1,3}}[A-Z]?\b(?![ ]?(?:days?|hours?|x|%|mg|/|visits?|admissions?|weeks?))",
    ),
    Rule(
        "ROOM",
        "unit by compass",
        rf"(?:\b(?i:tower|building|pavilion|wing|block|level|floor|unit)[ ])?(?<![\w.,/-])\d{{1,2}}[A-Z]?[ -]?{_SIDE}(?:[ -](?:Tower|Wing|Pavilion|Building|Unit|Tele(?:metry)?|ICU|[A-Z]))?\b(?:-\d{{1,4}}[A-Z]?\b|,?[ ](?:[A-Z]{{1,2}}\d{{1,3}}|\d{{1,3}}-?[A-Z]?)(?=[ ]*(?:$|[?|;])))?(?![ ](?:\p{{Lu}}\p{{Ll}}+ )?(?:Street|St|Road|Rd|Avenue|Ave|Drive|Lane|Boulevard|Blvd))|(?:North|South|East|West)[ ]?\d{{1,2}}[A-Z]?\b",
    ),
    Rule(
        "ROOM",
        "named ward",
        rf"\b(?!{_KINDS_OF_WARD}\b)\p{{Lu}}[\p{{L}}'-]+[ ](?:Ward|Unit|Wing|Pavilion|Tower|Suite)\b(?:[ ]\d{{1,3}}[A-Z]?\b)?",
    ),
    Rule(
        "ROOM",
        "unit",
        r"\b(?i:unit|wing|tower|building|block|floor|level|pavilion)[ \t]+(?:\d{1,3}[A-Z]\b|[A-Z]-?\d{0,3}\b)(?![./]|[ ]?[a-z]+ing)",
    ),
    Rule(
        "ROOM",
        "labelled place in the house",
        r"(?:^|(?<=[|;]|[ ]{2}))[ \t]*(?i:(?:loc(?:ation)?|unit|ward|bed|room|bay|area|rm)(?:[ ]?/[ ]?(?:unit|ward|bed|room|bay|rm))*)[ \t]*[:=][ \t]*\K[^\n|;]{1,30}?(?=[ \t]*(?:$|\||;|[ ]{2}))",
    ),
    Rule(
        "ROOM",
        "ward by name",
        r"\b[Ww]ard[ ](?!(?:Round|Rounds|Nurse|Sister|Clerk|Manager|Team|Based|Staff|Doctor|Pharmacist)\b)\p{Lu}\p{Ll}{2,}(?:[ ]\d{1,2}[A-Z]?\b)?",
    ),
    Rule(
        "ROOM",
        "ward in small letters",
        rf"\b(?=\p{{Lu}}[\p{{Ll}}']{{2,}}+[ ]ward\b)(?!{_KINDS_OF_WARD}\b)\p{{Lu}}[\p{{Ll}}']{{2,}}[ ]ward\b|\b(?:on|in|to|from|at|the)[ ](?:the[ ])?\K(?=\p{{Lu}}[\p{{Ll}}']{{2,}}+[ ](?:unit|wing|pavilion|suite)\b)(?!{_KINDS_OF_WARD}\b)\p{{Lu}}[\p{{Ll}}']{{2,}}[ ](?:unit|wing|pavilion|suite)\b",
    ),
    Rule(
        "ROOM",
        "room over bed",
        r"\b(?i:(?:room|rm|ward|unit|bed|loc)(?:[ ]?/[ ]?(?:bed|room|rm|bay|ward))+)[ \t]*[:#]?[ \t]*(?=\w*\d)\w{1,5}(?:[ ]?[/-][ ]?\w{1,3})*\b|\b(?i:loc(?:ated|ation)?)[ :]+(?:(?i:at|in)[ ])?\K(?=[\w-]*\d)[A-Z\d]{1,5}-\d{1,4}[A-Z]?\b",
    ),
    Rule(
        "ROOM",
        "unit and bed",
        r"\b(?:in|on|to|from|at|pt|Pt)[ ]\K(?:\d{1,2}[A-Z]-\d{1,3}[A-Z]?|[A-Z]{1,2}\d{0,2}-\d{3,4}[A-Z]?)\b(?![./]\d|[ ]?(?:mg|ml|%))|(?<![\w.-])\d{1,2}[A-HNSEW]-\d{2}\b(?![./-])|\b\d{1,2}[NSEW](?=[ ](?:RN|nurse|charge|bed|tele|staff|desk|unit|nursing)\b)|\b(?:on|from|to)[ ]\K\d{1,2}[NSEW]\b(?![./\d]|[ ]?(?:mg|weeks?|sec|post|to)\b)",
    ),
    Rule(
        "ROOM",
        "floor beside a room",
        r"\b\d{1,2}(?:st|nd|rd|th)[ ](?i:floor)(?=,?[ ](?i:room|rm|bed|ward|unit|bay)\b)",
    ),
    Rule(
        "ROOM",
        "floor or tower",
        r"\b(?:(?i:the )?\d{1,2}(?:st|nd|rd|th)[ ](?i:floor)|(?i:floor|level)[ ]\d{1,2})(?:[ ](?:North|South|East|West|Tower|Wing))\b|\b(?:Tower|Wing|Pavilion)[ ]\d{1,2}[A-Z]?\b",
    ),
    Rule(
        "ROOM",
        "unit by figure and letter",
        r"\b(?:on|to|from|unit|in|at)[ ]\K(?!(?<=in )[234]D\b)\d{1,2}[A-H]\b(?![ ]?(?:mg|ml|/|%))",
    ),
    Rule(
        "ROOM",
        "unit of any letter behind a cue",
        r"\b(?i:accept(?:ed)?|admit(?:ted)?|transfer(?:red)?|move[ds]?|moving|down|up|back|called|given|handed off|handoff|report|sent|boarding|left|coverage|covering|sitter|requested|nurse|charge|bed)\b(?:[ ][a-z]+){0,3}?[ ](?:to|on|from|(?:for|in)(?=[ ]\d{1,2}[A-CE-GI-LN-VZ]))[ ]\K(?![234]D\b)\d{1,2}[A-Z]\b(?=[ ]*(?:[,.;:?)]|$|\n)|[ ](?:and|at|when|for|in|on|after|with|via|waiting|tonight|today|now|this|bed|room)\b)(?!\.\d)|(?:^|[ ])(?:is|'s)[ ](?:on|covering)[ ]\K(?![234]D\b)\d{1,2}[A-Z]\b(?=[ ]*[,.?]|[ ](?:tonight|today|now))|[|/][ ]\K\d{1,2}[A-Z](?=[ ]*(?:$|[|/]))",
    ),
    Rule(
        "ROOM",
        "unit by figure and name",
        rf"\b(?:on|to|from)[ ]\K(?!\d+[ ](?:{'|'.join((*MONTHS, *(month[:3] for month in MONTHS)))}|[A-Z]+\b)\b)\d{{1,2}}[ ]\p{{Lu}}\p{{Ll}}{{3,}}(?:[ ](?:Tower|Wing|Unit|Pavilion))?\b(?![ ]+(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Way|Blvd|Boulevard|Terrace|\p{{Lu}}\p{{Ll}}+[ ](?:Street|St|Road|Rd|Avenue|Ave|Lane|Drive|Dr|Court|Way)))(?=[ ]*(?:[,.;:?)]|$)|[ ](?:and|at|when|for|in|on|after|with|waiting|bed|Bed|room|Room|tonight|today|Serial)\b)|(?<=\b(?:RN|LPN|NP|MD|CNA)[ ]{{2,4}})\d{{1,2}}[ ]\p{{Lu}}\p{{Ll}}{{3,}}(?=[ ]{{2,}}|$)",
    ),
    Rule(
        "ROOM",
        "room beside a name",
        r"(?<=\d[.)][ ]\p{Lu}[\p{L}'-]{2,20},[ ])\d{3,4}(?:[A-H]|-\d)?(?=,)|\b(?i:one|who|which|patient|pt|whoever|name)\b[^.;?\n\d]{0,24}[ ](?:in|for)[ ]\K\d{3,4}[A-H]?(?=[ ]*\?)|\bin[ ]\K\d{3,4}[A-H]\b(?=[ ]*[?.,;])(?![.,]\d)|\b\p{L}{3,}[ ]in[ ]\K\d{3,4}(?=[ ](?:please|pls|asap|stat)\b)",
    ),
    Rule(
        "ROOM",
        "name and figure",
        rf"\b(?:on|to|from|in)[ ]\K(?!(?:Stage|Grade|Type|Day|Days|Week|Class|Phase|Level|Group|Cycle|Part|Step|Table|Figure|Month|Score|Factor|Covid|Omega|Vitamin|Year|Age|Chapter|Room|Bed|Ward|Bay|Line|Arm|Dose|Visit|Question|Item|Box|Protein|Zone|Category|Tier|Lead|Leads|Trial|Study|Interleukin|Hepatitis|Influenza|Title|Section|Page|Version|Appendix|Route|Highway|Interstate|{'|'.join((*MONTHS, *(month[:3] for month in MONTHS)))})\b)\p{{Lu}}\p{{Ll}}{{2,}}[ ]\d{{1,2}}[A-Z]?\b(?![./]\d|[ ]?(?:mg|mcg|ml|units?|times|days|weeks|tablets?|%))",
    ),
    Rule(
        "ROOM",
        "unit alone in a field",
        r"(?:^|[|,][ ]{0,2})\K(?![23]D)\d{1,2}[A-HNSEW](?=:|[ ]{0,2}\||,[ ](?i:ext|bed|room|rm|bay|x\d))",
    ),
    Rule(
        "ROOM",
        "number and letter of a bed",
        r"(?<![\w.,/+-])\d{2,4}-[A-Z](?![\w-])(?![ ](?:needle|gauge|FDG|cannula|catheter))|\bSR[ ]?\d{1,2}\b(?![./])|\b(?i:in|about|to|from|on|for|at)[ ]\K\d{3}-[1-4]\b(?![\d/.-])",
    ),
    Rule(
        "ROOM",
        "letter and number of a room",
        r"\b(?i:in|into|to|from|turn|at|outside|near|next to|for|move)[ ]\K(?!P450)[A-Z]{1,2}\d{3}[A-Z]?\b(?![./-]|[ ](?:gene|mutation|mg|allele|variant))",
    ),
    Rule(
        "ROOM",
        "somebody in a number",
        r"\b(?:\p{L}{3,}|[Pp]t)[ ]in[ ]\K\d{1,4}(?:-?[A-Z])?(?=[ ](?:has|is|wants|needs|asks|asking|keeps|refus\w+|can|says|said|pulled|won't|will|looks|complain\w*|c/o|desat\w*|just|still|now|febrile|spik\w+|vomit\w*|fell|and (?:the|his|her))\b)",
    ),
    Rule(
        "ROOM",
        "ward and bed",
        r"\b(?i:ward|unit)[ ](?=\w*\d)\w{1,4},?[ ](?:\d{1,4}(?:-?[A-Z])?|[A-Z]{1,2}\d{1,3})(?=[ ]*(?:$|[?|;,]|[ ]{2}|\.(?:[ ]|$)))",
    ),
    Rule(
        "ROOM",
        "floor of a tower",
        r"\b(?:Tower|Wing|Building|Block|Pavilion|Level|Floor|Zone|Pod|Campus)[ ](?:\d{1,2}[A-Z]?|[A-Z]),[ ](?:Level|Floor|Wing|Tower|Block|Bed|Room|Bay|Pod|Zone|Unit)[ ]\w{1,4}\b",
    ),
    Rule(
        "ROOM",
        "ward by its service",
        r"\b(?:Oncology|Cardiology|Medicine|Surgery|Neurology|Orthop(?:a)?edics|Telemetry|Medical|Surgical|Pediatrics|Paediatrics|Rehab|Psychiatry|H?a?ematology|Renal|Nephrology|Urology|Maternity|Respiratory|Trauma|Neuro|Ortho|Tele|Gyn(?:a?ecology)?|Geriatrics|Stepdown|Medsurg|Med-Surg|Med/Surg|Observation|Obs)[ ](?:\d{1,2}[A-Z]\b|\d{1,2}(?=[ ]{0,2}(?:[|:]|(?i:bed|bay|room|rm)\b)|,[ ](?i:bed|bay|room|rm|ext)))",
    ),
    Rule(
        "ROOM",
        "ward by name and figure",
        r"(?:^|,[ ])\K(?!(?:Day|Stage|Grade|Week|Visit|Page|Type|Class|Phase|Level|Cycle|Dose)\b)\p{Lu}\p{Ll}{3,}[ ]\d{1,2}[A-Z]?(?=,[ ](?i:ext\.?|x|bed|room|rm|bay)[ ]?\d)|\b(?:RN|LPN|LVN|CNA|MD|NP|PA|DO|RT),[ ]\K(?!(?:Day|Stage|Grade|Week|Visit|Page|Type|Class|Phase|Level|Cycle|Dose)\b)\p{Lu}\p{Ll}{3,}[ ]\d{1,2}[A-Z]?\b(?=[ ]*(?:$|[,;|]))|(?:Hospital|Cent(?:er|re)|Clinic|Infirmary|Medical|Health|Institute),[ ]\K(?!(?:Day|Suite|Level|Floor)\b)\p{Lu}\p{Ll}{3,}[ ]\d{1,2}[A-Z]?\b(?!,?[ ](?:19|20)\d\d)",
    ),
)
