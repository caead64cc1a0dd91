"""What would couple patients cannot be built from the parts: each row's loss is its own affair.

Section 6 of DESIGN.md lists the couplings (whitening, batch statistics and divisors, running rewards,
adaptive KL, expert capacity, ...). Here every stage's losses are computed with and without neighbours,
outliers among them, and must not move; whatever statistic of a batch somebody adds will fail this.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import MixtralConfig, MixtralForCausalLM, PreTrainedTokenizerFast

from intraward_client.privacy.engine import PrivateEngine
from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PairRecord, PromptRecord
from intraward_client.training import dpo, ppo, reward, rloo, rollout, sft
from intraward_client.training.inputs import ROLES
from intraward_client.training.rollout import Experience
from intraward_client.training.schedule import open_engine
from intraward_client.training.train import train
from intraward_shared.errors import ModelError
from intraward_shared.modeling import adapted, load_base
from intraward_shared.protocol import Mechanism
from intraward_shared.stages import ON_POLICY, Stage

MODULES = {Stage.SFT: sft, Stage.REWARD: reward, Stage.DPO: dpo}


def mechanism(**other: Any) -> Mechanism:
    values: dict[str, Any] = {"sample_rate": 1.0, "noise_multiplier": 1.0, "steps": 3, "nominal_batch": 4}
    return Mechanism(max_grad_norm=0.5, max_records_per_unit=8, **(values | other))


def noise() -> NoiseSource:
    return NoiseSource.seeded(1, "north", "0" * 64, 1)


def counted_steps(patch: pytest.MonkeyPatch) -> list[int]:
    """A list that gets a 1 for every step of a private engine."""
    steps: list[int] = []
    step = PrivateEngine.step

    def counting(*args: Any) -> None:
        steps.append(1)
        step(*args)

    patch.setattr(PrivateEngine, "step", counting)
    return steps


@pytest.mark.parametrize("stage", list(MODULES))
def test_a_records_loss_is_the_same_alone_and_among_others(
    stage: Stage, inputs_of: Any, record_of: Any
) -> None:
    records = [record_of(stage, f"u{index}", index) for index in range(6)]
    if stage is not Stage.SFT:
        records[3] = dataclasses.replace(records[3], margin=1e30)
    inputs = inputs_of(stage, records, scale=0.2, mechanism=mechanism())
    with adapted(inputs.base, inputs.plan.lora, ROLES[stage]) as model:
        inputs.load(model)
        model.use(inputs.plan.trained_input)
        losses = partial(MODULES[stage].losses, inputs, model)
        together = losses(records).losses
        for index in (0, 2, 5):
            alone = losses([records[index]]).losses
            assert float(alone) == pytest.approx(float(together[index]), rel=1e-5)


@pytest.mark.parametrize("rewards", ["inputs_of", "rewarded_of"])
@pytest.mark.parametrize("stage", ON_POLICY)
def test_a_rollout_and_its_loss_are_the_same_alone_and_among_others(
    stage: Stage, rewards: str, record_of: Any, request: pytest.FixtureRequest
) -> None:
    """With the reward model alone, and with heads, veto, uncertainty penalty, rules, critique and length."""
    records = [record_of(stage, f"u{index}", index) for index in range(5)]
    made = request.getfixturevalue(rewards)
    inputs = made(stage, records, scale=0.2, mechanism=mechanism(), micro_batch=8)
    group, loss_of = rollout.group_of(inputs), (ppo if stage is Stage.PPO else rloo).losses
    with adapted(inputs.base, inputs.plan.lora, ROLES[stage]) as model:
        inputs.load(model)
        model.use("policy")
        together = rollout.collect(inputs, model, noise(), 0, records)
        if rewards == "rewarded_of":
            vetoed = together.scores[: 5 * group] == inputs.plan.training.shaping.veto_reward
            assert 0 < int(vetoed.sum()) < len(vetoed)
        losses = loss_of(inputs, model, together, range(5)).losses
        for index in range(5):
            alone = rollout.collect(inputs, model, noise(), 0, [records[index]])
            for field in dataclasses.fields(Experience):
                own = slice(index * group, (index + 1) * group)
                one, other = getattr(alone, field.name)[:group], getattr(together, field.name)[own]
                assert torch.allclose(one.double(), other.double(), rtol=1e-4, atol=1e-5), field.name
            assert float(loss_of(inputs, model, alone, [0]).losses[0]) == pytest.approx(
                float(losses[index]), rel=1e-4, abs=1e-6
            )


def test_a_private_round_makes_the_plans_steps_whatever_the_data_and_one_pass_over_each(
    inputs_of: Any, record_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No early stop, no second epoch: easy rows, contradictory rows and no rows take as many steps."""
    easy = [PairRecord(f"u{i}", "w1", "w2 w3", "w4", row_id=f"r{i}") for i in range(4)]
    hard = [dataclasses.replace(r, chosen=r.rejected, rejected=r.chosen) for r in easy[:2]] + easy[2:]
    for stage, rows in (
        (Stage.REWARD, easy),
        (Stage.REWARD, hard),
        (Stage.REWARD, []),
        (Stage.PPO, [record_of(Stage.PPO, "u", 1)]),
        (Stage.RLOO, [record_of(Stage.RLOO, "u", 1)]),
    ):
        shares: list[float] = []
        with monkeypatch.context() as patch:
            steps = counted_steps(patch)
            train(inputs_of(stage, rows, mechanism=mechanism(), epochs=4), noise(), shares.append)
        assert sum(steps) == 3
        assert shares == pytest.approx([1 / 3, 2 / 3, 1.0])


