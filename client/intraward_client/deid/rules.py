"""A rule and its recognizer: Presidio's `PatternRecognizer` that fails closed.

Keeps rule 2 of DESIGN.md. Presidio's own class logs a warning and goes on when a pattern times out
(60 seconds by default), which lets the note pass unread; this one raises. Patterns are case-sensitive
(names need it), compiled once, and may use ``\\K`` to drop the cue from the span.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import regex
from presidio_analyzer import Pattern, PatternRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts

RULE_TIMEOUT_SECONDS = 2.0
RULE_SCORE = 0.95


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern of the pack: the Presidio entity it finds, its name, and the expression.

    ``needs``: when given, a text without any of these characters is not searched.
    """

    entity: str
    name: str
    expression: str
    needs: str = ""


class RuleRecognizer(PatternRecognizer):
    """All rules of one entity type."""

    def __init__(self, entity: str, rules: tuple[Rule, ...]) -> None:
        super().__init__(
            supported_entity=entity,
            name=f"Intraward{entity.title().replace('_', '')}",
            patterns=[Pattern(rule.name, rule.expression, RULE_SCORE) for rule in rules],
            global_regex_flags=regex.MULTILINE,
        )
        self._compiled = tuple(
            (regex.compile(rule.expression, flags=regex.MULTILINE), rule.needs) for rule in rules
        )

    def analyze(
        self,
        text: str,
        entities: list[str],
        nlp_artifacts: NlpArtifacts | None = None,
        regex_flags: int | None = None,
    ) -> list[RecognizerResult]:
        """Every match of every rule; `TimeoutError` when one takes longer than two seconds."""
        return [
            self._result(*match.span())
            for expression, needs in self._compiled
            if not needs or any(map(text.__contains__, needs))
            for match in expression.finditer(text, timeout=RULE_TIMEOUT_SECONDS)
            if match.end() > match.start()
        ]

    def _result(self, start: int, end: int) -> RecognizerResult:
        metadata: dict[str, Any] = {
            RecognizerResult.RECOGNIZER_NAME_KEY: "IntrawardRule",
            RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
        }
        return RecognizerResult(
            self.supported_entities[0], start, end, RULE_SCORE, recognition_metadata=metadata
        )


def by_entity(rules: tuple[Rule, ...]) -> dict[str, tuple[Rule, ...]]:
    """Group rules by the entity they find, in order of first appearance."""
    return {
        entity: tuple(rule for rule in rules if rule.entity == entity)
        for entity in dict.fromkeys(rule.entity for rule in rules)
    }
