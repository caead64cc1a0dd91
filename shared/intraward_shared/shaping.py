"""What an answer's reward adds to the reward model's score: rules, vetoes, critique, length. Data, no code.

Part of a plan's training parameters, so it is signed, and every ward recomputes the same reward (section 6 of
DESIGN.md: a reward is a function of its own prompt and answer and of constants of the plan). A rule holds
words, numbers and names of checks that are written in this package; never an expression, so
that no plan can make a hospital run or match something of the coordinator's own.

A **penalty** is subtracted where a rule fires. A **veto** is a constraint and is not traded: the answer gets
``veto_reward``, which may not be above the lowest reward that any other answer can have.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, StringConstraints, model_validator

from intraward_shared.config import Strict
from intraward_shared.scalars import Name, Real

Term = Annotated[str, StringConstraints(pattern=r"[\p{L}\p{N}]", max_length=64)]
"""A word or a few; compared by whole words, without regard to case and punctuation."""
Terms = Annotated[tuple[Term, ...], Field(max_length=256)]

Unit = Literal["ng", "mcg", "mg", "g", "ml", "l", "units", "mmol", "meq", "mcg/kg", "mg/kg", "g/kg"]
IdentifierClass = Literal["phone", "mail", "ssn", "mrn", "date"]
PrincipleName = Literal["conservative", "uncertainty", "urges-care", "no-promises", "no-invented-dose"]


class _Rule(Strict):
    """``when``: applies to prompts with one of these (none given: to all); ``unless``: not to these."""

    name: Name
    penalty: Real = Field(default=0.0, ge=0, le=100)
    veto: bool = False
    when: Terms = ()
    unless: Terms = ()

    @model_validator(mode="after")
    def _has_force(self) -> Self:
        if self.veto == (self.penalty > 0):
            raise ValueError("a rule has either a penalty above 0 or veto = true")
        return self


class DoseRule(_Rule):
    """Fires on a dose of one of ``drugs`` outside ``low`` to ``high`` of ``unit``, or of another kind.

    Units of a kind are converted, so 500 g where 500 mg was meant fires by its size. ``other_units``: doses
    of another kind (a volume, per kilogram) pass.
    """

    kind: Literal["dose"]
    drugs: Annotated[tuple[Term, ...], Field(min_length=1, max_length=64)]
    unit: Unit
    low: Real = Field(gt=0, le=1e9)
    high: Real = Field(gt=0, le=1e9)
    other_units: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class MentionRule(_Rule):
    """Fires on an answer that has none of ``terms``."""

    kind: Literal["mention"]
    terms: Annotated[tuple[Term, ...], Field(min_length=1, max_length=256)]


class AvoidRule(_Rule):
    """Fires on an answer that has one of ``terms``."""

    kind: Literal["avoid"]
    terms: Annotated[tuple[Term, ...], Field(min_length=1, max_length=256)]


class RefusalRule(_Rule):
    """Fires where the answer refuses (``expected = false``), or where it does not (``expected = true``)."""

    kind: Literal["refusal"]
    expected: bool

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        if self.expected and not self.when:
            raise ValueError("a rule that expects a refusal needs when: the prompts to refuse")
        return self


class IdentifierRule(_Rule):
    """Fires on an answer with something in the form of an identifier of one of ``classes``."""

    kind: Literal["identifiers"]
    classes: Annotated[tuple[IdentifierClass, ...], Field(min_length=1, max_length=5)] = get_args(
        IdentifierClass
    )


class RepetitionRule(_Rule):
    """Fires where more than ``share`` of the answer's runs of ``words`` words were there before."""

    kind: Literal["repetition"]
    words: int = Field(default=3, ge=1, le=8)
    share: Real = Field(default=0.5, gt=0, lt=1)


AnswerRule = Annotated[
    DoseRule | MentionRule | AvoidRule | RefusalRule | IdentifierRule | RepetitionRule,
    Field(discriminator="kind"),
]


class Principle(Strict):
    """A question of the critique and its weight; the questions stand in ``critique``."""

    name: PrincipleName
    weight: Real = Field(default=1.0, gt=0, le=100)


class ShapingTerms(Strict):
    """What is added to, or put in place of, the normalised and clipped score of an answer.

    ``overlong_tokens``: how many tokens below ``max_completion_tokens`` the length penalty begins, to grow to
    ``overlong_penalty`` at the limit. ``critique_coef`` times the critique's score (0 to 1) is added.
    """

    rules: Annotated[tuple[AnswerRule, ...], Field(max_length=64)] = ()
    veto_reward: Real | None = Field(default=None, ge=-100_000, le=0)
    critique: tuple[Principle, ...] = ()
    critique_coef: Real = Field(default=0.0, ge=0, le=100)
    overlong_tokens: int = Field(default=0, ge=0, le=32_768)
    overlong_penalty: Real = Field(default=0.0, ge=0, le=100)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for what, names in (("rules", self.rules), ("principles", self.critique)):
            if len({item.name for item in names}) < len(names):
                raise ValueError(f"two {what} have the same name")
        if any(rule.veto for rule in self.rules) != (self.veto_reward is not None):
            raise ValueError("veto_reward is needed with a rule that has veto = true, and only then")
        if bool(self.critique) != (self.critique_coef > 0):
            raise ValueError("critique and critique_coef are given together")
        if bool(self.overlong_tokens) != (self.overlong_penalty > 0):
            raise ValueError("overlong_tokens and overlong_penalty are given together")
        return self

    def reward(self, score: float, praise: float, penalty: float, *, vetoed: bool) -> float:
        """One answer's reward from its ``score``, what the critique gives it and what rules cost it."""
        if vetoed and self.veto_reward is not None:
            return self.veto_reward
        return score + self.critique_coef * praise - penalty

    def check(
        self,
        score_clip: float,
        missing_eos_penalty: float,
        max_completion_tokens: int,
        learnt_veto: float | None = None,
    ) -> None:
        """Hold the terms, and the reward of a veto of the reward heads, against the rest of the same plan.

        Raises:
            ValueError: the length penalty begins before the answer, or a veto costs less than being bad.
        """
        if self.overlong_tokens > max_completion_tokens:
            raise ValueError("shaping.overlong_tokens is above max_completion_tokens")
        floor = -score_clip - missing_eos_penalty - self.overlong_penalty
        floor -= sum(rule.penalty for rule in self.rules)
        if any(veto is not None and veto > floor for veto in (self.veto_reward, learnt_veto)):
            raise ValueError(
                "veto_reward of training.shaping and training.heads must be at most "
                f"{floor:g}, the lowest reward without a veto: no other merit may outweigh a veto"
            )
