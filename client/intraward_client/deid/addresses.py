"""Rules for street addresses and postcodes: part of Safe Harbor item B.

Streets come in the orders of several countries ("8596 Old Mill Road", "Hauptstrasse 762, Graz", "12 Avenida
de los Olivos", "Blk 61 Quarry Ave 4 #08-12"). The whole address goes, over the end of a line if need be.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from intraward_client.deid.lexicon import MONTHS, NOT_A_NAME
from intraward_client.deid.rules import Rule

STATE = r"(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|N[CDEHJMVY]|O[HKR]|PA|PR|RI|S[CD]|T[NX]|UT|V[AIT]|W[AIVY]|AB|BC|MB|NB|NL|NS|ON|PE|QC|SK|NSW|VIC|QLD|TAS|ACT)"
STATE_NAME = r"(?:Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|Nevada|New Hampshire|New Jersey|New Mexico|New York|North Carolina|North Dakota|Ohio|Oklahoma|Oregon|Pennsylvania|Rhode Island|South Carolina|South Dakota|Tennessee|Texas|Utah|Vermont|Virginia|Washington|West Virginia|Wisconsin|Wyoming|Ontario|Quebec|British Columbia|Alberta|Manitoba|Saskatchewan)"
_WAY = r"(?:Street|St|Road|Rd|Avenue|Ave|Av|Boulevard|Blvd|Drive|Dr|Lane|Ln|Court|Ct|Place|Pl|Square|Sq|Terrace|Ter|Close|Crescent|Cres|Parkway|Pkwy|Highway|Hwy|Way|Circle|Cir|Trail|Trl|Row|Mews|Gardens|Grove|Hill|Walk|Park|Green|View|Rise|Loop|Alley|Quay|Wharf|Plaza|Pike|Turnpike|Bypass|Ridge|Heights|Broadway|Path|Pass|Run|Point|Landing|Crossing|Gate|Drove|Vale|Yard|Cottages|Villas|Mansions|Meadows?|Fields|Lea|Glen|Dale|Hollow|Cove|Bluff|Knoll|Circus|Strand|Causeway|Chase|Copse|Freeway|Fwy|Expressway|Embankment|Parade|Esplanade|Concourse|Drive)"
_CAPS = r"\p{Lu}[\p{L}'.-]*"
LINKS = r"(?:or|de|das|dos|degli|delle|del|della|la|las|los|le|les|du|des|da|do|dos|di|van|von|der|den|y|e|of|the|im|am|zum|zur)"
_POSTCODE = r"[A-Z]{1,2}\d[A-Z\d]?(?:[ ]?|[ ]?\n[ ]*)\d[A-Z]{2}"
_CODE = rf"(?:\d{{5}}(?:-\d{{3,4}})?|{_POSTCODE}|[A-Z]\d[A-Z][ ]?\d[A-Z]\d|\d{{3}}[- ]\d{{4}}|\d{{4}}(?:[ ][A-Z]{{2}})?|\d{{6}})\b"
_UNITNO = r"(?i:apt|apto|piso|depto|dpto|bloco|sala|interior|apartment|suite|ste|unit|flat|room|rm|floor|fl|bldg|building|lot|trailer|level|space|blk|villa|pmb|\#)\.?[ \t]*\#?[ \t]*\w+(?:[/-]\w{1,4})?"
_UNITWORD = r"(?i:apt|apartment|suite|ste|unit|flat|lot|trailer|blk|villa|space)"
_TOWN = rf"{_CAPS}(?:[ \t-](?:{LINKS}[ \t])?{_CAPS}){{0,3}}"
_TAIL = rf"(?:[ ]\d{{1,3}}[A-Z]?(?=[ ]\#|,[ ]\p{{Lu}}))?(?:,?[ \t]+(?:{_UNITNO}|(?i:no|nr)\.?[ \t]{{0,2}}\d+\w?))?(?:\s*[,·][ \t]*\n?[ \t]*(?:{_CODE}[ \t]+)?{_TOWN}(?:[ ]\d{{1,2}}(?=,))?){{0,5}}(?:,?[ \t]+(?:{STATE}\b|{STATE_NAME}|{_TOWN})(?=[ \t,]+\d{{5}}))?(?:,?\s+{_CODE}(?:[ \t]+{_TOWN}(?=[\s.,;|]|$))?)?(?:,?[ \t]+(?:{STATE}\b(?!')|{STATE_NAME}))?(?:,?[ \t]+{_CODE})?"
NO_MONTH = rf"(?!(?:{'|'.join((*MONTHS, *(month[:3] for month in MONTHS)))})\b)"

_NOT_CLINICAL = rf"(?!(?:{'|'.join(NOT_A_NAME)})\b)"
_PART = rf"(?:{_TOWN}(?:[ ]\d{{1,6}}[A-Z]?\b)?|\d{{1,3}}(?:st|nd|rd|th)[ ]{_TOWN}|{_CODE})"
_PARTS = rf"(?:,[ \t]*\n?[ \t]*{_NOT_CLINICAL}{_PART}){{1,6}}(?:,?\s+{_CODE})?"

ADDRESSES = (
    Rule(
        "ADDRESS",
        "street address",
        rf"(?:\b{_UNITNO},?[ \t]+|\b{_UNITWORD}[ \t]+)?(?<!(?<!\d)\d{{1,3}} ?|-[ ]?|\d/)\b\d{{1,6}}[A-Za-z]?(?:[-/]\d+)?(?:[ ]1/[234])?,?[ \t]+(?!(?:GP|PCP|By|Per|Seen|NO|No)\b)(?:[NSEW]{{1,2}}\.?[ \t]+|(?:North|South|East|West)[ \t]+)?(?:{_CAPS}[ \t]+|\d+(?:st|nd|rd|th)[ \t]+){{1,4}}{_WAY}\b\.?(?:[ \t]+[NSEW]{{1,2}}\b)?(?:,?[ ]R\.?R\.?[ ]?\#?[ ]?\d{{1,2}})?{_TAIL}",
    ),
    Rule(
        "ADDRESS",
        "street by its number in a grid",
        rf"\b[NSEW]\d{{1,5}}[ ]?(?:[NSEW]\d{{1,5}}[ ])?(?:{_CAPS}[ ]){{1,3}}{_WAY}\b\.?{_TAIL}",
    ),
    Rule(
        "ADDRESS",
        "street of another country, number before",
        rf"\b\d{{1,5}}(?:-\d{{1,4}})?[A-Za-z]?(?:[ ]?(?:bis|ter))?,?[ \t]+(?i:avenida|av\.|calle|carrera|calzada|camino|paseo|plaza|rua|travessa|alameda|via|viale|piazza|corso|rue|boulevard|chemin|impasse|quai|place|allée|cours|carrer|jalan|jl\.|ulica|ul\.|strada)[ \t]+(?:{LINKS}[ \t]+){{0,2}}\p{{Lu}}[\p{{L}}'-]*(?:[ \t](?:{LINKS}[ \t]+){{0,2}}{_CAPS}){{0,3}}{_TAIL}",
    ),
    Rule(
        "ADDRESS",
        "street of another country, number behind",
        rf"\b\d{{1,5}}[A-Za-z]?,?[ ]\p{{Lu}}[\p{{L}}-]*(?:stra(?:ss|ß)e|str\.|gasse|weg|platz|allee|damm|ufer|laan|straat|gracht|plein|dijk|kade|gade|gatan|vej|vägen|katu|utca)\b{_TAIL}|\b(?:\p{{Lu}}[\p{{L}}-]*(?:stra(?:ss|ß)e|str\.|gasse|weg|platz|allee|damm|ufer|ring|laan|straat|gracht|plein|dijk|kade|gade|gatan|gata|vej|veg|vägen|väg|veien|katu|tie|utca|tér)|(?i:avenida|av\.|calle|carrera|calzada|camino|paseo|plaza|rua|travessa|alameda|via|viale|piazza|corso|rue|boulevard|chemin|carrer|jalan|jl\.|ulica|ul\.|al\.|strada|bulevardul|calea|prospekt|ulitsa)[ \t]+(?:{LINKS}[ \t]+){{0,2}}\p{{Lu}}[\p{{L}}'-]*(?:[ \t](?:{LINKS}[ \t]+){{0,2}}{_CAPS}){{0,3}}|\p{{Lu}}[\p{{L}}-]+[ \t](?:Straße|Strasse|utca|út|katu|Weg|Allee|Platz|Ring|Sokak|Caddesi|Cad\.|Sok\.))(?:,?[ \t]+(?i:no\.?|nr\.?|n°|nº)?[ \t]?|,[ \t]*)\d{{1,5}}[A-Za-z]?(?:[/-][\dIVX]+)?{_TAIL}",
    ),
    Rule(
        "ADDRESS",
        "house name and street",
        rf"\b(?:The[ ])?\p{{Lu}}[\p{{L}}']+(?:[ ]\p{{Lu}}[\p{{L}}']+)?[ ]?(?:Rectory|Cottage|House|Lodge|Barn|Farm|Mill|Hall|Manor|Villa|Grange|Croft|Vicarage|Court|Bungalow|Farmhouse)?,[ ]\p{{Lu}}[\p{{L}}']+(?:[ ]\p{{Lu}}[\p{{L}}']+){{0,2}}[ ]{_WAY}\b,(?:\s*{_TOWN},?){{1,2}}\s+{_CODE}",
    ),
    Rule(
        "ADDRESS",
        "numbered street, one word",
        rf"\b\d{{1,6}}[ \t]+\p{{Lu}}\p{{Ll}}+(?:[ \t]\p{{Lu}}\p{{Ll}}+){{0,3}}\s*,\s*{_CAPS}(?:[ \t]{_CAPS}){{0,2}},?[ \t]+(?:{STATE}[ \t]+\d{{5}}|{_POSTCODE})(?:-\d{{4}})?",
    ),
    Rule(
        "ADDRESS",
        "address after cue",
        rf"\b(?i:address|addr|residence|lives at|lived at|residing at|resides at|living at|home is|house is|moved to|stays at|staying at)\b(?:[ \t]+(?i:is|was|on file|of record|given as|given|listed as|now))?[ \t]*[:,]?\s*\K(?=[^\n]{{0,60}}\d)(?:{_UNITNO},?[ \t]+)?(?:(?:\d[\w/-]*|{_CAPS}|{LINKS})(?:,?[ \t]+|,\n[ \t]*|(?=[.;|\n)]|$))){{2,14}}",
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
        "street without a number",
        rf"\b(?:on|off|along|down|near|behind|opposite|of|at|from|to|in)[ ]\K(?!(?:One|Two|The|This|That|Either|Long|Half|Milky|Each|Same|Right|Wrong|Other|His|Her|Their|Blood|Sex|Respiratory|Central|Food|Test|Hard|Flash)[ ]){NO_MONTH}(?:(?:Old|New|North|South|East|West|N|S|E|W)\.?[ ])?(?:\p{{Lu}}\p{{Ll}}[\p{{L}}'-]*[ ]){{1,3}}(?:Street|Road|Avenue|Lane|Drive|Boulevard|Way|Crescent|Terrace|Close|Parkway|Highway|Turnpike|Trail|Court|Mews|Rd|Ave|Blvd|Ln|Pkwy|Hwy|Dr(?=[ ]*(?:[,.;?)]|$|and\b|in\b|with\b)))\b",
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
        rf"\b{NO_MONTH}\p{{Lu}}[\p{{L}}'-]+(?:[ ]{NO_MONTH}\p{{Lu}}[\p{{L}}'-]+){{0,2}}[ ]\d{{1,4}}[a-z]?,[ ](?!(?:19|20)\d\d[ ])\d{{4,5}}(?:[ ][A-Z]{{2}})?[ ]\p{{Lu}}\p{{Ll}}[\p{{L}}-]+",
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
        r"\b[A-Z]\d[\dW][ ](?!WATE|H\dN\d)(?=[\dA-Z]{0,3}\d)[A-Z][\dA-Z]{3}\b(?!-)|(?i:\beircode)[ :]+\K[A-Z]\d[\dW][ ]?[\dA-Z]{4}\b",
    ),
    Rule(
        "ADDRESS",
        "town, state and ZIP",
        rf"{_CAPS}(?:[ \t]{_CAPS}){{0,2}},?[ \t]+(?:{STATE}|{STATE_NAME})[ \t,]+\d{{5}}(?:-\d{{4}})?\b",
    ),
    Rule(
        "ZIP",
        "ZIP after cue",
        r"\b(?i:zip(?:[ -]?code)?|post(?:al)?[ -]?code|postal|pin[ -]?code|pincode|plz|postleitzahl|code postal|postnummer|cep|eircode)\b[^\n\d;.]{0,25}?\K(?:\d{5}(?:[ ]?-[ ]?\d{3,4})?|\d{6}|\d{4}(?:[ ][A-Z]{2})?|(?=[A-Z0-9 ]{0,6}\d)[A-Z0-9]{2,4}[ ]?[A-Z0-9]{3})\b(?:[ ](?:or|to|and|now)[ ]\d{5}\b)?|\b(?i:liv(?:es|ing)|resid(?:es|ing)|moved|relocated|neighbou?rhood|mailing)[ ](?i:in|to|from|area|is)[ ]\K\d{5}(?:-\d{4})?\b|\b\d{5}(?=[ ](?:zip|area|ZIP)\b)",
    ),
    Rule(
        "ZIP",
        "ZIP where things go or people live",
        r"\b(?i:deliver\w*|ship\w*|sen[dt]\w*|mail\w*|post(?:ed|ing)?|mov(?:ed?|es|ing)|relocat\w+|liv(?:es?|ed|ing)|resid\w+|stay(?:s|ed|ing)?|"
        r"commut\w+|driv(?:es?|ing)|drove|travel\w*|depot|warehouse|suppl(?:y|ies)|courier\w*|parcels?|packages?|orders?|home|house|apartment|address\w*|rural|neighbou?rhood|area|region|catchment|district|"
        r"county|town|city|community|farm\w*|family|daughter|son|sister|brother|mother|father|parents|pharmacy|clinic|office|agency|school|church|shelter|bank|lab|nearest|closest|store|ride|bus|provider|outside|around|near|from|go|goes|going|route|service[sd]?|cover\w*|map(?:s|ped)?|zone|code|postcode|zip)\b"
        r"[^\n\d.;]{0,24}?[ ](?i:to|in|at|from|near|of|is|around|outside|for|as|the)[ ](?i:zip |the )?\K(?!\d{2}000\b)\d{5}\b(?![.,/:]\d|-\d{1,3}\b|[ ]?(?i:%|x|mg|mcg|ml|g|iu|units?|u\b|cop(?:y|ies)|cells?|per|/|steps?|cal(?:orie)?s?\b|kcal|patients?|people|women|men|cases|births|dollars|usd|eur|hours|days|colonies|cfu|platelets|wbcs?|rbcs?|to[ ]\d))",
    ),
    Rule(
        "ZIP",
        "ZIP behind a town on a line of its own",
        r"^(?!(?i:[^\n]*\b(?:ferritin|platelets?|wbc|bnp|ck|amylase|lipase|troponin|cpt|code|count|units?|iu|ldh|dose)\b))(?:\p{Lu}[\p{L}.'-]+[ ]){1,3}\K\d{5}[ \t]*$|\b(?i:serves?|served|serving|deliver to|covers?)[ ](?i:zip |the )?\K\d{5}\b(?![.,/:]\d|[ ]?(?i:patients?|people|units?|iu|mg|copies|meals|clients|residents|cases))",
    ),
    Rule("ZIP", "ZIP plus four", r"(?<![\w-])\d{5}-\d{4}(?![\w-])"),
    Rule("ZIP", "state and ZIP", rf"\b(?:{STATE}|{STATE_NAME})[ \t,]+\K\d{{5}}\b"),
    Rule(
        "ZIP",
        "UK postcode",
        rf"\b(?!S[AN]60(?:WF|AT|AU|D)|[SM]A60[A-Z])"
        rf"{_POSTCODE}\b(?<!\b[A-Z]\d\d[A-Z]{{2}})|\b[A-Z]\d[A-Z][ -]\d[A-Z]\d\b",
    ),
    Rule(
        "ADDRESS",
        "numbered plot, parts behind",
        rf"\b(?i:no|nr|villa|plot|blk|block|flat|house|unit|apt|door|site|lot|tower|building|bldg)\b\.?[ ]?(?i:no\.?[ ]?)?\#?\d[\w/-]*{_PARTS}",
    ),
    Rule(
        "ADDRESS",
        "block of a quarter, parts behind",
        rf"(?<![\w-])\d{{1,3}}-\d{{1,3}}-\d{{1,4}}[ ]{_NOT_CLINICAL}{_TOWN}{_PARTS}",
    ),
    Rule(
        "ADDRESS",
        "number, parts behind a cue",
        rf"\b(?i:at|from|to|is|as|near|address|verified|confirmed|abroad|residence|home)[ ,:]{{1,3}}\K\d{{1,5}}[A-Z]?(?:/\d{{1,4}})?(?!,[ ](?:[A-Z]{{2,5}}-?\d|[A-Z]{{2,5}}-\b|[A-Z]{{2,4}}c?[ ]\d|FiO))(?=,?[ ]\p{{Lu}}|,[ ]\d{{1,3}}(?:st|nd|rd|th)[ ])(?:[ ]{_NOT_CLINICAL}{_TOWN})?{_PARTS}(?<=,[^,]*,[^,]*)",
    ),
    Rule(
        "ADDRESS",
        "house by its name",
        rf"\b(?:The[ ])?(?!The\b)\p{{Lu}}[\p{{L}}']+(?:[ ]\p{{Lu}}[\p{{L}}']+)?[ ](?:Rectory|Cottage|House|Lodge|Barn|Farm|Mill|Manor|Villa|Grange|Croft|Vicarage|Bungalow|Farmhouse|Gatehouse|Stables|Apartments?|Towers?|Mansions?){_PARTS}",
    ),
)
