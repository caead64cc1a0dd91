"""The keys of a policy study's scenario: sides, seeds of each method, and a training table for each stage."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from intraward_shared.config import Strict
from intraward_shared.protocol import TrainingSpec
from intraward_shared.stages import Stage
from intraward_simulation.studies.terms import StudyScenario, StudyTerms

Method = Literal["dpo", "ppo", "rloo"]
STAGES: dict[Method, Stage] = {"dpo": Stage.DPO, "ppo": Stage.PPO, "rloo": Stage.RLOO}
_SAMPLED_ALIKE = ("max_prompt_tokens", "max_completion_tokens", "temperature")


class PolicyTerms(StudyTerms):
    """How many questions there are on each side, and how often a policy is measured.

    ``seeds`` are those of dpo and ppo; rloo takes the first ``rloo_seeds`` of them.
    """

    kind: Literal["policy"]
    rloo_seeds: int = Field(default=1, ge=0, le=16)
    judge_questions: int = Field(default=64, ge=2, description="questions of each reward model")
    prompts: int = Field(default=96, ge=2, description="questions that the policies train on")
    held_out: int = Field(default=64, ge=2, description="questions that decide")
    answer_words: int = Field(default=28, ge=8, le=512, description="longest demonstration")
    rounds: int = Field(default=3, ge=1, le=32, description="rounds of a method, each measured")

    @model_validator(mode="after")
    def _enough_seeds(self) -> Self:
        if self.rloo_seeds > len(self.seeds):
            raise ValueError("rloo_seeds is above the number of seeds")
        return self

    def seeds_of(self, method: Method) -> tuple[int, ...]:
        """Seeds of a method."""
        return self.seeds[: self.rloo_seeds] if method == "rloo" else self.seeds


class StageSpecs(Strict):
    """Training parameters of each stage; ``steps`` of dpo, ppo and rloo are those of one round."""

    sft: TrainingSpec
    reward: TrainingSpec
    dpo: TrainingSpec
    ppo: TrainingSpec
    rloo: TrainingSpec

    @model_validator(mode="after")
    def _fit(self) -> Self:
        for name in StageSpecs.model_fields:
            spec: TrainingSpec = getattr(self, name)
            if not spec.steps:
                raise ValueError(f"{name}.steps: a policy study needs the number of steps")
            if any(getattr(spec, key) != getattr(self.ppo, key) for key in _SAMPLED_ALIKE):
                raise ValueError(f"{name}: {', '.join(_SAMPLED_ALIKE)} must be those of ppo")
            if spec.model_fields_set & {"score_mean", "score_std"}:
                raise ValueError(f"{name}: the study measures the score constants itself; leave them out")
        return self


class PolicyScenario(StudyScenario):
    """A study of policies."""

    study: PolicyTerms
    stages: StageSpecs
