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

from intraward_client.deid.casecues import (
    BIRTH_CUE,
    CAPITALISED,
    CODE,
    COMPASS,
    CREDENTIAL,
    CUE,
    FEWEST,
    HOLY,
    INITIAL,
    INITIALS,
    LABEL,
    LETTERS,
    MISREAD,
    MODALS,
    MONTH,
    MONTHS,
    PARTICLES,
    PERSON_CUE,
    PLACE_LABEL,
    POSTCODE,
    PREFIX,
    SIGNED,
    STATE_ZIP,
    STREET,
    TITLES,
    TOWN_STATE,
    UNKNOWN_CUE,
    VOWEL,
    WORD,
    WORDISH,
    WORDS_A_CAPITAL,
)
from intraward_client.deid.caseplaces import flag_places, flag_towns, is_origin
from intraward_client.deid.deeds import is_acting
from intraward_client.deid.eponyms import EPONYMS
from intraward_client.deid.filters import is_headed
from intraward_client.deid.layout import flatten
from intraward_client.deid.lexicon import is_inflected
from intraward_client.deid.libraries import STOP_WORDS
from intraward_client.deid.shortnames import letters_of_hospitals
from intraward_client.deid.standing import is_bedded
from intraward_client.deid.wordkinds import MAYBE, NAMES, Kind, WordKinds
from intraward_client.deid.wordlists import fold, word_list

_LETTERS_READ = str.maketrans("015", "ols")


def recase(text: str, kinds: WordKinds) -> str:
    """A copy of ``text`` of the same length, with capitals where names and places stand."""
    text = MISREAD.sub(lambda match: match.group().translate(_LETTERS_READ), flatten(text))
    if is_caseless(text):
        return _restore(text, kinds)
    lines = text.split("\n")
    if any(_is_shouted(line) for line in lines):
        lines = [_restore(line, kinds) if _is_shouted(line) else line for line in lines]
    return _raise_listed(MONTH.sub(lambda match: match.group().capitalize(), "\n".join(lines)), kinds)


def is_caseless(text: str) -> bool:
    """Whether ``text`` has no capitals to tell names by: at most one capitalised word in sixty."""
    return len(CAPITALISED.findall(text)) * WORDS_A_CAPITAL <= text.count(" ")


def _is_shouted(line: str) -> bool:
    upper = sum(map(str.isupper, line))
    return upper >= FEWEST and sum(map(str.islower, line)) <= upper // 12


def _restore(text: str, kinds: WordKinds) -> str:
    """Every word in small letters, names and places with a capital, codes in capitals."""
    view = list(text)
    shouted = _is_shouted(text)
    words = list(WORD.finditer(text))
    flagged = [
        (shouted or not _is_acronym(word.group(), kinds)) and _carries(word.group(), kinds) for word in words
    ]
    _flag_titles(text, words, flagged, kinds)
    for index, word in enumerate(words):
        if flagged[index]:
            continue
        kind = kinds.of(word.group())
        if kind in MAYBE | NAMES or (
            kind is Kind.UNKNOWN and len(word.group()) > 1 and not word.group().isupper()
        ):
            flagged[index] = _beside_name(text, words, flagged, index) or _is_cued(text, words, kinds, index)
        flagged[index] = flagged[index] or _is_person_there(text, word, kind) or is_origin(text, word, kind)
    flag_towns(text, words, flagged)
    for index, word in enumerate(words[:-1]):
        flagged[index] = flagged[index] or _is_cued_before_name(
            text, word, words[index + 1], flagged[index + 1], kinds
        )
    for match in SIGNED.finditer(text):
        _flag_from(text, words, flagged, match.end(), 2, kinds)
    for match in LABEL.finditer(text):
        fits = None if match.group().rstrip()[-1:] in {":", "="} else kinds
        _flag_from(text, words, flagged, match.end(), 3, fits)
    _flag_initials(text, words, flagged)
    for match in HOLY.finditer(text):
        for index, word in enumerate(words):
            if match.start() <= word.start() < match.end() and word.group().lower() not in {"of", "the"}:
                flagged[index] = True
    flag_places(text, words, flagged, kinds)
    for index, word in enumerate(words):
        if flagged[index]:
            _write(view, word, _title(word.group()))
        elif shouted or not word.group().isupper():
            _write(view, word, word.group().lower())
    for start, end in letters_of_hospitals("".join(view), kinds, small=True):
        view[start:end] = "".join(view[start:end]).upper()
    for pattern, change in (
        (STREET, _title),
        (PLACE_LABEL, _title),
        (TOWN_STATE, _title),
        (POSTCODE, str.upper),
        (COMPASS, _title),
        (MONTH, str.capitalize),
        (STATE_ZIP, str.upper),
        (CREDENTIAL, str.upper),
        (INITIALS, str.upper),
        (PREFIX, str.upper),
        (CODE, str.upper),
    ):
        for match in pattern.finditer("".join(view)):
            _write(view, match, change(match.group()))
    return "".join(view)


