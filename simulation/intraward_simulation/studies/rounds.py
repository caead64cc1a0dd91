"""Rounds through the product's own ``train``: on public records, or on simulated patients with noise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import SftRecord, TrainingTable
from intraward_client.training.inputs import TrainingInputs
from intraward_client.training.sequences import completion_logprobs
from intraward_client.training.train import train
from intraward_shared.adapters import State, apply_update, shapes, state_digest
from intraward_shared.generation import encode_pairs
from intraward_shared.modeling import AdaptedModel, BaseModel, Role
from intraward_shared.protocol import LoraSpec, Mechanism, OutputSpec, RoundPlan, TrainingSpec
from intraward_shared.scoring import combined_scores
from intraward_shared.stages import Part, Stage, trained_names

SITE = "study"
JUDGED_AT_ONCE = 4
Progress = Callable[[float], None]


def train_public(
    base: BaseModel,
    lora: LoraSpec,
    stage: Stage,
    adapter: State,
    rows: Sequence[Any],
    training: TrainingSpec,
    seed: int,
    progress: Progress | None = None,
    beside: Mapping[Role, State] | None = None,
) -> State:
    """The adapter after ``training.steps`` steps of ``stage`` on public ``rows``.

    Args:
        beside: the other adapters that the stage reads: the reference, and the reward model.
    """
    plan = study_plan(base, lora, stage, Part.BOTH, {**(beside or {}), _role(stage): adapter}, training, seed)
    return apply_update(adapter, update_of(plan, base, adapter, rows, beside or {}, SITE, progress))


def update_of(
    plan: RoundPlan,
    base: BaseModel,
    adapter: State,
    rows: Sequence[Any],
    beside: Mapping[Role, State],
    site: str,
    progress: Progress | None = None,
) -> State:
    """What one site would send for a plan: its update on ``rows``, noised if the plan has a mechanism."""
    adapters = {**beside, _role(plan.stage): adapter}
    inputs = TrainingInputs(plan, base, {str(n): s for n, s in adapters.items()}, TrainingTable(tuple(rows)))
    noise = NoiseSource.seeded(plan.seed or 0, site, plan.digest, 1)
    return train(inputs, noise, progress).tensors


def study_plan(
    base: BaseModel,
    lora: LoraSpec,
    stage: Stage,
    part: Part,
    adapters: Mapping[Role, State],
    training: TrainingSpec,
    seed: int,
    mechanism: Mechanism | None = None,
) -> RoundPlan:
    """A round's plan of a study, simulated; nobody signs it."""
    shape = shapes(adapters[_role(stage)])
    return RoundPlan(
        run_id=SITE,
        round=1,
        stage=stage,
        stage_round=1,
        part=part,
        cohort=(SITE,),
        base_model=base.digest,
        lora=lora,
        inputs={name: state_digest(state) for name, state in adapters.items()},
        training=training,
        mechanism=mechanism,
        outputs=tuple(
            OutputSpec(name=name, shape=shape[name]) for name in trained_names(stage, part, tuple(shape))
        ),
        slot_time="2030-01-01T00:00:00Z",
        expires="2030-01-02T00:00:00Z",
        nonce="0" * 32,
        simulated=True,
        seed=seed,
    )


def _role(stage: Stage) -> Role:
    return "reward" if stage is Stage.REWARD else "policy"


@torch.no_grad()
def answer_scores(
    model: AdaptedModel, prompt: str, answers: Sequence[str], training: TrainingSpec
) -> list[float]:
    """Raw score of each answer as a policy stage would take it: members' mean and weighted criteria.

    Answers of like length share a forward pass.
    """
    scores = [0.0] * len(answers)
    order = sorted(range(len(answers)), key=lambda place: len(answers[place]))
    for start in range(0, len(order), JUDGED_AT_ONCE):
        part = order[start : start + JUDGED_AT_ONCE]
        texts = [(prompt, answers[place]) for place in part]
        rows = encode_pairs(model.base, texts, training.max_prompt_tokens, training.max_completion_tokens)
        found = combined_scores(model.appraise(rows.ids, rows.mask), model.heads, training.heads)
        for place, score in zip(part, found.tolist(), strict=True):
            scores[place] = score
    return scores


@torch.no_grad()
def held_out_losses(model: AdaptedModel, rows: Sequence[SftRecord], training: TrainingSpec) -> list[float]:
    """Mean loss a token of each demonstration, in nats, in the order of ``rows``."""
    found: list[float] = []
    for start in range(0, len(rows), 4):
        texts = [(row.prompt, row.completion) for row in rows[start : start + 4]]
        batch = encode_pairs(model.base, texts, training.max_prompt_tokens, training.max_completion_tokens)
        logprobs = completion_logprobs(model, batch)
        found += (-logprobs.sum(-1) / batch.completion.sum(-1)).tolist()
    return found
