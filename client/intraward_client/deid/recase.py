"""The text as the detectors read it: capitals put where a shouted or a small-letter text lost them.

Rules and model tell names by their capitals. "LEE, SU-MIN TRANSFERRED TO ASHBOURNE HOSPITAL" and "pt jose
ramirez from fresno" have none to tell by, so the detectors read a copy of the same length in which names
of the lists, unknown words, streets, places and facilities begin with a capital and the rest does not. A
text in ordinary case is left alone, but for listed names in small letters behind a cue or side by side.
Offsets are those of the text; the copy is thrown away.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

import regex
from spacy.lang.en.stop_words import STOP_WORDS

from intraward_client.deid.layout import flatten
from intraward_client.deid.lexicon import MONTHS, listed
from intraward_client.deid.wordkinds import MAYBE, NAMES, Kind, WordKinds
from intraward_client.deid.wordlists import fold, word_list

_WORD = regex.compile(r"(?<![\p{L}\d])\p{L}[\p{L}\p{M}]*(?:['-]\p{L}[\p{L}\p{M}]*)*(?![\p{L}\d])")
_LETTERS = regex.compile(
    r"(?<![\p{L}\p{M}\d])(?!(?:of|the)\b)(?<!(?<=\p{L})')\p{L}[\p{L}\p{M}]*|(?<=\p{L}')\p{L}[\p{L}\p{M}]+"
)
_CAPITALISED = regex.compile(r"(?<!\p{L})\p{Lu}\p{Ll}")
_CODE = regex.compile(
    r"(?<![\w@.%+])(?=[\w-]*\d)(?=[\w-]*[a-z])(?!\d+[a-z]{1,4}\b(?!-))\w+(?:-\w+)*(?![\w@]|\.\w)"
)
_PREFIX = regex.compile(
    r"(?i)(?<!\w)(?:csn|har|fin|lot|job|sn|rn|ref|req|acct?|enc|dl|lic|md|study|hsp)(?=[ #:-][a-z]{0,2}\d{3})"
)
_MONTHS = frozenset(month.lower() for month in MONTHS) | listed(
    "jan feb mar apr jun jul aug sept sep oct nov dec"
)
_MONTH = regex.compile(
    r"(?i)(?<!\p{L})(?:may|mar(?:ch)?|dec|sept?)(?=\.? ?(?:[12]?\d|3[01])(?:st|nd|rd|th)?(?!\d|[ ]?(?:times|mg|days|weeks|months|hours|x|tabs?|cm|mm))|,? (?:19|20)\d\d)"
    r"|(?<=\d(?:st|nd|rd|th)?(?: of)? )(?:may|mar(?:ch)?|dec|sept?)(?=[ ,.]*(?:19|20)\d\d|[ ,.;]|$)"
)
"""A month whose name is also a word, beside a day or a year."""

_TITLES = listed("mr mrs ms miss mx dr drs prof doctor professor sister nurse rev father sir dame")
_LABEL = regex.compile(
    r"(?im)(?:^|[|;>]|\s{2})[ \t]*(?:patient(?:'s)?(?: name)?|pt|(?:full |first |last |legal )?name|surname|forename|client|resident|"
    r"next of kin|nok|attending|provider|att|pcp|gp|signed|from|to|cc|dear)[ \t]*[:=]?[ \t]+(?=\p{L})"
)
_CUE = regex.compile(
    r"(?i)(?<!\p{L})(?:pt|patient|client|resident|named|called|mr|mrs|ms|miss|dr|doctor|nurse|son|daughter|wife|husband|mother|father|"
    r"mom|mum|dad|sister|brother|partner|spouse|niece|nephew|aunt|uncle|cousin|friend|neighbou?r|carer|caregiver|guardian|"
    r"grand(?:son|daughter|mother|father|child)|for|re|about|with|on|from|see|seen by|page|call|ask|is|hi|hello|hey|fyi|at|of|to|tell|and|than|text|(?:room|rm|bed) \w+|asking for)\.?[ ,:(]{1,2}"
)
_PERSON_CUE = regex.compile(
    r"(?i)(?<!\p{L})(?:named|mr|mrs|ms|miss|dr|doctor|son|daughter|wife|husband|mother|father|mom|mum|dad|sister|brother|"
    r"niece|nephew|aunt|uncle|cousin|partner|spouse|roommate|neighbou?r|friend|carer|caregiver|grand(?:son|daughter|mother|father)|hi|hello|hey)\.?[ ,:(]{1,2}"
)
_UNKNOWN_CUE = regex.compile(
    rf"{_PERSON_CUE.pattern}|(?<!\p{{L}})(?:pt|patient|client|resident|surgeon|attending|pcp|gp|provider|consultant|np|rn|sw|ot|"
    r"crna|pharmd|cc|fwd|re|tell|ask|text|page|call|has|is|can|does|did|for|from|by|per|d/w|s/w|asking for|seen by|scribe)"
    r"[ ]?[.:]?[ ]{1,2}"
)
"""Behind these a word in small letters that no list knows is rather a name than a slip."""
_FACILITY = listed(
    """hospital infirmary clinic hospice pharmacy university college academy school district polyclinic sanatorium
    system living trust group associates surgery practice center centre home institute foundation rehab rehabilitation laboratories unit ward tower wing"""
)
_BESIDE = listed(
    """hospital medical general regional memorial health care center centre home nursing living assisted family clinic
    practice surgery community cancer children's childrens women's veterans va university college elementary middle
    high unified school district rehabilitation rehab dialysis surgical trust system group associates county state
    city national royal saint st mount our lady mercy holy cross north south east west upper lower new old fort lake"""
)
_STREET = regex.compile(
    r"(?i)(?<![\w.-])\d{1,6}[a-z]?,?[ ]+(?:[nsew]\.?[ ]+)?(?:\p{L}[\p{L}'.-]*[ ]+){1,4}(?:street|st|road|rd|avenue|ave|boulevard|blvd|drive|dr|"
    r"lane|ln|court|ct|place|pl|square|sq|terrace|close|crescent|parkway|pkwy|highway|hwy|way|circle|trail|row|mews|gardens|grove|hill)\b"
    r"(?:\.?,?[ ]+(?!(?:and|or|with|on|in|at|to|from|for|the|since|has|is|was)\b)\p{L}[\p{L}'-]*){0,3}"
)
_PLACE_ENDS = listed(
    """heights falls springs valley junction township county ridge creek grove park hills beach city rock lake bay
    harbor harbour island islands village town grande rapids mills port point forest fields crossing landing"""
)
_PLACE_STARTS = listed(
    """port fort mount mt lake saint st san santa los las new north south east west el la le cedar oak pine maple elm green rocky
    grand twin white black red blue silver golden clear bright stone copper vista palm rose river glen old little big high"""
)
_COMMON_KIND = listed(
    """local community nearby outside another regional general rural urban teaching referring home retail mail order online
    specialty public private nursing care assisted living long term acute rehab rehabilitation dialysis outpatient
    inpatient surgical medical stroke cardiac intensive emergency step down day walk urgent family primary group"""
)
_TOWARDS = listed("in from to at near of outside through visiting")
_STATE_ZIP = regex.compile(r"(?i)(?<=[ ,])[a-z]{2}(?=,?[ ]+\d{5}\b)")
_COMPASS = regex.compile(
    r"(?i)(?<![\w./])\d{1,2}[ -]?(?:north|south|east|west|main)(?:[ -](?:tower|wing|pavilion))?\b"
)
_HOLY = regex.compile(
    r"(?i)(?<!\p{L})(?:our lady of (?:the )?\p{L}+|saint \p{L}+|st\.? {1,2}\p{L}{3,}|holy \p{L}+|mount \p{L}+)(?=(?:'s)? +\p{L}|,)"
)
_CREDENTIAL = regex.compile(r"(?i)(?:(?<=, ?)(?:md|do|rn|np|pa)|(?<= )(?:md|phd|lcsw|mbbs|lpn|pharmd))\b")
_MODALS = listed("will may can might")
"""Names that after a person are a verb or an adjective far more often."""
_WORDISH = regex.compile(r"(?:\p{L}{3}ing|[^aeiou]ed|[st]ion|ous|less|ness|able|ible|ized|ised)$")
"""How a word ends that is misspelt or missing from the index, and no name."""
_WORDS_A_CAPITAL = 60
_FEWEST = 8


def recase(text: str, kinds: WordKinds) -> str:
    """A copy of ``text`` of the same length, with capitals where names and places stand."""
    text = flatten(text)
    if is_caseless(text):
        return _restore(text, kinds)
    lines = text.split("\n")
    if any(_is_shouted(line) for line in lines):
        lines = [_restore(line, kinds) if _is_shouted(line) else line for line in lines]
    return _raise_listed(_MONTH.sub(lambda match: match.group().capitalize(), "\n".join(lines)), kinds)


def is_caseless(text: str) -> bool:
    """Whether ``text`` has no capitals to tell names by: at most one capitalised word in sixty."""
    return len(_CAPITALISED.findall(text)) * _WORDS_A_CAPITAL <= text.count(" ")


def _is_shouted(line: str) -> bool:
    upper = sum(map(str.isupper, line))
    return upper >= _FEWEST and sum(map(str.islower, line)) <= upper // 12


def _restore(text: str, kinds: WordKinds) -> str:
    """Every word in small letters, names and places with a capital, codes in capitals."""
    view = list(text)
    shouted = _is_shouted(text)
    words = list(_WORD.finditer(text))
    flagged = [
        (shouted or not _is_acronym(word.group(), kinds)) and _carries(word.group(), kinds) for word in words
    ]
    for index, word in enumerate(words):
        if not flagged[index] and kinds.of(word.group()) in MAYBE:
            flagged[index] = _beside_name(text, words, flagged, index) or _is_cued(text, words, kinds, index)
    for match in _LABEL.finditer(text):
        fits = None if match.group().rstrip()[-1:] in {":", "="} else kinds
        _flag_from(text, words, flagged, match.end(), 3, fits)
    _flag_titles(text, words, flagged, kinds)
    _flag_initials(text, words, flagged)
    for match in _HOLY.finditer(text):
        for index, word in enumerate(words):
            if match.start() <= word.start() < match.end() and word.group().lower() not in {"of", "the"}:
                flagged[index] = True
    _flag_places(text, words, flagged, kinds)
    for index, word in enumerate(words):
        if flagged[index]:
            _write(view, word, _title(word.group()))
        elif shouted or not word.group().isupper():
            _write(view, word, word.group().lower())
    for pattern, change in (
        (_STREET, _title),
        (_COMPASS, _title),
        (_MONTH, str.capitalize),
        (_STATE_ZIP, str.upper),
        (_CREDENTIAL, str.upper),
        (_PREFIX, str.upper),
        (_CODE, str.upper),
    ):
        for match in pattern.finditer("".join(view)):
            _write(view, match, change(match.group()))
    return "".join(view)


def _raise_listed(text: str, kinds: WordKinds) -> str:
    """Capitals for listed names in small letters: behind a cue, or a given name beside another name."""
    view: list[str] | None = None
    previous: regex.Match[str] | None = None
    for word in _WORD.finditer(text):
        token = word.group()
        kind = kinds.of(token) if token.islower() and len(token) > 2 else Kind.WORD
        if (
            kind is Kind.UNKNOWN
            and len(token) > 3
            and _WORDISH.search(token) is None
            and _ends_before(_UNKNOWN_CUE, text, word.start())
        ):
            view = view or list(text)
            view[word.start()] = text[word.start()].upper()
        elif kind in NAMES:
            beside = previous is not None and text[previous.end() : word.start()] == " "
            if (
                previous is not None
                and beside
                and previous.group().islower()
                and Kind.GIVEN is kinds.of(previous.group())
            ):
                view = view or list(text)
                view[previous.start()] = text[previous.start()].upper()
                view[word.start()] = text[word.start()].upper()
            elif _ends_before(_CUE, text, word.start()):
                view = view or list(text)
                view[word.start()] = text[word.start()].upper()
            elif previous is not None and beside and view is not None and view[previous.start()].isupper():
                view[word.start()] = text[word.start()].upper()
        previous = word
    return text if view is None else "".join(view)


def _ends_before(cue: regex.Pattern[str], text: str, position: int) -> bool:
    return any(match.end() == position for match in cue.finditer(text, max(0, position - 24), position))


def _is_acronym(token: str, kinds: WordKinds) -> bool:
    return token.isupper() and 1 < len(token) <= 6 and kinds.of(token) not in NAMES


def _carries(token: str, kinds: WordKinds) -> bool:
    """Whether ``token`` by itself gets a capital: a listed name, a town, a month, or a word nobody knows."""
    lowered = token.lower()
    if lowered in _MONTHS and lowered not in {"may", "mar", "march", "dec", "sep"}:
        return True
    kind = kinds.of(lowered)
    if kind in NAMES:
        return len(lowered) > 2
    if kind is Kind.UNKNOWN:
        return len(lowered) > 3 and _WORDISH.search(lowered) is None
    return fold(token) in word_list("cities")


def _can_be_name(token: str, kinds: WordKinds) -> bool:
    """Whether ``token`` can be a name where a person is named, by list or as a word nobody knows."""
    lowered = token.lower()
    if lowered in STOP_WORDS or lowered in _MODALS or len(lowered) < 2:
        return False
    kind = kinds.of(lowered)
    return kind in NAMES | MAYBE or (kind is Kind.UNKNOWN and _WORDISH.search(lowered) is None)


def _beside_name(text: str, words: list[regex.Match[str]], flagged: list[bool], index: int) -> bool:
    before = (
        index > 0
        and flagged[index - 1]
        and text[words[index - 1].end() : words[index].start()] in {" ", ", "}
    )
    after = (
        index + 1 < len(words)
        and flagged[index + 1]
        and text[words[index].end() : words[index + 1].start()] in {" ", ", "}
    )
    return before or after


def _is_cued(text: str, words: list[regex.Match[str]], kinds: WordKinds, index: int) -> bool:
    """Whether a name that is also a word stands where a person is named: "his brother art", "(faith price)"."""
    word = words[index]
    if kinds.of(word.group()) is not Kind.WORD_GIVEN or word.group().lower() in _MODALS:
        return False
    if _ends_before(_PERSON_CUE, text, word.start()):
        return True
    after = words[index + 1] if index + 1 < len(words) else None
    if (
        after is None
        or text[word.end() : after.start()] != " "
        or kinds.of(after.group()) not in MAYBE | NAMES
    ):
        return False
    return text[word.start() - 1 : word.start()] == "(" or _ends_before(_CUE, text, word.start())


def _flag_from(
    text: str,
    words: list[regex.Match[str]],
    flagged: list[bool],
    start: int,
    most: int,
    fits: WordKinds | None,
) -> None:
    """Flag up to ``most`` words in a row from ``start``; with ``fits``, while they can be a name."""
    end = start
    for index, word in enumerate(words):
        if word.start() < start:
            continue
        if most == 0 or text[end : word.start()].strip(" ,."):
            return
        if "  " in text[end : word.start()] or "\n" in text[end : word.start()]:
            return
        if fits is not None and not _can_be_name(word.group(), fits):
            return
        flagged[index], end, most = True, word.end(), most - 1


def _flag_titles(text: str, words: list[regex.Match[str]], flagged: list[bool], kinds: WordKinds) -> None:
    for index, word in enumerate(words[:-1]):
        following = words[index + 1]
        title = word.group().lower()
        plain = len(title) > 3 and kinds.of(following.group()) in {Kind.WORD, Kind.CLINICAL}
        if following.group().lower() in STOP_WORDS or plain:
            continue
        if title in _TITLES and text[word.end() : following.start()] in {" ", ". ", "."}:
            flagged[index] = flagged[index + 1] = True


def _flag_initials(text: str, words: list[regex.Match[str]], flagged: list[bool]) -> None:
    """Single letters before or behind a name: "d. moon", "achebe n"."""
    for index, word in enumerate(words):
        if len(word.group()) > 1 or flagged[index]:
            continue
        if (
            index + 1 < len(words)
            and flagged[index + 1]
            and text[word.end() : words[index + 1].start()] in {". ", "."}
        ) or (
            index
            and flagged[index - 1]
            and text[words[index - 1].end() : word.start()] == " "
            and word.group().lower() not in {"a", "i"}
        ):
            flagged[index] = True


def _flag_places(text: str, words: list[regex.Match[str]], flagged: list[bool], kinds: WordKinds) -> None:
    """Facilities with the words that name them, and the second word of a place."""
    for index, word in enumerate(words):
        lowered = word.group().lower()
        before = words[index - 1].group().lower() if index else ""
        beside = index > 0 and text[words[index - 1].end() : word.start()] in {" ", ". "}
        if (
            beside
            and lowered in _PLACE_ENDS
            and (
                flagged[index - 1]
                or before in _PLACE_STARTS
                or (
                    index > 1
                    and words[index - 2].group().lower() in _TOWARDS
                    and before not in _TOWARDS
                    and len(before) > 3
                )
            )
        ):
            flagged[index - 1] = flagged[index] = True
        if beside and before in _PLACE_STARTS and flagged[index] and not flagged[index - 1]:
            flagged[index - 1] = True
        if lowered not in _FACILITY:
            continue
        first = index
        while (
            first
            and text[words[first - 1].end() : words[first].start()] in {" ", "."}
            and (flagged[first - 1] or words[first - 1].group().lower() in _BESIDE)
        ):
            first -= 1
        if not any(flagged[first:index]):
            first = _named_by_words(text, words, kinds, index)
        if first < index:
            flagged[first : index + 1] = [True] * (index + 1 - first)


def _named_by_words(text: str, words: list[regex.Match[str]], kinds: WordKinds, index: int) -> int:
    """The first word of a facility named by English words ("at sunset pharmacy"); ``index`` when there is none."""
    first = index
    while first and index - first < 3 and text[words[first - 1].end() : words[first].start()] == " ":
        word = words[first - 1].group().lower()
        if word in STOP_WORDS or word in _COMMON_KIND or kinds.of(word) is Kind.CLINICAL:
            break
        first -= 1
    before = text[: words[first].start()].rstrip(" ")
    led = before[-1:] in {"", ",", "\n"} or before.split(" ")[-1].lower() in _TOWARDS
    return first if led else index


def _title(words: str) -> str:
    """Every word with a capital, but for a genitive and the small words between."""
    titled: str = _LETTERS.sub(lambda match: match.group().capitalize(), words.lower())
    return titled


def _write(view: list[str], where: regex.Match[str], replacement: str) -> None:
    if len(replacement) == where.end() - where.start():
        view[where.start() : where.end()] = replacement
