"""Names by their capitals and by the name lists: the recognizer behind the cue rules.

Reads runs of capitalised words ("Ottoline van der Berg", "LEE, SU-MIN", "T. Farah") and asks of each word
what it can be (``wordkinds``). A run is a name when a listed name or an unknown word carries it; a word
that is also English needs a listed name beside it, or the middle of a sentence. Eponyms beside their
disease, drugs and words of the clinic carry nothing. Towns of the list are taken by the same walk. In a
text without capitals (short queries) two name-like words side by side count, one alone needs a cue rule.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import regex

from intraward_client.deid.deeds import is_abbreviated_name, is_acting
from intraward_client.deid.filters import is_eponym, is_headed
from intraward_client.deid.lexicon import is_inflected, listed
from intraward_client.deid.libraries import STOP_WORDS, NlpArtifacts, RecognizerResult
from intraward_client.deid.recase import is_caseless
from intraward_client.deid.recognizer import OwnRecognizer
from intraward_client.deid.rules import RULE_TIMEOUT_SECONDS
from intraward_client.deid.standing import is_aged, is_bedded, is_person_there
from intraward_client.deid.wordkinds import MAYBE, NAMES, Kind, WordKinds
from intraward_client.deid.wordlists import fold, word_list

NAME = "IntrawardCapitals"
_SPEAKING = listed(
    """reports reported states stated says said denies denied complains complained presented presents lives
    lived works worked called calls visits visited came comes went goes asked asks wants wanted
    feels felt agreed agrees told tells lost requests requested underwent remains recalls explained
    understands consented declined drove drives walked attended arrived phoned writes missed tolerated
    in from and needs takes took was is has had will would should can slept ate weighs received noticed returns returned
    stable moved moves takes thinks thought knows knew likes prefers ran fell slept sleeps smokes drinks eats gave got
    keeps kept tried seems hopes retired stopped quit spoke speaks brings brought stays stayed refused refuses still cleared phoned texted paged emailed left requesting asking waiting following aware"""
)
_SAYING = listed(
    "said says called wants wanted asked asks reports reported denies denied lives states stated from missed stable needs"
)
_PARTICLES = listed(
    "de del della da das dos do di du la las los le van von der den bin bint ibn al el ter ten zu y e dela"
)
_BEFORE_A_NAME = listed("de der den van von del della di da dos bin bint ibn")
_DAYS = listed("thu sun mon may mai jan april june august")
"""Days and months that are names too, where a name follows."""
_NO_SURNAME = listed(
    """thanks hi hello hey dear morning evening afternoon today tomorrow yesterday yes no ok okay please sorry well so then and but
    also however currently meanwhile per spoke saw met with from to for re fyi both either team all folks"""
)
"""What stands before a comma and a given name, and is no surname."""
_TURNED = regex.compile(
    r"(?: \p{Lu}\b\.?)?(?:'s)? {0,2}(?:$|\n|[(\[|;:?!-]|, (?:\d|\p{Ll})|#?\d|MRN|DOB|\.(?: |$))"
)
"""What follows a given name behind its surname ("Page, Basil (father)"), as it does no name that begins a clause."""
_TOKEN = regex.compile(r"\p{L}[\p{L}\p{M}]*(?:['-]\p{L}[\p{L}\p{M}]*)*")
_PLAIN = regex.compile(
    r"(?:(?:Mc|Mac|De|Di|Du|Le|La|Van|O'|D'|Al-|El-)?\p{Lu}[\p{Ll}\p{M}]{3,}|\p{Lu}[\p{Ll}\p{M}]+(?:['-]\p{L}[\p{Ll}\p{M}]+)+)"
)
"""A word printed as names are: one capital, or one more behind a known beginning or a hyphen."""

_ARTICLED = regex.compile(r"(?:[ae]l|a[dnrstz]|ash|adh)-\p{Lu}\p{Ll}|[dlo]'\p{Lu}\p{Ll}")
"""A name whose article is printed small ("al-Masri", "d'Souza")."""

_RISING = regex.compile(
    r"in from\b|from (?:plan|payer|insurer|insurance)\b|reported to\b|from (?:the|a|an|his|her|their|\p{Ll}+ing|bed|sitting|sit|\d)\b|in (?:the|a)\b"
)
"""Behind a verb that opens a sentence ("Rose from the chair"); none of a person."""

_MEASURING = frozenset(
    """los angeles;denver;parkland;miami;salem;boston;atlanta;baltimore;milwaukee;vancouver;rotterdam;rome;ottawa;oxford;
    glasgow;edinburgh;montreal;toronto;milan;tokyo;paris;cincinnati;berlin;vienna;prague;bethesda;sydney;kyoto;cambridge;
    philadelphia;framingham;liverpool;nottingham;hamburg;florence;houston;dallas;minneapolis;geneva;chicago;jacksonville;
    brisbane;melbourne;lund;bristol;leeds;manchester;memphis;marseille;lausanne;stanford;barcelona;madrid;seattle""".replace(
        "\n    ", ""
    ).split(";")
)
"""Towns that gave their name to a scale, a formula or a device."""
_MEASURED = regex.compile(
    r" (?:[A-F][1-4]?(?=[,.;:)]|$|\n)|[IVX]+[a-cA-C]?\b|C\dM\d|J\b|passed|failed|sump|collar|brace|bag|formula|for \d+ ?kg|\d+/\d+|"
    r"\d+(?=[,.;:)]|$)|positive|negative|scor\w+|criteri\w+|grade|class\w*|scale|rules?|stage|consensus|protocol|screen\w*|II\b|chart)"
)
_EITHER = regex.compile(r" or \p{Lu}\p{Ll}+ ?\?")
_PAUSES = frozenset(",);|\n")
_OPENERS = frozenset('.!?:;\n-*>|"(')
_Word: TypeAlias = "regex.Match[str]"


class CapitalisedNames(OwnRecognizer):
    """PERSON and LOCATION by capitals and lists."""

    def __init__(self, kinds: WordKinds) -> None:
        self._kinds = kinds
        super().__init__(supported_entities=["PERSON", "LOCATION"], name=NAME)

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Spans of names and towns; `TimeoutError` when splitting the text takes over two seconds."""
        tokens = list(_TOKEN.finditer(text, timeout=RULE_TIMEOUT_SECONDS))
        caseless = is_caseless(text)
        found: list[RecognizerResult] = []
        index = 0
        while index < len(tokens):
            run = list(_run(text, tokens, index, caseless))
            for entity, start, end in self._read(text, tokens, index, run, caseless):
                found.append(self.found(entity, start, end))
            index += max(len(run), 1)
        return found

    def _read(
        self, text: str, tokens: list[_Word], index: int, run: list[_Word], caseless: bool
    ) -> Iterator[tuple[str, int, int]]:
        """The names and towns of one run."""
        if not run:
            return
        yield from _towns(text, run, caseless)
        start, end = run[-1].span()
        if is_bedded(text, start, end, self._kinds.of(run[-1].group())):
            yield "PERSON", start, end
        for word in run:
            if is_abbreviated_name(text, *word.span()):
                yield "PERSON", *word.span()
        pieces = list(self._pieces(text, run))
        for first, last in pieces:
            words = run[first : last + 1]
            after = tokens[index + last + 1] if index + last + 1 < len(tokens) else None
            if self._is_name(text, words, after, caseless):
                before = tokens[index + first - 1] if index + first else None
                yield "PERSON", self._beginning(text, before, words), words[-1].end()

    def _beginning(self, text: str, before: _Word | None, words: list[_Word]) -> int:
        """Where the name of ``words`` begins: with the surname before a comma, or a word nobody would print so."""
        start = int(words[0].start())
        if before is None or not before.group()[0].isupper() or len(before.group()) < 2:
            return start
        kind, gap = self._kinds.of(before.group()), text[before.end() : start]
        if gap == ", " and before.group().lower() not in _NO_SURNAME | STOP_WORDS:
            fits = kind is not Kind.CLINICAL and not is_inflected(before.group(), self._kinds.words)
            given = self._kinds.of(words[0].group()) in {Kind.GIVEN, Kind.WORD_GIVEN, Kind.UNKNOWN}
            turned = fits and given and _TURNED.match(text, words[-1].end()) is not None
            return int(before.start()) if turned else start
        plain = gap == " " and kind is Kind.WORD and before.group().istitle() and not _opens(text, before)
        listed_name = self._kinds.of(words[0].group()) in NAMES
        if (
            plain
            and listed_name
            and before.group().lower() not in STOP_WORDS
            and text[before.start() - 2].islower()
        ):
            return start if is_inflected(before.group(), self._kinds.words) else int(before.start())
        return start

    def _pieces(self, text: str, run: list[_Word]) -> Iterator[tuple[int, int]]:
        """Stretches of ``run`` whose words may all belong to a name, first and last index."""
        start: int | None = None
        for index in range(len(run)):
            if self._may_belong(run, index, start is not None):
                start = index if start is None else start
            elif start is not None:
                yield start, index - 1
                start = None
        if start is not None:
            yield start, len(run) - 1

    def _may_belong(self, run: list[_Word], index: int, inside: bool) -> bool:
        word = run[index].group()
        if len(word) == 1:
            return True
        if word.lower() in _PARTICLES:
            return inside or index + 1 < len(run)
        kind = self._kinds.of(word)
        if kind is Kind.CLINICAL:
            return word.lower() in _DAYS and word.istitle() and self._leads(run, index)
        if kind is not Kind.WORD or (index and run[index - 1].group() in _BEFORE_A_NAME):
            return True
        return inside and self._is_surname(run, index)

    def _leads(self, run: list[_Word], index: int) -> bool:
        """Whether a printed name follows side by side ("May Lamb", "Thu Hà")."""
        following = run[index + 1] if index + 1 < len(run) else None
        return (
            following is not None
            and following.start() == run[index].end() + 1
            and following.group()[0].isupper()
            and not following.group().isupper()
            and self._kinds.of(following.group()) in NAMES | MAYBE | {Kind.UNKNOWN}
        )

    def _is_surname(self, run: list[_Word], index: int) -> bool:
        """A capitalised word that stands right behind a given name ("Rasa Tamm"), and is no verb."""
        word, before = run[index].group(), run[index - 1].group()
        return (
            not word.isupper()
            and word[0].isupper()
            and run[index].start() == run[index - 1].end() + 1
            and self._kinds.of(before) in {Kind.GIVEN, Kind.UNKNOWN}
            and (
                run[index].string[run[index].end() : run[index].end() + 1] in _PAUSES
                or not is_inflected(word, self._kinds.words)
            )
            and (len(word) > 3 or self._kinds.of(before) is Kind.GIVEN)
            and word.lower() not in STOP_WORDS
        )

    def _is_name(self, text: str, words: list[_Word], after: _Word | None, caseless: bool) -> bool:
        whole = [word for word in words if len(word.group()) > 1 and word.group().lower() not in _PARTICLES]
        if not whole:
            return False
        kinds = [self._kinds.of(word.group()) for word in whole]
        kinds = [Kind.WORD_GIVEN if kind is Kind.CLINICAL else kind for kind in kinds]  # a day, see `_leads`
        if len(whole) == 1 and not whole[0].group().isupper() and self._is_placed(text, whole[0], kinds[0]):
            return True
        called = len(whole) > 1 and kinds[0] in {Kind.GIVEN, Kind.WORD_GIVEN}
        if all(is_eponym(word.group(), text, word.end()) for word in whole) and not (
            called and not is_headed(text, whole[-1].end())
        ):
            return False
        if words[0].group() in _BEFORE_A_NAME and Kind.CLINICAL not in kinds:
            return True
        if caseless:
            return self._is_small_name(kinds, whole)
        shouted = all(word.group().isupper() for word in whole)
        if len(whole) == 1:
            return self._is_single(text, words, whole[0], kinds[0], after, shouted)
        if shouted and not (set(kinds) & NAMES) and (_shouting(text, whole[0]) or Kind.UNKNOWN not in kinds):
            return False
        if Kind.GIVEN in kinds or (kinds[0] in {Kind.FAMILY, Kind.UNKNOWN}):
            return True
        if any(kind in NAMES or kind is Kind.UNKNOWN for kind in kinds):
            return True
        led = kinds[0] is Kind.WORD_GIVEN or (
            Kind.WORD_GIVEN in kinds and text[whole[0].start() - 2 : whole[0].start() - 1].islower()
        )
        return led and not (len(whole) == len(words) and _heading(text, words))

    def _is_placed(self, text: str, word: _Word, kind: Kind) -> bool:
        start, end = word.span()
        return is_aged(text, end, kind) or (
            (is_person_there(text, start, end, kind) or is_acting(text, start, end, kind))
            and (kind is Kind.GIVEN or not is_headed(text, end))
        )

    def _is_small_name(self, kinds: list[Kind], whole: list[_Word]) -> bool:
        """In a text without capitals: a given name with a name or an unknown word, or two listed names."""
        named = sum(kind in NAMES for kind in kinds)
        if len(whole) == 1:
            token = whole[0].group().lower()
            listed_name = kinds[0] in NAMES and token not in self._kinds.words
            return len(token) > 3 and (kinds[0] is Kind.GIVEN or listed_name)
        return named > 0 and all(kind in NAMES or kind is Kind.UNKNOWN or kind in MAYBE for kind in kinds)

    def _is_single(
        self, text: str, words: list[_Word], word: _Word, kind: Kind, after: _Word | None, shouted: bool
    ) -> bool:
        initial = len(words) > 1
        token = word.group()
        if shouted and (len(token) < 5 or kind not in NAMES or _shouting(text, word)):
            return initial and len(token) > 2 and kind in NAMES
        if kind is Kind.GIVEN or (initial and kind is not Kind.WORD):
            return len(token) > 2
        opens = _opens(text, word)
        if after is not None and opens and _RISING.match(text, after.start()):
            after = None
        speaks = after is not None and after.group() in _SPEAKING and text[word.end() : after.start()] == " "
        marked = (
            speaks
            or text[word.end() : word.end() + 1] in {",", "'", ":"}
            or text[word.end() : word.end() + 3] == " - "
            or _closes(text, word)
        )
        if kind is Kind.FAMILY:
            return not opens or marked or token.lower() not in self._kinds.words
        if kind is Kind.UNKNOWN:
            return _PLAIN.fullmatch(token.removesuffix("'s")) is not None and (not opens or marked)
        if kind is Kind.WORD_FAMILY:
            said = after is not None and after.group() in _SAYING and speaks
            return said or text[word.end() - 2 : word.end()] == "'s"
        if kind is Kind.WORD_GIVEN:
            if opens and ((after is not None and after.group() in _SAYING) or _closes(text, word)):
                return True
            return (
                not opens
                and text[word.start() - 2 : word.start() - 1].islower()
                and not _capital_next(text, word)
            )
        return False


