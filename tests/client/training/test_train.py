"""Whole rounds: they learn, repeat byte for byte, send what the plan names, refuse what does not fit."""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from typing import Any

import numpy as np
import pytest
import torch

from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PairRecord, PromptRecord, SftRecord
from intraward_client.training.inputs import ROLES, TrainingInputs
from intraward_client.training.train import TRAINERS, train
from intraward_shared.adapters import State, apply_update, encode
from intraward_shared.errors import ContractError, TrainingAborted
from intraward_shared.generation import generate_texts, score_texts
from intraward_shared.modeling import adapted
from intraward_shared.protocol import Mechanism
from intraward_shared.stages import Part, Stage, trained_names

STAGES = (Stage.SFT, Stage.REWARD, Stage.DPO, Stage.PPO, Stage.RLOO)
GOOD = "w1"


def noise(seed: int = 1) -> NoiseSource:
    return NoiseSource.seeded(seed, "north", "0" * 64, 1)


def mechanism(**other: Any) -> Mechanism:
    values = {"sample_rate": 0.5, "noise_multiplier": 0.5, "max_grad_norm": 1.0, "steps": 2}
    return Mechanism(max_records_per_unit=2, **(values | {"nominal_batch": 4} | other))


def rows_of(stage: Stage, record_of: Any, private: bool) -> list[Any]:
    return [record_of(stage, f"u{index // 2}" if private else "public", index) for index in range(12)]


def rule_pairs(count: int, unit: str | None = None) -> list[PairRecord]:
    """Pairs of one to five words each; the better answer says GOOD somewhere, the other does not."""
    draw = np.random.default_rng(0)
    pairs = []
    for index in range(count):
        good, bad = ([f"w{n}" for n in draw.integers(2, 20, size=draw.integers(1, 6))] for _ in range(2))
        good[int(draw.integers(0, len(good)))] = GOOD
        prompt = f"w{draw.integers(2, 20)}"
        pairs.append(PairRecord(unit or f"u{index}", prompt, " ".join(good), " ".join(bad), 0.0))
    return pairs


def trained_state(inputs: TrainingInputs, update: State) -> dict[str, Any]:
    return apply_update(inputs.adapters[inputs.plan.trained_input], update)


def accuracy(inputs: TrainingInputs, state: State, pairs: list[PairRecord]) -> float:
    with adapted(inputs.base, inputs.plan.lora, ("reward",)) as model:
        model.load("reward", state)
        model.use("reward")
        chosen, rejected = (
            score_texts(model, [(p.prompt, text(p)) for p in pairs], max_prompt=4, max_completion=6)
            for text in (attrgetter("chosen"), attrgetter("rejected"))
        )
    return float((chosen > rejected).float().mean())


def share_good(inputs: TrainingInputs, state: State) -> float:
    """Share of the policy's sampled answers that say GOOD."""
    with adapted(inputs.base, inputs.plan.lora, ("policy",)) as model:
        model.load("policy", {n: a for n, a in state.items() if ".lora_" in n})
        model.use("policy")
        generator = torch.Generator().manual_seed(0)
        prompts = [f"w{index % 20}" for index in range(200)]
        texts = generate_texts(model, prompts, max_prompt=4, max_new=6, generator=generator)
    return sum(GOOD in text.split() for text in texts) / len(texts)


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("stage", STAGES)
def test_update_holds_the_plans_tensors_and_repeats(
    stage: Stage, private: bool, inputs_of: Any, record_of: Any
) -> None:
    terms = mechanism() if private else None
    for part in (Part.A, Part.B):
        inputs = inputs_of(
            stage,
            rows_of(stage, record_of, private),
            scale=0.05,
            mechanism=terms,
            part=part,
            steps=2,
            batch=4,
        )
        told: list[float] = []
        update = train(inputs, noise(), told.append)
        names = trained_names(stage, part, tuple(inputs.adapters[inputs.plan.trained_input]))
        assert tuple(sorted(update.tensors)) == names
        assert update.plan_digest == inputs.plan.digest
        assert all(array.dtype == np.float32 and abs(array).max() > 0 for array in update.tensors.values())
        assert told == [0.5, 1.0]
        assert encode(train(inputs, noise()).tensors) == encode(update.tensors)
        assert encode(train(inputs, noise(2)).tensors) != encode(update.tensors)
        assert "array" not in repr(update) + repr(inputs)


