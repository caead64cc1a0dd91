"""RLOO: REINFORCE whose baseline is the other answers to the prompt (Ahmadian et al., arXiv 2402.14740).

No value head. ``group`` answers to a prompt are sampled together and are **one record**: the baseline
of an answer is the mean reward of its siblings, so the group's gradient is folded before anything is
clipped and no other patient enters it (DESIGN.md section 6). As in TRL, the ratio is the whole answer's
and is clipped like PPO's, which matters only when public prompts are passed over more than once.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from intraward_client.privacy.engine import RowLosses
from intraward_client.privacy.noise import NoiseSource
from intraward_client.training.guards import PassFigures
from intraward_client.training.inputs import TrainingInputs
from intraward_client.training.losses.policy import probability_ratio, rloo_loss
from intraward_client.training.optimise import optimise
from intraward_client.training.rollout import Experience, answer_logprobs, chosen_rows
from intraward_client.training.schedule import Progress
from intraward_shared.modeling import AdaptedModel


def train_rloo(inputs: TrainingInputs, model: AdaptedModel, noise: NoiseSource, progress: Progress) -> bool:
    """Train the loaded policy on prompts; what comes back is ``run_steps``'s."""
    return optimise(inputs, model, noise, losses, progress)


def losses(
    inputs: TrainingInputs,
    model: AdaptedModel,
    experience: Experience,
    index: Sequence[int],
    figures: PassFigures | None = None,
) -> RowLosses:
    """Loss of each group: the mean over its answers. ``index`` counts groups; each has ``group`` rows."""
    spec = inputs.plan.training
    members = [place * spec.group + member for place in index for member in range(spec.group)]
    rows = chosen_rows(inputs, experience, members)
    logprobs = answer_logprobs(model, rows.ids, rows.attention, rows.mask.shape[1], spec.temperature)
    loss = rloo_loss(logprobs, rows.logprobs, rows.advantages[:, 0], rows.mask, spec.cliprange)
    if figures is not None:
        each = [place for place in index for _ in range(spec.group)]
        figures.add(each, probability_ratio(logprobs, rows.logprobs), rows.mask, spec.cliprange, loss)
    return RowLosses(
        loss.view(-1, spec.group).mean(-1), torch.arange(len(index)).repeat_interleave(spec.group)
    )
