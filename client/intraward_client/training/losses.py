"""The losses of RLHF, as pure functions of tensors.

Every loss of a row, pair or rollout depends on that one alone, with fixed divisors and constants: no
whitening, no batch mean, no batch token count (rule 5 of DESIGN.md and section 6, what couples
patients). Sources stand at each function; names are the papers' and TRL's.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

LOG_RATIO_LIMIT = 20.0
"""Bound on the log-ratio of new to old policy, so that no ratio overflows (TRL's guard)."""


def sft_loss(logprobs: Tensor, completion: Tensor) -> Tensor:
    """Mean negative log-probability over each row's own completion tokens.

    Args:
        logprobs: ``(rows, tokens)``; completion: ``(rows, tokens)`` mask.

    Returns:
        ``(rows,)``; the divisor is the row's own token count, never the batch's.
    """
    mask = completion.to(logprobs.dtype)
    return -(logprobs * mask).sum(-1) / mask.sum(-1).clamp(min=1)


def bradley_terry_loss(
    chosen: Tensor,
    rejected: Tensor,
    margin: Tensor,
    label_smoothing: float | Tensor,
    center_rewards: float,
) -> Tensor:
    """``-log sigmoid(r_c - r_r - m)`` of each pair, smoothed and centred ``(pairs,)``.

    Margin: Llama 2 (arXiv 2307.09288, 3.2.2). Centring, ``c (r_c + r_r)^2``, pins the scale's free
    offset, which differs from site to site (Eisenstein et al., arXiv 2312.09244). Smoothing is cDPO's,
    for annotators who err with that probability; one half makes a tie, a comparison won half.

    Args:
        chosen, rejected, margin: ``(pairs,)``; so may be label_smoothing.
    """
    gap = chosen - rejected - margin
    return _smoothed_logistic(gap, label_smoothing) + center_rewards * (chosen + rejected).square()


def dpo_loss(
    chosen_logratio: Tensor, rejected_logratio: Tensor, beta: float, label_smoothing: float
) -> Tensor:
    """DPO's sigmoid loss of each pair ``(pairs,)`` (Rafailov et al., arXiv 2305.18290); smoothed, cDPO.

    Args:
        chosen_logratio, rejected_logratio: log policy minus log reference of whole answers ``(pairs,)``.
    """
    return _smoothed_logistic(beta * (chosen_logratio - rejected_logratio), label_smoothing)


def ipo_loss(chosen_logratio: Tensor, rejected_logratio: Tensor, beta: float) -> Tensor:
    """IPO's squared loss of each pair ``(pairs,)`` (Azar et al., arXiv 2310.12036, equation 17)."""
    return (chosen_logratio - rejected_logratio - 1 / (2 * beta)).square()


def _smoothed_logistic(gap: Tensor, label_smoothing: float | Tensor) -> Tensor:
    return -(1 - label_smoothing) * logsigmoid(gap) - label_smoothing * logsigmoid(-gap)


def kl_k1(logprobs: Tensor, reference: Tensor) -> Tensor:
    """Schulman's k1 estimate of KL(policy || reference) per sampled token: unbiased, may be negative."""
    return logprobs - reference


def kl_k3(logprobs: Tensor, reference: Tensor) -> Tensor:
    """Schulman's k3 estimate per sampled token: unbiased, never negative."""
    ratio = reference - logprobs
    return ratio.exp() - 1 - ratio


def shape_score(
    score: Tensor, ended: Tensor, mean: float, std: float, clip: float, missing_eos_penalty: float
) -> Tensor:
    """Reward of whole answers ``(rows,)``: fixed centre and scale, clamp, then the missing-end penalty.

    Args:
        score: reward model's output ``(rows,)``; ended: whether the answer stopped by itself ``(rows,)``.
        mean, std: public constants of reference answers (Ziegler et al., arXiv 1909.08593), not the batch's.
    """
    scaled = ((score - mean) / std).clamp(-clip, clip)
    return scaled - missing_eos_penalty * (~ended).to(scaled.dtype)


def token_rewards(score: Tensor, logprobs: Tensor, reference: Tensor, mask: Tensor, kl_coef: float) -> Tensor:
    """``-kl_coef * k1`` on every real token, plus the score on the last one ``(rows, tokens)``.

    Args:
        score: ``(rows,)``; logprobs, reference: ``(rows, tokens)``; mask: true up to the end token.
    """
    rewards = -kl_coef * kl_k1(logprobs, reference) * mask
    last = (mask.sum(-1, keepdim=True) - 1).clamp(min=0).long()
    return rewards.scatter_add(1, last, score[:, None].to(rewards.dtype))


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
    divisor: float,
) -> PpoTerms:
    """Clipped policy and value losses (Schulman et al., arXiv 1707.06347; value clip after OpenAI's code).

    Sums over a row's tokens divided by the fixed ``divisor``, the longest answer of the plan: a batch
    token count would couple patients. The loss of a row is ``policy + vf_coef * value``.

    Args:
        every tensor: ``(rows, tokens)``; old ones and advantages carry no gradient.
    """
    ratio = (logprobs - old_logprobs).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT).exp()
    policy = torch.maximum(-advantages * ratio, -advantages * ratio.clamp(1 - cliprange, 1 + cliprange))
    near = old_values + (values - old_values).clamp(-cliprange, cliprange)
    value = 0.5 * torch.maximum((values - returns).square(), (near - returns).square())
    return PpoTerms((policy * mask).sum(-1) / divisor, (value * mask).sum(-1) / divisor, ratio)
