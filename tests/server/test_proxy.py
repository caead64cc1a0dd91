"""The coordinator's proxy reward is the very reward that the wards' policy stage follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from intraward_client.store.datasets import TrainingTable
from intraward_client.training.inputs import TrainingInputs
from intraward_client.training.scoring import shaped_scores
from intraward_server.checkpoint import ProgramState
from intraward_server.evaluation import Limits, sample_answers
from intraward_server.plans import build_plan, positions, proxy_terms
from intraward_shared.config import parse
from intraward_shared.generation import prompt_ids, sample
from intraward_shared.modeling import BaseModel, adapted, initial_state
from intraward_shared.program import ProgramConfig
from intraward_shared.stages import Stage

PROMPTS = [f"w{n} w{n * 3 % 25}" for n in range(24)]
HEADS = {"members": 3, "criteria": ["accuracy", "safety"], "flags": ["harmful"]}
TERMS: dict[str, Any] = {
    "temperature": 1.0,
    "heads": {
        "criteria": {"accuracy": 0.5},
        "uncertainty_coef": 0.7,
        "veto_criterion": "safety",
        "veto_below": -0.9,
        "veto_flag": 0.95,
        "veto_reward": -20.0,
    },
    "shaping": {
        "rules": [
            {"kind": "avoid", "name": "avoid", "terms": ["w1", "w2"], "penalty": 0.5},
            {"kind": "avoid", "name": "never", "terms": ["w3"], "veto": True},
        ],
        "veto_reward": -20.0,
        "critique": [{"name": "uncertainty"}],
        "critique_coef": 0.5,
        "overlong_tokens": 3,
        "overlong_penalty": 2.0,
    },
}


def configured(program: dict[str, Any], stage: str = "ppo") -> tuple[ProgramConfig, ProgramState]:
    """A program with every term of a reward, and its state as the policy stage has been entered."""
    program["lora"]["reward"] = HEADS
    policy = program["stages"][3]
    policy["stage"], policy["training"] = stage, policy["training"] | TERMS
    if stage == "dpo":
        policy["training"] = {k: v for k, v in policy["training"].items() if k != "shaping"}
    fields = {"run_id": "run", "agreed": "0" * 64, "base_model": "0" * 64, "public_seed": 1}
    state = ProgramState(**fields, reward="1" * 64, score=(0.25, 0.5))  # type: ignore[arg-type]
    return parse(program, ProgramConfig, "program.toml"), state


@pytest.mark.parametrize("stage", ["ppo", "rloo"])
def test_one_answer_has_one_reward(program: dict[str, Any], base: BaseModel, stage: str) -> None:
    config, state = configured(program, stage)
    at = positions(config)[-1]
    draw = np.random.default_rng(4)
    adapters = {
        role: {n: a + draw.normal(0, 0.3, a.shape).astype(np.float32) for n, a in made.items()}
        for role, made in (
            (role, initial_state(base, config.lora, kind, 2))
            for role, kind in (
                ("policy", at.stage.stage),
                ("reference", at.stage.stage),
                ("reward", Stage.REWARD),
            )
        )
    }
    plan = build_plan(config, state, at, {}, adapters["policy"], None)
    inputs = TrainingInputs(plan, base, adapters, TrainingTable(()))
    proxy = proxy_terms(config, state)
    assert proxy is not None and proxy == plan.training
    with adapted(base, config.lora, ("policy", "reference", "reward")) as model:
        inputs.load(model)
        limits = Limits(8, 6, 1.0, len(PROMPTS))
        ours = sample_answers(model, "policy", PROMPTS, limits, 5, terms=proxy).rewards
        model.use("policy")
        rows = [prompt_ids(base, prompt, 8) for prompt in PROMPTS]
        rollout = sample(model, rows, 6, torch.Generator().manual_seed(5), 1.0)
        theirs = shaped_scores(inputs, model, PROMPTS, rows, rollout)
    np.testing.assert_allclose(ours, theirs.tolist(), atol=1e-6)
    vetoed = sum(score == -20.0 for score in ours)
    assert 0 < vetoed < len(PROMPTS) and len({round(score, 3) for score in ours}) > 5
    rule_only = plan.training.heads.model_copy(update={"veto_criterion": None, "veto_flag": None})
    lenient = proxy.model_copy(update={"heads": rule_only})
    with adapted(base, config.lora, ("policy", "reference", "reward")) as model:
        inputs.load(model)
        spared = sample_answers(model, "policy", PROMPTS, limits, 5, terms=lenient).rewards
        assert sum(score == -20.0 for score in spared) < vetoed  # the heads' own veto was among them
    plain = replace(inputs, plan=plan.model_copy(update={"training": config.stages[0].training}))
    with adapted(base, config.lora, ("policy", "reference", "reward")) as model:
        plain.load(model)
        assert not np.allclose(ours, shaped_scores(plain, model, PROMPTS, rows, rollout).tolist())


def test_dpo_is_judged_on_the_raw_scale_with_its_heads(program: dict[str, Any]) -> None:
    config, state = configured(program, "dpo")
    proxy = proxy_terms(config, state)
    assert proxy is not None
    assert (proxy.score_mean, proxy.score_std, proxy.missing_eos_penalty) == (0.0, 1.0, 0.0)
    assert proxy.heads == config.stages[3].training.heads and proxy.score_clip > 1e6
    assert proxy_terms(config, state.model_copy(update={"reward": None})) is None
