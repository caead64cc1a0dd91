"""What every study's scenario file has: a ``[study]`` table in place of hospitals, read as strictly as any.

Each kind of study adds its own keys in its own module (``sft``, ``reward``, ``policy``).
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from intraward_shared.config import Strict
from intraward_shared.protocol import LoraSpec
from intraward_simulation.scenario import RunTerms

Linear = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
_LINEAR: tuple[Linear, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_ATTENTION = frozenset(_LINEAR[:4])


class StudyTerms(Strict):
    """Seeds, and which blocks have LoRA."""

    kind: str
    seeds: tuple[int, ...] = Field(min_length=1, max_length=16)
    first_block: int = Field(default=0, ge=0, description="lowest block that has LoRA")
    blocks: int = Field(ge=1, description="number of blocks that have LoRA")
    modules: tuple[Linear, ...] = Field(default=_LINEAR, min_length=1, description="what of a block has LoRA")
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
        """Linear layers of the named blocks; the backward pass ends at the lowest one."""
        blocks = range(self.first_block, self.first_block + self.blocks)
        parts = [f"{'self_attn' if name in _ATTENTION else 'mlp'}.{name}" for name in self.modules]
        names = tuple(f"layers.{block}.{part}" for block in blocks for part in parts)
        return LoraSpec(r=self.r, lora_alpha=self.lora_alpha, target_modules=names)


class StudyScenario(Strict):
    """One study file."""

    run: RunTerms
    study: StudyTerms


def study_kind(path: Path) -> str | None:
    """``kind`` of a file's ``[study]`` table, empty where it has none; None without such a table.

    What else is wrong with a file is told by its reader.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8")).get("study")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None
    if table is None:
        return None
    kind = table.get("kind") if isinstance(table, dict) else None
    return kind if isinstance(kind, str) else ""


def is_study(path: Path) -> bool:
    """Whether a scenario file has a ``[study]`` table."""
    return study_kind(path) is not None
