"""Every way in which a plan may be weaker, wider or other than the policy is refused, by rule."""

from datetime import UTC, datetime

import numpy as np
import pytest

from intraward_client.config import SitePolicy
from intraward_client.plancheck import check_plan, check_size
from intraward_shared.errors import PlanRefused
from intraward_shared.protocol import (
    LoraSpec,
    Mechanism,
    OutputSpec,
    ProgramSchedule,
    RoundPlan,
    Slot,
    TrainingSpec,
    to_bytes,
)
from intraward_shared.signing import digest
from intraward_shared.stages import Part, Stage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STATE = {
    "m.lora_A.weight": np.zeros((4, 8), np.float32),
    "m.lora_B.weight": np.zeros((8, 4), np.float32),
    "score.weight": np.zeros((1, 8), np.float32),
}
MECHANISM = Mechanism(
    sample_rate=0.1,
    noise_multiplier=1.0,
    max_grad_norm=1.0,
    steps=25,
    nominal_batch=50,
    max_records_per_unit=2,
)


def policy(**changes: object) -> SitePolicy:
    raw: dict[str, object] = {
        "site": "north",
        "privacy": {
            "delta": 1e-5,
            "declared_max_patients": 1000,
            "lifetime_epsilon": 8.0,
            "min_noise_multiplier": 0.8,
            "max_sample_rate": 0.2,
            "max_steps_per_round": 50,
            "max_records_per_patient": 4,
        },
        "model": {"path": "model", "sha256": "a" * 64, "max_lora_r": 8, "max_tokens": 128, "max_rows": 96},
        "coordinator": {"public_key": "d" * 64},
    }
    return SitePolicy.model_validate(raw | changes)


def schedule(mechanism: Mechanism = MECHANISM) -> tuple[bytes, ProgramSchedule]:
    value = ProgramSchedule(run_id="run-1", slots=(Slot(stage=Stage.REWARD, round=1, mechanism=mechanism),))
    return to_bytes(value), value


def plan(**changes: object) -> RoundPlan:
    base = RoundPlan(
        run_id="run-1",
        round=1,
        stage=Stage.REWARD,
        stage_round=1,
        part=Part.B,
        cohort=("north",),
        base_model="a" * 64,
        lora=LoraSpec(r=4, lora_alpha=8, target_modules=("q_proj",)),
        inputs={"reward": "b" * 64},
        training=TrainingSpec(learning_rate=1e-3),
        mechanism=MECHANISM,
        schedule=digest(schedule()[0]),
        outputs=(
            OutputSpec(name="m.lora_B.weight", shape=(8, 4)),
            OutputSpec(name="score.weight", shape=(1, 8)),
        ),
        slot_time="2026-01-01T00:00:00Z",
        expires="2026-01-02T00:00:00Z",
        nonce="0" * 32,
    )
    return base.model_copy(update=changes)


def mechanism(**changes: object) -> Mechanism:
    return MECHANISM.model_copy(update=changes)


def test_a_plan_within_the_policy_passes() -> None:
    check_plan(plan(), policy(), schedule(), {"reward": STATE}, NOW)


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("cohort", {"cohort": ("south",)}),
        ("model", {"base_model": "f" * 64}),
        ("simulation", {"simulated": True}),
        ("simulation", {"seed": 7}),
        ("expiry", {"expires": "2025-12-31T00:00:00Z"}),
        ("payment", {"mechanism": None}),
        ("payment", {"public_data": "e" * 64}),
        ("payment", {"stage": Stage.LABEL}),
        ("mechanism", {"mechanism": mechanism(noise_multiplier=0.79)}),
        ("mechanism", {"mechanism": mechanism(sample_rate=0.21)}),
        ("mechanism", {"mechanism": mechanism(steps=51)}),
        ("mechanism", {"mechanism": mechanism(max_records_per_unit=5)}),
        ("schedule", {"mechanism": mechanism(steps=26)}),
        ("schedule", {"schedule": "9" * 64}),
        ("schedule", {"stage_round": 2}),
        ("schedule", {"run_id": "run-2"}),
        ("adapter", {"lora": LoraSpec(r=16, lora_alpha=8, target_modules=("q_proj",))}),
        ("adapter", {"training": TrainingSpec(learning_rate=1e-3, max_prompt_tokens=120)}),
        ("adapter", {"training": TrainingSpec(learning_rate=1e-3, micro_batch=97)}),
        ("inputs", {"inputs": {"policy": "b" * 64}}),
        ("outputs", {"outputs": ()}),
        ("outputs", {"part": Part.A}),
        ("outputs", {"outputs": (OutputSpec(name="m.lora_B.weight", shape=(8, 4)),)}),
        ("outputs", {"outputs": (*plan().outputs, OutputSpec(name="notes", shape=(8, 4)))}),
    ],
)
def test_each_rule_refuses(rule: str, changes: dict[str, object]) -> None:
    with pytest.raises(PlanRefused) as refusal:
        check_plan(plan(**changes), policy(), schedule(), {"reward": STATE}, NOW)
    assert refusal.value.rule == rule
    assert refusal.value.remedy


def test_each_answer_of_a_group_is_a_row_of_the_forward_pass() -> None:
    training = TrainingSpec(learning_rate=1e-3, micro_batch=24, group=5)
    check_size(Stage.PPO, plan().lora, training, policy())
    with pytest.raises(PlanRefused, match="max_rows"):
        check_size(Stage.RLOO, plan().lora, training, policy())


def test_a_stage_that_the_policy_leaves_out() -> None:
    with pytest.raises(PlanRefused, match="stage"):
        check_plan(plan(), policy(stages=("sft",)), schedule(), {"reward": STATE}, NOW)


def test_a_simulated_site_takes_only_simulated_plans() -> None:
    simulated = policy(simulation={"allowed": True})
    with pytest.raises(PlanRefused, match="simulation"):
        check_plan(plan(), simulated, schedule(), {"reward": STATE}, NOW)
    check_plan(plan(simulated=True, seed=7), simulated, schedule(), {"reward": STATE}, NOW)


def test_a_schedule_must_come_with_the_plan_that_names_it() -> None:
    with pytest.raises(PlanRefused, match="schedule"):
        check_plan(plan(), policy(), None, {"reward": STATE}, NOW)


def test_delta_must_fit_the_declared_patients() -> None:
    from pydantic import ValidationError

    weak = policy().model_dump()["privacy"] | {"delta": 1e-5, "declared_max_patients": 20_000}
    with pytest.raises(ValidationError):
        policy(privacy=weak)
