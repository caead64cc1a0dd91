"""The stages of a program, and which tensors each one may send (DESIGN.md section 4, rule 1).

A stage's outputs are derived here from the adapter's shapes, by both sides: the coordinator writes
them into the plan, the hospital recomputes them and refuses a plan that asks for anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from intraward_shared.errors import ContractError


class Stage(StrEnum):
    """What a round does. ``LABEL`` trains nothing and sends no tensor."""

    SFT = "sft"
    LABEL = "label"
    REWARD = "reward"
    PPO = "ppo"
    DPO = "dpo"
    RLOO = "rloo"


class Part(StrEnum):
    """Which LoRA factor a round trains; the other stays frozen.

    Averaging A and B together is not averaging their product. Alternating rounds (RoLoRA, arXiv
    2409.02346) are exact, and B goes first because the gradient of A is zero while B is zero.
    """

    A = "A"
    B = "B"
    BOTH = "both"


ON_POLICY = (Stage.PPO, Stage.RLOO)
"""Stages that sample from the policy and take their reward from a released reward model."""
SCORE_HEAD = ("score.weight",)
VALUE_HEAD = ("value_head.weight", "value_head.bias")


def heads(stage: Stage) -> tuple[str, ...]:
    """Names of the non-LoRA tensors that belong to a stage's adapter."""
    if stage is Stage.REWARD:
        return SCORE_HEAD
    return VALUE_HEAD if stage is Stage.PPO else ()


def trained_names(stage: Stage, part: Part, names: Mapping[str, object] | tuple[str, ...]) -> tuple[str, ...]:
    """Names out of an adapter that a round of ``stage`` and ``part`` trains, and so may send; sorted."""
    if stage is Stage.LABEL:
        return ()
    wanted = [name for name in names if _belongs(name, stage, part)]
    return tuple(sorted(wanted))


def _belongs(name: str, stage: Stage, part: Part) -> bool:
    if name in heads(stage):
        return True
    if name.endswith(".lora_A.weight"):
        return part in (Part.A, Part.BOTH)
    if name.endswith(".lora_B.weight"):
        return part in (Part.B, Part.BOTH)
    if name in SCORE_HEAD or name in VALUE_HEAD:
        return False
    raise ContractError(f"adapter tensor {name!r} is neither a LoRA factor nor a known head")
