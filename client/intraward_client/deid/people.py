"""People's names: the same person gets the same invented name, however a note writes it.

A surrogate belongs to a word of a name, not to a whole name: "Ottoline Varga", "VARGA, OTTOLINE",
"Varga's" and "Ottoline" share theirs. Initials follow from a secret permutation of the alphabet, one per
patient, which also decides the first letter of each invented name, so "O. Varga" agrees without anything
being stored. Words within one edit of a known name count as that name. What cannot be told is a nickname, a
marriage, and two people who share a word of their names.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import regex

from intraward_client.deid.fakenames import invented
from intraward_client.deid.known import within_one_edit
from intraward_client.deid.lexicon import listed

if TYPE_CHECKING:
    from intraward_client.deid.surrogates import PatientKey

KEPT = listed(
    """dr drs mr mrs ms miss mx prof professor doctor nurse sister rev sir dame md rn np phd mbbs jr sr ii iii
    and"""
)
"""Words of a name's span that say nothing of who it is."""
_PARTICLES = listed("de del de la der den da dos di du le van von bin bint ibn al el ter zu y e")
_WORD = regex.compile(r"\p{L}[\p{L}\p{M}]*(?:'\p{L}[\p{L}\p{M}]*)*")
_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "ß": "ss", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i"}
)
_FUZZY_FROM = 6
_JOINED_FROM = 3
_ATTEMPTS = 8
_NAME_KEYS = listed(
    """first last middle name kin clinician surname forename doctor carer spouse mother father maiden alias
    contact"""
)


class SurrogateClash(Exception):
    """An invented name is a word of the original text; the item is quarantined."""


def header_names(known: Mapping[str, str]) -> list[str]:
    """The names that a structured header gives, the patient's as one."""
    first, last = (known.get(key, "") for key in ("first", "last"))
    others = [value for key, value in known.items() if key.lower().split("_")[0] in _NAME_KEYS]
    return [f"{first} {last}", *others]


def plain_word(word: str) -> str:
    """Letters a to z of a word, without case, accents and apostrophes."""
    decomposed = unicodedata.normalize("NFKD", word.lower().translate(_PLAIN))
    return "".join(letter for letter in decomposed if letter.isalnum())


def name_words(text: str) -> list[str]:
    """The words of a name in plain form, titles and particles left out."""
    words = [plain_word(word.group().removesuffix("'s").removesuffix("'S")) for word in _WORD.finditer(text)]
    return [word for word in words if word and word not in KEPT and word not in _PARTICLES]


@dataclass(frozen=True, slots=True, repr=False)
class People:
    """Who may be meant by the names of one item.

    Attributes:
        known: plain words of the names that the header gives.
        joined: names written as one word, to their words.
        initials: pairs of first letters of the people named in full.
    """

    known: frozenset[str] = frozenset()
    joined: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    initials: frozenset[str] = frozenset()

    @classmethod
    def of(cls, known: Iterable[str], found: Iterable[str]) -> People:
        """From the known names and the texts of all name spans of an item."""
        known_names = [name_words(name) for name in known]
        every = [*known_names, *map(name_words, found)]
        everybody = {word for words in known_names for word in words if len(word) > 1}
        headed, pairs = _ends(known_names), _ends(every)
        long = [pair for pair in headed if min(map(len, pair)) >= _JOINED_FROM]
        joined = {one + two: (one, two) for pair in long for one, two in (pair, pair[::-1])}
        initials = {f"{one[0]}{two[0]}" for pair in pairs for one, two in (pair, pair[::-1])}
        return cls(frozenset(everybody), joined, frozenset(initials))

    def meant(self, word: str) -> tuple[str, ...]:
        """The known words that ``word`` stands for: itself, one that it misspells, or two run together."""
        if word in self.known or (word not in self.joined and len(word) < _FUZZY_FROM):
            return (word,)
        if word in self.joined:
            return self.joined[word]
        near = (
            name for name in sorted(self.known) if len(name) >= _FUZZY_FROM and within_one_edit(word, name)
        )
        return (next(near, word),)


