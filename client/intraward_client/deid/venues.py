"""Hospitals, homes, firms and places named by capitals: the recognizer behind the rules of ``facilities``.

A rule knows the word before it and the word after it; this walk asks what each word is. A run of capitalised
words, small links and line ends between them ("Heritage Oaks of Port Renfrew", "Riverbend Skilled Nursing &
Rehab", "Brightwell & Moss Solicitors"), is an identifier as a whole when a word of it says what kind of house
it is and another names it, or when it stands where a place stands ("injured at ...", "the lake in ...") and
is no phrase of the clinic.
"""

# ruff: noqa: E501, RUF001 -- lists are read as a whole, and hold the apostrophe of other keyboards

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import regex

from intraward_client.deid.filters import is_eponym, is_headed
from intraward_client.deid.lexicon import MONTHS, is_inflected, listed
from intraward_client.deid.libraries import STOP_WORDS, NlpArtifacts, RecognizerResult
from intraward_client.deid.recognizer import OwnRecognizer
from intraward_client.deid.rules import RULE_TIMEOUT_SECONDS
from intraward_client.deid.wordkinds import MAYBE, NAMES, Kind, WordKinds

NAME = "IntrawardVenues"
_TOKEN = regex.compile(r"\p{L}[\p{L}\p{M}]*(?:['’-]\p{L}[\p{L}\p{M}]*)*|&(?:amp;)?")
_LINKS = listed("of the at and & &amp; for de la del do da dos des du von am an on upon by le les")
_GAP = regex.compile(r"[ ]{1,2}|[ ]?\n[ ]{0,4}|(?<=\b(?:St|Mt|Ft|Ste|Sta|Sto|Nuestra Sra))\.[ ]{0,2}| - | @ ")
_WRAPPED = 55
"""A line at least this long may have been broken inside a name."""

