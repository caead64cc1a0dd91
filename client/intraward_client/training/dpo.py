"""Direct preference optimisation on pairs (Rafailov et al., arXiv 2305.18290), against a frozen adapter.

The reference is the SFT adapter, never the bare base (after SFT that would be another model). Its
log-probabilities are computed with the adapter switched, so no second copy of the base is held.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from intraward_client.privacy.engine import RowLosses
from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PairRecord
from intraward_client.training.inputs import TrainingInputs
from intraward_client.training.losses.preference import dpo_loss, ipo_loss, robust_dpo_loss
from intraward_client.training.reward import pair_texts
from intraward_client.training.schedule import Progress, run_steps
from intraward_client.training.sequences import completion_logprobs, encode_texts, most_scored
from intraward_shared.generation import Sequences
from intraward_shared.modeling import AdaptedModel, acting_as
from intraward_shared.protocol import TrainingSpec


def train_dpo(inputs: TrainingInputs, model: AdaptedModel, noise: NoiseSource, progress: Progress) -> bool:
    """Train the loaded policy on pairs; one pair is one record of two rows."""
    return run_steps(inputs, model, noise, losses, progress)


def losses(inputs: TrainingInputs, model: AdaptedModel, pairs: Sequence[PairRecord]) -> RowLosses:
    """Loss of each pair; chosen and rejected are its two rows."""
    spec = inputs.plan.training
    rows = encode_texts(inputs, pair_texts(pairs))
    chosen, rejected = log_ratios(model, rows, most_scored(inputs)).chunk(2)
    tokens = rows.completion.sum(-1)
    loss = pair_losses(spec, chosen, rejected, *tokens.chunk(2))
    margin = (spec.beta * (chosen - rejected)).detach()
    figures = {"accuracy": (margin > 0).float(), "margin": margin}
    return RowLosses(loss, torch.arange(len(pairs)).repeat(2), figures)


def pair_losses(
    spec: TrainingSpec, chosen: Tensor, rejected: Tensor, chosen_tokens: Tensor, rejected_tokens: Tensor
) -> Tensor:
    """Loss of each pair ``(pairs,)`` by the plan's ``loss_type``; smoothed sigmoid is cDPO.

    Args:
        chosen, rejected: log-ratios of whole answers ``(pairs,)``; then their lengths in tokens ``(pairs,)``.
    """
    if spec.loss_type == "ipo":
        return ipo_loss(chosen, rejected, spec.beta, chosen_tokens, rejected_tokens)
    of = robust_dpo_loss if spec.loss_type == "robust" else dpo_loss
    return of(chosen, rejected, spec.beta, spec.label_smoothing)


def log_ratios(model: AdaptedModel, rows: Sequences, most: int | None = None) -> Tensor:
    """Log policy minus log reference of whole answers ``(rows,)``; gradient through the policy alone."""
    with torch.no_grad(), acting_as(model, "reference"):
        reference = completion_logprobs(model, rows, most).sum(-1)
    return completion_logprobs(model, rows, most).sum(-1) - reference
