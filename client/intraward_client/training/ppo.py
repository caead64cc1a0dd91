"""PPO against a released reward model (Schulman et al., arXiv 1707.06347; Ziegler et al., 1909.08593).

Departs from the usual recipe wherever that couples patients (facts on PPO, A.5): no whitening, fixed
score constants, fixed ``kl_coef``, no early stop, a fixed divisor in place of the token count. One
rollout batch per step. Public prompts may be reused for ``epochs`` passes; under a mechanism every
pass is another access to the patients drawn, so there is exactly one, and only they are rolled out,
with public fillers up to the plan's number of micro-batches. Every prompt of a patient is one record.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from intraward_client.privacy.engine import RowLosses, padded
from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PromptRecord
from intraward_client.training.inputs import FILLERS, PUBLIC_UNIT, TrainingInputs
from intraward_client.training.losses.policy import PpoTerms, ppo_terms
from intraward_client.training.rollout import Experience, evaluate_policy, join, roll_out
from intraward_client.training.schedule import Progress, draw_batches, open_engine, step_count
from intraward_shared.generation import batches
from intraward_shared.modeling import AdaptedModel
from intraward_shared.stages import Stage


def train_ppo(inputs: TrainingInputs, model: AdaptedModel, noise: NoiseSource, progress: Progress) -> bool:
    """Train the loaded policy and its value head on prompts; what comes back is ``run_steps``'s."""
    passes = 1 if inputs.private else inputs.plan.training.epochs
    with open_engine(inputs, model, noise) as engine:
        for step, batch in enumerate(draw_batches(inputs, noise)):
            records = [record for unit in batch for record in unit]
            experience = collect(inputs, model, noise, step, records)
            places = iter(range(len(records)))
            units = [[next(places) for _ in unit] for unit in batch]
            filler = len(records) if len(experience) > len(records) else 0
            for _ in range(passes):
                engine.step(units, partial(losses, inputs, model, experience), filler)
            if progress is not None:
                progress((step + 1) / step_count(inputs))
        return engine.flagged


def collect(
    inputs: TrainingInputs,
    model: AdaptedModel,
    noise: NoiseSource,
    step: int,
    records: Sequence[PromptRecord],
) -> Experience:
    """Roll out ``records`` in micro-batches, each with draws named after step, unit and prompt.

    Under a mechanism fillers follow, so that every micro-batch is whole and there are enough of them.
    """
    spec = inputs.plan.training
    filler = FILLERS[Stage.PPO] if inputs.private else None
    count = padded(records, spec.micro_batch, spec.micro_batches, filler)
    fillers = [PromptRecord(PUBLIC_UNIT, f"filler-{place}", ".") for place in range(count - len(records))]
    records = [*records, *fillers]
    parts = []
    for part in batches(len(records), spec.micro_batch):
        inputs.in_time()
        names = [f"{record.unit}/{record.prompt_id}" for record in records[part]]
        drawn = [noise.uniforms("rollout", step, name, spec.max_completion_tokens) for name in names]
        prompts = [record.prompt for record in records[part]]
        parts.append(roll_out(inputs, model, prompts, torch.stack(drawn)))
    if inputs.private:
        return join(inputs.base, parts, spec.max_prompt_tokens, spec.max_completion_tokens)
    return join(inputs.base, parts)


def losses(
    inputs: TrainingInputs, model: AdaptedModel, experience: Experience, index: Sequence[int]
) -> RowLosses:
    """PPO's loss of some rollouts: policy loss plus ``vf_coef`` times value loss."""
    terms = rollout_terms(inputs, model, experience.rows(index))
    return RowLosses(terms.policy + inputs.plan.training.vf_coef * terms.value, torch.arange(len(index)))


def rollout_terms(inputs: TrainingInputs, model: AdaptedModel, rows: Experience) -> PpoTerms:
    """Loss terms of every row of ``rows`` under the policy as it is now."""
    spec = inputs.plan.training
    logprobs, values = evaluate_policy(model, rows.ids, rows.attention, rows.mask.shape[1], spec.temperature)
    return ppo_terms(
        logprobs,
        rows.logprobs,
        rows.advantages,
        values,
        rows.values,
        rows.returns,
        rows.mask,
        spec.cliprange,
        spec.cliprange_value,
        float(spec.max_completion_tokens),
    )
