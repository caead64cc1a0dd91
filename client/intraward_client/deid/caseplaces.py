"""Places in a text that lost its capitals: towns, facilities and their words, where somebody is from.

Part of the reading view (``recase``); flags words, decides nothing.
"""

from __future__ import annotations

import regex

from intraward_client.deid.casecues import (
    BESIDE,
    COMMON_KIND,
    FACILITY,
    ORIGIN,
    PLACE_STARTS,
    TOWARDS,
    WEAK_AFTER,
    WEAK_KINDS,
)
from intraward_client.deid.libraries import STOP_WORDS
from intraward_client.deid.venues import ADJECTIVES, ENDS_OF_PLACES, FIRMS, PAPERS
from intraward_client.deid.wordkinds import MAYBE, NAMES, Kind, WordKinds
from intraward_client.deid.wordlists import fold, word_list


def flag_places(text: str, words: list[regex.Match[str]], flagged: list[bool], kinds: WordKinds) -> None:
    """Facilities with the words that name them, and the second word of a place."""
    for index, word in enumerate(words):
        lowered = word.group().lower()
        before = words[index - 1].group().lower() if index else ""
        beside = index > 0 and text[words[index - 1].end() : word.start()] in {" ", ". "}
        if (
            beside
            and lowered in ENDS_OF_PLACES
            and not before.endswith(ADJECTIVES)
            and (
                flagged[index - 1]
                or before in PLACE_STARTS
                or (
                    index > 1
                    and words[index - 2].group().lower() in TOWARDS
                    and before not in TOWARDS
                    and len(before) > 3
                )
            )
        ):
            flagged[index - 1] = flagged[index] = True
        if beside and before in PLACE_STARTS and flagged[index] and not flagged[index - 1]:
            flagged[index - 1] = True
        if lowered not in FACILITY and lowered not in WEAK_KINDS:
            continue
        first = index
        while (
            first
            and text[words[first - 1].end() : words[first].start()] in {" ", ".", "  ", ".  ", " & "}
            and (
                flagged[first - 1]
                or words[first - 1].group().lower() in BESIDE
                or (
                    words[first - 1].group().lower() == "and"
                    and first > 1
                    and words[first - 2].group().lower() in BESIDE
                )
            )
        ):
            first -= 1
        first = min(first if any(flagged[first:index]) else index, _named_by_words(text, words, kinds, index))
        if first < index:
            flagged[first : index + 1] = [True] * (index + 1 - first)


def _named_by_words(text: str, words: list[regex.Match[str]], kinds: WordKinds, index: int) -> int:
    """The first word of a facility named by English words ("at sunset pharmacy"); ``index`` if none."""
    after = words[index + 1].group().lower() if index + 1 < len(words) else ""
    if after in PAPERS:
        return index
    first = index
    while first and index - first < 5 and text[words[first - 1].end() : words[first].start()] in {" ", " & "}:
        word = words[first - 1].group().lower()
        if word in STOP_WORDS:
            break
        first -= 1
    while first < index and (
        words[first].group().lower() in COMMON_KIND
        or words[first].group().lower().endswith(("ology", "iatry", "iatrics", "surgery"))
        or kinds.of(words[first].group()) is Kind.CLINICAL
    ):
        first += 1
    before = text[: words[first].start()].rstrip(" ")
    if words[index].group().lower() in WEAK_KINDS and (
        after in WEAK_AFTER or not before.lower().endswith((" at", " from", "ed of", "er of", "icu of"))
    ):
        return index
    firm = words[index].group().lower() in FIRMS | {"care"}
    if words[index].group().lower() == "care" and before.split(" ")[-1].lower() not in {"at", "from"}:
        return index
    led = (not firm and not before[-1:].isalnum()) or before.split(" ")[-1].lower() in TOWARDS | {"and"}
    return first if led else index


def flag_towns(text: str, words: list[regex.Match[str]], flagged: list[bool]) -> None:
    """Towns of the list of two or three words ("fort collins")."""
    towns = word_list("cities")
    for length in (3, 2):
        for index in range(len(words) - length + 1):
            group = words[index : index + length]
            if (
                " ".join(fold(word.group()) for word in group) in towns
                and text[group[0].start() : group[-1].end()].count(" ") == length - 1
            ):
                flagged[index : index + length] = [True] * length


def is_origin(text: str, word: regex.Match[str], kind: Kind) -> bool:
    """Whether a name or a word nobody knows stands where a person is from ("originally from gallup")."""
    fits = kind in NAMES | MAYBE | {Kind.UNKNOWN} and word.group().lower() not in STOP_WORDS
    return fits and ORIGIN.search(text, max(0, word.start() - 50), word.start()) is not None
