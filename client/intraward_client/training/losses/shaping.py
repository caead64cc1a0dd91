"""From the score of a whole answer to the reward of each of its tokens (Ziegler et al., arXiv 1909.08593)."""

from __future__ import annotations

from torch import Tensor

from intraward_client.training.losses.divergence import kl_k1


def token_rewards(score: Tensor, logprobs: Tensor, reference: Tensor, mask: Tensor, kl_coef: float) -> Tensor:
    """``-kl_coef * k1`` on every real token, plus the score on the last one ``(rows, tokens)``.

    Args:
        score: ``(rows,)``; logprobs, reference: ``(rows, tokens)``; mask: true up to the end token.
    """
    rewards = -kl_coef * kl_k1(logprobs, reference) * mask
    last = (mask.sum(-1, keepdim=True) - 1).clamp(min=0).long()
    return rewards.scatter_add(1, last, score[:, None].to(rewards.dtype))