def test_global_random_state_does_not_matter(inputs_of: Any, record_of: Any) -> None:
    inputs = inputs_of(Stage.PPO, rows_of(Stage.PPO, record_of, True), scale=0.05, mechanism=mechanism())
    updates = []
    for seed in (0, 1):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            updates.append(encode(train(inputs, noise()).tensors))
    assert updates[0] == updates[1]


def test_base_and_inputs_are_unchanged(inputs_of: Any, record_of: Any) -> None:
    inputs = inputs_of(Stage.PPO, rows_of(Stage.PPO, record_of, False), scale=0.05)
    weights = {n: p.detach().clone() for n, p in inputs.base.network.named_parameters()}
    before = {role: encode(state) for role, state in inputs.adapters.items()}
    train(inputs, noise())
    after = dict(inputs.base.network.named_parameters())
    assert set(weights) == set(after)
    assert all(torch.equal(weight, after[name]) for name, weight in weights.items())
    assert before == {role: encode(state) for role, state in inputs.adapters.items()}


def test_a_private_round_without_patients_looks_like_any_other(inputs_of: Any) -> None:
    update = train(inputs_of(Stage.REWARD, [], mechanism=mechanism()), noise())
    assert all(np.isfinite(array).all() and abs(array).max() > 0 for array in update.tensors.values())


def test_bf16_round_runs(inputs_of: Any, record_of: Any) -> None:
    for stage in STAGES:
        rows = rows_of(stage, record_of, True)
        update = train(inputs_of(stage, rows, scale=0.05, mechanism=mechanism(), bf16=True), noise())
        assert all(np.isfinite(array).all() for array in update.tensors.values())


def test_sft_learns_an_answer(inputs_of: Any) -> None:
    rows = [SftRecord("public", f"w{index}", "w1 w1 w1") for index in range(20)]
    inputs = inputs_of(Stage.SFT, rows, steps=25, batch=10, learning_rate=0.02)
    before = share_good(inputs, inputs.adapters["policy"])
    after = share_good(inputs, trained_state(inputs, train(inputs, noise()).tensors))
    assert before < 0.5 < 0.9 < after


def test_reward_model_learns_a_rule_in_public_and_under_privacy(inputs_of: Any) -> None:
    held_out = rule_pairs(300)[200:]
    public = inputs_of(Stage.REWARD, rule_pairs(200, "public"), steps=30, batch=32)
    assert 0.2 < accuracy(public, public.adapters["reward"], held_out) < 0.8
    assert accuracy(public, trained_state(public, train(public, noise()).tensors), held_out) > 0.95
    terms = mechanism(sample_rate=0.25, noise_multiplier=0.8, steps=40, nominal_batch=50)
    private = inputs_of(Stage.REWARD, rule_pairs(200), mechanism=terms)
    assert accuracy(private, trained_state(private, train(private, noise()).tensors), held_out) > 0.85


def test_dpo_raises_what_was_chosen(inputs_of: Any) -> None:
    inputs = inputs_of(Stage.DPO, rule_pairs(64, "public"), steps=20, batch=32)
    before = share_good(inputs, inputs.adapters["policy"])
    after = share_good(inputs, trained_state(inputs, train(inputs, noise()).tensors))
    assert after > before + 0.2


