"""What an answer of the policy is worth: the reward model's score, shaped by the plan's constants.

Every score is a function of its own prompt and answer, of released adapters and of constants that the
plan fixed beforehand; no statistic of the batch enters (rule 5 of DESIGN.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from intraward_client.training.inputs import TrainingInputs, acting_as
from intraward_client.training.losses.shaping import shape_score
from intraward_shared.generation import Rollout, pad_sequences
from intraward_shared.modeling import AdaptedModel


def shaped_scores(
    inputs: TrainingInputs,
    model: AdaptedModel,
    prompts: Sequence[str],
    rows: Sequence[list[int]],
    rollout: Rollout,
) -> Tensor:
    """Reward of each whole answer ``(rows,)``, as PPO and RLOO take it.

    Args:
        prompts: text of each prompt; rows: the token ids it was sampled from.
    """
    spec = inputs.plan.training
    length = spec.max_prompt_tokens + spec.max_completion_tokens + 1 if inputs.private else None
    raw = score_rollout(model, rows, rollout, length)
    return shape_score(
        raw, rollout.ended, spec.score_mean, spec.score_std, spec.score_clip, spec.missing_eos_penalty
    )


def score_rollout(
    model: AdaptedModel, prompts: Sequence[list[int]], rollout: Rollout, length: int | None = None
) -> Tensor:
    """The reward adapter's score of each answer ``(rows,)``, read at the end token of rows of ``length``.

    An answer cut off at the plan's length gets one first: that is how the reward model saw long
    answers in its own training. The penalty for the missing end is ``shape_score``'s.
    """
    eos = int(model.base.tokenizer.eos_token_id)
    pairs = []
    kept = zip(prompts, rollout.completions.tolist(), rollout.completion_mask.tolist(), strict=True)
    for prompt, tokens, flags in kept:
        answer = [token for token, keep in zip(tokens, flags, strict=True) if keep]
        pairs.append((prompt, answer if answer[-1:] == [eos] else [*answer, eos]))
    padded = pad_sequences(model.base, pairs, length)
    with torch.no_grad(), acting_as(model, "reward"):
        return model.rewards(padded.ids, padded.mask)