def _run(text: str, tokens: list[_Word], index: int, caseless: bool) -> Iterator[_Word]:
    """Words side by side from ``index`` that look like parts of a name, particles between them included."""
    length = 0
    while index + length < len(tokens):
        token = tokens[index + length]
        word = token.group()
        if length and not _joined(text, tokens[index + length - 1], token):
            return
        if not (caseless or word[0].isupper() or _ARTICLED.match(word)):
            following = tokens[index + length + 1] if index + length + 1 < len(tokens) else None
            if not (
                word in _PARTICLES
                and following is not None
                and _joined(text, token, following)
                and (following.group()[0].isupper() or following.group() in _PARTICLES)
            ):
                return
        yield token
        length += 1


def _joined(text: str, left: _Word, right: _Word) -> bool:
    gap = text[left.end() : right.start()]
    if gap == ", ":
        return (
            min(len(left.group()), len(right.group())) > 2
            and left.group().isupper()
            and right.group().isupper()
        )
    return gap in {" ", "  "} or (len(left.group()) <= 1 and gap in {".", ". "})


def _towns(text: str, run: list[_Word], caseless: bool) -> Iterator[tuple[str, int, int]]:
    """Towns of the list inside ``run``: of three words, two or one."""
    towns = word_list("cities")
    index = 0
    while index < len(run):
        for length in (3, 2, 1):
            words = run[index : index + length]
            if len(words) < length or (length == 1 and (caseless or run[index].group().isupper())):
                continue
            town = " ".join(fold(word.group()) for word in words)
            named = town in towns and not is_eponym(words[0].group(), text, words[-1].end())
            if named and not (town in _MEASURING and _MEASURED.match(text, words[-1].end())):
                yield "LOCATION", words[0].start(), words[-1].end()
                index += length - 1
                break
        index += 1