def _raise_listed(text: str, kinds: WordKinds) -> str:
    """Capitals for names in small letters: listed given names, and others behind a cue, in a bed or side by side."""
    words = [word for word in WORD.finditer(text) if len(word.group()) > 1]
    raised: set[int] = set()
    for index, word in enumerate(words):
        token = word.group()
        joined = text[word.end() : word.end() + 1] == "." and text[word.end() + 1 : word.end() + 2].isalpha()
        if joined or not token.islower() or (kind := kinds.of(token)) is Kind.CLINICAL:
            continue
        if kind is Kind.WORD:
            if is_bedded(text, word.start(), word.end(), kind) and token not in STOP_WORDS:
                raised.add(index)
        elif _is_small_name_there(text, word, kind, kinds):
            raised.add(index)
    for match in SIGNED.finditer(text):
        raised.update(
            index
            for index, word in enumerate(words)
            if word.start() >= match.end() and word.group().islower() and _can_be_name(word.group(), kinds)
        )
    for index in sorted(raised):
        _spread(text, words, raised, index, kinds)
    if not raised:
        return text
    view = list(text)
    for index in raised:
        start = words[index].start()
        _write(view, words[index], _title(text[start : words[index].end()]))
    return "".join(view)


def _is_small_name_there(text: str, word: regex.Match[str], kind: Kind, kinds: WordKinds) -> bool:
    """Whether a word in small letters, of a text with capitals, is a name by its list and its place."""
    token = word.group()
    if kind is Kind.GIVEN and len(token) > 4 and token not in kinds.words:
        return True
    if _is_person_there(text, word, kind):
        return True
    if kind in MAYBE | {Kind.UNKNOWN} and _behind_initial(text, word.start()):
        return True
    if kind is Kind.UNKNOWN:
        fits = len(token) > 3 and WORDISH.search(token) is None
        return fits and _ends_before(UNKNOWN_CUE, text, word.start())
    if kind in MAYBE:
        return token not in MODALS and _ends_before(BIRTH_CUE, text, word.start())
    return kind in NAMES and len(token) > 2 and _ends_before(CUE, text, word.start())


def _is_person_there(text: str, word: regex.Match[str], kind: Kind) -> bool:
    start, end = word.span()
    if is_bedded(text, start, end, kind):
        return True
    slip = kind is Kind.UNKNOWN and WORDISH.search(word.group().lower()) is not None
    return not slip and is_acting(text, start, end, kind)


def _spread(text: str, words: list[regex.Match[str]], raised: set[int], index: int, kinds: WordKinds) -> None:
    """Raise the neighbours of a raised name that can belong to it: "rahel teklu", "gao nou moua-kue"."""
    for step in (1, -1):
        at = index + step
        while 0 <= at < len(words) and at not in raised:
            left, right = (words[at], words[at + 1]) if step < 0 else (words[at - 1], words[at])
            token, kind = words[at].group(), kinds.of(words[at].group())
            fits = kind in NAMES or (kind is Kind.UNKNOWN and WORDISH.search(token) is None)
            fits = fits or (kind in MAYBE and step > 0 and token not in MODALS and token not in STOP_WORDS)
            fits = fits or (step > 0 and fold(token) in EPONYMS and not is_headed(text, words[at].end()))
            if not (fits and token.islower() and text[left.end() : right.start()] == " "):
                break
            raised.add(at)
            at += step


def _ends_before(cue: regex.Pattern[str], text: str, position: int) -> bool:
    return any(match.end() == position for match in cue.finditer(text, max(0, position - 24), position))


