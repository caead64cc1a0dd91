"""Rollouts: each row stands alone, the first step starts at ratio 1, roles do not mix."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PromptRecord
from intraward_client.training import ppo, rollout
from intraward_client.training.inputs import ROLES, TrainingInputs
from intraward_client.training.rollout import Experience, evaluate_policy, join
from intraward_shared.generation import Rollout, decode, sample, score_texts
from intraward_shared.modeling import AdaptedModel, acting_as, adapted
from intraward_shared.scoring import appraise_rollout
from intraward_shared.stages import Stage

PROMPTS = ("w1", "w2 w3 w4 w5", "w6 w7", "w8 w9 w1", "w2 w2")


@contextmanager
def loaded(inputs: TrainingInputs) -> Iterator[AdaptedModel]:
    with adapted(inputs.base, inputs.plan.lora, ROLES[Stage.PPO]) as model:
        inputs.load(model)
        model.use("policy")
        yield model


def records(prompts: tuple[str, ...] = PROMPTS) -> list[PromptRecord]:
    return [PromptRecord("public", prompt, prompt) for prompt in prompts]


def collect(inputs: TrainingInputs, model: AdaptedModel, rows: list[PromptRecord]) -> Experience:
    return rollout.collect(inputs, model, NoiseSource.seeded(1, "north", "0" * 64, 1), 0, rows)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_ratio_is_one_before_the_first_step(kind: str, temperature: float, inputs_of: Any) -> None:
    many = records(tuple(f"{prompt} w{index}" for index in range(20) for prompt in PROMPTS))
    inputs = inputs_of(Stage.PPO, many, kind, scale=0.1, temperature=temperature, micro_batch=30)
    with loaded(inputs) as model, torch.no_grad():
        experience = collect(inputs, model, many)
        terms = ppo.rollout_terms(inputs, model, experience)
    assert len({int(n) for n in experience.mask.sum(1)}) > 1  # ragged, so that padding is on trial
    assert float((terms.ratio - 1)[experience.mask].abs().max()) < 1e-5


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_logprobs_are_those_of_the_sampling_distribution(kind: str, inputs_of: Any) -> None:
    """The full forward pass agrees with the cached one that sampled, token by token."""
    inputs = inputs_of(Stage.PPO, records(), kind, scale=0.1)
    ids = [inputs.prompt_ids(prompt) for prompt in PROMPTS]
    with loaded(inputs) as model, torch.no_grad():
        drawn = sample(model, ids, 6, torch.Generator().manual_seed(1), 0.7)
        whole = torch.cat([drawn.prompts, drawn.completions], 1)
        attention = torch.cat([drawn.prompt_mask, drawn.completion_mask.long()], 1)
        found, _ = evaluate_policy(model, whole, attention, drawn.completions.shape[1], 0.7)
    kept = drawn.completion_mask
    torch.testing.assert_close(found[kept], drawn.logprobs[kept], atol=1e-4, rtol=0)


def test_uniforms_choose_each_token_by_inverting_its_distribution(inputs_of: Any) -> None:
    inputs = inputs_of(Stage.PPO, records(), scale=0.1)
    high = 1 - 1e-15
    uniforms = torch.tensor([[0, high, 0], [high, 0, high]], dtype=torch.float64)
    with loaded(inputs) as model:
        drawn = sample(model, [[4], [5]], 3, uniforms)
    assert drawn.completions.tolist() == [[0, 23, 0], [23, 0, 23]]


def test_each_role_brings_its_own_tensors(inputs_of: Any) -> None:
    inputs = inputs_of(Stage.PPO, records(), scale=0.1)
    owners = {"value_head.weight": "policy", "value_head.bias": "policy", "score.weight": "reward"}
    with loaded(inputs) as model:
        for name, role in owners.items():
            assert (model.state("policy", (name,))[name] == inputs.adapters[role][name]).all()
        for role in ROLES[Stage.PPO]:
            for name, array in model.state(role, tuple(model.lora(role))).items():
                assert (array == inputs.adapters[role][name]).all()


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_row_does_not_depend_on_its_neighbours(kind: str, inputs_of: Any) -> None:
    inputs = inputs_of(Stage.PPO, records(), kind, scale=0.1)
    with loaded(inputs) as model:
        together = collect(inputs, model, records())
        for index, record in enumerate(records()):
            alone = collect(inputs, model, [record])
            tokens = int(alone.mask.sum())
            assert int(together.mask[index].sum()) == tokens
            for name in ("logprobs", "values", "advantages", "returns"):
                first, second = getattr(alone, name)[0, :tokens], getattr(together, name)[index, :tokens]
                torch.testing.assert_close(first, second, atol=2e-5, rtol=1e-4)
            torch.testing.assert_close(alone.scores[0], together.scores[index], atol=2e-5, rtol=1e-4)


def test_policy_equal_to_its_reference_has_no_kl_and_another_has(inputs_of: Any) -> None:
    inputs = inputs_of(Stage.PPO, records(), scale=0.1)
    same = dataclasses.replace(inputs, adapters={**inputs.adapters, "reference": inputs.adapters["policy"]})
    with loaded(same) as model:
        assert float(collect(same, model, records()).kl.abs().max()) < 1e-5
    with loaded(inputs) as model:
        assert float(collect(inputs, model, records()).kl.abs().max()) > 1e-2


def test_scores_are_the_reward_models_own(inputs_of: Any) -> None:
    inputs = inputs_of(Stage.PPO, records(), scale=0.1)
    ids = [[4, 5], [6]]
    completions = torch.tensor([[7, 8, 3], [9, 10, 11]])  # the first stops by itself, the second is cut off
    mask = torch.ones_like(completions, dtype=torch.bool)
    rollout = Rollout(torch.zeros(2, 2), torch.ones(2, 2), completions, mask, torch.zeros(2, 3), None, 3)
    with loaded(inputs) as model:
        found = appraise_rollout(model, ids, rollout).score
        assert model.role == "policy"
        texts = list(zip(("w0 w1", "w2"), decode(inputs.base, rollout), strict=True))
        with acting_as(model, "reward"):
            expected = score_texts(model, texts, max_prompt=8, max_completion=8)
    torch.testing.assert_close(found, expected)
    assert rollout.ended.tolist() == [True, False]


def test_roles_give_back_what_wanted_gradients(inputs_of: Any) -> None:
    inputs = inputs_of(Stage.PPO, records())
    with loaded(inputs) as model:
        wanting = model.parameters_of("policy", inputs.trained)
        for parameter in wanting.values():
            parameter.requires_grad_(True)
        with acting_as(model, "reward"):
            assert model.role == "reward"
            assert not any(p.requires_grad for p in model.parameters())
        assert {id(p) for p in model.parameters() if p.requires_grad} == {id(p) for p in wanting.values()}


def test_join_pads_prompts_left_and_answers_right(inputs_of: Any) -> None:
    inputs = inputs_of(Stage.PPO, records(), scale=0.1)
    with loaded(inputs) as model, torch.no_grad():
        parts = [collect(inputs, model, [record]) for record in records()[:3]]
        whole = join(inputs.base, parts, prompt_tokens=6, new_tokens=8)
        assert whole.ids.shape == (3, 14)
        assert whole.mask.shape == (3, 8)
        terms = ppo.rollout_terms(inputs, model, whole)
    assert float((terms.ratio - 1)[whole.mask].abs().max()) < 1e-5
    assert len(join(inputs.base, [])) == 0