def _opens(text: str, word: _Word) -> bool:
    """Whether ``word`` opens a sentence, a line or a list item."""
    before = text[: word.start()].rstrip(" ")[-1:]
    return before == "" or before in _OPENERS


def _closes(text: str, word: _Word) -> bool:
    """Whether ``word`` alone is the last sentence of a text, as who wrote it is, or is asked for ("Tulasi or Ada?")."""
    if text[: word.start()].rstrip()[-1:] not in {".", "!", "?", ")"}:
        return False
    return not text[word.end() :].strip() or _EITHER.match(text, word.end()) is not None


def _capital_next(text: str, word: _Word) -> bool:
    following = text[word.end() + 1 : word.end() + 2]
    return following.isupper()


def _shouting(text: str, word: _Word) -> bool:
    """Whether the line is in capitals throughout."""
    start = text.rfind("\n", 0, word.start()) + 1
    end = text.find("\n", word.end())
    line = text[start : end if end >= 0 else len(text)]
    return sum(map(str.islower, line)) < sum(map(str.isupper, line))


def _heading(text: str, words: list[_Word]) -> bool:
    """Whether the line is a heading: every longer word of it begins with a capital."""
    start = text.rfind("\n", 0, words[0].start()) + 1
    end = text.find("\n", words[-1].end())
    line = text[start : end if end >= 0 else len(text)]
    longer = [word for word in _TOKEN.findall(line) if len(word) > 3]
    return all(word[0].isupper() for word in longer)