@pytest.mark.parametrize("private", [False, True])
def test_ppo_raises_the_reward_of_a_rule(private: bool, inputs_of: Any) -> None:
    learnt = inputs_of(Stage.REWARD, rule_pairs(200, "public"), steps=30, batch=32)
    reward = trained_state(learnt, train(learnt, noise()).tensors)
    count, terms = 64, None
    if private:
        count = 256
        terms = mechanism(sample_rate=0.5, noise_multiplier=0.5, steps=25, nominal_batch=128)
    units = [f"u{index}" if private else "public" for index in range(count)]
    prompts = [PromptRecord(unit, str(index), f"w{index % 20}") for index, unit in enumerate(units)]
    spec = {"steps": 20, "batch": 64, "epochs": 2, "learning_rate": 0.02, "kl_coef": 0.02, "score_std": 3.0}
    inputs = inputs_of(Stage.PPO, prompts, mechanism=terms, micro_batch=128, **spec)
    inputs = dataclasses.replace(inputs, adapters={**inputs.adapters, "reward": reward})
    before = share_good(inputs, inputs.adapters["policy"])
    after = share_good(inputs, trained_state(inputs, train(inputs, noise()).tensors))
    assert after > before + 0.3


def test_inputs_that_do_not_fit_are_refused(inputs_of: Any, record_of: Any) -> None:
    private_rows = rows_of(Stage.REWARD, record_of, True)
    with pytest.raises(ContractError, match="privacy mechanism"):
        train(inputs_of(Stage.REWARD, private_rows), noise())
    with pytest.raises(ContractError, match="simulated plan"):
        train(inputs_of(Stage.REWARD, private_rows, mechanism=mechanism(), simulated=False), noise())
    with pytest.raises(ContractError, match="not those of stage"):
        train(inputs_of(Stage.SFT, private_rows, mechanism=mechanism()), noise())
    good = inputs_of(Stage.PPO, rows_of(Stage.PPO, record_of, True), mechanism=mechanism())
    for role in ROLES[Stage.PPO]:
        fewer = {name: state for name, state in good.adapters.items() if name != role}
        with pytest.raises(ContractError, match="adapter"):
            train(dataclasses.replace(good, adapters=fewer), noise())
    for role, head in (("policy", "value_head.weight"), ("reward", "score.weight")):
        headless = {name: array for name, array in good.adapters[role].items() if name != head}
        with pytest.raises(ContractError, match=r"lacks|score head"):
            train(dataclasses.replace(good, adapters={**good.adapters, role: headless}), noise())


def test_an_error_in_training_says_its_type_and_nothing_else(
    inputs_of: Any, record_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("text of a note")

    monkeypatch.setitem(TRAINERS, Stage.REWARD, fail)
    inputs = inputs_of(Stage.REWARD, rows_of(Stage.REWARD, record_of, True), mechanism=mechanism())
    with pytest.raises(TrainingAborted, match="RuntimeError") as caught:
        train(inputs, noise())
    assert "note" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_noise_source_serves_one_round_only(inputs_of: Any, record_of: Any) -> None:
    inputs = inputs_of(Stage.REWARD, rows_of(Stage.REWARD, record_of, True), mechanism=mechanism())
    source = noise()
    train(inputs, source)
    with pytest.raises(TrainingAborted, match="drawn before"):
        train(inputs, source)


def test_a_public_record_without_a_finite_loss_counts_as_zero_and_is_flagged(inputs_of: Any) -> None:
    """The run goes on; the step is the one that a record without any gradient would have given."""
    good = rule_pairs(5, "public")
    spoiled = [*good[:4], dataclasses.replace(good[4], margin=float("nan"))]
    options: dict[str, Any] = {"steps": 1, "batch": 5, "micro_batch": 2}
    update = train(inputs_of(Stage.REWARD, spoiled, **options), noise())
    assert update.flagged and all(np.isfinite(array).all() for array in update.tensors.values())
    assert not train(inputs_of(Stage.REWARD, good, **options), noise()).flagged
    with pytest.raises(TrainingAborted, match="no record of a public step has a finite loss"):
        train(inputs_of(Stage.REWARD, [spoiled[4]], **(options | {"batch": 1})), noise())
