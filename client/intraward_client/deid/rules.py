"""The recognizer of the rule pack: expressions with a cue, searched where their cue stands, failing closed.

Keeps rule 2 of DESIGN.md. Presidio's own `PatternRecognizer` logs a warning and goes on when a pattern
times out (60 seconds by default), which lets the note pass unread; this one raises. Expressions are
case-sensitive (names need it), compiled once, and may use ``\\K`` to drop the cue from the span. An
expression is asked only in the lines that hold the literals it needs (``literals``); if it may run over the
end of a line, with the line before and the three behind: cue, blank line, value, its second line.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from operator import and_

import regex

from intraward_client.deid.factoring import factor
from intraward_client.deid.libraries import NlpArtifacts, RecognizerResult
from intraward_client.deid.literals import CASED, Literals, cased, crosses_lines, plain, required
from intraward_client.deid.recognizer import OwnRecognizer

RULE_TIMEOUT_SECONDS = 2.0
RULE_SCORE = 0.95
_NAME = "IntrawardRule"


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern of the pack: the Presidio entity it finds, its name, and the expression."""

    entity: str
    name: str
    expression: str


class _Search:
    """A rule, compiled, and where it is asked."""

    def __init__(self, rule: Rule) -> None:
        self.entity = rule.entity
        self.expression = regex.compile(factor(rule.expression), flags=regex.MULTILINE)
        self.needs, self.crosses = required(rule.expression), crosses_lines(rule.expression)


_search = cache(_Search)
"""One for all engines of a process: a rule is compiled once."""


class _Lines:
    """A text by lines, and in which of them a literal stands: bit ``n`` of a mask is line ``n``."""

    def __init__(self, text: str) -> None:
        self.text, self.plain, self._cased = text, plain(text), cased(text)
        self._starts = [0, *(match.end() for match in _LINE_END.finditer(text))]
        self._every = (1 << len(self._starts)) - 1
        self._of_literal: dict[str, int] = {}
        self._of_set: dict[Literals, int] = {}
        self._windows: dict[int, tuple[tuple[int, int], ...]] = {
            0: (),
            self._every: ((0, len(text)),),
        }

    def windows(self, rule: _Search) -> tuple[tuple[int, int], ...]:
        """Where ``rule`` is to be searched: start and end of stretches of whole lines."""
        lines = self._every
        if rule.needs and len(self.plain) == len(self.text):
            held = [self._holding(literals) for literals in rule.needs]
            lines = reduce(and_, held)
            if rule.crosses:
                lines = held[0] if all(held) else 0
                lines = (lines | lines << 1 | lines << 2 | lines << 3 | lines >> 1) & self._every
        if lines not in self._windows:
            self._windows[lines] = tuple(self._stretches(lines))
        return self._windows[lines]

    def _holding(self, literals: Literals) -> int:
        lines = self._of_set.get(literals)
        if lines is None:
            lines = 0
            for literal in literals:
                found = self._of_literal.get(literal)
                if found is None:
                    found = self._of_literal[literal] = self._search(literal)
                lines |= found
            self._of_set[literals] = lines
        return lines

    def _search(self, literal: str) -> int:
        text = self._cased if literal.startswith(CASED) else self.plain
        literal = literal.removeprefix(CASED)
        lines, at = 0, text.find(literal)
        while at >= 0:
            following = bisect_right(self._starts, at)
            lines |= 1 << (following - 1)
            at = text.find(literal, self._starts[following]) if following < len(self._starts) else -1
        return lines

    def _stretches(self, lines: int) -> Iterator[tuple[int, int]]:
        """Start and end of each run of lines; of the whole text if they are most of it."""
        if lines.bit_count() * 2 > len(self._starts):
            yield 0, len(self.text)
            return
        line = 0
        while lines:
            gap = (lines & -lines).bit_length() - 1
            line, lines = line + gap, lines >> gap
            length = (~lines & (lines + 1)).bit_length() - 1
            last = line + length
            end = self._starts[last] - 1 if last < len(self._starts) else len(self.text)
            yield self._starts[line], end
            line, lines = last, lines >> length


_LINE_END = regex.compile("\n")


class RuleRecognizer(OwnRecognizer):
    """All rules of a pack."""

    SCORE = RULE_SCORE

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._searches = tuple(map(_search, rules))
        super().__init__(supported_entities=sorted({rule.entity for rule in rules}), name=_NAME)

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Every match of every rule; `TimeoutError` when one takes longer than two seconds."""
        lines = _Lines(text)
        return [
            self.found(rule.entity, *match.span())
            for rule in self._searches
            if rule.entity in entities
            for start, end in lines.windows(rule)
            for match in rule.expression.finditer(text, start, end, timeout=RULE_TIMEOUT_SECONDS)
            if match.end() > match.start()
        ]
