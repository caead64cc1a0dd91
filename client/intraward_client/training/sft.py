"""Supervised fine-tuning on demonstrations (InstructGPT, arXiv 2203.02155, step 1), LoRA only."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from intraward_client.privacy.engine import RowLosses
from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import SftRecord
from intraward_client.training.inputs import TrainingInputs
from intraward_client.training.losses.supervised import sft_loss
from intraward_client.training.schedule import Progress, run_steps
from intraward_client.training.sequences import completion_logprobs, encode_texts, most_scored
from intraward_shared.modeling import AdaptedModel


def train_sft(inputs: TrainingInputs, model: AdaptedModel, noise: NoiseSource, progress: Progress) -> bool:
    """Train the loaded policy on (prompt, completion) records; one record is one row."""
    return run_steps(inputs, model, noise, losses, progress)


def losses(inputs: TrainingInputs, model: AdaptedModel, records: Sequence[SftRecord]) -> RowLosses:
    """Loss of each demonstration; one record is one row."""
    rows = encode_texts(inputs, [(record.prompt, record.completion) for record in records])
    logprobs = completion_logprobs(model, rows, most_scored(inputs))
    return RowLosses(sft_loss(logprobs, rows.completion), torch.arange(len(records)))
