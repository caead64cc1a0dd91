"""The Plackett-Luce loss of a ranking of several answers (Plackett 1975; Luce 1959), ties included.

The best answer is picked from all with probability softmax of the scores, the next from the rest, and
so on. With two answers that is Bradley-Terry. Departs from the usual batched form (a reversed
logcumsumexp over a padded block): each ranking is computed from its own answers alone, so no shape of
it depends on how many answers a neighbour has (DESIGN.md section 6).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb

import torch
from torch import Tensor


def plackett_luce_loss(scores: Tensor, ranks: Sequence[int]) -> Tensor:
    """Negative log-likelihood of one ranking, in nats; a scalar.

    Tied answers have an order that the rater did not give: the loss is the mean over all their orders.
    That makes a tie of two answers a comparison won half, as in ``bradley_terry_loss``, and a ranking
    whose answers are all tied pulls the scores together. Breslow's and Efron's shortcuts would not.

    Args:
        scores: ``(answers,)``, two or more; ranks: 1 is the best, equal ranks are ties.
    """
    picks = [
        share * torch.stack([scores[i] for i in members]).logsumexp(0)
        for members, share in choice_sets(ranks)
    ]
    return torch.stack(picks).sum() - scores.sum()


def choice_sets(ranks: Sequence[int]) -> Iterator[tuple[tuple[int, ...], float]]:
    """Sets from which an answer is picked, and the share of the orders of ties in which each occurs.

    A set of one answer is a pick as well, of probability one; their shares sum to ``len(ranks)``.
    """
    for rank in sorted(set(ranks)):
        tied = [index for index, other in enumerate(ranks) if other == rank]
        behind = [index for index, other in enumerate(ranks) if other > rank]
        for left in range(1, len(tied) + 1):
            for kept in combinations(tied, left):
                yield (*kept, *behind), 1 / comb(len(tied), left)
