"""Rules on answers: (rules, prompt, answer) in, a verdict out; the plan's, so the same at every ward.

What each kind asks stands at its type in ``intraward_shared.shaping``. Pure, per row, and it never raises: a
text longer than ``MAX_CHARACTERS`` fires every rule that applies, because the rest was not read. A verdict
holds names of rules, never text. Forms of identifiers are simple and bounded on purpose: they discourage a
policy from inventing numbers and are no de-identification (``deid`` is).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from intraward_shared.doses import doses, in_own_unit
from intraward_shared.shaping import (
    AnswerRule,
    AvoidRule,
    DoseRule,
    IdentifierClass,
    IdentifierRule,
    MentionRule,
    RefusalRule,
    RepetitionRule,
)
from intraward_shared.wording import Wording, read

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}\.?"
_DAY = r"\d{1,2}(?:st|nd|rd|th)?"
IDENTIFIERS: dict[IdentifierClass, re.Pattern[str]] = {
    "phone": re.compile(
        r"(?<![\d-])(?:\+?\d{1,3}[ .-]?)?\(?\d{3}\)?[ .-]?\d{3}[ .-]?\d{4}(?!\d)|\+\d{1,3}(?:[ .-]?\d){7,12}"
    ),
    "mail": re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}\.\w"),
    "ssn": re.compile(r"(?<![\d-])\d{3}[- ]\d{2}[- ]\d{4}(?![\d-])"),
    "mrn": re.compile(
        r"(?<!\w)(?:mrn|nhs|(?:medical )?record|chart|patient (?:id|number|no))"
        r"\W{0,4}(?:(?:number|no|id|is)\W{1,3}){0,2}[a-z]{0,3}-?\d{4,12}"
    ),
    "date": re.compile(
        r"(?<!\d)(?:\d{1,2}([/.-])\d{1,2}\1\d{2}(?:\d{2})?|(?:19|20)\d{2}([/.-])\d{1,2}\2\d{1,2})(?!\d)"
        rf"|(?<!\w){_MONTH} {_DAY},? (?:19|20)\d{{2}}(?!\d)"
        rf"|(?<!\d){_DAY} (?:of )?{_MONTH},? (?:19|20)\d{{2}}(?!\d)"
    ),
}
_REFUSAL = re.compile(
    r" (?:i|we) (?:can ?not|can t|won t|will not|(?:am|m|are|re) (?:not able|unable) to)"
    r" (?:help|assist|answer|provide|discuss|comply|do|give|share)(?= )"
    r"| sorry but (?:i|we) (?:can ?not|can t|won t)(?= )| (?:i|we) (?:must|have to) (?:decline|refuse)(?= )"
)
_FEWEST_RUNS = 4
"""Answers with fewer runs of words cannot be said to repeat themselves."""


@dataclass(frozen=True)
class Verdict:
    """Names of the rules that fired, what they cost together, and whether one of them was a veto."""

    fired: tuple[str, ...]
    penalty: float
    vetoed: bool


def judge(rules: Sequence[AnswerRule], prompt: str, answer: str) -> Verdict:
    """What the rules say of one answer to one prompt."""
    asked, said = read(prompt), read(answer)
    drugs = tuple(dict.fromkeys(drug for rule in rules if isinstance(rule, DoseRule) for drug in rule.drugs))
    fired = [
        rule
        for rule in rules
        if (not rule.when or asked.has(rule.when))
        and not asked.has(rule.unless)
        and (not said.whole or _fires(rule, said, drugs))
    ]
    return Verdict(
        tuple(rule.name for rule in fired), sum(rule.penalty for rule in fired), any(r.veto for r in fired)
    )


def refuses(said: Wording) -> bool:
    """Whether an answer refuses to help, by the phrases in which models do so in English."""
    return _REFUSAL.search(said.words) is not None


def _fires(rule: AnswerRule, said: Wording, drugs: tuple[str, ...]) -> bool:
    match rule:
        case DoseRule():
            return _implausible(rule, said, drugs)
        case MentionRule():
            return not said.has(rule.terms)
        case AvoidRule():
            return said.has(rule.terms)
        case RefusalRule():
            return refuses(said) != rule.expected
        case IdentifierRule():
            return any(IDENTIFIERS[name].search(said.text) for name in rule.classes)
        case RepetitionRule():
            return _repeated(said, rule.words) > rule.share


def _implausible(rule: DoseRule, said: Wording, drugs: tuple[str, ...]) -> bool:
    """Whether a dose of the rule's drugs is out of range, or of a kind that the rule does not know."""
    kind, low = in_own_unit(rule.low, rule.unit)
    high = in_own_unit(rule.high, rule.unit)[1]
    slack = 1e-9  # 0.3 of 1e-3 is not 3e-4 to the last bit
    for dose in doses(said, drugs):
        if dose.drug not in rule.drugs:
            continue
        if dose.kind != kind:
            if not rule.other_units or dose.amount <= 0:
                return True
        elif not low * (1 - slack) <= dose.amount <= high * (1 + slack):
            return True
    return False


def _repeated(said: Wording, length: int) -> float:
    """Share of runs of ``length`` words that were there before (TRL's ``get_repetition_penalty_reward``)."""
    words = said.words.split()
    runs = [tuple(words[start : start + length]) for start in range(len(words) - length + 1)]
    return 1 - len(set(runs)) / len(runs) if len(runs) >= _FEWEST_RUNS else 0.0
