"""Plans and schedule follow from the program; the program refuses what cannot be planned."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from intraward_server.checkpoint import ProgramState
from intraward_server.plans import (
    build_plan,
    build_schedule,
    name_run,
    next_slot,
    positions,
    public_seed,
    slot_of,
    slot_time,
)
from intraward_shared.config import parse
from intraward_shared.errors import ConfigError
from intraward_shared.program import ProgramConfig, load_program
from intraward_shared.protocol import RoundPlan, from_bytes, to_bytes
from intraward_shared.signing import digest

STATE: dict[str, Any] = {
    "lora.q_proj.lora_A.weight": np.zeros((2, 4), np.float32),
    "lora.q_proj.lora_B.weight": np.zeros((4, 2), np.float32),
    "score.weight": np.zeros((1, 4), np.float32),
}


def _config(table: dict[str, Any]) -> ProgramConfig:
    return parse(table, ProgramConfig, "program.toml")


@pytest.fixture
def table(program: Any) -> dict[str, Any]:
    return dict(program)


def _state(config: ProgramConfig, **change: Any) -> ProgramState:
    values = {"run_id": "run-1", "agreed": config.agreed_digest, "base_model": "0" * 64, "public_seed": 1}
    return ProgramState(**values, **change)  # type: ignore[arg-type]


def test_plan_of_a_charged_round(table: dict[str, Any]) -> None:
    config = _config(table)
    schedule = build_schedule(config, "run-1")
    assert schedule is not None
    state, at = _state(config, last_slot=3), positions(config)[4]
    plan = build_plan(config, state, at, {"reward": "1" * 64}, STATE, schedule)
    assert (plan.round, plan.stage_round, plan.part.value) == (5, 2, "A")
    assert plan.schedule == digest(to_bytes(schedule)) and plan.mechanism == schedule.slots[1].mechanism
    assert [(o.name, o.shape) for o in plan.outputs] == [
        ("lora.q_proj.lora_A.weight", (2, 4)),
        ("score.weight", (1, 4)),
    ]
    assert (plan.slot_time, plan.expires) == ("2026-01-01T04:00:00Z", "2026-01-01T05:00:00Z")
    assert plan.public_data is None and plan.simulated and plan.seed == 5
    assert from_bytes(to_bytes(plan), RoundPlan) == plan
    assert build_plan(config, state, at, {"reward": "1" * 64}, STATE, schedule) == plan


def test_score_constants_go_into_ppo_plans_only(table: dict[str, Any]) -> None:
    config = _config(table)
    state = _state(config, score=(0.25, 1.5), public={"ppo": "4" * 64, "sft": "5" * 64})
    every = positions(config)
    ppo = build_plan(config, state, every[5], {"policy": "1" * 64}, {}, None)
    assert (ppo.training.score_mean, ppo.training.score_std) == (0.25, 1.5)
    assert ppo.public_data == "4" * 64 and ppo.schedule is None
    sft = build_plan(config, state, every[0], {"policy": "1" * 64}, {}, None)
    assert (sft.training.score_mean, sft.training.score_std) == (0.0, 1.0)


def test_slots(table: dict[str, Any]) -> None:
    config = _config(table)
    assert slot_of(config, slot_time(config, 30)) == 30
    late = datetime(2026, 1, 1, 9, 30, tzinfo=UTC)
    assert next_slot(config, 2, late) == 3  # a simulated program lives by its own clock
    table["program"] |= {"simulated": False}
    del table["program"]["seed"]
    with pytest.raises(ConfigError, match="at least 3 slot_s"):
        _config(table)
    table["program"] |= {"round_deadline_s": 3 * 3600.0}
    real = _config(table)
    assert next_slot(real, 2, late) == 11  # slot 10 begins in half an hour; a whole one is left to train
    assert next_slot(real, 12, late) == 13


def test_names_and_seeds(table: dict[str, Any]) -> None:
    config = _config(table)
    assert name_run(config) == name_run(config) and name_run(config).startswith("test-")
    assert public_seed(config) == public_seed(config)
    del table["program"]["seed"]
    free = _config(table)
    assert name_run(free) != name_run(free) and public_seed(free) != public_seed(free)


def test_a_program_without_charges_has_no_schedule(table: dict[str, Any]) -> None:
    table["stages"] = table["stages"][:2]
    assert build_schedule(_config(table), "run-1") is None


def _set(path: str, value: Any) -> Any:
    def change(table: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        place: Any = table
        for name in parents:
            place = place[int(name) if name.isdigit() else name]
        if value is None:
            del place[last]
        else:
            place[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (_set("program.unknown", 1), "program.unknown"),
        (_set("program.starts_at", "soon"), "program.starts_at"),
        (_set("program.simulated", False), "program"),
        (_set("stages.0.mechanism", {"steps": 1}), "stages.0.mechanism.sample_rate"),
        (lambda table: table["stages"][0].update(mechanism=table["stages"][2]["mechanism"]), "stages.0"),
        (_set("stages.0.public", None), "stages.0"),
        (_set("stages.0.training.steps", 0), "stages.0"),
        (_set("stages.1.rounds", 2), "stages.1"),
        (_set("stages.0.stage", "reward"), ""),
        (_set("stages.2.mechanism.noise_multiplier", float("nan")), "stages.2.mechanism.noise_multiplier"),
        (_set("stages.2.mechanism.steps", 1.5), "stages.2.mechanism.steps"),
        (_set("lora.r", 0), "lora.r"),
        (_set("sites.0.public_key", "00"), "sites.0.public_key"),
        (_set("sites.1.name", "alpha"), ""),
        (_set("program.quorum", 4), "program.quorum"),
        (_set("evaluation.limit", 0), "evaluation.limit"),
    ],
)
def test_a_wrong_key_is_named(tmp_path: Path, table: dict[str, Any], change: Any, key: str) -> None:
    change(table)
    path = tmp_path / "program.toml"
    path.write_text(tomli_w.dumps(table))
    with pytest.raises(ConfigError) as caught:
        load_program(path)
    assert caught.value.key == key and caught.value.file == str(path)


def test_ppo_without_reward_or_calibration_is_refused(table: dict[str, Any]) -> None:
    private = dict(table["stages"][3])
    del private["public"]
    private["mechanism"] = table["stages"][2]["mechanism"]
    del table["evaluation"]["prompts"]
    with pytest.raises(ConfigError, match="calibration"):
        _config(table | {"stages": [*table["stages"][:3], private]})
    with pytest.raises(ConfigError, match="reward stage"):
        _config(table | {"stages": [*table["stages"][:2], table["stages"][3]]})
