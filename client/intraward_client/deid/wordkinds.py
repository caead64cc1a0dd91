"""What a single word can be: a given name, a family name, a word of the clinic, an English word, or unknown.

The question that a list alone cannot answer ("Rose" the name, the flower or the past of "rise") is left
to the caller, who sees what stands beside the word. Order matters: a word of the clinic is never a name
on its own, a name that WordNet also prints ("john", "maria") is a name first.
"""

from __future__ import annotations

from enum import Enum, auto
from functools import lru_cache

from intraward_client.deid.lexicon import is_clinical, is_word, listed
from intraward_client.deid.wordlists import fold, word_list


class Kind(Enum):
    """The kinds of word; ``WORD_*`` are names that are also everyday words."""

    GIVEN = auto()
    FAMILY = auto()
    WORD_GIVEN = auto()
    WORD_FAMILY = auto()
    CLINICAL = auto()
    WORD = auto()
    UNKNOWN = auto()


NAMES = frozenset({Kind.GIVEN, Kind.FAMILY})
MAYBE = frozenset({Kind.WORD_GIVEN, Kind.WORD_FAMILY})
_ARTICLES = listed("al el abu abd abdel abdul ibn ben bint ould ait umm")
"""What an Arabic, Berber or Hebrew name begins with, before a hyphen."""
_SYLLABLES = listed(
    """ae ah bae baek bin bo bok chan chang chul chun dae do dong eun gi gyu ha hae han hee ho hwa hwan hye
    hyo hyuk hyun il in ja jae jeong ji jin jong joo joon ju jun jung kang ki kook kwang kwon kyu kyung
    mi min mo moon myung na nam rae ran ri rin sang se seo seok seon seong seung sik so sol soo sook su
    sun sung tae uk un wan won woo woong yang ye yeon yeong yong yoo yoon you young yu yul yun xiao ming
    wei jie hui ling ying mei yan xin hao yi jia fang ping qing hong liang chi chih hsiang hsin hsueh
    kai ok oh ra ram reum seul sil soon suk sup yeol yeom hyeon bong cheol cho dal deok dong gil gwang
    gyeong hak ik keun ku kwan mu myeong pil rok rye ryong ryul sam seop sin tae taek ui wol woong wu ye
    kin man wai kwok lai kit keung kam shing siu sze suet tak wah yee yiu yuen fai fung hoi kei lok oi po
    shan tin tsz ka yeo yun cha chae chin chon kuo lan lung pei shu tsung tzu wen ya yuan yueh zhi zi"""
)
"""Syllables of Korean and Chinese given names; two joined by a hyphen are one ("Min-jun")."""

_JOINED, _JOINED_PART = 9, 4
"""Letters that a given and a family name written as one have at least, and each of them."""

_LOANS = listed(
    """cafe naive naivete fiance fiancee resume protege facade cliche debride debridement decor role passe
    puree saute expose creche clientele coup detour elite entree melange menage regime seance soiree
    touche voila purees a la deja vu bolus coude"""
)
"""English words that are also printed with an accent; any other word with one is foreign, so a name."""


class WordKinds:
    """Looks words up, and remembers the answers; ``words`` is the English word list of the model."""

    def __init__(self, words: frozenset[str]) -> None:
        self.words = words
        self._seen: dict[str, Kind] = {}

    def of(self, token: str) -> Kind:
        """The kind of ``token`` in any case; of a hyphenated token, the most name-like of its parts."""
        kind = self._seen.get(token)
        if kind is None:
            kind = self._look_up(token)
            if len(self._seen) < 50_000:
                self._seen[token] = kind
        return kind

    def is_name(self, token: str) -> bool:
        """Whether ``token`` is a name of the lists, or a word nobody knows."""
        return self.of(token) in {Kind.GIVEN, Kind.FAMILY, Kind.UNKNOWN}

    def _look_up(self, token: str) -> Kind:
        folded = fold(token)
        if folded in word_list("given_names"):
            return Kind.GIVEN
        if folded in word_list("family_names"):
            return Kind.FAMILY
        if "-" in folded:
            return self._of_parts(folded)
        if is_clinical(token) or folded in word_list("regions"):
            return Kind.CLINICAL
        if folded in word_list("given_words"):
            return Kind.WORD_GIVEN
        if folded in word_list("family_words"):
            return Kind.WORD_FAMILY
        if is_word(folded, self.words):
            return Kind.WORD if token.isascii() or folded in _LOANS else Kind.UNKNOWN
        return Kind.GIVEN if _is_joined(folded) else Kind.UNKNOWN

    def _of_parts(self, folded: str) -> Kind:
        parts = [part for part in folded.split("-") if part]
        if len(parts) == 2 and (parts[0] in _ARTICLES or _SYLLABLES.issuperset(parts)):
            return Kind.FAMILY if parts[0] in _ARTICLES else Kind.GIVEN
        kinds = {self.of(part) for part in parts if len(part) > 1}
        if (
            Kind.CLINICAL in kinds
            or not kinds
            or folded.startswith(("non-", "anti-", "post-", "pre-", "x-", "t-", "b-"))
        ):
            return Kind.CLINICAL
        if kinds & NAMES:
            return Kind.FAMILY
        if kinds & MAYBE:
            return Kind.WORD_GIVEN
        shortest = min(len(part) for part in folded.split("-"))
        return (
            Kind.WORD if Kind.WORD in kinds and (shortest > 4 or Kind.UNKNOWN not in kinds) else Kind.UNKNOWN
        )


def _is_joined(folded: str) -> bool:
    """Whether a given and a family name are written as one word, in either order ("petrahighmore")."""
    for at in range(3, len(folded) - 2):
        for given, family in ((folded[:at], folded[at:]), (folded[at:], folded[:at])):
            sure_given, sure_family = given in word_list("given_names"), family in word_list("family_names")
            if (
                (sure_given or sure_family)
                and (sure_given or given in word_list("given_words"))
                and (sure_family or family in word_list("family_words"))
                and len(folded) >= _JOINED
                and min(len(given), len(family)) >= _JOINED_PART
            ):
                return True
    return False


@lru_cache(maxsize=2)
def word_kinds(words: frozenset[str]) -> WordKinds:
    """The one `WordKinds` over ``words``."""
    return WordKinds(words)
