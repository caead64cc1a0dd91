"""Shaped rewards: literal figures, and nobody's reward moves with the rows beside it."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import pytest
import torch

from intraward_client.privacy.engine import PrivateEngine
from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PromptRecord
from intraward_client.training import ppo, rollout
from intraward_client.training.inputs import ROLES
from intraward_client.training.schedule import open_engine
from intraward_client.training.scoring import shaped_scores
from intraward_shared.generation import sample
from intraward_shared.modeling import adapted
from intraward_shared.protocol import Mechanism
from intraward_shared.scoring import judged_scores, soft_overlong
from intraward_shared.shaping import ShapingTerms
from intraward_shared.stages import Stage

BOUND = 0.01
MECHANISM = Mechanism(
    sample_rate=0.5,
    noise_multiplier=1.0,
    max_grad_norm=BOUND,
    steps=2,
    nominal_batch=4,
    max_records_per_unit=8,
)
SHAPING: dict[str, Any] = {
    "rules": [
        {"kind": "avoid", "name": "avoid", "terms": ["w1", "w2", "w3"], "penalty": 0.5},
        {"kind": "mention", "name": "mention", "terms": ["w4", "w5", "w6"], "penalty": 0.25},
        {"kind": "avoid", "name": "never", "terms": ["w7", "w8"], "unless": ["w9"], "veto": True},
        {"kind": "repetition", "name": "again", "words": 1, "share": 0.2, "penalty": 1.0},
    ],
    "veto_reward": -9.0,
    "critique": [{"name": "uncertainty"}, {"name": "no-promises"}],
    "critique_coef": 0.5,
    "overlong_tokens": 3,
    "overlong_penalty": 2.0,
}


def noise() -> NoiseSource:
    return NoiseSource.seeded(1, "north", "0" * 64, 1)


def test_length_penalty_is_trls() -> None:
    """TRL 1.16, ``get_soft_overlong_punishment(max_completion_len=10, soft_punish_cache=4)``."""
    found = soft_overlong(torch.tensor([0, 5, 6, 7, 8, 10, 11, 50]), 10, 4)
    assert found.tolist() == [0, 0, 0, -0.25, -0.5, -1, -1, -1]


def test_penalties_are_subtracted_critique_is_added_and_a_veto_replaces() -> None:
    terms = ShapingTerms.model_validate(SHAPING)
    answers = ["w4 may", "w4 w1", "w10 guaranteed", "w7 w4 may w5"]
    found = judged_scores(terms, torch.full((4,), 2.0), ["w0"] * 4, answers)
    assert found.tolist() == [2.5, 1.75, 1.75, -9.0]
    assert judged_scores(terms, torch.tensor([5.0]), ["w9"], ["w7 w4 may w5"]).tolist() == [5.5]


def test_shaped_scores_are_score_then_length_then_rules(inputs_of: Any) -> None:
    plain = inputs_of(Stage.PPO, [], scale=0.2)
    shaped = inputs_of(Stage.PPO, [], scale=0.2, shaping=SHAPING)
    prompts = [f"w{i} w9" for i in range(12)]
    rows = [plain.prompt_ids(prompt) for prompt in prompts]
    with adapted(plain.base, plain.plan.lora, ROLES[Stage.PPO]) as model:
        plain.load(model)
        model.use("policy")
        drawn = sample(model, rows, 6, noise().uniforms("rollout", 0, "x", 6).expand(12, 6).clone())
        before = shaped_scores(plain, model, prompts, rows, drawn)
        after = shaped_scores(shaped, model, prompts, rows, drawn)
        texts = rollout_texts(plain, drawn)
    late = soft_overlong(drawn.completion_mask.sum(-1), 6, 3).to(before.dtype)
    terms = shaped.plan.training.shaping
    torch.testing.assert_close(after, judged_scores(terms, before + 2 * late, prompts, texts))
    assert not torch.equal(before, after) and after.dtype == before.dtype


def rollout_texts(inputs: Any, drawn: Any) -> list[str]:
    words = [
        [token for token, kept in zip(tokens, mask, strict=True) if kept]
        for tokens, mask in zip(drawn.completions.tolist(), drawn.completion_mask.tolist(), strict=True)
    ]
    return [inputs.base.tokenizer.decode(row, skip_special_tokens=True) for row in words]


def test_a_shaped_reward_is_the_same_alone_and_among_others(inputs_of: Any) -> None:
    records = [PromptRecord(f"u{i}", f"p{i}", f"w{i} w{2 * i}") for i in range(7)]
    inputs = inputs_of(Stage.PPO, records, scale=0.2, mechanism=MECHANISM, micro_batch=8, shaping=SHAPING)
    with adapted(inputs.base, inputs.plan.lora, ROLES[Stage.PPO]) as model:
        inputs.load(model)
        model.use("policy")
        together = rollout.collect(inputs, model, noise(), 0, records)
        for index in range(len(records)):
            alone = rollout.collect(inputs, model, noise(), 0, [records[index]])
            assert float(alone.scores[0]) == pytest.approx(float(together.scores[index]), abs=1e-5)
    assert len({round(float(score), 3) for score in together.scores}) > 3


def test_one_patient_more_moves_the_sum_by_the_clip_norm_at_most_under_shaping(inputs_of: Any) -> None:
    draw = random.Random(5)
    units = [
        [
            PromptRecord(f"u{u}", f"u{u}-{n}", f"w{draw.randrange(20)} w{draw.randrange(20)}")
            for n in range(1 + u % 3)
        ]
        for u in range(6)
    ]
    inputs = inputs_of(Stage.PPO, [], scale=0.3, mechanism=MECHANISM, micro_batch=16, shaping=SHAPING)
    with adapted(inputs.base, inputs.plan.lora, ROLES[Stage.PPO]) as model:
        inputs.load(model)
        model.use("policy")
        with open_engine(inputs, model, noise()) as engine:
            assert isinstance(engine, PrivateEngine)

            def summed(present: list[list[PromptRecord]]) -> torch.Tensor:
                seen = rollout.collect(inputs, model, noise(), 0, [r for unit in present for r in unit])
                places = iter(range(len(seen)))
                index = [[next(places) for _ in unit] for unit in present]
                losses = partial(ppo.losses, inputs, model, seen)
                tensors = engine.clipped_sum(index, losses, len(seen) - 1)
                return torch.cat([tensors[name].double().flatten() for name in sorted(tensors)])

            whole = summed(units)
            moves = [float((whole - summed(units[:u] + units[u + 1 :])).norm()) for u in range(len(units))]
    assert 0.99 * BOUND < max(moves) <= BOUND * (1 + 1e-5)
