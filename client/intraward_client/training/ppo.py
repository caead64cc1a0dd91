"""PPO against a released reward model (Schulman et al., arXiv 1707.06347; Ziegler et al., 1909.08593).

Departs from the usual recipe wherever that couples patients (facts on PPO, A.5): no whitening, fixed
score constants, fixed ``kl_coef``, no early stop on patients' rows, a fixed divisor in place of the
token count. Every prompt is one record of one row; the loop over rollouts is ``optimise``'s.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from intraward_client.privacy.engine import RowLosses
from intraward_client.privacy.noise import NoiseSource
from intraward_client.training.guards import PassFigures
from intraward_client.training.inputs import TrainingInputs
from intraward_client.training.losses.policy import PpoTerms, ppo_terms
from intraward_client.training.optimise import optimise
from intraward_client.training.rollout import Experience, chosen_rows, evaluate_policy
from intraward_client.training.schedule import Progress
from intraward_shared.modeling import AdaptedModel


def train_ppo(inputs: TrainingInputs, model: AdaptedModel, noise: NoiseSource, progress: Progress) -> bool:
    """Train the loaded policy and its value head on prompts; what comes back is ``run_steps``'s."""
    return optimise(inputs, model, noise, losses, progress)


def losses(
    inputs: TrainingInputs,
    model: AdaptedModel,
    experience: Experience,
    index: Sequence[int],
    figures: PassFigures | None = None,
) -> RowLosses:
    """PPO's loss of some rollouts: policy loss plus ``vf_coef`` times value loss."""
    rows = chosen_rows(inputs, experience, index)
    terms = rollout_terms(inputs, model, rows)
    if figures is not None:
        figures.add(index, terms.ratio, rows.mask, inputs.plan.training.cliprange, terms.policy, terms.value)
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