HOUSES = listed(
    """hospital hospitals infirmary clinic clinics hospice pharmacy pharmacies chemist chemists university college
    academy school polyclinic sanatorium sanitarium rehab rehabilitation snf surgery practice trust healthcare lodge
    manor monastery convent church chapel parish mosque temple synagogue gurdwara prison jail shelter hostel
    maternity dispensary polyclinique policlinic nursery preschool kindergarten elementary drugs drugstore apothecary daycare creche orphanage"""
)
"""Words that say what kind of house it is; beside a word of English they name one."""
SOFT_HOUSES = listed(
    """center centre centers centres home homes house health care living institute foundation laboratory
    laboratories lab labs group associates partners specialists physicians network system systems facility campus
    district department trust memorial regional general medical medicine nursing veterans hall court gardens place
    residence residences village villas terrace oaks pines meadows commons estates dialysis imaging radiology diagnostics
    orthopedics orthopaedics pediatrics paediatrics dental dentistry eyecare optometry wellness recovery ambulance"""
)
"""Words of a house that are also words of the clinic: they need a name, or a place to stand."""
FIRMS = listed(
    """club golf racquet yacht tool autobody mill metal sawmills inc llc llp ltd limited corp corporation company co gmbh plc pty bv ag sa steel mining mines miners brewery
    breweries brewing distillery winery vineyards roofing plumbing electrical freight foods food poultry meats
    drilling janitorial solicitors attorneys advocates orchards growers nurseries creameries creamery dairy dairies
    logistics airlines airways aviation authority outlet furniture products semiconductor semiconductors
    industries electronics motors automotive insurance bank banking hotel hotels resort inn restaurant restaurants cafe
    bakery bakeries diner salon construction builders contractors consulting consultants engineering engineers textiles
    garments mills foundry quarry quarries farms ranch fisheries seafoods shipping transport transportation transit
    trucking couriers haulage railways railway railroad security cleaning cleaners catering caterers supermarket
    supermarkets grocers grocery market markets stores store mart retail media press studios studio technologies technology
    software energy petroleum utilities council ministry enterprises holdings services solutions manufacturing
    fabrication fabricators metals metalworks plastics chemicals pharmaceuticals paper timber lumber sawmill forestry
    landscaping gardening packaging packers packing warehouse warehousing distribution distributors wholesale supplies
    supply machining tooling foundries shipyard shipyards shipbuilders boatyard marine port cement concrete masonry
    glassworks ceramics tannery leather footwear laundry laundries handlers staffing recruitment agency bureau library
    museum theatre theater cinema casino police constabulary sheriff fire-rescue union federation cooperative co-op
    partnership brothers sons plantation plantations tea coffee ironworks steelworks smelter refinery refining
    telecom telecommunications communications broadcasting publishing printing printers legal realty properties
    cannery abattoir slaughterhouse upholstery carpentry joinery scaffolding demolition paving excavating hvac electric"""
)
"""What a firm does, as the last words of its name."""
_PAIRED = listed(
    "medical health healthcare nursing rehabilitation rehab surgical dialysis cancer heart care home urgent regional community memorial living hospice"
)
_PAIRS = listed(
    "center centre system systems network group partners associates health care hospice services clinic campus trust"
)
"""Two words side by side, one of each list, that say what kind of house it is ("Cottonwood Home Health")."""
_SURE_FIRMS = listed(
    """brewery breweries distillery winery vineyards roofing plumbing foods poultry meats janitorial solicitors orchards creameries
    logistics airlines airways trucking haulage railways railway railroad catering caterers grocers fabrication fabricators metals
    metalworks metal timber lumber sawmill mill mills foundry foundries shipyard shipyards boatyard masonry tannery laundry
    staffing recruitment realty cannery abattoir slaughterhouse upholstery carpentry joinery scaffolding demolition paving
    excavating hvac ironworks steelworks smelter refinery construction builders contractors landscaping warehouse textiles
    garments fisheries seafoods farms ranch quarry couriers motors industries enterprises holdings electric electronics
    bakery cafe diner salon hotel inn dairy sawmills sons"""
)
"""Words of firms that no phrase of the clinic ends with."""
ENDS_OF_PLACES = listed(
    """heights falls springs valley junction township county ridge creek grove park hills hill beach city rock lake bay
    harbor harbour island islands village town grande rapids mills port point forest fields field crossing landing
    flats gap hollow bluff bluffs bend ferry bridge ford glen plains prairie mesa borough parish shire corners station
    common green heath moor wells spa marsh cove sound shores shore canyon pass pines oaks square lisbon
    street road avenue lane drive crescent terrace mews boulevard gardens close court row place ave rd ln blvd cres parade wharf quay"""
)
ADJECTIVES = ("ial", "eal", "ical", "inal", "ular", "oral")
"""How words end that name a part of the body."""
PAPERS = listed("note notes visit visits letter summary report record form appointment followup round rounds")
"""Behind these words a kind of house is the heading of a paper."""
_STREETS = listed("street road avenue lane drive crescent terrace mews boulevard gardens ave rd ln blvd")
_STARTS_OF_PLACES = listed(
    """lower upper new old north south east west fort port mount lake saint st san santa los las el la le little big
    great high glen point cape bay isle villa kampung bukit barangay barrio colonia ciudad tanjung ban nova nueva"""
)
_AT = listed("attends attending attended off along behind at from near through outside via around @")
_TOWARDS = _AT | listed("in to on of for with by into employer workplace insurer")
_GENERIC = listed(
    """patient pt employer employee works wears the a an this that her his their your my our no any each every emergency department ed icu unit
    ward floor room intensive care coronary cardiac step down stepdown high dependency acute outpatient inpatient day
    primary secondary tertiary urgent skilled nursing assisted living long term home health healthcare hospital clinic
    medical surgical medicine surgery general regional community local family rehab rehabilitation physical occupational
    speech therapy therapist social work worker services service case management discharge planning plan hospitalist
    pharmacy lab laboratory labs radiology imaging blood bank operating recovery trauma stroke burn pain wound sleep
    memory falls fracture travel foot eye breast heart failure prevention anticoagulation antenatal prenatal postnatal
    maternity labor labour delivery pediatric paediatric adult child children women men mental behavioral behavioural
    public private national state county city federal veterans affairs school college university nurse doctor office
    follow up followup course contact instructions summary history note notes report visit admission transfer status
    center centre group practice trust department facility hospice dialysis infusion endoscopy cath diagnostics
    diagnostic interventional nuclear internal sports palliative geriatric oncology hematology support team program
    programme protocol system systems network advance directive living will power attorney medicare medicaid part
    red cross green blue black white yellow purple score scale index stage grade class type test sign line tube drain
    reviewed continue start stop resume hold given sent new old current previous same other another nearest elementary
    middle primary secondary nursery day group foster retirement rest residential respite half halfway sober transitional
    adult senior seniors convalescent custodial extended chronic subacute sub-acute post-acute walk-in walk minor injuries
    one two three first second third next last left right upper lower bilateral mini"""
)
_SMALL_KINDS = HOUSES | frozenset(
    (
        "day care",
        "nursing home",
        "care home",
        "group home",
        "retirement home",
        "nursery school",
        "health centre",
        "elementary school",
        "high school",
        "middle school",
        "primary school",
        "health center",
        "medical center",
    )
)
_PROCEDURES = listed("surgery surgeries rehab rehabilitation practice trust")
"""In small letters behind a word of English: what is done to a patient ("Cataract surgery")."""
_LEADING = HOUSES | listed("center centre institute foundation home house village town city county borough")
_KEPT = listed(
    "two three four five seven twin our lady saint st san santa good holy mount mercy grace sacred new old upper lower little big great the"
)
_NEVER_FIRST = frozenset(month.lower() for month in MONTHS) | listed(
    """monday tuesday wednesday thursday friday saturday sunday dr mr mrs ms miss prof nurse sister mg ml type stage"""
)
_HONOURED = listed(
    "sister mother father brother bishop cardinal archbishop sir lady lord king queen prince princess doctor president pope"
)
"""Before the name of who a house is named after, and part of the name ("Mother Teresa Hospice")."""
_Word: TypeAlias = "regex.Match[str]"


