"""Losses of comparisons of two answers: the reward model's and DPO's (facts on RLHF, A.4).

All of them look at one gap: between two scores (Bradley-Terry), or between two log-ratios of policy to
reference (DPO). Each returns one loss per pair. Averages over pairs are the caller's.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def bradley_terry_loss(
    chosen: Tensor,
    rejected: Tensor,
    margin: Tensor,
    label_smoothing: float | Tensor,
    center_rewards: float,
) -> Tensor:
    """``-log sigmoid(r_c - r_r - m)`` of each pair, smoothed and centred ``(pairs,)``.

    Margin: Llama 2 (arXiv 2307.09288, 3.2.2); graded, larger where the rater was surer. Centring,
    ``c (r_c + r_r)^2``, pins the scale's free offset, which differs from site to site (Eisenstein et
    al., arXiv 2312.09244). Smoothing is cDPO's, for annotators who err with that probability; one half
    makes a tie, a comparison won half.

    Args:
        chosen, rejected, margin: ``(pairs,)``; so may be label_smoothing.
    """
    gap = chosen - rejected - margin
    return smoothed_logistic(gap, label_smoothing) + centring(chosen, rejected, center_rewards)


def davidson_loss(gap: Tensor, tied: Tensor, nu: float) -> Tensor:
    """Negative log-likelihood of wins and ties with ties an outcome of their own ``(pairs,)``.

    ``P(win) : P(tie) : P(loss) = exp(gap / 2) : nu : exp(-gap / 2)`` (Davidson, JASA 65, 1970); nu = 0
    is Bradley-Terry. Chosen over Rao and Kupper's threshold model because it keeps the odds of win to
    loss those of Bradley-Terry, so scores trained with and without ties mean the same, and is concave
    for every nu >= 0. nu is fixed by the plan, not learnt: it would be a parameter whose gradient is a
    count of ties.

    Args:
        gap: score of the better answer minus the other's ``(pairs,)``; tied: bool ``(pairs,)``, and
            never true where nu is 0.
    """
    half = gap / 2
    outcomes = [half, -half] if nu == 0 else [half, -half, torch.full_like(half, math.log(nu))]
    seen = half if nu == 0 else torch.where(tied, outcomes[-1], half)
    return torch.stack(outcomes).logsumexp(0) - seen


def centring(one: Tensor, other: Tensor, coefficient: float) -> Tensor:
    """``c (r_1 + r_2)^2`` of each pair ``(pairs,)``: pulls the mean of a pair's scores to zero."""
    return coefficient * (one + other).square()


def dpo_loss(
    chosen_logratio: Tensor, rejected_logratio: Tensor, beta: float, label_smoothing: float
) -> Tensor:
    """DPO's sigmoid loss of each pair ``(pairs,)`` (Rafailov et al., arXiv 2305.18290); smoothed, cDPO.

    Args:
        chosen_logratio, rejected_logratio: log policy minus log reference of whole answers ``(pairs,)``.
    """
    return smoothed_logistic(beta * (chosen_logratio - rejected_logratio), label_smoothing)


def robust_dpo_loss(
    chosen_logratio: Tensor, rejected_logratio: Tensor, beta: float, label_smoothing: float
) -> Tensor:
    """DPO's loss made unbiased under labels flipped with a known probability ``(pairs,)``.

    Chowdhury et al., arXiv 2403.00409: ``((1 - e) l(gap) - e l(-gap)) / (1 - 2 e)``. Unlike cDPO its
    mean over flipped labels is the loss of clean ones; it may be negative.

    Args:
        label_smoothing: probability ``e`` of a flipped label, under one half.
    """
    gap = beta * (chosen_logratio - rejected_logratio)
    right, wrong = -logsigmoid(gap), -logsigmoid(-gap)
    return ((1 - label_smoothing) * right - label_smoothing * wrong) / (1 - 2 * label_smoothing)


def ipo_loss(
    chosen_logratio: Tensor,
    rejected_logratio: Tensor,
    beta: float,
    chosen_tokens: Tensor,
    rejected_tokens: Tensor,
) -> Tensor:
    """IPO's squared loss of each pair ``(pairs,)`` (Azar et al., arXiv 2310.12036, equation 17).

    The oracles disagree: TRL divides each log-ratio by its answer's length, as IPO's authors confirmed
    to it; OpenRLHF takes sums. This follows TRL, since with sums the target gap 1 / (2 beta) is met by
    few tokens of a long answer. Sums are what lengths of one give.

    Args:
        chosen_logratio, rejected_logratio: log policy minus log reference of whole answers ``(pairs,)``.
        chosen_tokens, rejected_tokens: tokens of those answers, end token included ``(pairs,)``.
    """
    gap = chosen_logratio / chosen_tokens - rejected_logratio / rejected_tokens
    return (gap - 1 / (2 * beta)).square()


def smoothed_logistic(gap: Tensor, label_smoothing: float | Tensor) -> Tensor:
    """``-(1 - e) log sigmoid(gap) - e log sigmoid(-gap)``, of the gap's shape."""
    return -(1 - label_smoothing) * logsigmoid(gap) - label_smoothing * logsigmoid(-gap)
