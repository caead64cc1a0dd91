"""Rules for addresses, postcodes, towns, facilities, employers, wards and rooms: Safe Harbor item B and part of R.

Streets come in the orders of several countries ("8596 Old Mill Road", "Hauptstrasse 762, Graz", "12 Avenida
de los Olivos"). A room or ward goes with the word before its number: what is a name and what a kind is
anybody's guess ("Maple Unit", "4 West").
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from intraward_client.deid.lexicon import MONTHS
from intraward_client.deid.rules import Rule

_STATE = r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|PR|RI|S[CD]|T[NX]|UT|V[AIT]|W[AIVY]|AB|BC|MB|NB|NL|NS|ON|PE|QC|SK|NSW|VIC|QLD|TAS|ACT)"
_STATE_NAME = r"(?:Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|Nevada|New Hampshire|New Jersey|New Mexico|New York|North Carolina|North Dakota|Ohio|Oklahoma|Oregon|Pennsylvania|Rhode Island|South Carolina|South Dakota|Tennessee|Texas|Utah|Vermont|Virginia|Washington|West Virginia|Wisconsin|Wyoming|Ontario|Quebec|British Columbia|Alberta|Manitoba|Saskatchewan)"
_WAY = r"(?:Street|St|Road|Rd|Avenue|Ave|Av|Boulevard|Blvd|Drive|Dr|Lane|Ln|Court|Ct|Place|Pl|Square|Sq|Terrace|Ter|Close|Crescent|Cres|Parkway|Pkwy|Highway|Hwy|Way|Circle|Cir|Trail|Trl|Row|Mews|Gardens|Grove|Hill|Walk|Park|Green|View|Rise|Loop|Alley|Quay|Wharf|Plaza|Pike|Turnpike|Bypass|Ridge|Heights|Broadway|Path|Pass|Run|Point|Landing|Crossing|Gate|Drove|Vale|Yard|Cottages|Villas|Mansions|Meadows?|Fields|Lea|Glen|Dale|Hollow|Cove|Bluff|Knoll|Circus|Strand|Causeway|Chase|Copse|Freeway|Fwy|Expressway|Embankment|Parade|Esplanade|Concourse|Drive)"
_CAPS = r"\p{Lu}[\p{L}'.-]*"
_LINKS = r"(?:de|das|dos|degli|delle|del|della|la|las|los|le|les|du|des|da|do|dos|di|van|von|der|den|y|e|of|the|im|am|zum|zur)"
_POSTCODE = r"[A-Z]{1,2}\d[A-Z\d]?[ ]?\d[A-Z]{2}"
_CODE = rf"(?:\d{{5}}(?:-\d{{4}})?|{_POSTCODE}|[A-Z]\d[A-Z][ ]?\d[A-Z]\d|\d{{3}}[- ]\d{{4}}|\d{{4}}(?:[ ][A-Z]{{2}})?|\d{{6}})\b"
_UNITNO = r"(?i:apt|apartment|suite|ste|unit|flat|room|rm|floor|fl|bldg|building|lot|trailer|level|space|blk|villa|pmb|\#)\.?[ \t]*\#?[ \t]*\w+(?:[/-]\w{1,4})?"
_UNITWORD = r"(?i:apt|apartment|suite|ste|unit|flat|lot|trailer|blk|villa|space)"
_TOWN = rf"{_CAPS}(?:[ \t-](?:{_LINKS}[ \t])?{_CAPS}){{0,3}}"
_TAIL = rf"(?:,?[ \t]+{_UNITNO})?(?:\s*[,·][ \t]*\n?(?:{_CODE}[ \t]+)?{_TOWN}){{0,4}}(?:,?[ \t]+(?:{_STATE}\b|{_STATE_NAME}|{_TOWN})(?=[ \t,]+\d{{5}}))?(?:,?\s+{_CODE}(?:[ \t]+{_TOWN}(?=[\s.,;|]|$))?)?(?:,?[ \t]+(?:{_STATE}\b(?!')|{_STATE_NAME}))?(?:,?[ \t]+{_CODE})?"
_KIND = r"(?:Hospitals?|Infirmary|Clinics?|Hospice|Sanatorium|Polyclinic|Pharmacy|Chemist|University|College|Academy|School|Church|Mosque|Synagogue|Temple|Prison|Jail|Hotel|Shelter|Foundation|Institute|Laborator(?:y|ies)|Rehabilitation|Rehab|Surgery|Practice|Healthcare|Health[ ](?:System|Cent(?:er|re)|Trust|Services|Clinic|Network|Partners|Department)|Medical[ ](?:Cent(?:er|re)|Group|Associates|College|Practice|Park|Campus|Plaza)|(?:Care|Cancer|Heart|Trauma|Surgical|Community|Day|Wellness|Eye|Birth|Stroke|Dialysis|Rehabilitation|Rehab|Imaging|Endoscopy|Recovery|Detention|Senior|Treatment|Infusion|Fertility|Pain)[ ]Cent(?:er|re)|(?:Nursing|Care|Retirement|Rest|Group|Funeral|Foster)[ ]Home|Retirement[ ](?:Community|Village)|Adult[ ]Day[ ]Cent(?:er|re)|Skilled[ ]Nursing(?:[ ]Facility)?|SNF|ALF|LTACH|Nursing[ ](?:Facility|and[ ]Rehab(?:ilitation)?)|Senior[ ]Living|Assisted[ ]Living|Memory[ ]Care|NHS[ ](?:Foundation[ ])?Trust|Health[ ]Board|Manor|Lodge|VA|School[ ]District|Family[ ](?:Practice|Medicine|Health)|Imaging|Radiology|Dialysis|Orthop(?:a)?edics|Pediatrics|Paediatrics|Dental|Urgent[ ]Care|Walk-in[ ](?:Clinic|Cent(?:er|re))|Health|Medical|Labs|Diagnostics|Physicians|Specialists|Associates|Surgery[ ]Center|Treatment[ ]Cent(?:er|re)|Residences?|Maternity|Wellness|Hospice[ ]Care|Memorial|General|Regional|Presbyterian|Methodist|Baptist|Adventist|Home[ ]Health|Ambulance(?:[ ]Service)?|EMS|Blood[ ]Bank|Convent|Care|Minor[ ]Injur(?:y|ies)[ ]Unit|Maternity[ ]Unit|Birth(?:ing)?[ ]Cent(?:er|re)|Day[ ]?care|Preschool|Kindergarten)"
_MORE = r"(?:[ ](?:Hospitals?|Infirmary|Nursing[ ]Home|Care[ ]Home|Residential[ ]Home|Institute|University|College|Cancer[ ]Cent(?:er|re)|Foundation[ ]Trust|NHS[ ]Trust|Cent(?:er|re)|Clinic|Medical[ ]Cent(?:er|re)|Health[ ]System|System|Trust|Group|Campus|Practice|School|District|College|Home|Living|Facility|Department|Associates|Hospice|Pharmacy|Network|Laborator(?:y|ies)|Annex|Pavilion)){0,3}"
_UNNAMED = r"(?!(?:The|A|An|This|That|Pain|General|Outpatient|Inpatient|Local|Emergency|At|In|To|From|Of|On|And|Or|Her|His|Their|Your|My|No|Any|Each|Every|Dr|Mr|Mrs|Ms|Saw|Seen|Call|Called|Per|Since|After|Before|If|When|Was|Is|Fax|Page|Transferred|Admitted|Discharged|Discharge|Referred|Followed|Follow|Return|Returned|Home|Skilled|Acute|Long|Primary|Family|Community|Regional|Current|Previous|Preferred|Physical|Occupational|Cardiac|Pulmonary|Dialysis|Medical|Surgical|Nursing|High|Middle|Elementary|Public|Private|Social|Mental|Behavioral|Hospital|Clinic|Interventional|Diagnostic|Nuclear|Pediatric|Paediatric|Old|New|Same|Other|Patient|Pharmacy|University|Medicine|Graduate|Urgent|National)\b(?![ ](?:Lady|of[ ]\p{Lu}|\p{Lu}\p{Ll}+[ ](?:Hospital|General|Memorial|Regional|Medical|Community|Family|University|Children|VA|County))))"
_NAMED = rf"{_UNNAMED}(?:St\.?[ ]{{1,2}}|Mt\.?[ ]|Ft\.?[ ]|Our[ ]{{1,2}}Lady[ ]{{1,2}}(?:of[ ](?:the[ ])?))?\p{{Lu}}[\p{{L}}'.-]*(?:[ ]{{1,2}}(?:(?:of|the|and|for|&|de|la|del)[ ]{{1,2}}){{0,2}}\p{{Lu}}[\p{{L}}'.-]*){{0,5}}?"
_NO_MONTH = rf"(?!(?:{'|'.join((*MONTHS, *(month[:3] for month in MONTHS)))})\b)"
_KINDS_OF_WARD = r"(?:Stroke|Intensive|Care|Coronary|Cardiac|Cardiology|Emergency|Medical|Surgical|Surgery|Burns?|Trauma|Dialysis|Renal|Day|Maternity|Delivery|Labou?r|Isolation|Observation|Assessment|Admissions?|Acute|Critical|High|Dependency|Step|Down|Stepdown|Psychiatric|Oncology|Neurology|Neuro|Rehab|Rehabilitation|Telemetry|Recovery|Neonatal|Pediatric|Paediatric|Children's|Geriatric|Medicine|Mental|Inpatient|Outpatient|Hounsfield|International|Per|Each|The|This|That|Our|Of|Off|On|To|In|From|Transfusion|Motor|Family|Short|Stay|Postpartum|Antenatal|Orthop(?:a)?edic|Respiratory|Chest|Pain|Sleep|Endoscopy|Infusion|Hemodialysis|Haemodialysis|Palliative|Hospice|Nursing|Same|Another|Other|Any|Every|Receiving|Discharge|Lounge|Blood|Postnatal|Antenatal|Gyna?e(?:cology)?|Obstetric|H?a?ematology|Vascular|Urology|ENT|Gastro\p{L}*|Endocrine|Diabetes|Locked|Open|General|Mixed|Male|Female|Main|Their|Your|My|His|Her|Motor|Dose|Unit|Whole|New|Old|Former|Present|Current|Busy|Elderly|Frailty|Fracture|Spinal|Surge|Host|Home|Base|Parent|Correct|Left|Right|Hospital|Ward|Private|Public|Secure|Forensic|Eating|Virtual|Heart|Liver|Transplant|Kidney|Bone|Head|Hand|Breast|Cancer|Stem|Special|Specialist|Infectious|Infection|Research|Clinical|Teaching|Triage|Ambulatory|Polysomn\p{L}*|Wound|Burn|Hyperbaric|Epilepsy|Memory|Dementia|Swing|Subacute|Sub-acute|Long|Term|Skilled|Progressive|Immediate|Intermediate|Electro\p{L}*|Ultrasound|Vertical|And|Or|For|With|By|At|At-risk|Fifth|First|Second|Third|Last|Next|Top|Low|One|Two|Three|No|Some|All)"
_ICU = r"(?:[MSCNPTBR]?ICU|LDRP?|PCU|IMCU|SDU|MSICU|AAU|CCU|CVICU|CTICU|NSICU|PACU|HDU|ITU|AMU|MAU|SAU|EAU|CDU|ED|ER|A&E|L&D|OR|NICU|PICU|SCBU|ICU)"

PLACES = (
    Rule(
        "ADDRESS",
        "street address",
        rf"(?:\b{_UNITNO},?[ \t]+|\b{_UNITWORD}[ \t]+)?(?<![\d-] ?|\d/)\b\d{{1,6}}[A-Za-z]?(?:[-/]\d+)?(?:[ ]1/[234])?,?[ \t]+(?!(?:GP|PCP|By|Per|Seen)\b)(?:[NSEW]{{1,2}}\.?[ \t]+|(?:North|South|East|West)[ \t]+)?(?:{_CAPS}[ \t]+|\d+(?:st|nd|rd|th)[ \t]+){{1,4}}{_WAY}\b\.?(?:[ \t]+[NSEW]{{1,2}}\b)?{_TAIL}",
    ),
    Rule(
        "ADDRESS",
        "street of another country, number before",
        rf"\b\d{{1,5}}[A-Za-z]?(?:[ ]?(?:bis|ter))?,?[ \t]+(?i:avenida|av\.|calle|carrera|calzada|camino|paseo|plaza|rua|travessa|alameda|via|viale|piazza|corso|rue|boulevard|chemin|impasse|quai|place|allée|cours|carrer|jalan|jl\.|ulica|ul\.|strada)[ \t]+(?:{_LINKS}[ \t]+){{0,2}}\p{{Lu}}[\p{{L}}'-]*(?:[ \t](?:{_LINKS}[ \t]+){{0,2}}{_CAPS}){{0,3}}{_TAIL}",
    ),
    Rule(
        "ADDRESS",
        "street of another country, number behind",
        rf"\b\d{{1,5}}[A-Za-z]?,?[ ]\p{{Lu}}[\p{{L}}-]*(?:stra(?:ss|ß)e|str\.|gasse|weg|platz|allee|damm|ufer|laan|straat|gracht|plein|dijk|kade|gade|gatan|vej|vägen|katu|utca)\b{_TAIL}|\b(?:\p{{Lu}}[\p{{L}}-]*(?:stra(?:ss|ß)e|str\.|gasse|weg|platz|allee|damm|ufer|ring|laan|straat|gracht|plein|dijk|kade|gade|gatan|gata|vej|veg|vägen|väg|veien|katu|tie|utca|tér)|(?i:avenida|av\.|calle|carrera|calzada|camino|paseo|plaza|rua|travessa|alameda|via|viale|piazza|corso|rue|boulevard|chemin|carrer|jalan|jl\.|ulica|ul\.|al\.|strada|bulevardul|calea|prospekt|ulitsa)[ \t]+(?:{_LINKS}[ \t]+){{0,2}}\p{{Lu}}[\p{{L}}'-]*(?:[ \t](?:{_LINKS}[ \t]+){{0,2}}{_CAPS}){{0,3}}|\p{{Lu}}[\p{{L}}-]+[ \t](?:Straße|Strasse|utca|út|katu|Weg|Allee|Platz|Ring|Sokak|Caddesi|Cad\.|Sok\.))(?:,?[ \t]+(?i:no\.?|nr\.?|n°|nº)?[ \t]?|,[ \t]*)\d{{1,5}}[A-Za-z]?(?:[/-][\dIVX]+)?{_TAIL}",
    ),
    Rule(
        "ADDRESS",
        "house name and street",
        rf"\b(?:The[ ])?\p{{Lu}}[\p{{L}}']+(?:[ ]\p{{Lu}}[\p{{L}}']+)?[ ]?(?:Rectory|Cottage|House|Lodge|Barn|Farm|Mill|Hall|Manor|Villa|Grange|Croft|Vicarage|Court|Bungalow|Farmhouse)?,[ ]\p{{Lu}}[\p{{L}}']+(?:[ ]\p{{Lu}}[\p{{L}}']+){{0,2}}[ ]{_WAY}\b,(?:\s*{_TOWN},?){{1,2}}\s+{_CODE}",
    ),
    Rule(
        "ADDRESS",
        "numbered street, one word",
        rf"\b\d{{1,6}}[ \t]+\p{{Lu}}\p{{Ll}}+(?:[ \t]\p{{Lu}}\p{{Ll}}+){{0,3}}\s*,\s*{_CAPS}(?:[ \t]{_CAPS}){{0,2}},?[ \t]+(?:{_STATE}[ \t]+\d{{5}}|{_POSTCODE})(?:-\d{{4}})?",
    ),
    Rule(
        "ADDRESS",
        "address after cue",
        rf"\b(?i:address|addr|residence|lives at|lived at|residing at|resides at|living at|home is|house is|moved to|stays at|staying at)\b(?:[ \t]+(?i:is|was|on file|of record|given as|given|listed as|now))?[ \t]*[:,]?\s*\K(?=[^\n]{{0,60}}\d)(?:{_UNITNO},?[ \t]+)?(?:(?:\d[\w/-]*|{_CAPS}|{_LINKS})(?:,?[ \t]+|,\n[ \t]*|(?=[.;|\n)]|$))){{2,14}}",
    ),
    Rule(
        "ADDRESS",
        "labelled address line",
        r"(?:^|(?<=[|;>]|[ ]{2}))[ \t]*(?i:(?:home |mailing |postal |street |current |permanent )?(?:address|addr))[ \t]*:[ \t]*\K[^\n;|]{4,120}?(?=[ \t]{2,}|[ \t]*(?:$|;|\||\b(?i:phone|tel|dob|mrn|mobile|email|e-mail|nhs|ssn|cell|home)\b))",
    ),
    Rule(
        "ADDRESS",
        "post office box",
        rf"\b(?i:p\.?[ ]?o\.?[ ]{{0,2}}box|pob|post office box|gpo box|pmb|postfach|apartado|casilla|boîte postale|private bag|locked bag)[ \t]*(?i:no\.?[ ]?)?#?\d+[A-Z]?{_TAIL}",
    ),
    Rule(
        "ADDRESS",
        "rural route",
        rf"\b(?:RR|Rural Route|HC|County Road|CR|State Route|Route|Highway|Hwy)[ ]#?\d+(?:,?[ ](?i:box)[ ]\d+[A-Z]?){_TAIL}",
    ),
    Rule(
        "ADDRESS",
        "route and box",
        rf"\b(?:R\.?R\.?|R\.?F\.?D\.?|(?:Star|Rural|Mail)[ ]Route|HC|SR|PSC|CMR|UNIT)[ ]#?\d+,?[ ](?i:box|site|comp)[ ]#?\d+(?:,?[ ](?i:box|site|comp|stn)[ ]#?\d+)*(?:,?[ ][AFD]PO[ ](?:AE|AP|AA)(?:[ ]\d{{5}})?)?{_TAIL}",
    ),
    Rule(
        "ADDRESS",
        "numbered road",
        rf"\b[NSEW]?\d{{1,6}}[ ](?:(?:State|US|U\.S\.|County|Old|Farm to Market|Ranch)[ ]){{0,2}}(?:Hwy|Highway|Route|Road|Rd|FM|CR|SR)[ ](?:\d{{1,4}}[A-Z]?|[A-Z]{{1,2}})\b(?:[ ][NSEW]\b)?{_TAIL}",
    ),
    Rule(
        "ADDRESS",
        "road without a house",
        rf"\b(?:(?:County|State|US)[ ](?:Road|Rd|Route|Highway|Hwy)|Highway|Hwy|Interstate)[ ]\d{{1,4}}\b|\b(?:on|near|off|along|at|down)[ ]\K(?:I|US)-\d{{1,3}}\b|\b\d{{2,5}}[ ]block[ ]of[ ](?:\p{{Lu}}[\p{{L}}.]*[ ]){{1,3}}{_WAY}\b",
    ),
    Rule(
        "ADDRESS",
        "street by its number",
        rf"(?<![\d.,/-][ ]?)\b\d{{1,5}}[ ][NSEW]{{1,2}}\.?[ ]\d{{1,3}}(?:st|nd|rd|th)\b{_TAIL}",
    ),
    Rule(
        "ADDRESS",
        "crossing of two streets",
        rf"\b(?:\p{{Lu}}[\p{{L}}'-]+(?:[ ]\p{{Lu}}[\p{{L}}'-]+)?|\d{{1,3}}(?:st|nd|rd|th))[ ]{_WAY}\.?[ ](?:and|&|at)[ ](?:\p{{Lu}}[\p{{L}}'-]+|\d{{1,3}}(?:st|nd|rd|th))(?:[ ]{_WAY}\b)?|\b(?i:corner of|intersection of|junction of|at|near)[ ]\K\d{{1,3}}(?:st|nd|rd|th)[ ](?:and|&)[ ]\p{{Lu}}[\p{{L}}'-]+(?:[ ]{_WAY}\b)?",
    ),
    Rule(
        "ADDRESS",
        "number, code and town",
        rf"\b{_NO_MONTH}\p{{Lu}}[\p{{L}}'-]+(?:[ ]{_NO_MONTH}\p{{Lu}}[\p{{L}}'-]+){{0,2}}[ ]\d{{1,4}}[a-z]?,[ ](?!(?:19|20)\d\d[ ])\d{{4,5}}(?:[ ][A-Z]{{2}})?[ ]\p{{Lu}}\p{{Ll}}[\p{{L}}-]+",
    ),
    Rule(
        "ADDRESS",
        "numbered house and quarter",
        rf"(?i:\bh\.? ?no\.?|\bno\.(?=[ ]\d+,[ ]\d{{1,2}}(?:st|nd|rd|th)[ ])|\b(?:house|door|plot|flat|site) (?:no\.?|number)|\bplot|\bblk|\bd\. ?no\.?)[ ]?[:#]?[ ]?\d[\w/-]*,[ ](?:(?:Sector|Phase|Block|Stage|Cross|Main|Ward)[ ]\w+|\d{{1,2}}(?:st|nd|rd|th)[ ](?:Cross|Main|Block|Phase|Stage)|{_TOWN})(?:,[ ](?:(?:Sector|Phase|Block|Stage)[ ]\w+|{_TOWN})){{0,4}}(?:[ -]+\d{{6}}\b)?",
    ),
    Rule(
        "ADDRESS",
        "flat or house of an estate",
        rf"\b(?:(?i:apt|apartment|flat)\.?[ ]#?\w{{1,4}},[ ]|\d{{1,4}}[A-Z]?[ ](?=The[ ]))(?!(?:Bed|Bay|Ward|Room)\b){_TOWN},[ ](?:Co\.?[ ])?{_TOWN}(?:,[ ](?:Co\.?[ ])?{_TOWN})*(?:[ ]\d{{1,2}}\b)?(?:,?[ ]{_CODE})?",
    ),
    Rule(
        "ADDRESS",
        "postal district",
        r"\b(?:Dublin|Cork)[ ]\d{1,2}\b(?![./]\d|[ ]?(?:mg|days|weeks|times|years))",
    ),
    Rule(
        "ZIP",
        "Irish postcode",
        r"\b[AC-FHKNPRTV-Y]\d[\dW][ ](?!WATE)(?=[\dA-Y]{0,3}\d)[AC-FHKNPRTV-Y][\dAC-FHKNPRTV-Y]{3}\b|(?i:\beircode)[ :]+\K[A-Z]\d[\dW][ ]?[\dA-Z]{4}\b",
    ),
    Rule(
        "LOCATION",
        "labelled town",
        r"(?i:\b(?:city|town|village|hometown|suburb|county|birthplace|place of birth))[ ]*[:=][ ]*\K\p{Lu}[\p{L}'-]+(?:[ ]\p{Lu}[\p{L}'-]+){0,2}",
    ),
    Rule("LOCATION", "Irish county", r"\bCo\.?[ ]\p{Lu}\p{Ll}{3,}\b"),
    Rule(
        "ADDRESS",
        "town, state and ZIP",
        rf"{_CAPS}(?:[ \t]{_CAPS}){{0,2}},?[ \t]+(?:{_STATE}|{_STATE_NAME})[ \t,]+\d{{5}}(?:-\d{{4}})?\b",
    ),
    Rule(
        "ZIP",
        "ZIP after cue",
        r"\b(?i:zip(?: ?code)?|post(?:al)? ?code|postal)\b[ \t:#]*(?:is[ \t]+|was[ \t]+)?\K(?:\d{5}(?:-\d{4})?|[A-Z0-9]{2,4}[ ]?[A-Z0-9]{3})\b",
    ),
    Rule("ZIP", "ZIP plus four", r"(?<![\w-])\d{5}-\d{4}(?![\w-])"),
    Rule("ZIP", "state and ZIP", rf"\b(?:{_STATE}|{_STATE_NAME})[ \t,]+\K\d{{5}}\b"),
    Rule("ZIP", "UK postcode", rf"\b{_POSTCODE}\b(?<!\b[A-Z]\d\d[A-Z]{{2}})|\b[A-Z]\d[A-Z][ -]\d[A-Z]\d\b"),
    Rule(
        "LOCATION",
        "town and state",
        rf"\b\p{{Lu}}\p{{Ll}}+(?:[ \t]\p{{Lu}}\p{{Ll}}+){{0,2}},[ \t]*(?:(?!(?:MD|PA|DO|OD|ND|MA)\b){_STATE}\b(?![ \t]*(?:[:=]|\d))|{_STATE_NAME}\b)|\b(?:in|from|of|near|to|at)[ ]\K\p{{Lu}}\p{{Ll}}+(?:[ \t]\p{{Lu}}\p{{Ll}}+){{0,2}},[ \t]*(?:MD|PA|MA|ND)\b",
    ),
    Rule(
        "LOCATION",
        "place after cue",
        rf"\b(?i:liv(?:es?|ing|ed)|resid(?:es?|ing|ed|ent)|born|rais(?:es?|ed)|mov(?:ed|ing|es)|travell?(?:s|ed|ing)?|flew|visit(?:s|ed|ing)?|work(?:s|ed|ing)?|comes?|came|native|transferred|commut\w+|holiday\w*|vacation\w*|emigrated|immigrated|spent|stay(?:s|ed|ing)?|trip|drove|returned|grew up|collision|accident|crash|farm\w*|seen)(?:[ \t]+[a-z]{{1,8}}){{0,3}}?[ \t]+(?:in|from|to|at|near|outside(?: of)?|around|towards?|through)[ \t]+(?:the[ \t]+)?\K(?!(?:ED|ER|ICU|Emergency|Dr|Mr|Mrs|Ms|I|ITU|A&E|OR|Type|Stage|Grade|Class|Level|Phase|Group)\b){_NO_MONTH}\p{{Lu}}[\p{{L}}'-]+(?:[ \t](?:(?:of|upon|de|la|sur|am|on)[ \t])?{_NO_MONTH}\p{{Lu}}[\p{{L}}'-]+){{0,2}}",
    ),
    Rule(
        "LOCATION",
        "where somebody is from",
        rf"\b(?i:man|woman|boy|girl|male|female|family|patient|lady|gentleman|resident|native|visitor|up|down|over|ambulance|transfer|\p{{Lu}}\p{{Ll}}+)[ \t]+(?:from|of(?<=(?:resident|native) of))[ \t]+\K(?!(?:ED|ER|ICU|OR|Dr|Mr|Mrs|Ms|The)\b){_NO_MONTH}\p{{Lu}}[\p{{L}}'-]+(?:[ \t]{_NO_MONTH}\p{{Lu}}[\p{{L}}'-]+){{0,2}}",
    ),
    Rule(
        "LOCATION",
        "county, town or village named",
        r"\b(?i:town|city|village|county|borough|parish|suburb|district|neighbou?rhood|island|reservation) of \K\p{Lu}[\p{L}'-]+(?:[ ]\p{Lu}[\p{L}'-]+){0,2}|\b\p{Lu}[\p{L}'-]+(?:[ ]\p{Lu}[\p{L}'-]+)?[ ](?:County|Township|Parish|Borough|Village|Shire|Municipality|Precinct)\b|\bCounty \p{Lu}\p{Ll}+",
    ),
    Rule(
        "FACILITY",
        "named facility",
        rf"\b{_NAMED}(?:'s)?[ ]{{1,2}}{_KIND}\b{_MORE}(?:[ ](?:of|at)[ ](?:the[ ])?{_NO_MONTH}\p{{Lu}}[\p{{L}}'-]+(?:[ ]{_NO_MONTH}\p{{Lu}}[\p{{L}}'-]+)?)?",
    ),
    Rule(
        "FACILITY",
        "facility of a place",
        rf"(?<!National )\b(?:University|Hospital|Clinic|Infirmary|Institute|College|Academy|Church|Children's Hospital|School)(?: Hospitals?| Medical Cent(?:er|re)| Clinic)? (?:of|for|at) (?:the )?{_NO_MONTH}\p{{Lu}}[\p{{L}}'-]+(?:[ ](?:of |and )?{_NO_MONTH}\p{{Lu}}[\p{{L}}'-]+){{0,3}}",
    ),
    Rule(
        "FACILITY",
        "saint",
        r"\b(?:St|Saint)\b\.?[ ]\p{Lu}\p{Ll}{3,}(?:'s)?\b(?! (?:wort|vitus|Vitus|louis encephalitis|Louis encephalitis|Elmo|elmo))(?<!St\. Jude valve)(?!'s wort)",
    ),
    Rule(
        "FACILITY",
        "hospital by its letters",
        r"(?i:\b(?:transferr?(?:ed)?|admitted|discharged|sent|referred|presented|seen|hospitali[sz]ed|records?|surgery|operated|delivered|scanned|evaluated|followed|treated|came|arrived|moved|care|imaging|mri|ct|cath|biopsy)(?: [a-z]+){0,3}? (?:at|from|to|by))[ ](?:the[ ])?\K(?!(?:SAH|IVH|SDH|EDH|ICH|ADH|PIH|BPH|LVH|RVH|PTH|TSH|FSH|HLH|DCH|CAH|NPH|ETOH|OSH|NASH|DISH|CMC|PMC|TMC|MCMC|EMC|OMC|REHAB|PNH|EMH|DHC|HMC|NMC|GMC|CHC|PHC)\b)[A-Z]{1,5}(?:MC|H|HC|GH|HS)\b",
    ),
    Rule("FACILITY", "outside hospital", r"\bOSH[ ,:(]+\K\p{Lu}\p{Ll}+(?:[ ]\p{Lu}\p{Ll}+){0,3}"),
    Rule(
        "FACILITY",
        "pharmacy of a chain",
        r"(?i:\b(?:pharmacy|rx|script|sent to|pick(?:s|ed)? up (?:at|from)|fill(?:s|ed)? at|call(?:ed)? in to|erx|e-prescribed to)\b[^\n.;]{0,16}?)\b\K(?:CVS|Walgreens|Rite Aid|Boots|Walmart|Costco|Kroger|Publix|Safeway|Duane Reade|Shoppers Drug Mart|Rexall|Chemist Warehouse|Lloyds|Superdrug|Target|Sam's Club|Wegmans|Meijer|H-?E-?B|Priceline|Jean Coutu)(?:[ ]on[ ]\p{Lu}\p{L}+(?:[ ]\p{Lu}\p{L}+)?|[ ]?#\d+)?|\b(?:CVS|Walgreens|Rite Aid|Walmart|Costco|Kroger|Publix|Duane Reade|Rexall|Boots)[ ](?:on[ ]\p{Lu}\p{L}+(?:[ ]\p{Lu}\p{L}+)?|#\d+)",
    ),
    Rule(
        "FACILITY",
        "facility with a small kind",
        rf"\b(?:at|from|to|attends|in|for|near|into)[ ](?:the[ ])?\K{_NAMED}[ ](?:daycare|day care|nursing home|care home|nursery school|elementary|elementary school|high school|middle school|primary school|pharmacy|hospital|hospice|retirement home|group home|rehab)\b",
    ),
    Rule(
        "FACILITY",
        "labelled facility",
        r"^[ \t]*(?i:hospital|facility|clinic|site|practice|gp surgery|gp practice|care home|pharmacy|employer|school|organi[sz]ation|location|referring(?: facility| hospital)?|transferring (?:facility|hospital)|outside hospital|osh|pcp office|lab|snf|daycare|nursing home)[ \t]*:[ \t]*\K\p{Lu}[\p{L}&'., -]{2,60}(?:#\d{1,5})?",
    ),
    Rule(
        "FACILITY",
        "facility of another language",
        rf"\b(?:Hôpital|Hopital|Hospital|Clínica|Clinica|Klinikum|Klinik|Ospedale|Clinique|Krankenhaus|Szpital|Sjukhuset|Ziekenhuis|Centro[ ]M[ée]dico|Centre[ ]Hospitalier|Policlinico|Policlínica|Universitätsklinikum|Universitätsspital|Nemocnice|Spital(?:ul)?|CHU)[ ](?:(?:{_LINKS}|rechts|links)[ ]){{0,2}}\p{{Lu}}[\p{{L}}'-]+(?:[ ](?:{_LINKS}[ ]){{0,2}}\p{{Lu}}[\p{{L}}'-]+){{0,3}}|\b\p{{Lu}}\p{{L}}+(?:sjukhus(?:et)?|krankenhaus|klinikum|ziekenhuis|sairaala|sykehus|sygehus)\b",
    ),
    Rule(
        "FACILITY",
        "company",
        r"\b(?!(?:The|Our|Any|This)\b)\p{Lu}[\p{L}'&-]+(?:[ ](?:&[ ]|and[ ])?\p{Lu}[\p{L}'&-]+){0,3},?[ ](?:Inc|LLC|Ltd|Limited|Corp|Corporation|Company|GmbH|PLC|plc|Industries|Logistics|Foods|Bank|Manufacturing|Motors|Airlines|Police Department|Fire Department|Sheriff's Office|Construction|Enterprises|Bakery|Supermarket|Stores|Library|Brewery|Trucking|Landscaping|Plumbing|Farms|Cannery|Shipyard|Steelworks|Mills|Post Office)\b\.?",
    ),
    Rule(
        "FACILITY",
        "employer after cue",
        r"\b(?i:employ(?:ed|er|ee)|works?|worked|working|job|position|retired|internship|enrolled|student|pupil|teach(?:es|er)?|studies|studying|attends)(?:[ ](?:as|an?|the|is|was|of|[a-z]+er|[a-z]+or|[a-z]+ist|[a-z]+nt|clerk|cook|driver|nurse|grade)){0,4}[ ](?:at|for|with|by|from)[ ](?:the[ ])?\K\p{Lu}[\p{L}'&-]+(?:[ ](?:&[ ]|and[ ]|of[ ])?\p{Lu}[\p{L}'&-]+){0,4}",
    ),
    Rule(
        "ROOM",
        "room or bed",
        rf"\b(?:{_ICU}[ -])?(?i:room|rm\.?|bed|bay|ward|wd|suite|theatre|cubicle|pod|apt\.?|apartment|flat|desk|locker|bunk|chair|station|cell|dorm|trolley|bed[ -]?space|nursery|isolette|incubator|resus|zimmer|cath lab|hall(?:way)?(?: bed| spot)?|recliner|stretcher|bassinet|cot)[ \t]*(?i:no\.?|number|:|#|(?<=[ ])-(?=[ ][A-Z]?\d))?[ \t]*#?(?:\d{{1,5}}[A-Za-z]?(?:[-/](?=\d{{0,4}}[A-Z]|\d{{3}})\d{{0,4}}[A-Z0-9]{{0,3}}|-\d{{0,4}}[A-Z0-9]{{0,3}})?|[A-Z]{{1,2}}-?\d{{1,4}}[A-Z]?|[A-Z](?:-\d{{1,3}})?)(?![\w-])(?![ \t]*(?:mg|ml|mL|days?|weeks?|hours?|hrs?|months?|years?|%|times?|pillows?|/|\.\d|x\b|minutes?|pounds?|feet|L\b|liters?|litres?|cm\b|mm\b))",
    ),
    Rule(
        "ROOM",
        "unit by letters",
        rf"\b{_ICU}[- ](?:(?i:bed|room|bay|pod)[ ]?#?)?\d{{1,3}}[A-Z]?\b(?![ ]?(?:days?|hours?|x|%|mg|/|visits?|admissions?|weeks?))",
    ),
    Rule(
        "ROOM",
        "unit by compass",
        r"(?<![\w.,/-])\d{1,2}[ -]?(?:North|South|East|West|Central|Main|Tower|Pavilion)(?:[ -](?:Tower|Wing|Pavilion|Building|Unit|Tele(?:metry)?|ICU))?\b(?:-\d{1,4}[A-Z]?\b)?(?![ ](?:\p{Lu}\p{Ll}+ )?(?:Street|St|Road|Rd|Avenue|Ave|Drive|Lane|Boulevard|Blvd))|(?:North|South|East|West)[ ]?\d{1,2}[A-Z]?\b",
    ),
    Rule(
        "ROOM",
        "named ward",
        rf"\b(?!{_KINDS_OF_WARD}\b)\p{{Lu}}[\p{{L}}'-]+[ ](?:Ward|Unit|Wing|Pavilion|Tower|Suite)\b(?:[ ]\d{{1,3}}[A-Z]?\b)?",
    ),
    Rule(
        "ROOM",
        "unit",
        r"\b(?i:unit|wing|tower|building|block|floor|level|pavilion)[ \t]+(?:\d{1,3}[A-Z]\b|[A-Z]-?\d{0,3}\b)(?!\.|[ ]?[a-z]+ing)",
    ),
    Rule(
        "ROOM",
        "labelled place in the house",
        r"(?:^|(?<=[|;]|[ ]{2}))[ \t]*(?i:loc(?:ation)?|unit|ward|bed|room|service)[ \t]*[:=][ \t]*\K[^\n|;]{1,30}?(?=[ \t]*(?:$|\||;|[ ]{2}))",
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
        "name and figure",
        rf"\b(?:on|to|from|in)[ ]\K(?!(?:Stage|Grade|Type|Day|Days|Week|Class|Phase|Level|Group|Cycle|Part|Step|Table|Figure|Month|Score|Factor|Covid|Omega|Vitamin|Year|Age|Chapter|Room|Bed|Ward|Bay|Line|Arm|Dose|Visit|Question|Item|Box|Protein|Zone|Category|Tier|Lead|Leads|Trial|Study|Interleukin|Hepatitis|Influenza|Title|Section|Page|Version|Appendix|Route|Highway|Interstate|{'|'.join((*MONTHS, *(month[:3] for month in MONTHS)))})\b)\p{{Lu}}\p{{Ll}}{{2,}}[ ]\d{{1,2}}[A-Z]?\b(?![./]\d|[ ]?(?:mg|mcg|ml|units?|times|days|weeks|tablets?|%))",
    ),
)