def _behind_initial(text: str, position: int) -> bool:
    """Whether a cue of a person and an initial stand before ("patient t. stokely")."""
    initial = INITIAL.search(text, max(0, position - 4), position)
    return initial is not None and _ends_before(CUE, text, initial.start())


def _is_acronym(token: str, kinds: WordKinds) -> bool:
    return token.isupper() and 1 < len(token) <= 6 and kinds.of(token) not in NAMES


def _carries(token: str, kinds: WordKinds) -> bool:
    """Whether ``token`` by itself gets a capital: a listed name, a town, a month, or a word nobody knows."""
    lowered = token.lower()
    if lowered in MONTHS and lowered not in {"may", "mar", "march", "dec", "sep"}:
        return True
    kind = kinds.of(lowered)
    if kind in NAMES:
        return len(lowered) > 2 and (kind is Kind.GIVEN or lowered not in kinds.words)
    if kind is Kind.UNKNOWN:
        return len(lowered) > 3 and WORDISH.search(lowered) is None and VOWEL.search(lowered) is not None
    return fold(token) in word_list("cities")


def _can_be_name(token: str, kinds: WordKinds) -> bool:
    """Whether ``token`` can be a name where a person is named, by list or as a word nobody knows."""
    lowered = token.lower()
    if lowered in STOP_WORDS or lowered in MODALS or len(lowered) < 2:
        return False
    kind = kinds.of(lowered)
    return kind in NAMES | MAYBE or (kind is Kind.UNKNOWN and WORDISH.search(lowered) is None)


def _beside_name(text: str, words: list[regex.Match[str]], flagged: list[bool], index: int) -> bool:
    before = (
        index > 0
        and flagged[index - 1]
        and not EPONYMS.issuperset(fold(words[index - 1].group()).split("-"))
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
    if _behind_initial(text, word.start()):
        return True
    if kinds.of(word.group()) not in {Kind.WORD_GIVEN, Kind.FAMILY} or word.group().lower() in MODALS:
        return False
    if _ends_before(PERSON_CUE, text, word.start()):
        return True
    after = words[index + 1] if index + 1 < len(words) else None
    if (
        after is None
        or text[word.end() : after.start()] != " "
        or kinds.of(after.group()) not in MAYBE | NAMES
    ):
        return False
    opens = text[: word.start()].rstrip(" ")[-1:] in {"", ":", "?", ".", "!", "\n", "("}
    return (opens and kinds.of(word.group()) is Kind.WORD_GIVEN) or _ends_before(CUE, text, word.start())


def _is_cued_before_name(
    text: str, word: regex.Match[str], following: regex.Match[str], flagged: bool, kinds: WordKinds
) -> bool:
    """Whether a word of English stands between a cue and a surname ("fax to tanka magar")."""
    token = word.group().lower()
    return (
        flagged
        and len(token) > 2
        and token not in STOP_WORDS | TITLES
        and kinds.of(token) is Kind.WORD
        and kinds.of(following.group()) is Kind.FAMILY
        and text[word.end() : following.start()] == " "
        and not is_inflected(token, kinds.words)
        and _ends_before(CUE, text, word.start())
    )


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
        if title in TITLES and text[word.end() : following.start()] in {" ", ". ", "."}:
            flagged[index] = flagged[index + 1] = True
            while words[index + 1].group().lower() in PARTICLES and index + 2 < len(words):
                index += 1
                flagged[index + 1] = True


def _flag_initials(text: str, words: list[regex.Match[str]], flagged: list[bool]) -> None:
    """Single letters before or behind a name: "d. moon", "achebe n"."""
    for index, word in enumerate(words):
        if len(word.group()) > 1 or flagged[index]:
            continue
        if index + 1 < len(words) and fold(words[index + 1].group()) in EPONYMS:
            flagged[index + 1] |= text[word.end() : words[index + 1].start()] == ". "
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


def _title(words: str) -> str:
    """Every word with a capital, but for a genitive and the small words between."""
    titled: str = LETTERS.sub(lambda match: match.group().capitalize(), words.lower())
    return titled


def _write(view: list[str], where: regex.Match[str], replacement: str) -> None:
    if len(replacement) == where.end() - where.start():
        view[where.start() : where.end()] = replacement
