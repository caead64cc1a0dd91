"""Codes of letters and figures that are clinical: the finite list that "deny by default" spares.

A code is an identifier unless it is here (``codes``): levels of the spine, genes, mutations, antigens,
isotopes, drugs that are still numbers, scores, stages, parity, teeth, lines of a protocol, coded diagnoses,
and measures run together with their unit. Public knowledge, the same at every site.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from functools import lru_cache

import regex

from intraward_client.deid.lexicon import is_clinical, listed

_UNITS = (
    "mg|mcg|ug|\u00b5g|\u03bcg|g|gm|gms|kg|kgs|ng|pg|grains?|gr|ml|mls|dl|l|cl|lit|cc|ccs|iu|miu|u|units?|un|meq|mmol|umol|\u00b5mol|\u03bcmol|nmol|pmol|mol|mosm|"
    "mmhg|cmh2o|kpa|bpm|hz|khz|mhz|kcal|cal|cals|kj|cm|cms|mm|m|km|ft|in|inch|lb|lbs|oz|c|f|fr|fg|ch|ga|g|gauge|h|hr|hrs|hour|hours|hs|"
    "min|mins|minutes?|s|sec|secs|ms|msec|d|day|days|w|wk|wks|weeks?|mo|mos|mths?|months?|y|yr|yrs|years?|yo|yom|yof|yof|m|f|st|nd|rd|th|x|fold|k|"
    "ppm|lpm|rpm|mv|ma|mas|mah|kv|kvp|mci|uci|mbq|gbq|kbq|mgy|gy|cgy|msv|cells?|copies|am|pm|hrs?|pts?|tabs?|caps?|puffs?|drops?|gtts?|amps?|"
    "bid|tid|qid|qd|od|bd|tds|po|iv|im|sc|sq|ra|nc|nrb|hpf|lpf|pack|py|pks?|cig|ppd|pounds|w|watts|j|joules?|db|dpt|ds|ish|plus"
)
_FIGURE = r"\d{1,6}(?:[.,]\d{1,4})?"
_MEASURE = rf"[<>~\u2264\u2265+-]?{_FIGURE}(?:[-\u2013x/]{_FIGURE})*(?:{_UNITS})(?:\^?[23])?(?:(?:[-/.*]{{1,2}}|x)(?:(?:{_FIGURE})?(?:{_UNITS})(?:\^?[23])?|\d{{1,3}}(?:\.\d{{1,2}})?(?!\d))){{0,4}}"
_TNM = r"[cpyra]{0,3}T(?:is|x|[0-4])[a-d]?(?:\(m\))?N(?:x|[0-3])[a-c]?(?:mi)?(?:M(?:x|[01])[a-c]?)?(?:[LVRG][0-3xX]){0,4}(?:Pn[01])?"
_SHAPES = (
    rf"(?:{_MEASURE})",
    r"q\d{1,3}(?:-\d{1,2})?(?:h|hr|hrs|hours|min|d|w|wks?|m|mo|am|pm)?",
    r"x\d{1,3}(?:/(?:day|week|wk|d|min))?|x10\^?\d{1,2}(?:/\w+)?|10[\^*]\d{1,2}(?:/\w+)?|\d+(?:[.,]\d+)?[x*]10\^?[\d+-]{1,3}(?:/\w+)?|\d+(?:\.\d+)?e[+-]?\d{1,2}",
    r"\d{1,3}(?:\.\d)?(?:[x*\u00d7]\d{1,3}(?:\.\d+)?){1,2}(?:mm|cm|m|in)?",
    r"g\d{1,2}(?:p\d{1,4})(?:[+-]\d|(?:[alste]+b?\d{1,2}){0,4})?|g\d{1,2}p\d(?:-\d){3}|p\d{4}|g\d{1,2}t\d{1,2}p\d{1,2}a\d{1,2}l\d{1,2}",
    rf"(?:{_TNM})",
    r"(?:[ctls]|co|th)\d{1,2}(?:[-/,&](?:[ctls])?\d{1,2}){0,5}",
    r"v\d(?:r)?(?:[-/]v?\d){0,3}",
    r"[ACGT]\d{5}[ACGT]|(?:p\.)?[ACDEFGHIKLMNPQRSTVWY]\d{1,4}(?:[ACDEFGHIKLMNPQRSTVWYX*]|fs|del|dup|ins|ter)",
    r"(?:p\.)?(?:Ala|Arg|Asn|Asp|Cys|Gln|Glu|Gly|His|Ile|Leu|Lys|Met|Phe|Pro|Ser|Thr|Trp|Tyr|Val)\d{1,4}(?:Ala|Arg|Asn|Asp|Cys|Gln|Glu|Gly|His|Ile|Leu|Lys|Met|Phe|Pro|Ser|Thr|Trp|Tyr|Val|Ter|fs|del|\*)\w{0,6}",
    r"[cgmn]\.[\d_+*-]{1,14}(?:[acgt]+>?[acgt]*|del[acgt]*|dup[acgt]*|ins[acgt]*)",
    r"(?:cyp|ugt|slc|slco|abc[a-g]|kir|scn|kcn[a-z]|tmem|znf|kiaa|mir|mirna|cxcl|ccl|cxcr|ccr|tlr|ndufs?|fgfr?|egfr|brca|mlh|msh|pms|pole?)[-]?\d[\w*:.-]{0,5}|col\d+a\d|rs\d{4,9}|(?:n[cgmprtw]|x[mpr]|lrg|ens[gpt])_?\d{4,11}(?:\.\d{1,2})?(?::[cgmnp]\.\S{1,20})?",
    r"hla[-\w*:]*|d[rqp][abp]?\d{1,2}|d[rqp][abp]?\d?(?:[*:-]\d{1,4}){1,4}",
    r"(?:cd|ck|ca|il|tnf|ifn|glp|sglt|dpp|pde|mmp|bcl|jak|stat|flt|npm|idh|pd|ctla|muc|her|erbb|ki|s|ttf|pax|sox|gata|mart|hmb|cam|ae|napsin|psma|fap|dota|lag|tim|ox|tp|p|nf|men|nr|n|ph|kt|gm|g|m|ige|igg|igm|iga|apo|ldl|hdl|b|d|k|e|q|t|h|c|o|o2|co|no|n2|hco)[-]?\d{1,3}[a-z.]{0,2}(?:[-/]\d{1,2}[a-z]?){0,3}",
    r"(?:tc|f|i|ga|lu|y|ra|sr|xe|in|rb|tl|cu|zr|ac|sm|co|cr|p|ir|pd|cs|c|n|o|h|u|th|kr|fe|gd)-?\d{1,3}m?(?:-[a-z]{2,12}){0,3}(?:-\d{3})?|\d{1,3}m?-?(?:tc|f|i|ga|lu|y|ra|sr|xe|in|rb|tl|cu|zr|ac|sm|c|n|o|h)(?:-[a-z]{2,12}){0,2}(?:-\d{3})?",
    r"[a-tv-z]\d[\da-z](?:\.[\da-z]{1,4})?(?:[-/][a-tv-z]\d[\da-z](?:\.[\da-z]{1,4})?)?",
    r"icd-?\d{1,2}|dsm-?\d|cpt-?\d{4,5}|loinc-?[\d-]+|atcc-?\d+|(?:sars-?cov-?|cov)\d{1,2}|covid-?19|h\d{1,2}n\d{1,2}(?:pdm\d\d)?|o\d{1,3}:?h\d{1,2}|hsv\d|hpv-?\d\d(?:[/-]\d\d)*|hhv-?\d|htlv-?\d",
    r"bnt162b2|mrna-?1273|azd-?\d{4}|mk-?\d{4}|amg-?\d{3}|abt-?\d{3}|ru-?486|[56]-?[fm][up]|ad26(?:\.cov2\.s)?|ct-?p\d\d|ly\d{6,7}|lp299v|peg-?\d{4}|d5w|d10w|d\d{1,2}(?:1/2)?ns|pm\d\.\d|pm10|spo2\d{2}|fio2\d{2}|p2y12|abcd2|ur-?\d\d|3tc|k\d{2}pd|r-?cvp|omega-?\d|c\d[a-d]?|5-?ht\d?\w?|6-?mp|2,3-?dpg|factor-?\d",
    r"v(?:er)?\.?\d{1,2}(?:(?:\.|patch|build|beta|rc|sp)\d{1,3}){1,4}",
    r"e\d[,/]?v[\dt]{1,2}[,/]?m\d(?:=\d\d?)?|(?:del|dup|inv|ins|add|der|amp|gain|loss|trisomy|t|i|\+)?\d{1,2}[pq]\d{0,2}(?:\.\d{1,2})?(?:[-;/][pq]?\d{1,2}(?:\.\d)?|[pq]\d{1,2}(?:\.\d)?){0,3}(?:gain|loss|del|amp)?",
    r"cha2ds2-?vasc?(?:[=:]?\d)?|phq-?\d\d?(?:[=:]\d+)?|gad-?\d(?:[=:]\d+)?|eq-?5d(?:-[35]l)?|sf-?\d\d|curb-?65|qsofa\d|4at|p/f|ast/alt|fev1(?:/f?vc)?|fev1\w*|a1c|hb?a1c\d*|t1/2|b\d{1,2}|d[23]|k[12]|rh\w?\d?|ns\d",
    r"\d{1,2}(?:st|nd|rd|th)|\d{2,4}s|'\d0s|[1-4][abcd]\d?|[12]d|3d|4d|[1-9]l",
    r"(?:fy|cy|ay|q[1-4]-?|h[12]-?|sy|in|since|from|to|by)(?:19|20)\d\d",
    r"\d{1,2}(?::\d\d){1,2}(?:am|pm|h|hrs?|z)?|t\d{1,2}:\d\d\S*|\d{4}(?:h|hrs?|z)|\d{1,2}h\d\d",
    r"[1-4]?\d/(?:\d{1,3})(?:st|th|ra|le|re|days?)?",
)
_CODE = regex.compile("|".join(f"(?:{shape})" for shape in _SHAPES), regex.IGNORECASE)
_YEAR_OF = regex.compile(r"(?i)([a-z]{3,})[-']?(?:19|20)\d\d")
_RUN_TOGETHER = regex.compile(
    r"(\p{L}[\p{L}/-]{0,9}?)[-:=<>~]?(?:[<>~]?\d{1,3}(?:[.,]\d{1,3})?(?:[-/]\d{1,3}(?:\.\d)?){0,2}|\d{4,6})(?:%|\p{L}{1,5})?"
)
_LONG = regex.compile(r"\d{4}")
_NAMED = listed(
    """hr bp sbp dbp map rr t tmp temp tmax tc spo sao o sat sats wt ht bmi bsa fbs bg bs rbs cbg gcs ef lvef na k cl cr crea hgb hb hct wbc wcc plt inr pt ptt
    aptt glu ast alt alp ggt ldh bun bili ca mg phos lac lact ph pco po hco be cvp pap pcwp ci co sv svr svi esr crp pct ldl hdl tg chol tsh ft bnp probnp
    ntprobnp trop tnt tni hs psa cea afp hcg bhcg ca anc alc mcv mch rdw ferr iron tibc d vit ddimer uop uo i o io ins out fio peep tv vt ps simv pip fr lpm nc ra
    age ga edd pod hod dol day wk week d w hba a hbac q x v f n p s e c l r g m st qt qtc qrs pr axis fhr fh afi efw bpd ac hc fl crl nt mom ct mri cxr us
    chemo physio physios optho ophtho ophth neurosurg phleb derm rheum nephro anesth anaesth radiol haem haematol hematol immuno transplant obgyn obs gynae paeds peds
    k-score score phq gad epds mmse moca nihss abcd apgar braden morse news mews ews sofa apache meld cps cdr adl grbas ecog kps who asa fi gfr egfr cd hla"""
)
"""What a figure is written right behind: vital signs, tests, scores, counts of days."""
COUNTED = listed(
    """grade stage class type phase level degree step line page part figure table item question chapter section group arm cohort lead week day month year visit
    cycle day dose session round trimester para gravida gestation quarter floor room bed bay ward unit pod bay module lesson task option choice example tooth
    finger toe rib digit zone segment sector station node lymph pattern peak trial covid sars omega interleukin factor vitamin complement trisomy chromosome
    exon intron codon apolipoprotein caspase notch claudin cytokeratin galectin synaptophysin collagen nurse version windows office route highway formula score
    january february march april may june july august september october november december the since until from"""
)
"""What is counted: a figure behind one of them numbers it ("week12", "phase3"), and names no user."""
_IDENTIFYING = listed(
    "mrn ssn nhs id no nr lot sn acct acc csn har fin enc pin ref npi dea lic vin plate tag ext pgr pager bleep user login case file job ticket req badge bag don tkt inc rx dob"
)


@lru_cache(maxsize=20_000)
def is_clinical_code(token: str) -> bool:
    """Whether ``token``, which holds a figure, is on the list, or a chain of what is."""
    if _CODE.fullmatch(token):
        return True
    together = _RUN_TOGETHER.fullmatch(token)
    if together is not None and _is_measured(together.group(1)):
        figures = sum(map(str.isdigit, token))
        if figures > 6 or (figures > 5 and len(together.group(1)) == 1):
            return False
        return _LONG.search(token) is None or (
            together.group(1).lower() in _NAMED and len(together.group(1)) > 2
        )
    year = _YEAR_OF.fullmatch(token)
    if year is not None and (is_known(year.group(1)) or year.group(1).lower() in COUNTED):
        return True
    parts = regex.split(r"[-/+_\u2013&]", token)
    longest = 3 if sum(map(str.isdigit, token)) < 5 else 2
    return len(parts) > 1 and all(_is_link(part, longest) for part in parts)


def is_known(stem: str) -> bool:
    """Whether ``stem`` is a word or an abbreviation of the clinic, and no cue of an identifier."""
    return stem.lower() not in _IDENTIFYING and (stem.lower() in _NAMED or is_clinical(stem))


def _is_measured(stem: str) -> bool:
    return is_known(stem.rstrip("/-")) or (len(stem) > 3 and stem.lower() in COUNTED)


def _is_link(part: str, longest: int) -> bool:
    """Whether ``part`` can stand in a chain of clinical codes ("L4-5/S1", "HPV-16/18")."""
    if part.isdigit():
        return len(part) <= longest and not (part[0] == "0" and len(part) > 2)
    if part.isalpha():
        return is_known(part) or part.lower() in COUNTED
    together = _RUN_TOGETHER.fullmatch(part)
    return (
        not part
        or _CODE.fullmatch(part) is not None
        or (together is not None and _LONG.search(part) is None and is_known(together.group(1)))
    )
