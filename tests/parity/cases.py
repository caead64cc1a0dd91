"""Ragged inputs of the parity tests and this project's own answers to them, by oracle.

Lengths 11, 7, 1, 4, 9 and 2 cover padding and rows of one token. Every function takes the inputs in
float64 or float32 and returns plain tensors; ``make_golden.py`` has the oracles' side of each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from intraward_client.training.losses.advantage import gae
from intraward_client.training.losses.policy import ppo_terms
from intraward_client.training.losses.preference import (
    bradley_terry_loss,
    dpo_loss,
    ipo_loss,
    robust_dpo_loss,
)
from intraward_client.training.losses.ranking import plackett_luce_loss
from intraward_client.training.losses.shaping import token_rewards

LENGTHS = (11, 7, 1, 4, 9, 2)
KL_COEF, GAMMA, LAM = 0.05, 0.98, 0.95
CLIPRANGE, CLIPRANGE_VALUE = 0.2, 0.3
BETA, SMOOTHING, CENTER = 0.1, 0.1, 0.01
RANKING = (3, 0, 4, 1, 2)
"""Answers from the best to the worst, as choix wants them."""


@dataclass(frozen=True)
class Ragged:
    """Drawn once; ``(6, 11)`` per token, ``(6,)`` per row, the first three rows against the last three."""

    logprobs: Tensor
    old_logprobs: Tensor
    reference: Tensor
    values: Tensor
    old_values: Tensor
    scores: Tensor
    margin: Tensor
    mask: Tensor
    strengths: Tensor


def ragged(dtype: torch.dtype = torch.float64) -> Ragged:
    """The inputs; the same numbers in every precision."""
    draw = np.random.default_rng(20260101)

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return torch.tensor(draw.normal(0, scale, shape)).to(dtype)

    shape = len(LENGTHS), max(LENGTHS)
    old = -normal(*shape).abs() - 0.1
    return Ragged(
        logprobs=old + normal(*shape, scale=0.3),
        old_logprobs=old,
        reference=old + normal(*shape, scale=0.2),
        values=normal(*shape),
        old_values=normal(*shape),
        scores=normal(len(LENGTHS)),
        margin=normal(len(LENGTHS) // 2).abs(),
        mask=torch.arange(max(LENGTHS))[None] < torch.tensor(LENGTHS)[:, None],
        strengths=normal(len(RANKING)),
    )


def rewards_of(case: Ragged) -> Tensor:
    """Token rewards ``(6, 11)``."""
    return token_rewards(case.scores, case.old_logprobs, case.reference, case.mask, KL_COEF)


def advantages_of(case: Ragged) -> tuple[Tensor, Tensor]:
    """Advantages and returns ``(6, 11)``, not whitened."""
    return gae(rewards_of(case), case.old_values, case.mask, GAMMA, LAM)


def log_ratios(case: Ragged) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Summed log-ratios of three chosen and three rejected answers, then their lengths ``(3,)``."""
    summed = ((case.logprobs - case.reference) * case.mask).sum(-1)
    chosen, rejected = summed.chunk(2)
    longer, shorter = case.mask.sum(-1).chunk(2)
    return chosen, rejected, longer, shorter


def _policy(case: Ragged) -> Tensor:
    advantages, returns = advantages_of(case)
    terms = ppo_terms(
        case.logprobs,
        case.old_logprobs,
        advantages,
        case.values,
        case.old_values,
        returns,
        case.mask,
        CLIPRANGE,
        CLIPRANGE_VALUE,
        float(sum(LENGTHS)),
    )
    return torch.stack([terms.policy.sum(), terms.value.sum()])


def _bradley_terry(case: Ragged) -> Tensor:
    chosen, rejected = case.scores.chunk(2)
    return bradley_terry_loss(chosen, rejected, case.margin, 0.0, CENTER).mean()


def _plackett_luce(case: Ragged) -> Tensor:
    ranks = [RANKING.index(answer) + 1 for answer in range(len(RANKING))]
    return plackett_luce_loss(case.strengths, ranks)


OURS: dict[str, Callable[[Ragged], Tensor]] = {
    "reward": _bradley_terry,
    "dpo_sigmoid": lambda case: dpo_loss(*log_ratios(case)[:2], BETA, 0.0).mean(),
    "dpo_cdpo": lambda case: dpo_loss(*log_ratios(case)[:2], BETA, SMOOTHING).mean(),
    "dpo_robust": lambda case: robust_dpo_loss(*log_ratios(case)[:2], BETA, SMOOTHING).mean(),
    "dpo_ipo": lambda case: ipo_loss(*log_ratios(case)[:2], BETA, *log_ratios(case)[2:]).mean(),
    "token_rewards": lambda case: rewards_of(case) * case.mask,
    "gae_advantages": lambda case: advantages_of(case)[0],
    "gae_returns": lambda case: advantages_of(case)[1],
    "ppo_losses": _policy,
    "plackett_luce": _plackett_luce,
}
