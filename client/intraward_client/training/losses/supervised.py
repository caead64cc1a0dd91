"""Cross-entropy on demonstrations (InstructGPT, arXiv 2203.02155, step 1)."""

from __future__ import annotations

from torch import Tensor


def sft_loss(logprobs: Tensor, completion: Tensor) -> Tensor:
    """Mean negative log-probability over each row's own completion tokens.

    Args:
        logprobs: ``(rows, tokens)``; completion: ``(rows, tokens)`` mask.

    Returns:
        ``(rows,)``; the divisor is the row's own token count, never the batch's.
    """
    mask = completion.to(logprobs.dtype)
    return -(logprobs * mask).sum(-1) / mask.sum(-1).clamp(min=1)
