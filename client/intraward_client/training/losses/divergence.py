"""Estimates of KL(policy || reference) from sampled tokens (Schulman 2020, Approximating KL divergence).

Each takes log-probabilities of the same tokens, drawn from the policy, under both models, in nats and
of any one shape, and returns that shape. Over many draws k1 and k3 average to the divergence; k2 is
biased, and its gradient is the one that the divergence has near zero.
"""

from __future__ import annotations

from torch import Tensor


def kl_k1(logprobs: Tensor, reference: Tensor) -> Tensor:
    """``log p - log q`` per token: unbiased, may be negative. What PPO's rewards are shaped with."""
    return logprobs - reference


def kl_k2(logprobs: Tensor, reference: Tensor) -> Tensor:
    """``(log p - log q)^2 / 2`` per token: never negative, biased, of low variance while p is near q."""
    return (logprobs - reference).square() / 2


def kl_k3(logprobs: Tensor, reference: Tensor) -> Tensor:
    """``q / p - 1 - log(q / p)`` per token: unbiased, never negative."""
    ratio = reference - logprobs
    return ratio.exp() - 1 - ratio
