"""Known identifiers in what came out, looked for another way than ``deid.known`` does.

Part of the second look (rule 2 of DESIGN.md). The first pass compiles a pattern for each spelling; this one
folds the output to bare words and digits and compares sets: whole words, words with one letter too few or
too many on either side, words that hold a name, names and codes run together over any separators. A fault
in one of them is not a fault of the other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping

Hit = tuple[int, int, str]
CODE = "known"
_WORD = re.compile(r"[^\W_]+", re.UNICODE)
_NAME_FIELDS = (
    *("first", "last", "middle", "name", "kin", "clinician", "surname", "forename", "doctor", "carer"),
    *("spouse", "mother", "father", "maiden", "alias", "contact", "provider", "physician", "nurse"),
)
_NOT_NAMES = frozenset(
    (
        "dr",
        "mr",
        "mrs",
        "ms",
        "miss",
        "prof",
        "md",
        "rn",
        "np",
        "do",
        "phd",
        "jr",
        "sr",
        "the",
        "and",
        "von",
        "van",
    )
)
_SHORTEST_NAME, _LONG_NAME, _HELD_NAME = 3, 6, 5
_SHORTEST_CODE, _LOCAL_PART = 5, 5
_JOINED_NAME = 7
"""Letters of a name that is searched across blanks, hyphens and line ends too ("Quacken-" / "bush")."""


class Echoes:
    """The identifiers of one patient as sets of folded words and codes.

    Args:
        known: field of the structured header to value.
        words: lower-case English words; a name that is one counts only with a capital.
        patient_id: the hospital's own id, where it looks like a number.
    """

    def __init__(self, known: Mapping[str, str], words: frozenset[str], patient_id: str = "") -> None:
        self._english = words
        self._names: set[str] = set()
        self._codes: set[str] = set()
        for key, value in known.items():
            field = key.lower()
            if field.split("_")[0] in _NAME_FIELDS or field.endswith("_name"):
                self._names.update(self._name_words(value))
            elif "@" in value:
                self._codes.update(
                    part for part in (fold(value), fold(value.split("@")[0])) if len(part) >= _LOCAL_PART
                )
            elif sum(map(str.isdigit, value)) >= _SHORTEST_CODE:
                self._codes.add(fold(value))
        if sum(map(str.isdigit, patient_id)) >= _SHORTEST_CODE:
            self._codes.add(fold(patient_id))
        first, last = (fold(known.get(key, "")) for key in ("first", "last"))
        if min(len(first), len(last)) >= _SHORTEST_NAME:
            self._codes.update((first + last, last + first))
        self._codes.update(name for name in self._names if len(name) >= _JOINED_NAME and name not in words)
        self._near = {form for name in self._names if len(name) >= _LONG_NAME for form in _shortened(name)}

    def __repr__(self) -> str:
        return "Echoes(<redacted>)"

    def find(self, text: str) -> Iterator[Hit]:
        """``(start, end, code)`` of every word and run of characters in ``text`` that tells who it is."""
        for match in _WORD.finditer(text):
            if self._is_name(match.group()):
                yield match.start(), match.end(), CODE
        line = fold(text)
        left = [code for code in self._codes if code in line]
        if left:
            places = [(place, letter) for place, character in enumerate(text) for letter in fold(character)]
            line = "".join(letter for _, letter in places)
        for code in left:
            start = max(0, line.find(code))
            yield places[start][0], places[start + len(code) - 1][0] + 1, CODE

    def _name_words(self, value: str) -> Iterator[str]:
        for word in map(fold, _WORD.findall(value)):
            if len(word) >= _SHORTEST_NAME and word not in _NOT_NAMES and not word.isdigit():
                yield word

    def _is_name(self, word: str) -> bool:
        folded = fold(word)
        bare = folded[:-1] if folded.endswith("s") and folded[:-1] in self._names else folded
        if bare in self._names:
            return bare not in self._english or not word.islower()
        if folded in self._english or len(folded) < _HELD_NAME:
            return False
        if len(folded) >= _LONG_NAME - 1 and not self._near.isdisjoint(_shortened(folded)):
            return True
        return any(len(name) >= _HELD_NAME and name in folded for name in self._names)


def fold(value: str) -> str:
    """Lower-case letters and digits, accents off."""
    decomposed = unicodedata.normalize("NFKD", value.lower())
    return "".join(character for character in decomposed if character.isalnum())


def _shortened(word: str) -> set[str]:
    """The word and every form with one letter left out: two words share one when an edit parts them."""
    return {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}
