"""Direct preference optimisation on pairs (Rafailov et al., arXiv 2305.18290), against a frozen adapter.

The reference is the SFT adapter, never the bare base (after SFT that would be another model). Its
log-probabilities are computed with the adapter switched, so no second copy of the base is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from intraward_client.privacy.engine import RowLosses
from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PairRecord
from intraward_client.training.inputs import TrainingInputs, acting_as
from intraward_client.training.losses.preference import dpo_loss
from intraward_client.training.reward import pair_texts
from intraward_client.training.schedule import Progress, run_steps
from intraward_client.training.sequences import completion_logprobs, encode_texts, most_scored
from intraward_shared.generation import Sequences
from intraward_shared.modeling import AdaptedModel


def train_dpo(inputs: TrainingInputs, model: AdaptedModel, noise: NoiseSource, progress: Progress) -> bool:
    """Train the loaded policy on pairs; one pair is one record of two rows."""
    return run_steps(inputs, model, noise, partial(losses, inputs, model), progress)


def losses(inputs: TrainingInputs, model: AdaptedModel, pairs: Sequence[PairRecord]) -> RowLosses:
    """Loss of each pair; chosen and rejected are its two rows."""
    spec = inputs.plan.training
    rows = encode_texts(inputs, pair_texts(pairs))
    chosen, rejected = log_ratios(model, rows, most_scored(inputs)).chunk(2)
    loss = dpo_loss(chosen, rejected, spec.beta, spec.label_smoothing)
    return RowLosses(loss, torch.arange(len(pairs)).repeat(2))


def log_ratios(model: AdaptedModel, rows: Sequences, most: int | None = None) -> Tensor:
    """Log policy minus log reference of whole answers ``(rows,)``; gradient through the policy alone."""
    with torch.no_grad(), acting_as(model, "reference"):
        reference = completion_logprobs(model, rows, most).sum(-1)
    return completion_logprobs(model, rows, most).sum(-1) - reference
