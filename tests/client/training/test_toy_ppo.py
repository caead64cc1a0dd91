"""PPO learns, and ``kl_coef`` holds it back: six whole runs of ``train`` on a toy (facts A.3).

The reward is a rule that is known, of the plan's own kinds: half a point off for each of two words that an
answer lacks and for each of two that it should not have. The reward model is silent (a score head of zeros),
so what the curves call reward is the true one, and ``score_mean`` moves it to about 0 at first and 1 at most.
Figures are those of the ward's own curves.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PromptRecord
from intraward_client.training.inputs import PUBLIC_UNIT
from intraward_client.training.train import train
from intraward_shared.shaping import AnswerRule, AvoidRule, MentionRule, ShapingTerms
from intraward_shared.stages import Stage

RULES: tuple[AnswerRule, ...] = (
    *(MentionRule(name=f"with-{n}", kind="mention", terms=(f"w{n}",), penalty=0.5) for n in (0, 1)),
    *(AvoidRule(name=f"without-{n}", kind="avoid", terms=(f"w{n}",), penalty=0.5) for n in (2, 3)),
)
PROMPTS = tuple(PromptRecord(PUBLIC_UNIT, f"p{n}", f"w{n % 20} w{n * 7 % 20}") for n in range(64))
COEFFICIENTS = (0.0, 0.05, 0.5)
UPDATES, FEW = 20, 3
"""Updates of a run, and over how many of the first and of the last a figure is averaged."""


@pytest.fixture(scope="module")
def run(inputs_of: Any) -> Any:
    """``run(kl_coef, seed)``: reward at first, reward at last, KL at last; each run is made once."""

    @cache
    def make(kl_coef: float, seed: int) -> tuple[float, float, float]:
        terms: dict[str, Any] = {"learning_rate": 0.01, "head_learning_rate": 0.05, "kl_coef": kl_coef}
        terms |= {"steps": UPDATES, "batch": len(PROMPTS), "epochs": 3, "micro_batch": len(PROMPTS)}
        terms |= {"max_prompt_tokens": 2, "max_completion_tokens": 12, "missing_eos_penalty": 0.0}
        terms |= {"score_mean": -1.0, "cliprange_value": 1.0}
        inputs = inputs_of(Stage.PPO, PROMPTS, shaping=ShapingTerms(rules=RULES), **terms)
        silent = {
            n: np.zeros_like(a) if n == "score.weight" else a for n, a in inputs.adapters["reward"].items()
        }
        curve: list[tuple[float, float]] = []
        inputs = replace(
            inputs,
            adapters=dict(inputs.adapters) | {"reward": silent},
            track=lambda _, figures: curve.append((figures["reward"], figures["kl"])),
        )
        train(inputs, NoiseSource.seeded(seed, "north", "0" * 64, 1))
        rewards, kls = zip(*curve, strict=True)
        return fmean(rewards[:FEW]), fmean(rewards[-FEW:]), fmean(kls[-FEW:])

    return make


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_reward_rises_at_a_small_kl_coefficient(run: Any, seed: int) -> None:
    first, last, _ = run(0.05, seed)
    assert last - first > 0.4


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_the_policy_ends_nearer_to_its_reference_the_more_kl_costs(run: Any, seed: int) -> None:
    free, some, much = (run(coefficient, seed)[2] for coefficient in COEFFICIENTS)
    assert free > some > much >= 0
