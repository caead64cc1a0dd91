"""How much of a summary stands in what it summarises: words, pairs of words, numbers and negations.

Pure, English, no model. ``content`` is the unigram precision of summarisation papers on stems (as in ROUGE's
precision, but against the source: the coverage of Grusky et al., arXiv 1804.11283), ``pairs`` the same for
neighbouring content words, ``numbers`` for numbers in digits or words, ``polarity`` the share of supported
words that are negated in the summary as in the source, where a question that is answered "no" negates what
it asks for; ``facts`` is the mean of these two, which went best with what people counted. ``unsupported``
counts words and numbers that are not there with that polarity. ``coverage`` is the share of the source's
content words that the summary has: it tells of omissions. How well each goes with counts of facts by people
stands in simulation/RESULTS.md, measured by ``intraward-simulate faithfulness``. A summary can be all in the
source's words and still wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from intraward_shared.wording import read


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STOP = _words(
    "a about above after again all also am an and any are as at be because been before being both but by "
    "can could did do does doing down during each few for from further get got had has have having he "
    "her here hers him his how i if in into is it its just like me more most my no nor not of off on once "
    "only or other our out over own patient patients quite re s same she should since so some still such "
    "t than that the their them then there these they this those through to too under until up us ve very "
    "was we well were what when where which while who whom why will with without would yes you your ll d "
    "m don doctor guest oh okay ok hmm um uh yeah nope never none denies denied deny let know think say "
    "says said mr mrs ms dr reports reported states stated today section write clinical note visit dialogue"
)
_NEGATIONS = _words("no not never none without denies denied deny negative nor cannot don t didn isn")
_CONTRASTS = _words("but however although except though")
"""A negation reaches to the end of its sentence, or to one of these."""
_NO = re.compile(r"\s*(?:(?:um|uh|uhm|well|oh|hmm?|ah)\W+)?(?:no|nope|nah|not|never|none|negative|neither)\b")
_TURN = re.compile(r"^\s*[a-z_ ]{1,20}:\s*", re.MULTILINE)
_SENTENCE = re.compile(r"(?<=[.!?;\n])\s*")
_WORD = re.compile(r"[a-z]+|\d+(?:\.\d+)?")
_ENDINGS = (
    *("ations", "ation", "ingly", "edly", "ness", "ing", "ies", "ied", "ers"),
    *("es", "ed", "ly", "er", "s", "y", "e"),
)
_COUNTED = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
    *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_TENS = ("thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBERS = {word: number for number, word in enumerate(_COUNTED)} | {
    word: 10 * number for number, word in enumerate(_TENS, start=3)
}


@dataclass(frozen=True)
class Support:
    """Shares in [0, 1], but for the count ``unsupported``; None where a summary has nothing to count."""

    facts: float | None
    content: float | None
    pairs: float | None
    numbers: float | None
    polarity: float | None
    coverage: float | None
    unsupported: int

    def as_dict(self) -> dict[str, float | None]:
        """By name."""
        return asdict(self)


def support(source: str, summary: str) -> Support:
    """Support of a summary by its source."""
    said, known = _Read.of(summary), _Read.of(source)
    own = [word for sentence in said.sentences for word in sentence]
    shared = [word for word in own if word[0] in known.polarity]
    numbers = _share(number in known.numbers for number in said.numbers)
    polarity = _share(negated in known.polarity[word] for word, negated in shared)
    both = [share for share in (numbers, polarity) if share is not None]
    return Support(
        facts=sum(both) / len(both) if both else None,
        content=_share(word in known.polarity for word, _ in own),
        pairs=_share(pair in known.pairs for pair in said.neighbours()),
        numbers=numbers,
        polarity=polarity,
        coverage=_share(word in said.polarity for word in known.polarity),
        unsupported=sum(negated not in known.polarity.get(word, ()) for word, negated in own)
        + len(said.numbers - known.numbers),
    )


@dataclass(frozen=True)
class _Read:
    """A text as sentences of (stem, negated), and what can be looked up in it."""

    sentences: tuple[tuple[tuple[str, bool], ...], ...]
    polarity: dict[str, frozenset[bool]]
    numbers: frozenset[float]

    @classmethod
    def of(cls, text: str) -> _Read:
        form = read(text).text
        sentences = tuple(_sentences(form))
        polarity: dict[str, set[bool]] = {}
        for sentence in sentences:
            for word, negated in sentence:
                polarity.setdefault(word, set()).add(negated)
        return cls(sentences, {w: frozenset(p) for w, p in polarity.items()}, frozenset(_numbers(form)))

    def neighbours(self) -> Iterator[tuple[str, str]]:
        """Content words that follow each other within a sentence."""
        for sentence in self.sentences:
            yield from zip([w for w, _ in sentence], [w for w, _ in sentence[1:]], strict=False)

    @property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """The same, to look up."""
        return frozenset(self.neighbours())


def _sentences(text: str) -> Iterator[tuple[tuple[str, bool], ...]]:
    """Content words of each sentence with their polarity; a question takes that of its answer."""
    pieces = [piece for piece in _SENTENCE.split(_TURN.sub("", text)) if piece.strip()]
    for place, piece in enumerate(pieces):
        after = pieces[place + 1] if place + 1 < len(pieces) else ""
        answered_no = piece.rstrip().endswith("?") and _NO.match(after) is not None
        made = tuple(_polar(_WORD.findall(piece), answered_no))
        if made:
            yield made


def _polar(words: Sequence[str], denied: bool) -> Iterator[tuple[str, bool]]:
    negated = denied
    for word in words:
        negated = (negated or word in _NEGATIONS) and word not in _CONTRASTS
        if word not in _STOP | _NEGATIONS and not word[0].isdigit() and word not in _NUMBERS:
            yield _stem(word), negated


def _numbers(text: str) -> Iterator[float]:
    tens = 0
    for word in _WORD.findall(text):
        if word[0].isdigit():
            yield float(word)
        elif word in _NUMBERS:
            yield float(_NUMBERS[word])
            if tens and _NUMBERS[word] < 10:
                yield float(tens + _NUMBERS[word])
        tens = _NUMBERS.get(word, 0) if _NUMBERS.get(word, 0) >= 20 else 0


def _stem(word: str) -> str:
    """The word without its ending, so that "itching" and "itches" meet; at least four letters stay."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def _share(found: Iterable[bool]) -> float | None:
    values = list(found)
    return sum(values) / len(values) if values else None
