"""What an answer of a policy is worth: the reward that the ward optimises and the coordinator measures.

One place for both, so that the coordinator's proxy is the very score that PPO and RLOO follow. Every score is
a function of its own prompt and answer, of released adapters and of constants that the signed plan fixed
beforehand; no statistic of a batch enters (rule 5 of DESIGN.md). In this order: score of the heads, fixed
centre and scale, clip, missing-end penalty, length penalty, critique, rules; a veto, of a rule or of a head,
replaces them all.

The penalty for disagreement is proportional to the standard deviation over the members of one row's own
scores: Coste et al.'s uncertainty-weighted optimisation (arXiv 2310.02743) with the deviation in place of the
variance, so that its coefficient has no unit. Safety is a constraint here, not a summand that a good style
could buy off (facts A.4). Needs torch, like ``modeling``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from intraward_shared.answer_rules import judge
from intraward_shared.critique import critique
from intraward_shared.generation import Rollout, decode, pad_sequences
from intraward_shared.modeling import AdaptedModel, Appraisal, acting_as
from intraward_shared.protocol import TrainingSpec
from intraward_shared.reward_heads import HeadTerms, RewardHeads
from intraward_shared.shaping import ShapingTerms


def shaped_scores(
    model: AdaptedModel,
    spec: TrainingSpec,
    prompts: Sequence[str],
    rows: Sequence[list[int]],
    rollout: Rollout,
    length: int | None = None,
) -> Tensor:
    """Reward of each whole answer ``(rows,)``, as PPO and RLOO take it, without the KL penalty.

    Args:
        model: with the reward adapter loaded.
        spec: of the policy stage; its heads, score constants and shaping.
        prompts: text of each prompt; rows: the token ids it was sampled from.
        length: tokens to pad to, for shapes that do not depend on the rows beside a row.
    """
    found = appraise_rollout(model, rows, rollout, length)
    raw = combined_scores(found, model.heads, spec.heads)
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
    return apply_veto(scores, found, model.heads, spec.heads)


def combined_scores(found: Appraisal, heads: RewardHeads, terms: HeadTerms) -> Tensor:
    """Members' mean or worst, plus weighted criteria, minus the uncertainty penalty ``(rows,)``; raw."""
    scores = found.weighted(heads, terms)
    if terms.uncertainty_coef > 0:
        scores = scores - terms.uncertainty_coef * found.disagreement
    return scores


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
    judged = [
        judged_score(terms, score, prompt, answer)
        for score, prompt, answer in zip(scores.tolist(), prompts, answers, strict=True)
    ]
    return torch.tensor(judged, dtype=scores.dtype, device=scores.device)


def judged_score(terms: ShapingTerms, score: float, prompt: str, answer: str) -> float:
    """One answer's ``score`` under critique and rules."""
    verdict = judge(terms.rules, prompt, answer)
    praise = critique(terms.critique, prompt, answer).score if terms.critique else 0.0
    return terms.reward(score, praise, verdict.penalty, vetoed=verdict.vetoed)


def apply_veto(scores: Tensor, found: Appraisal, heads: RewardHeads, terms: HeadTerms) -> Tensor:
    """``scores`` ``(rows,)``, with the plan's veto reward where a criterion or a flag forbids the answer.

    An output that is not finite cannot show that an answer is safe, so it vetoes as well. A score that is
    lower than the veto's already (another rule's veto) stays.
    """
    if terms.veto_reward is None:
        return scores
    forbidden = torch.zeros_like(scores, dtype=torch.bool)
    if terms.veto_criterion is not None and terms.veto_below is not None:
        rating = found.criteria[:, heads.criteria.index(terms.veto_criterion)]
        forbidden |= ~(rating >= terms.veto_below)
    if terms.veto_flag is not None:
        forbidden |= ~(found.flags.sigmoid() <= terms.veto_flag).all(-1)
    return torch.where(forbidden, scores.clamp(max=terms.veto_reward), scores)


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
