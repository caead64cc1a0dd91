"""The reward model: Bradley-Terry on pairs, read at the last token (InstructGPT, step 2; facts on PPO, A.4).

One pair is one record: chosen and rejected are two rows of one forward pass whose gradients fold into
the pair before anything is clipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch

from intraward_client.privacy.engine import RowLosses
from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PairRecord
from intraward_client.training.inputs import TrainingInputs
from intraward_client.training.losses import bradley_terry_loss
from intraward_client.training.schedule import Progress, run_steps
from intraward_client.training.sequences import encode_texts
from intraward_shared.modeling import AdaptedModel


def train_reward(inputs: TrainingInputs, model: AdaptedModel, noise: NoiseSource, progress: Progress) -> None:
    """Train the loaded reward adapter and its score head on pairs."""
    run_steps(inputs, model, noise, partial(losses, inputs, model), progress)


def losses(inputs: TrainingInputs, model: AdaptedModel, pairs: Sequence[PairRecord]) -> RowLosses:
    """Loss of each pair; chosen and rejected are its two rows."""
    spec = inputs.plan.training
    rows = encode_texts(inputs, pair_texts(pairs))
    chosen, rejected = model.rewards(rows.ids, rows.mask).chunk(2)
    margin = chosen.new_tensor([pair.margin for pair in pairs])
    loss = bradley_terry_loss(chosen, rejected, margin, spec.label_smoothing, spec.center_rewards)
    return RowLosses(loss, torch.arange(len(pairs)).repeat(2))


def pair_texts(pairs: Sequence[PairRecord]) -> list[tuple[str, str]]:
    """(prompt, answer) texts: first every chosen one, then every rejected one."""
    return [(p.prompt, p.chosen) for p in pairs] + [(p.prompt, p.rejected) for p in pairs]
