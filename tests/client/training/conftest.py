"""Records and whole training inputs of every stage, over the tiny models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from intraward_client.store.datasets import PairRecord, PromptRecord, SftRecord, TrainingTable
from intraward_client.training.inputs import ROLES, TrainingInputs
from intraward_shared.adapters import State
from intraward_shared.modeling import BaseModel
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
