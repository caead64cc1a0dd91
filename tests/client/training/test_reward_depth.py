"""A reward model that reads its answer part of the way up: what it runs, what it learns, what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PairRecord, TrainingTable
from intraward_client.training.inputs import PUBLIC_UNIT, TrainingInputs
from intraward_client.training.train import train
from intraward_shared.errors import ContractError, ModelError
from intraward_shared.generation import encode_pairs
from intraward_shared.modeling import adapted, initial_state
from intraward_shared.protocol import LoraSpec, Mechanism, OutputSpec
from intraward_shared.reward_heads import RewardHeads
from intraward_shared.stages import Stage

STACK = {"llama": ("layers", "norm"), "gpt2": ("h", "ln_f")}
KINDS = tuple(STACK)
MECHANISM = Mechanism(
    sample_rate=0.5,
    noise_multiplier=1.0,
    max_grad_norm=0.5,
    steps=2,
    nominal_batch=4,
    max_records_per_unit=2,
)


@pytest.fixture
def lora_at(lora_of: Any) -> Callable[[str, int | None], LoraSpec]:
    """The LoRA spec of a tiny model whose reward heads read at a depth."""

    def make(kind: str, depth: int | None) -> LoraSpec:
        spec: LoraSpec = lora_of(kind)
        return spec.model_copy(update={"reward": RewardHeads(depth=depth)})

    return make


def moved(base: Any, lora: LoraSpec, stage: Stage = Stage.REWARD) -> dict[str, Any]:
    """An adapter away from its start, so that every tensor counts."""
    draw = np.random.default_rng(4)
    fresh = initial_state(base, lora, stage, 3)
    return {n: (a + 0.3 * draw.normal(size=a.shape)).astype(np.float32) for n, a in fresh.items()}


def block(name: str, kind: str) -> int:
    return int(name.split(f".{STACK[kind][0]}.")[1].split(".")[0])


@pytest.mark.parametrize("kind", KINDS)
def test_heads_read_the_normed_state_after_that_many_blocks(tiny: Any, lora_at: Any, kind: str) -> None:
    base, lora = tiny(kind), lora_at(kind, 1)
    rows, state = encode_pairs(base, [("w1 w2", "w3"), ("w4", "w5 w6 w7")], 4, 6), moved(base, lora)
    with adapted(base, lora, ("reward",)) as model, torch.no_grad():
        model.load("reward", state)
        found = model.rewards(rows.ids, rows.mask)
        body = model.peft.get_base_model().base_model
        positions = (rows.mask.cumsum(-1) - 1).clamp(min=0)
        whole = body(
            input_ids=rows.ids, attention_mask=rows.mask, position_ids=positions, output_hidden_states=True
        )
        normed = getattr(body, STACK[kind][1])(whole.hidden_states[1])
        last = normed[torch.arange(2), rows.mask.sum(-1) - 1]
        assert len(whole.hidden_states) == 3
        torch.testing.assert_close(found, model.score(last)[:, 0], rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(
            body(input_ids=rows.ids, attention_mask=rows.mask, position_ids=positions).last_hidden_state,
            whole.last_hidden_state,
        )


@pytest.mark.parametrize("kind", KINDS)
def test_the_reward_adapter_has_tensors_below_its_depth_only(tiny: Any, lora_at: Any, kind: str) -> None:
    base = tiny(kind)
    whole = initial_state(base, lora_at(kind, None), Stage.REWARD, 3)
    half = initial_state(base, lora_at(kind, 1), Stage.REWARD, 3)
    policy = initial_state(base, lora_at(kind, 1), Stage.SFT, 3)
    assert {block(n, kind) for n in whole if ".lora_" in n} == {0, 1}
    assert {block(n, kind) for n in half if ".lora_" in n} == {0}
    assert {block(n, kind) for n in policy} == {0, 1}
    assert half["score.weight"].shape == whole["score.weight"].shape


@pytest.mark.parametrize("mechanism", [None, MECHANISM], ids=["public", "private"])
def test_training_moves_the_tensors_below_and_nothing_else(
    tiny: Any, plan_of: Any, lora_at: Any, mechanism: Mechanism | None
) -> None:
    base, lora = tiny("llama"), lora_at("llama", 1)
    unit = PUBLIC_UNIT if mechanism is None else "u"
    rows = tuple(PairRecord(f"{unit}{n}" if mechanism else unit, "w1", f"w{n}", "w9 w8") for n in range(6))
    state = moved(base, lora)
    plan = plan_of(Stage.REWARD, mechanism=mechanism)
    outputs = tuple(OutputSpec(name=n, shape=state[n].shape) for n in sorted(state))
    plan = plan.model_copy(update={"lora": lora, "outputs": outputs})
    inputs = TrainingInputs(plan, base, {"reward": state}, TrainingTable(rows))
    update = train(inputs, NoiseSource.seeded(1, "north", plan.digest, 1)).tensors
    assert set(update) == set(state)
    assert all(np.abs(array).max() > 0 for array in update.values())


def test_a_missing_tensor_below_the_depth_is_refused(tiny: Any, lora_at: Any) -> None:
    base, lora = tiny("llama"), lora_at("llama", 1)
    state = moved(base, lora)
    name = next(n for n in state if ".lora_" in n)
    with adapted(base, lora, ("reward",)) as model, pytest.raises(ContractError):
        model.load("reward", {n: a for n, a in state.items() if n != name})


def test_a_policy_may_lack_no_block(tiny: Any, lora_at: Any) -> None:
    base, lora = tiny("llama"), lora_at("llama", 1)
    factors = {n: a for n, a in moved(base, lora).items() if ".lora_" in n}
    with adapted(base, lora, ("policy",)) as model, pytest.raises(ContractError):
        model.load("policy", factors)


@pytest.mark.parametrize("stage", [Stage.SFT, Stage.REWARD])
def test_more_blocks_than_the_model_has_are_refused_at_the_first_stage(
    tiny: Any, lora_at: Any, stage: Stage
) -> None:
    with pytest.raises(ModelError, match=r"lora\.reward\.depth"):
        initial_state(tiny("llama"), lora_at("llama", 3), stage, 3)


def test_a_policy_stage_takes_its_reward_at_that_depth(rewarded_of: Any, record_of: Any) -> None:
    rows = [record_of(Stage.RLOO, PUBLIC_UNIT, n) for n in range(4)]
    inputs = rewarded_of(Stage.RLOO, rows)
    lora = inputs.plan.lora
    half = lora.model_copy(update={"reward": lora.reward.model_copy(update={"depth": 1})})
    names = initial_state(inputs.base, half, Stage.REWARD, 5)
    reward = {n: array for n, array in inputs.adapters["reward"].items() if n in names}
    assert len(reward) < len(inputs.adapters["reward"])
    read = replace(
        inputs,
        plan=inputs.plan.model_copy(update={"lora": half}),
        adapters=dict(inputs.adapters) | {"reward": reward},
    )
    first, second = (
        train(run, NoiseSource.seeded(1, "north", "0" * 64, 1)).tensors for run in (inputs, read)
    )
    assert set(first) == set(second)
    assert any(not np.array_equal(first[n], second[n]) for n in first)


def test_a_single_head_may_start_at_zero_and_members_may_not(tiny: Any, lora_of: Any) -> None:
    lora = lora_of("llama").model_copy(update={"reward": RewardHeads(start="zero")})
    assert not initial_state(tiny("llama"), lora, Stage.REWARD, 3)["score.weight"].any()
    assert initial_state(tiny("llama"), lora_of("llama"), Stage.REWARD, 3)["score.weight"].all()
    with pytest.raises(ValidationError, match="start apart"):
        RewardHeads(members=2, start="zero")
