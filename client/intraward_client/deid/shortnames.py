"""Hospitals by their letters or by a nickname: the recognizer for "records from CFRMC", "bed offered by Redeemer".

Nothing in the word says that it is a hospital, so the place where it stands does: behind "seen at", alone in
the line that heads a letter, before "switchboard". Letters must be none that the clinic or English knows, and
end as the letters of hospitals do; a nickname must be no word of the clinic. Part of Safe Harbor item R.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from collections.abc import Iterator

import regex

from intraward_client.deid.lexicon import MONTHS, listed
from intraward_client.deid.libraries import STOP_WORDS, NlpArtifacts, RecognizerResult
from intraward_client.deid.recognizer import OwnRecognizer
from intraward_client.deid.rules import RULE_TIMEOUT_SECONDS
from intraward_client.deid.wordkinds import NAMES, Kind, WordKinds

NAME = "IntrawardShortNames"
_NO_HOUSE = listed(
    """ADH PIH RVH HLH DCH CAH NPH NASH MASH MAFH DISH PNH EMH PCH GBH TTH AVH IGH HGH FNH FSHH DAH KOH MEOH NAOH SICH AICH ICH SAH
    IVH SDH EDH BPH LVH PTH TSH FSH ETOH OSH LDH LMWH UFH MPH NIH DOH HHS SHS OHS OHSH OSAHS BRASH HELLPH SIADH MSH PMH PSH PMHS FMH
    FH SH PGH DPH EIEH CMC PMC TMC MCMC EMC OMC MMC SMC DHC HMC NMC GMC CHC PHC FHC HHC HIC CIC WIC LTACH LTAC SNF ALF IRF TCU TICU
    STICU CTICU NSICU IMU ICF SAR LTC REHAB HOME PACS EMS HEMS AMA DNR MDT TEE TTE MSTH GVHS NHS DHS CHS AHS VHS EHS CPS APS"""
)
"""Letters of the clinic, of the law or of a kind of house that end as the letters of hospitals do."""
_DEED = r"(?i:transferr?(?:ed|ring)?|admitted|discharged|sent|referred|accepted|presented|seen|hospitali[sz]ed|records?|surgery|operated|delivered|drawn|scanned|evaluated|followed|treated|back|came|arrived|flown|boarded|refilled|placed|implanted|moved|care|imaging|mri|ct|cath|biopsy|bed|offered|disconnect(?:ed)?|faxed|repatriated|repat|blocks|case|born|visits?|obtained|done at|stay)(?:[ ][a-z]+){0,3}?[ ]"
_ENDING = r"(?:RMC|MC|GH|HC|HS|H)"
_KNOWN_ENDING = rf"[A-Z]{{1,5}}{_ENDING}\b"
_PAPER = r"(?i:note|notes|visit|summary|clinic|report|letter|outpatient|inpatient|medicine|cardiology|surgery|discharge|consult\w*|record|handover|form|referral|request|order|plan|list|department|dept)"
_BEHIND = r"(?=[ ](?i:fax|switchboard|will|ed|er|icu|records?|called|accept\w*|declin\w*|hospital|campus|says|pharmacy|lab|labs|main|transfer|clinic|operator|paged|faxed|sent|wants|needs|did|site|ward|oncology|cardiology|radiology|team|has|notes?|phone|tel)\b)"
_LETTERS = (
    rf"{_DEED}(?i:at|from|to|by|via)[ ](?i:the[ ])?\K[A-Z]{{3,6}}\b"
    rf"|(?<![\w/])(?i:at|from|to|by|via|contact|called?|near|choices|back to|@|from:|to:|choices:)[ ](?i:the[ ])?\K{_KNOWN_ENDING}"
    rf"|(?<!\w)(?i:of)[ ]\K[A-Z]{{2,5}}(?:MC|GH|CH|RH|MH)\b"
    rf"|(?:^|\n)[ \t]*\K{_KNOWN_ENDING}(?=[ \t]*(?:\n|$))"
    rf"|(?:^|\n)(?=[^\n]*\b{_PAPER}\b)[^\n]{{3,60}}[ ](?:-|\||/)[ ]\K{_KNOWN_ENDING}(?=[ \t]*(?:\n|$|\|))"
    rf"|(?:^|\n)[ \t]*(?i:cc|copy|copies)\b[^\n]{{2,80}}[;,][ ]\K{_KNOWN_ENDING}"
    rf"|\b{_KNOWN_ENDING}{_BEHIND}|\b[A-Z]{{3,6}}(?=[ ](?i:switchboard|operator))"
)
_LETTERED = regex.compile(_LETTERS)
_LETTERED_SMALL = regex.compile(f"(?i){_LETTERS}")
_SHORT = regex.compile(r"(?<!\p{L})\p{L}{3,7}(?!\p{L})")
_NICK = r"\p{Lu}\p{Ll}{3,}(?:'s)?"
_STOP = r"(?=[ ](?:on|in|this|last|for|then|with|since|after|before|and|yesterday|today|tomorrow|ED|by|at|until|as|is|has)\b|[.,;?)]|[ \t]*(?:\n|$))"
_AT = r"(?:at|from|to|by|via)[ ]"
_NICKNAMED_AT = regex.compile(rf"\b{_AT}\K{_NICK}{_STOP}")
_DEED_BEFORE = regex.compile(rf"{_DEED}{_AT}$")
_NICKNAMED = (
    regex.compile(
        rf"\b(?:at|choices:)[ ]\K{_NICK}(?=[ ](?:on|in|this|last|since|then|yesterday|today|tomorrow)\b|[.,;?])"
    ),
    regex.compile(
        rf"\A[^\n]{{0,60}}\b{_PAPER}[ ][-|][ ]\K{_NICK}(?=[ \t]*\n)|\A\p{{Lu}}\p{{Ll}}{{3,}}'s(?=[ \t]*\n)"
    ),
    regex.compile(
        rf"(?m)^[ \t]*(?i:cc|copy)\b[^\n]{{2,80}}[;,][ ]\K{_NICK}(?=,?[ ](?i:fax|tel|phone)|[ \t]*(?:\n|$))"
    ),
)
_TOLD = ("switchboard", "operator", " will send", " ED called", " ED sent", " ED doc")
_NICKNAMED_BEFORE = regex.compile(
    rf"\b{_NICK}(?=[ ](?:switchboard|operator|will send|ED (?:called|sent|doc)))"
)
_FURTHEST = 70
"""Letters before a hospital in which what is done there is told."""
_NO_NICKNAME = (
    frozenset(month.lower() for month in MONTHS)
    | STOP_WORDS
    | listed(
        """home house hospice pathology nursing anesthesia anaesthesia security nutrition dietary housekeeping chaplain chaplaincy
        admissions registration reception theatre theatres resus majors minors floor bedside baseline bedtime noon midnight discharge
        department school work university college church court jail prison parents police transport midwifery obstetrics dentistry
        palliative genetics wound facility outside local community office front desk main tower addendum patient family mother father
        care service services team stepdown telemetry overflow holding recovery observation outpatients inpatients outpatient christmas
        easter thanksgiving ramadan diwali hanukkah weekend monday tuesday wednesday thursday friday saturday sunday medicare medicaid
        mobile insurance email message portal voicemail mail interpreter everyone attending resident fellow hospitalist intensivist
        ophthalmology optometry podiatry audiology orthotics prosthetics dietetics dietitian dietician toxicology poison control
        internet google youtube facebook amazon walmart target facetime zoom teams outlook epic cerner meditech"""
    )
)
_SERVICE = regex.compile(
    r"(?:ology|ologist|iatry|iatrics|surgery|therapy|ics|icine|gist|ician|ment|ing|ness|ity|ed)$"
)


def letters_of_hospitals(text: str, kinds: WordKinds, *, small: bool = False) -> Iterator[tuple[int, int]]:
    """Where letters stand for a hospital; ``small``: also in small letters, for a text without capitals to tell by."""
    pattern = _LETTERED_SMALL if small else _LETTERED
    beginnings = {
        0 if (at := text.rfind("\n", 0, word.start())) < 0 else at for word in _candidates(text, kinds, small)
    }
    for begin in sorted(beginnings):
        end = text.find("\n", begin + 1)
        for match in pattern.finditer(
            text, begin, len(text) if end < 0 else end + 1, timeout=RULE_TIMEOUT_SECONDS
        ):
            if _is_house(match.group(), kinds):
                yield match.span()


def _candidates(text: str, kinds: WordKinds, small: bool) -> Iterator[regex.Match[str]]:
    """Short words that can be the letters of a hospital."""
    for word in _SHORT.finditer(text):
        if (small or word.group().isupper()) and _is_house(word.group(), kinds):
            yield word


def _is_house(letters: str, kinds: WordKinds) -> bool:
    """Whether neither the clinic nor English knows ``letters``."""
    token = letters.upper()
    unknown = kinds.of(token) is Kind.UNKNOWN or (token.endswith("RMC") and kinds.of(token) not in NAMES)
    return unknown and len(token) > 2 and token not in _NO_HOUSE


class ShortNames(OwnRecognizer):
    """FACILITY by letters or nickname, and where it stands."""

    def __init__(self, kinds: WordKinds) -> None:
        self._kinds = kinds
        super().__init__(supported_entities=["FACILITY"], name=NAME)

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Spans of hospitals; `TimeoutError` when the search takes over two seconds."""
        found = [self.found("FACILITY", *span) for span in letters_of_hospitals(text, self._kinds)]
        return found + [self.found("FACILITY", *span) for span in self._nicknames(text)]

    def _nicknames(self, text: str) -> Iterator[tuple[int, int]]:
        for match in _nicknamed(text):
            word = match.group().lower().removesuffix("'s")
            named = match.group().endswith("'s")
            if word in _NO_NICKNAME or (not named and _SERVICE.search(word)):
                continue
            if self._kinds.of(word) is not Kind.CLINICAL:
                yield match.span()


def _nicknamed(text: str) -> Iterator[regex.Match[str]]:
    """Capitalised words where a hospital stands that is called by a nickname."""
    for match in _NICKNAMED_AT.finditer(text, timeout=RULE_TIMEOUT_SECONDS):
        if _DEED_BEFORE.search(text, max(0, match.start() - _FURTHEST), match.start()):
            yield match
    for pattern in _NICKNAMED:
        yield from pattern.finditer(text, timeout=RULE_TIMEOUT_SECONDS)
    if any(told in text for told in _TOLD):
        yield from _NICKNAMED_BEFORE.finditer(text, timeout=RULE_TIMEOUT_SECONDS)
