"""A small program, and the schedule of its charged rounds, for the tests of the budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from intraward_shared.config import parse
from intraward_shared.program import ProgramConfig
from intraward_shared.protocol import Mechanism, ProgramSchedule, Slot
from intraward_shared.stages import Stage

TIME = "2030-01-01T00:00:00Z"
FILE = Path("program.toml")
STAGES = ((Stage.SFT, 2, 0.02, 1.1, 50), (Stage.REWARD, 3, 0.05, 1.2, 30))


def mechanism(rate: float = 0.05, noise: float = 1.2, steps: int = 30) -> Mechanism:
    return Mechanism(
        sample_rate=rate,
        noise_multiplier=noise,
        max_grad_norm=1.0,
        steps=steps,
        nominal_batch=32,
        max_records_per_unit=2,
    )


def program_table(**mechanism_changes: Any) -> dict[str, Any]:
    """Two charged stages and a free one."""
    stages: list[dict[str, Any]] = []
    for stage, rounds, rate, noise, steps in STAGES:
        each = mechanism(rate, noise, steps).model_dump() | mechanism_changes
        each = {key: value for key, value in each.items() if key not in ("unit", "adjacency")}
        training = {"learning_rate": 0.001}
        stages.append({"stage": stage.value, "rounds": rounds, "training": training, "mechanism": each})
    stages.append(
        {"stage": "ppo", "public": "prompts.jsonl", "training": {"learning_rate": 0.001, "steps": 2}}
    )
    return {
        "program": {"name": "test", "starts_at": TIME},
        "model": {"path": "model"},
        "lora": {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj"]},
        "stages": stages,
    }


def program(**changes: Any) -> ProgramConfig:
    return parse(program_table(**changes), ProgramConfig, FILE)


SCHEDULE = ProgramSchedule(
    run_id="run",
    slots=tuple(
        Slot(stage=stage, round=number, mechanism=mechanism(rate, noise, steps))
        for stage, rounds, rate, noise, steps in STAGES
        for number in range(1, rounds + 1)
    ),
)