class Venues(OwnRecognizer):
    """FACILITY by capitals, kinds of house and the words around."""

    def __init__(self, kinds: WordKinds) -> None:
        self._kinds = kinds
        super().__init__(supported_entities=["FACILITY"], name=NAME)

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Spans of named houses, firms and places; `TimeoutError` when splitting the text takes too long."""
        tokens = list(_TOKEN.finditer(text, timeout=RULE_TIMEOUT_SECONDS))
        found = []
        index = 0
        while index < len(tokens):
            run = _run(text, tokens, index)
            if run:
                span = self._named(text, tokens, index, run) or self._behind_at(text, tokens, index, run)
                if span is not None:
                    found.append(self.found("FACILITY", *span))
            index += max(len(run), 1)
        return found

    def _behind_at(
        self, text: str, tokens: list[_Word], index: int, run: Sequence[_Word]
    ) -> tuple[int, int] | None:
        """The house where a person is, in one run with the person ("Ada Rowe at Lakeview at Orme")."""
        for number, word in enumerate(run[:-1]):
            if number and word.group() == "at":
                return self._named(text, tokens, index + number + 1, run[number + 1 :])
        return None

    def _named(
        self, text: str, tokens: list[_Word], index: int, run: Sequence[_Word]
    ) -> tuple[int, int] | None:
        """The part of ``run`` that is a name of a house or place."""
        if not _is_mixed(text, run[0].start(), run[-1].end()):
            return None
        first = next((number for number in range(len(run)) if self._opens(run, number)), len(run))
        if first == len(run):
            return None
        begin = self._led(run, first)
        before = run[begin - 1].group().lower() if begin else _before(text, tokens, index)
        words = [*run[begin:], *_small_kind(text, tokens, index + len(run))]
        if len(words) < 2:
            return None
        lowered = [word.group().lower() for word in words]
        if (
            len(words) > len(run) - begin
            and lowered[-1] in _PROCEDURES
            and self._kinds.of(lowered[0]) is Kind.WORD
        ):
            return None
        if len(run) == begin + 1 and is_eponym(run[begin].group(), text, run[begin].end()):
            return None
        naming = [self._kinds.of(word) for word in lowered if word not in _LINKS and word not in _GENERIC]
        named = any(kind in NAMES | MAYBE or kind is Kind.UNKNOWN for kind in naming)
        following = _TOKEN.match(text, words[-1].end() + 1)
        if (
            not named
            and before not in _TOWARDS
            and following is not None
            and following.group().lower() in PAPERS
        ):
            return None
        kinds_of_house = lowered if begin < first else lowered[1:]
        at_start = before in {"", ":", ","}
        if (
            (begin < first and named)
            or _is_house(kinds_of_house, named=named, placed=at_start or before in _TOWARDS)
            or (Kind.CLINICAL not in naming and _is_sure(lowered, naming))
            or (
                before in _TOWARDS
                and _is_place(lowered, naming, before)
                and not is_headed(text, run[first].end())
            )
            or (before not in {"", ".", ":"} and self._is_made_up(lowered, naming, text, run[first].end()))
            or (at_start and "at" in lowered and naming[:1] == [Kind.UNKNOWN] and lowered[-1] not in _GENERIC)
        ):
            honoured = begin and run[begin - 1].group().lower() in _HONOURED
            return (run[begin - 1] if honoured else words[0]).start(), words[-1].end()
        return None

    def _opens(self, run: Sequence[_Word], index: int) -> bool:
        """Whether the name may begin here: no small word, no word of the clinic, no kind of house."""
        word = run[index].group()
        lowered = word.lower()
        following = run[index + 1].group().lower() if index + 1 < len(run) else ""
        if lowered in _KEPT and following and (following not in _GENERIC or lowered == "st"):
            return lowered not in {"the", "our"} or following == "lady" or self._opens(run, index + 1)
        if lowered in STOP_WORDS or lowered in _LINKS or lowered in _GENERIC or lowered in _NEVER_FIRST:
            return False
        paired = index + 2 < len(run) and run[index + 2].group().lower() in _PAIRS | HOUSES
        verb = lowered.endswith("ed") or (
            not index and following in {"home", "care", "health"} and not paired
        )
        if verb and is_inflected(word, self._kinds.words):
            return False
        return self._kinds.of(word) is not Kind.CLINICAL and len(word) > 1

    def _is_made_up(self, words: Sequence[str], naming: Sequence[Kind], text: str, end: int) -> bool:
        """Whether the first word is unknown and the others, in mid sentence, belong to it ("DaVita Copper Basin")."""
        whole = (
            len(naming) == sum(word not in _LINKS for word in words) > 1
            and (naming[0] is Kind.UNKNOWN or ("of" in words and naming[0] in NAMES))
            and len(words[0]) > 3
            and len(words[-1]) > 1
        )
        return whole and Kind.CLINICAL not in naming and not is_headed(text, end)

    def _led(self, run: Sequence[_Word], first: int) -> int:
        """Where the name begins when a kind of house leads it: "University of ...", "Hospital San ..."."""
        if not first:
            return first
        linked = run[first - 1].group().lower() in _LINKS
        leading = [
            number
            for number in range(first)
            if run[number].group().lower() in (_LEADING if linked else HOUSES)
        ]
        firm = self._kinds.of(run[first].group()) in NAMES | MAYBE | {Kind.UNKNOWN}
        return leading[0] if leading and (linked or (firm and leading[-1] == first - 1)) else first


def _is_house(words: Sequence[str], *, named: bool, placed: bool) -> bool:
    """Whether a word says what kind of house or firm it is."""
    if any(word in HOUSES for word in words):
        return True
    if any(word in FIRMS or word in SOFT_HOUSES for word in words):
        return named or placed
    return False


def _is_sure(words: Sequence[str], naming: Sequence[Kind]) -> bool:
    """Whether plain words end as only a house or a firm does ("Ironwood Roofing")."""
    if not naming or words[0] in _SURE_FIRMS | _PAIRED or words[0].endswith((*ADJECTIVES, "ic", "al", "ive")):
        return False
    return words[-1] in _SURE_FIRMS or (len(words) > 2 and words[-2] in _PAIRED and words[-1] in _PAIRS)


def _is_place(words: Sequence[str], naming: Sequence[Kind], before: str) -> bool:
    """Whether the words are no phrase of the clinic, where a place may stand."""
    ended = words[-1] in ENDS_OF_PLACES
    clinical = words[-1] not in _STREETS and Kind.CLINICAL in (naming[:-1] if ended else naming)
    if not naming or clinical or any(word.endswith(ADJECTIVES) for word in words[:-1]):
        return False
    if ended or words[0] in _STARTS_OF_PLACES:
        return True
    if before in _AT:
        return True
    return any(kind is Kind.UNKNOWN for kind in naming) and before in {"in", "to", "for", "into"}


def _small_kind(text: str, tokens: list[_Word], after: int) -> list[_Word]:
    """The kind of house behind the name in small letters ("Bright Horizons daycare")."""
    words = tokens[after : after + 2]
    for count in (2, 1):
        kind = " ".join(word.group() for word in words[:count])
        beside = words and text[tokens[after - 1].end() : words[0].start()] == " "
        if beside and kind in _SMALL_KINDS:
            return words[:count]
    return []


def _run(text: str, tokens: list[_Word], index: int) -> list[_Word]:
    """Capitalised words from ``index`` side by side, with the small links between them."""
    run: list[_Word] = []
    pending: list[_Word] = []
    for word in _joined(text, tokens, index):
        token = word.group()
        if token[0].isupper():
            run += [*pending, word]
            pending = []
        elif run and token in _LINKS and len(pending) < 2:
            pending.append(word)
        else:
            break
    return run


def _joined(text: str, tokens: list[_Word], index: int) -> Iterator[_Word]:
    """Tokens from ``index`` as long as nothing but a space, or the end of a full line, is between them."""
    yield tokens[index]
    for left, right in zip(tokens[index:], tokens[index + 1 :], strict=False):
        gap = _GAP.fullmatch(text, left.end(), right.start())
        if gap is None:
            return
        if "\n" in gap.group():
            start = text.rfind("\n", 0, left.start()) + 1
            if left.end() - start < _WRAPPED:
                return
        yield right


def _before(text: str, tokens: list[_Word], index: int) -> str:
    """The word before, past an article; "" where a line or field begins."""
    while index:
        gap = text[tokens[index - 1].end() : tokens[index].start()]
        if gap.strip(" ") == ":" or "\n" in gap or not index:
            return ":" if ":" in gap else ""
        if gap.strip(" "):
            return "," if gap.strip(" ") in {",", "|", "-", "("} else "."
        word: str = tokens[index - 1].group().lower()
        if word not in {"the", "a", "our", "her", "his", "their", "my"}:
            return word
        index -= 1
    return ""


def _is_mixed(text: str, start: int, end: int) -> bool:
    """Whether the line is prose or a label with its value, not a heading in capitals throughout."""
    opening = text.rfind("\n", 0, start) + 1
    closing = text.find("\n", end)
    line = text[opening : closing if closing >= 0 else len(text)]
    return any(map(str.islower, line))
