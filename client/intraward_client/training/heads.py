"""One raw score, and a veto, out of what the reward heads say of an answer (facts A.4, anti-hacking).

Per row and by constants of the signed plan (rule 5 of DESIGN.md); no statistic of the batch. The standard
deviation is over the members of one row's own scores. A penalty proportional to it is Coste et al.'s
uncertainty-weighted optimisation (arXiv 2310.02743) with the deviation in place of the variance, so that
its coefficient has no unit. Safety is a constraint here, not a summand that a good style could buy off.
"""

from __future__ import annotations

import torch
from torch import Tensor

from intraward_shared.modeling import Appraisal
from intraward_shared.reward_heads import HeadTerms, RewardHeads


def combined_scores(found: Appraisal, heads: RewardHeads, terms: HeadTerms) -> Tensor:
    """Members' mean plus weighted criteria minus the uncertainty penalty ``(rows,)``, not yet normalised."""
    scores = found.weighted(heads, terms.criteria)
    if terms.uncertainty_coef > 0:
        scores = scores - terms.uncertainty_coef * found.disagreement
    return scores


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
