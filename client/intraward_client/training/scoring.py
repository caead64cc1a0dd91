"""What an answer of the policy is worth: the reward model's score, shaped by the plan's constants.

Every score is a function of its own prompt and answer, of released adapters and of constants that the
plan fixed beforehand; no statistic of the batch enters (rule 5 of DESIGN.md). In this order: score of
the heads, fixed centre and scale, clip, missing-end penalty, length penalty, critique, rules; a veto, of
a rule or of a head, replaces them all.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from intraward_client.training.critique import critique
from intraward_client.training.heads import apply_veto, combined_scores
from intraward_client.training.inputs import TrainingInputs, acting_as
from intraward_client.training.losses.shaping import shape_score
from intraward_client.training.rules import judge
from intraward_shared.generation import Rollout, decode, pad_sequences
from intraward_shared.modeling import AdaptedModel, Appraisal
from intraward_shared.shaping import ShapingTerms


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
    found, heads = appraise_rollout(model, rows, rollout, length), inputs.plan.lora.reward
    raw = combined_scores(found, heads, spec.heads)
    scores = shape_score(
        raw, rollout.ended, spec.score_mean, spec.score_std, spec.score_clip, spec.missing_eos_penalty
    )
    terms = spec.shaping
    if terms.overlong_tokens:
        lengths = rollout.completion_mask.sum(-1)
        overlong = soft_overlong(lengths, spec.max_completion_tokens, terms.overlong_tokens)
        scores = scores + terms.overlong_penalty * overlong.to(scores.dtype)
    if terms.rules or terms.critique:
        scores = judged_scores(terms, scores, prompts, decode(model.base, rollout))
    return apply_veto(scores, found, heads, spec.heads)


def soft_overlong(lengths: Tensor, longest: int, cache: int) -> Tensor:
    """DAPO's soft punishment of long answers ``(rows,)``: 0, then falling over ``cache`` tokens to -1.

    Yu et al., arXiv 2503.14476, equation 13; TRL's ``get_soft_overlong_punishment``.

    Args:
        lengths: tokens of each answer, the end token included ``(rows,)``; longest: the plan's limit.
    """
    return -((lengths - (longest - cache)).double() / cache).clamp(0, 1)


def judged_scores(
    terms: ShapingTerms, scores: Tensor, prompts: Sequence[str], answers: Sequence[str]
) -> Tensor:
    """Scores ``(rows,)`` with critique added, penalties of rules taken off, and vetoes in their place."""
    judged = []
    for score, prompt, answer in zip(scores.tolist(), prompts, answers, strict=True):
        verdict = judge(terms.rules, prompt, answer)
        if verdict.vetoed and terms.veto_reward is not None:
            judged.append(terms.veto_reward)
            continue
        praise = critique(terms.critique, prompt, answer).score if terms.critique else 0.0
        judged.append(score + terms.critique_coef * praise - verdict.penalty)
    return torch.tensor(judged, dtype=scores.dtype, device=scores.device)


def appraise_rollout(
    model: AdaptedModel, prompts: Sequence[list[int]], rollout: Rollout, length: int | None = None
) -> Appraisal:
    """What the reward adapter says of each answer, read at the end token of rows of ``length``.

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
        return model.appraise(padded.ids, padded.mask)
