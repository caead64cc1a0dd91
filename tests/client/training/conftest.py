"""Records and whole training inputs of every stage, over the tiny models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from intraward_client.store.datasets import PairRecord, PromptRecord, SftRecord, TrainingTable
from intraward_client.training.inputs import ROLES, TrainingInputs
from intraward_shared.adapters import State
from intraward_shared.modeling import BaseModel, initial_state
from intraward_shared.protocol import TrainingSpec
from intraward_shared.reward_heads import RewardHeads
from intraward_shared.stages import ON_POLICY, Stage


def _text(first: int, count: int) -> str:
    return " ".join(f"w{(first * 7 + index * 3) % 20}" for index in range(count))


def ragged_record(stage: Stage, unit: str, index: int) -> SftRecord | PairRecord | PromptRecord:
    prompt = _text(index, 1 + index % 4)
    if stage is Stage.SFT:
        return SftRecord(unit, prompt, _text(index + 1, 1 + index % 5))
    if stage in ON_POLICY:
        return PromptRecord(unit, f"p{index}", prompt)
    return PairRecord(unit, prompt, _text(index + 2, 1 + index % 3), _text(index + 3, 1 + index % 5), 0.0)


@pytest.fixture(scope="session")
def record_of() -> Callable[..., SftRecord | PairRecord | PromptRecord]:
    """``record_of(stage, unit, index)``: a record whose lengths and words vary with ``index``."""
    return ragged_record


@pytest.fixture(scope="session")
def inputs_of(tiny: Any, plan_of: Any, adapter_of: Any) -> Callable[..., TrainingInputs]:
    """``inputs_of(stage, rows, kind=..., mechanism=..., scale=...)``; ``scale`` moves adapters off zero."""

    def make(stage: Stage, rows: Any, kind: str = "llama", scale: float = 0.0, **plan: Any) -> TrainingInputs:
        base: BaseModel = tiny(kind)
        adapters: dict[str, State] = {}
        for seed, role in enumerate(ROLES[stage]):
            head = Stage.REWARD if role == "reward" else stage
            adapters[role] = adapter_of(base, kind, head, seed=3 + (seed if scale else 0), scale=scale)
        return TrainingInputs(plan_of(stage, kind, **plan), base, adapters, TrainingTable(tuple(rows)))

    return make


HEADS = RewardHeads(members=3, criteria=("safety", "clarity"), flags=("harmful",))
VETO = -20.0
EVERY_TERM: dict[str, Any] = {
    "score_clip": 15.0,
    "heads": {
        "criteria": {"clarity": 0.5},
        "uncertainty_coef": 0.7,
        "veto_criterion": "safety",
        "veto_below": -0.9,
        "veto_flag": 0.98,
        "veto_reward": VETO,
    },
    "shaping": {
        "rules": [
            {"kind": "avoid", "name": "avoid", "terms": ["w1", "w2"], "penalty": 0.5},
            {"kind": "avoid", "name": "never", "terms": ["w7"], "veto": True},
            {"kind": "repetition", "name": "again", "words": 1, "share": 0.2, "penalty": 1.0},
        ],
        "veto_reward": VETO,
        "critique": [{"name": "uncertainty"}, {"name": "no-promises"}],
        "critique_coef": 0.5,
        "overlong_tokens": 3,
        "overlong_penalty": 2.0,
    },
}
"""Members that disagree, criteria, vetoes of heads and rules, critique and length: every term of a reward."""


@pytest.fixture(scope="session")
def rewarded_of(inputs_of: Any) -> Callable[..., TrainingInputs]:
    """``rewarded_of(stage, rows, ...)``: as ``inputs_of``, for PPO and RLOO, with every term of a reward on.

    ``heads_scale`` moves the reward heads apart from the rest; a huge one makes their outputs overflow.
    """

    def make(
        stage: Stage, rows: Any, scale: float = 0.3, heads_scale: float = 0.1, **plan: Any
    ) -> TrainingInputs:
        inputs: TrainingInputs = inputs_of(stage, rows, scale=scale, **plan)
        lora = inputs.plan.lora.model_copy(update={"reward": HEADS})
        training = TrainingSpec.model_validate(inputs.plan.training.model_dump() | EVERY_TERM)
        draw, reward = np.random.default_rng(7), {}
        for name, array in initial_state(inputs.base, lora, Stage.REWARD, 5).items():
            moved = array + (heads_scale if "score" in name else scale) * draw.normal(size=array.shape)
            reward[name] = moved.astype(np.float32)
        return replace(
            inputs,
            plan=inputs.plan.model_copy(update={"lora": lora, "training": training}),
            adapters=dict(inputs.adapters) | {"reward": reward},
        )

    return make
