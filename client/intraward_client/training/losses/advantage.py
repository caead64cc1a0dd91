"""How much better than expected a token was; nothing here is whitened, which would couple patients."""

from __future__ import annotations

import torch
from torch import Tensor


def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimates and returns (Schulman et al., arXiv 1506.02438).

    The value after the last real token is 0. No whitening.

    Args:
        rewards, values, mask: ``(rows, tokens)``.

    Returns:
        advantages and returns ``(rows, tokens)``, zero outside the mask.
    """
    keep = mask.to(values.dtype)
    values = values * keep
    following = torch.zeros_like(values[:, 0])
    advantage = torch.zeros_like(following)
    columns = []
    for token in reversed(range(values.shape[1])):
        delta = rewards[:, token] + gamma * following - values[:, token]
        advantage = (delta + gamma * lam * advantage) * keep[:, token]
        following = values[:, token]
        columns.append(advantage)
    advantages = torch.stack(columns[::-1], dim=1)
    return advantages, (advantages + values) * keep


def leave_one_out(rewards: Tensor, group: int) -> Tensor:
    """Each reward minus the mean of its siblings' ``(rows,)``; rows of a group stand together.

    As the mean of differences, so that equal rewards give exactly 0: an adaptive optimiser would step at its
    full rate on what rounding leaves.

    Args:
        rewards: ``(groups * group,)``; group: at least 2.
    """
    grouped = rewards.view(-1, group)
    return ((grouped[:, :, None] - grouped[:, None, :]).sum(-1) / (group - 1)).reshape(-1)
