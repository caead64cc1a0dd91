"""PPO's clipped losses (Schulman et al., arXiv 1707.06347), per row.

Sums over a row's tokens are divided by the fixed ``divisor``, the longest answer of the plan: a batch
token count, as in TRL and OpenRLHF, would couple patients. Old figures and advantages carry no gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

LOG_RATIO_LIMIT = 20.0
"""Bound on the log-ratio of new to old policy, so that no ratio overflows (TRL's guard)."""


class PpoTerms(NamedTuple):
    """Parts of PPO's loss of each row ``(rows,)``, and the probability ratio ``(rows, tokens)``."""

    policy: Tensor
    value: Tensor
    ratio: Tensor


def ppo_terms(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    values: Tensor,
    old_values: Tensor,
    returns: Tensor,
    mask: Tensor,
    cliprange: float,
    cliprange_value: float,
    divisor: float,
) -> PpoTerms:
    """Clipped policy and value losses; the loss of a row is ``policy + vf_coef * value``.

    Args:
        every tensor: ``(rows, tokens)``; old ones and advantages carry no gradient.
        cliprange_value: how far a value may move from the old one, on the scale of returns.
    """
    ratio = probability_ratio(logprobs, old_logprobs)
    policy = policy_loss(ratio, advantages, mask, cliprange, divisor)
    value = value_loss(values, old_values, returns, mask, cliprange_value, divisor)
    return PpoTerms(policy, value, ratio)


def probability_ratio(logprobs: Tensor, old_logprobs: Tensor) -> Tensor:
    """New to old probability of each token, bounded so that it cannot overflow; of their shape."""
    return (logprobs - old_logprobs).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()


def policy_loss(ratio: Tensor, advantages: Tensor, mask: Tensor, cliprange: float, divisor: float) -> Tensor:
    """Worse of the clipped and the plain objective, negated, over each row's real tokens ``(rows,)``.

    Args:
        ratio, advantages, mask: ``(rows, tokens)``.
    """
    clipped = ratio.clamp(1 - cliprange, 1 + cliprange)
    return (torch.maximum(-advantages * ratio, -advantages * clipped) * mask).sum(-1) / divisor


def value_loss(
    values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, cliprange_value: float, divisor: float
) -> Tensor:
    """Half the squared error, the worse of clipped and plain, over each row's real tokens ``(rows,)``.

    The clip is of OpenAI's code, not the paper's. A half as in TRL and OpenAI; OpenRLHF has it too.

    Args:
        every tensor: ``(rows, tokens)``.
    """
    near = old_values + (values - old_values).clamp(-cliprange_value, cliprange_value)
    worse = torch.maximum((values - returns).square(), (near - returns).square())
    return 0.5 * (worse * mask).sum(-1) / divisor


def rloo_loss(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor, cliprange: float
) -> Tensor:
    """RLOO's clipped loss of whole answers ``(rows,)`` (Ahmadian et al., arXiv 2402.14740; ratio as in TRL).

    Args:
        logprobs, old_logprobs, mask: ``(rows, tokens)``; advantages: ``(rows,)``; the old ones and the
            advantages carry no gradient.
    """
    ratio = probability_ratio((logprobs * mask).sum(-1), (old_logprobs * mask).sum(-1))
    clipped = ratio.clamp(1 - cliprange, 1 + cliprange)
    return torch.maximum(-advantages * ratio, -advantages * clipped)