@dataclass(frozen=True, slots=True, repr=False)
class Renamer:
    """Invented names of one patient's people.

    Attributes:
        letters: the patient's own permutation of the alphabet.
        taken: plain words of the item's texts.
        forbidden: whether a name equals a known identifier.
    """

    key: PatientKey
    people: People
    letters: Mapping[str, str]
    taken: frozenset[str]
    forbidden: Callable[[str], bool]

    @classmethod
    def of(
        cls, key: PatientKey, people: People, taken: frozenset[str], forbidden: Callable[[str], bool]
    ) -> Renamer:
        """Draw the permutation; no letter stays where it is (Sattolo)."""
        letters = list(string.ascii_uppercase)
        for place in range(len(letters) - 1, 0, -1):
            other = key.draw("LETTER", str(place)) % place
            letters[place], letters[other] = letters[other], letters[place]
        return cls(key, people, dict(zip(string.ascii_uppercase, letters, strict=True)), taken, forbidden)

    def rename(self, text: str) -> str:
        """``text`` with every word of a name replaced; titles, punctuation, case and possessives stay.

        Raises:
            SurrogateClash: an invented name is a word of the item's texts.
        """
        words = list(_WORD.finditer(text))
        single = len(words) == 1
        pieces, last = [], 0
        for number, match in enumerate(words):
            gap = text[last : match.start()]
            last = match.end()
            if not single and _is_particle(words, number, text):
                pieces.append(gap)
                last += 1 if text[last : last + 1] in {" ", "-"} else 0
                continue
            pieces += [gap, self._word(match.group(), text, single)]
        return str(regex.sub(r"\d", "0", "".join(pieces) + text[last:]))

    def _word(self, word: str, text: str, single: bool) -> str:
        ending = next((end for end in ("'s", "'S") if word.endswith(end) and len(word) > 3), "")
        bare = word.removesuffix(ending)
        plain = plain_word(bare)
        if plain in KEPT and not single:
            return word
        if len(plain) == 1 or (bare.isupper() and len(plain) < 4 and self._are_initials(bare, text, single)):
            return "".join(self._letter(letter) for letter in plain) + ending
        return "".join(_cased(bare, self._name(part)) for part in self.people.meant(plain)) + ending

    def _are_initials(self, bare: str, text: str, single: bool) -> bool:
        """Capitals alone that fit somebody named in full, or last behind a surname in small letters."""
        plain = plain_word(bare)
        if plain in self.people.known:
            return False
        if single:
            return f"{plain[0]}{plain[-1]}" in self.people.initials
        return len(plain) == 2 and not text.isupper() and text.rstrip(" .").endswith(f" {bare}")

    def _name(self, plain: str) -> str:
        """The first draw that equals no known identifier: the header is the patient's, so all notes agree."""
        for attempt in range(_ATTEMPTS):
            name = invented(self._letter(plain[0]), self.key.draw("NAME", plain, attempt), plain)
            if self.forbidden(name):
                continue
            if plain_word(name) in self.taken:
                break  # another draw in this item alone would give one person two names
            return name
        raise SurrogateClash

    def _letter(self, letter: str) -> str:
        upper = letter.upper()
        if upper in self.letters:
            return self.letters[upper]
        return string.ascii_uppercase[self.key.draw("LETTER", letter) % 26]


def _ends(names: Iterable[list[str]]) -> list[tuple[str, str]]:
    """First and last word of the names that have two words."""
    return [(words[0], words[-1]) for words in names if len(words) > 1 and len(words[0]) > 1]


def words_of(text: str) -> Iterator[str]:
    """Plain words of three letters and more: what an invented name must not be."""
    return (plain for match in _WORD.finditer(text) if len(plain := plain_word(match.group())) > 2)


def _is_particle(words: list[regex.Match[str]], number: int, text: str) -> bool:
    """Whether a word is a particle that goes with the word behind it ("van" in "van der Berg")."""
    match = words[number]
    if plain_word(match.group()) not in _PARTICLES or number + 1 >= len(words):
        return False
    return text[match.end() : words[number + 1].start()] in {" ", "-"}


def _cased(word: str, name: str) -> str:
    return name.upper() if word.isupper() and len(word) > 1 else name.lower() if word.islower() else name