def test_a_model_that_routes_to_experts_is_not_loaded(tmp_path: Path) -> None:
    words = Tokenizer(WordLevel({"<unk>": 0, "</s>": 1, "a": 2}, unk_token="<unk>"))
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", eos_token="</s>").save_pretrained(
        tmp_path
    )
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "vocab_size": 3}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "num_local_experts": 2}
    with torch.random.fork_rng():
        MixtralForCausalLM(MixtralConfig(**sizes, **heads)).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="couples the rows"):
        load_base(tmp_path)


@pytest.mark.parametrize("bf16", [False, True])
def test_nobodys_rollout_changes_when_the_longest_prompt_leaves(
    bf16: bool, inputs_of: Any, record_of: Any
) -> None:
    """Shapes set by a neighbour change rounding, rounding a token, and a token the rest of an answer."""
    bound = 0.01
    long = PromptRecord("u-long", "p-long", "w1 w2 w3 w4")
    others = [PromptRecord(f"u{i}", f"p{i}", " ".join(["w5", f"w{i % 20}"][: 1 + i % 2])) for i in range(30)]
    records = [*others[:7], long, *others[7:]]
    options: dict[str, Any] = {"scale": 0.3, "bf16": bf16, "micro_batch": 16, "max_completion_tokens": 24}
    inputs = inputs_of(Stage.PPO, [], mechanism=mechanism(), **options)
    plan = inputs.plan.model_copy(
        update={"mechanism": inputs.plan.mechanism.model_copy(update={"max_grad_norm": bound})}
    )
    inputs = dataclasses.replace(inputs, plan=plan)
    with adapted(inputs.base, inputs.plan.lora, ROLES[Stage.PPO]) as model:
        inputs.load(model)
        model.use("policy")
        whole, less = (rollout.collect(inputs, model, noise(), 0, part) for part in (records, others))
        places = [place for place, record in enumerate(records) if record is not long]
        kept = whole.rows(places)
        assert torch.equal(kept.ids, less.rows(range(30)).ids)
        assert torch.equal(kept.advantages, less.rows(range(30)).advantages)
        with open_engine(inputs, model, noise()) as engine:
            assert isinstance(engine, PrivateEngine)
            sums = [
                engine.clipped_sum([[i] for i in range(count)], partial(ppo.losses, inputs, model, seen), 0)
                for seen, count in ((whole, 31), (less, 30))
            ]
    moved = sum(float((sums[0][name] - sums[1][name]).square().sum()) for name in sums[0]) ** 0.5
    assert 0 < moved <= bound * (1 + 1e-5)
