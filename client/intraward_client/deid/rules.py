"""The recognizer of the rule pack: expressions with a cue, searched where their cue stands, failing closed.

Keeps rule 2 of DESIGN.md. Presidio's own `PatternRecognizer` logs a warning and goes on when a pattern times
out (60 seconds by default), which lets the note pass unread; this one raises. Expressions are case-sensitive
(names need it), compiled once, and may use ``\\K`` to drop the cue from the span. An expression is asked only
in the lines that hold one of the literals it needs (``literals``), with the lines around them if it may run
over the end of a line.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import regex
from presidio_analyzer import LocalRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

from intraward_client.deid.factoring import factor
from intraward_client.deid.literals import Literals, crosses_lines, plain, required

RULE_TIMEOUT_SECONDS = 2.0
RULE_SCORE = 0.95
_NAME = "IntrawardRule"
_BEFORE, _AFTER = 1, 3
"""Lines searched around a literal by an expression that crosses lines: cue, blank, value, its second line."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern of the pack: the Presidio entity it finds, its name, and the expression."""

    entity: str
    name: str
    expression: str


@dataclass(frozen=True, slots=True)
class _Compiled:
    entity: str
    expression: regex.Pattern[str]
    needs: tuple[Literals, ...]
    crosses: bool

    @classmethod
    def of(cls, rule: Rule) -> _Compiled:
        expression = regex.compile(factor(rule.expression), flags=regex.MULTILINE)
        return cls(rule.entity, expression, required(rule.expression), crosses_lines(rule.expression))


@dataclass(slots=True, repr=False)
class _Lines:
    """A text by lines, and in which of them a literal stands."""

    text: str
    plain: str
    starts: list[int] = field(default_factory=list)
    found: dict[str, frozenset[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.starts = [0, *(match.end() for match in _LINE_END.finditer(self.text))]

    def holding(self, literals: Literals) -> set[int]:
        """Numbers of the lines that hold one of ``literals``."""
        lines: set[int] = set()
        for literal in literals:
            if literal not in self.found:
                self.found[literal] = frozenset(self._search(literal))
            lines |= self.found[literal]
        return lines

    def _search(self, literal: str) -> Iterator[int]:
        at = self.plain.find(literal)
        while at >= 0:
            line = bisect_right(self.starts, at)
            yield line - 1
            at = self.plain.find(literal, self.starts[line]) if line < len(self.starts) else -1

    def windows(self, rule: _Compiled) -> Sequence[tuple[int, int]]:
        """Where ``rule`` is to be searched: start and end of stretches of whole lines."""
        whole = ((0, len(self.text)),)
        if not rule.needs or len(self.plain) != len(self.text):
            return whole
        held = [self.holding(literals) for literals in rule.needs]
        lines = held[0] if rule.crosses else set.intersection(*held)
        if not lines or not all(held):
            return ()
        if len(lines) * 2 > len(self.starts):
            return whole
        before, after = (_BEFORE, _AFTER) if rule.crosses else (0, 0)
        windows: list[tuple[int, int]] = []
        for line in sorted(lines):
            start, end = self._edge(line - before), self._edge(line + after + 1) - 1
            if line + after + 1 >= len(self.starts):
                end = len(self.text)
            if windows and start <= windows[-1][1] + 1:
                windows[-1] = (windows[-1][0], max(end, windows[-1][1]))
            else:
                windows.append((start, end))
        return windows

    def _edge(self, line: int) -> int:
        return self.starts[min(max(line, 0), len(self.starts) - 1)]


_LINE_END = regex.compile("\n")


class RuleRecognizer(LocalRecognizer):
    """All rules of a pack."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._compiled = tuple(map(_Compiled.of, rules))
        super().__init__(supported_entities=sorted({rule.entity for rule in rules}), name=_NAME)

    def load(self) -> None:
        """Nothing to load; the rules are code."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Every match of every rule; `TimeoutError` when one takes longer than two seconds."""
        lines = _Lines(text, plain(text))
        return [
            self._result(rule.entity, *match.span())
            for rule in self._compiled
            if rule.entity in entities
            for start, end in lines.windows(rule)
            for match in rule.expression.finditer(text, start, end, timeout=RULE_TIMEOUT_SECONDS)
            if match.end() > match.start()
        ]

    def _result(self, entity: str, start: int, end: int) -> RecognizerResult:
        metadata: dict[str, Any] = {
            RecognizerResult.RECOGNIZER_NAME_KEY: _NAME,
            RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
        }
        return RecognizerResult(entity, start, end, RULE_SCORE, recognition_metadata=metadata)
