"""What of Presidio is slow and changes nothing here, left out: context boosts, and phone search in prose.

Keeps rule 2 of DESIGN.md: what is covered stays the same, a test holds both against Presidio's own way.
Figures in facts, section 5: phone numbers 4.3 ms of a note's 11.7 ms of recognizers, context 1.8 ms. Of the
places where a phone number could stand, nine in ten are covered by the rule pack already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import regex

from intraward_client.deid.libraries import (
    ContextAwareEnhancer,
    EntityRecognizer,
    NlpArtifacts,
    PhoneRecognizer,
    RecognizerResult,
)
from intraward_client.deid.rules import RULE_TIMEOUT_SECONDS, Rule, RuleRecognizer

_NUMBER = regex.compile(
    r"[+(\uff0b\[]{0,3}\d(?:[\d \t().\-/+~\u2010-\u2015\[\]x#,;:]|(?i:extn?)\.?)*+", regex.VERSION1
)
_DATES = regex.compile(r"(?:\W*+\b\d{1,4}([-/.])\d{1,2}\1\d{1,4}\b(?:[ T]\d{1,2}:\d\d(?::\d\d)?)?)++\W*+")
"""A stretch of dates and clock times and nothing else holds no phone number."""
_REGIONS = ("US", "GB", "DE", "IL", "IN", "BR")
"""Presidio's own, less what finds nothing: "UK" and "FE" are no regions, and Canada's numbers are US's."""
_FEWEST_DIGITS = 7
_MARGIN = 12
"""Characters kept on either side, so that a letter or a currency sign beside the number is still seen."""


class NoContext(ContextAwareEnhancer):
    """No score is raised by words nearby: every detector must stand above the threshold by itself.

    Presidio copies all results deeply for each of them, and needs lemmas, which the lean model has not.
    """

    def __init__(self) -> None:
        super().__init__(0.0, 0.0, 0, 0)

    def enhance_using_context(
        self, text: str, raw_results: list[RecognizerResult], *_rest: Any, **_more: Any
    ) -> list[RecognizerResult]:
        """The results as they are."""
        return raw_results


class RulesAndPhones(RuleRecognizer):
    """The rule pack, and Presidio's phone numbers where it leaves digits that could be one."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        self._phones = PhoneWindows()
        self.supported_entities = sorted({*self.supported_entities, *self._phones.supported_entities})

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Matches of the rules, and phone numbers that they do not cover whole."""
        found = super().analyze(text, entities, nlp_artifacts)
        left = list(text)
        for one in found:
            left[one.start : one.end] = " " * (one.end - one.start)
        return found + self._phones.search(text, lambda start, end: any(map(str.isdigit, left[start:end])))


class PhoneWindows(PhoneRecognizer):
    """Presidio's phone numbers, searched only where seven digits stand close together and are no dates."""

    def __init__(self, supported_language: str = "en") -> None:
        super().__init__(supported_language=supported_language, supported_regions=_REGIONS)

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Phone numbers in ``text``; `TimeoutError` when the search for digits takes over two seconds."""
        return self.search(text, lambda start, end: True)

    def search(self, text: str, wanted: Callable[[int, int], bool]) -> list[RecognizerResult]:
        """Phone numbers in the stretches of ``text``, given by start and end, that are ``wanted``."""
        results: list[RecognizerResult] = []
        for start, end in _windows(text):
            if not wanted(start, end):
                continue
            for found in super().analyze(text[start:end], ["PHONE_NUMBER"]):
                found.start, found.end = found.start + start, found.end + start
                results.append(found)
        unique: list[RecognizerResult] = EntityRecognizer.remove_duplicates(results)
        return unique


def _windows(text: str) -> list[tuple[int, int]]:
    """Stretches of ``text`` that can hold a phone number, those that touch made one."""
    windows: list[tuple[int, int]] = []
    for match in _NUMBER.finditer(text, timeout=RULE_TIMEOUT_SECONDS):
        number = match.group()
        if sum(map(str.isdigit, number)) < _FEWEST_DIGITS or _DATES.fullmatch(number):
            continue
        start, end = max(0, match.start() - _MARGIN), min(len(text), match.end() + _MARGIN)
        if windows and start <= windows[-1][1]:
            windows[-1] = (windows[-1][0], end)
        else:
            windows.append((start, end))
    return windows
