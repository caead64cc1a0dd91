"""A study's scenario file: a ``[study]`` table in place of hospitals, read as strictly as any scenario."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from intraward_shared.config import Strict, load_toml
from intraward_shared.protocol import LoraSpec, TrainingSpec
from intraward_simulation.scenario import RunTerms

_LINEAR = (
    *("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"),
    *("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
)


class StudyTerms(Strict):
    """What is studied and how much of it."""

    kind: Literal["sft", "reward"]
    seeds: tuple[int, ...] = Field(min_length=1, max_length=16)
    folds: int = Field(default=5, ge=2, le=20, description="reward: folds, grouped by prompt")
    epochs: int = Field(default=1, ge=1, le=20, description="reward: passes over the training prompts")
    warm_pairs: int = Field(default=0, ge=0, le=10_000, description="reward: general pairs to start on")
    held_out: int = Field(default=64, ge=2, description="sft: held-out records of each set")
    first_block: int = Field(default=0, ge=0, description="lowest block that has LoRA")
    blocks: int = Field(ge=1, description="number of blocks that have LoRA")
    r: int = Field(default=8, ge=1, le=256)
    lora_alpha: int = Field(default=16, ge=1, le=1024)

    @model_validator(mode="after")
    def _seeds_differ(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("two seeds are the same")
        if any(seed < 0 for seed in self.seeds):
            raise ValueError("a seed is 0 or more")
        return self

    @property
    def lora(self) -> LoraSpec:
        """All linear layers of the named blocks; the backward pass ends at the lowest one."""
        blocks = range(self.first_block, self.first_block + self.blocks)
        names = tuple(f"layers.{block}.{name}" for block in blocks for name in _LINEAR)
        return LoraSpec(r=self.r, lora_alpha=self.lora_alpha, target_modules=names)


class StudyScenario(Strict):
    """One study file."""

    run: RunTerms
    study: StudyTerms
    training: TrainingSpec

    @model_validator(mode="after")
    def _one_place_for_steps(self) -> Self:
        if self.study.kind == "reward" and self.training.steps:
            raise ValueError("training.steps: a reward study counts study.epochs; leave it out")
        if self.study.kind == "sft" and not self.training.steps:
            raise ValueError("training.steps: an sft study needs the number of steps")
        return self


def is_study(path: Path) -> bool:
    """Whether a scenario file has a ``[study]`` table; what is wrong with a file is told by its reader."""
    try:
        return "study" in tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return False


def load_study(path: Path) -> StudyScenario:
    """Read and check a study's file.

    Raises:
        ConfigError: names file and key.
    """
    return load_toml(path, StudyScenario)
