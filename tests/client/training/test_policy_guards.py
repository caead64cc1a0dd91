"""Guards of on-policy training, and RLOO's group: literal numbers, forced stops, broken identities."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PromptRecord
from intraward_client.training import optimise as optimise_module
from intraward_client.training import ppo, rloo
from intraward_client.training.guards import PassFigures, check_identity, tells_to_stop
from intraward_client.training.inputs import ROLES, TrainingInputs
from intraward_client.training.losses.advantage import leave_one_out
from intraward_client.training.losses.policy import rloo_loss
from intraward_client.training.rollout import collect
from intraward_client.training.train import train
from intraward_shared.errors import TrainingAborted
from intraward_shared.modeling import adapted
from intraward_shared.program import StageConfig
from intraward_shared.protocol import Mechanism, TrainingSpec
from intraward_shared.stages import ON_POLICY, Stage

PROMPTS = ("w1", "w2 w3 w4 w5", "w6 w7", "w8 w9 w1")
MECHANISM = Mechanism(
    sample_rate=0.5, noise_multiplier=1.0, max_grad_norm=1.0, steps=2, nominal_batch=4, max_records_per_unit=2
)


def noise() -> NoiseSource:
    return NoiseSource.seeded(1, "north", "0" * 64, 1)


def records() -> list[PromptRecord]:
    return [PromptRecord("public", prompt, prompt) for prompt in PROMPTS]


def tracked(inputs: TrainingInputs) -> tuple[TrainingInputs, list[Mapping[str, float]]]:
    seen: list[Mapping[str, float]] = []
    return replace(inputs, track=lambda _, figures: seen.append(figures)), seen


def test_leave_one_out_is_the_reward_minus_the_siblings_mean() -> None:
    rewards = torch.tensor([1.0, 2.0, 6.0, 5.0, 5.0, 5.0])
    assert leave_one_out(rewards, 3).tolist() == [-3.0, -1.5, 4.5, 0.0, 0.0, 0.0]
    assert leave_one_out(torch.tensor([3.0, 1.0]), 2).tolist() == [2.0, -2.0]


def test_the_loss_of_whole_answers_by_hand() -> None:
    """Two answers at ratio e^0.1 and e^0.5, clipped at 1.2; then one that became less likely."""
    old = torch.zeros(3, 2)
    new = torch.tensor([[0.1, 9.0], [0.25, 0.25], [-0.5, 0.0]])
    mask = torch.tensor([[True, False], [True, True], [True, True]])
    loss = rloo_loss(new, old, torch.tensor([2.0, 2.0, -1.0]), mask, 0.2)
    assert loss.tolist() == pytest.approx([-2 * math.exp(0.1), -2.4, 0.8])


@pytest.mark.parametrize("stage", ON_POLICY)
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_before_the_first_step_ratio_is_one_kl_and_clip_fraction_zero(
    kind: str, stage: Stage, inputs_of: Any
) -> None:
    """LoRA on, T = 0.7, ragged prompts padded on the left; policy and reference are one adapter."""
    inputs = inputs_of(stage, records(), kind, scale=0.1, temperature=0.7)
    same = dict(inputs.adapters) | {"reference": {n: a for n, a in inputs.adapters["policy"].items()}}
    same["reference"] = {n: a for n, a in same["reference"].items() if ".lora_" in n}
    inputs = replace(inputs, adapters=same)
    with adapted(inputs.base, inputs.plan.lora, ROLES[stage]) as model:
        inputs.load(model)
        model.use("policy")
        experience = collect(inputs, model, noise(), 0, records())
        figures = PassFigures(len(PROMPTS))
        losses = (ppo if stage is Stage.PPO else rloo).losses
        losses(inputs, model, experience, range(len(PROMPTS)), figures)
    assert float(experience.kl.abs().max()) < 1e-5
    assert figures.largest < 1e-5 and figures.mean("clipped") == 0.0
    assert abs(figures.mean("ratio") - 1) < 1e-5 and figures.mean("kl") < 1e-6


@pytest.mark.parametrize("stage", ON_POLICY)
def test_a_policy_that_is_not_the_one_that_sampled_stops_the_round(
    stage: Stage, inputs_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warmer(*arguments: Any) -> Any:
        found = collect(*arguments)
        return replace(found, logprobs=found.logprobs * 1.1)  # as if T were forgotten when scoring

    monkeypatch.setattr(optimise_module, "collect", warmer)
    with pytest.raises(TrainingAborted, match="not the one that sampled"):
        train(inputs_of(stage, records(), steps=1, batch=4, scale=0.1), noise())
    private = inputs_of(stage, [PromptRecord("u", "p", "w1")], mechanism=MECHANISM, scale=0.1)
    train(private, noise())  # a guard that read patients' rows could tell of them


def test_a_nan_is_not_taken_for_identity() -> None:
    figures, one = PassFigures(1), torch.ones(1, 1)
    figures.add([0], one * math.nan, one.bool(), 0.2, one[0])
    with pytest.raises(TrainingAborted):
        check_identity(figures, bf16=True)
    assert tells_to_stop(figures, TrainingSpec(learning_rate=0.1, target_kl=1.0))
    assert tells_to_stop(figures, TrainingSpec(learning_rate=0.1, max_ratio=10.0))
    assert not tells_to_stop(figures, TrainingSpec(learning_rate=0.1))


@pytest.mark.parametrize("stage", ON_POLICY)
def test_a_large_learning_rate_ends_the_passes_early(stage: Stage, inputs_of: Any) -> None:
    steps = []
    for options in (dict[str, float](), {"target_kl": 1e-4}):
        inputs, seen = tracked(
            inputs_of(stage, records(), steps=1, batch=4, epochs=6, learning_rate=0.5, scale=0.1, **options)
        )
        count = 0

        def counted(figures: PassFigures, spec: TrainingSpec) -> bool:
            nonlocal count
            count += 1
            return tells_to_stop(figures, spec)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(optimise_module, "tells_to_stop", counted)
            train(inputs, noise())
        steps.append(count)
        assert len(seen) == 1 and all(math.isfinite(value) for value in seen[0].values())
    assert steps[0] == 6 > steps[1] >= 2


def test_the_ratio_stop_looks_at_the_mean_ratio_of_real_rows() -> None:
    figures, ones = PassFigures(2), torch.ones(3, 2)
    figures.add([0, 1, 2], ones * torch.tensor([[2.0], [4.0], [1e6]]), ones.bool(), 0.2, ones[:, 0])
    for most, stopped in ((2.9, True), (3.1, False)):
        assert tells_to_stop(figures, TrainingSpec(learning_rate=0.1, max_ratio=most)) is stopped


def test_stops_are_refused_where_patients_are_charged(inputs_of: Any) -> None:
    training = {"learning_rate": 0.1, "target_kl": 0.1}
    with pytest.raises(ValidationError, match="a charged stage has none"):
        StageConfig.model_validate(
            {"stage": "rloo", "training": training, "mechanism": MECHANISM.model_dump()}
        )
    with pytest.raises(ValidationError, match="may not stop a round"):
        inputs_of(Stage.PPO, [], mechanism=MECHANISM, max_ratio=2.0)


def test_figures_of_a_step_say_what_the_rollouts_were(inputs_of: Any) -> None:
    inputs, seen = tracked(inputs_of(Stage.PPO, records(), steps=2, batch=4, scale=0.1))
    train(inputs, noise())
    names = {"reward", "kl", "entropy", "length", "ended", "loss", "value_loss", "approx_kl"}
    assert len(seen) == 2
    for figures in seen:
        assert names | {"clip_fraction", "ratio"} <= set(figures)
        assert 1 <= figures["length"] <= 6 and 0 <= figures["ended"] <= 1 and figures["entropy"] > 0


def test_rloo_raises_the_reward_that_it_is_given(inputs_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reward says how many of an answer's tokens are one word; the policy learns to say it."""
    word = 5

    def rule(inputs: Any, model: Any, prompts: Any, rows: Any, rollout: Any) -> torch.Tensor:
        kept: torch.Tensor = rollout.completion_mask
        share: torch.Tensor = ((rollout.completions == word) & kept).sum(-1) / kept.sum(-1).clamp(min=1)
        return share

    monkeypatch.setattr("intraward_client.training.rollout.shaped_scores", rule)
    rows = [PromptRecord("public", f"p{n}", f"w{n}") for n in range(16)]
    options: dict[str, Any] = {"steps": 15, "batch": 16, "learning_rate": 0.02, "kl_coef": 0.0, "group": 4}
    inputs, seen = tracked(inputs_of(Stage.RLOO, rows, **options))
    train(inputs, noise())
    assert seen[-1]["reward"] > seen[0]["reward"] + 0.3
