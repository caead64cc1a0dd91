"""Is a reward model's confidence worth its words, and does it know more than length?

Pure, on score differences (chosen minus rejected) of public pairs. The probability that a Bradley-Terry model
gives to the preference as it was judged is ``sigmoid(difference)``; its Brier score and expected
calibration error are those of that probability (Guo et al., arXiv 1706.04599). Accuracy on pairs of equal
length is what is left when length cannot be the reason (Singhal et al., arXiv 2310.03716). How far members
of an ensemble differ is worth something only if they differ more where they are wrong (Coste et al.,
arXiv 2310.02743), so both are given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intraward_server.baselines import ordered_rightly
from intraward_server.publicdata import Record
from intraward_server.statistics import Rate, grouped_rate, wilson

BINS = 10
MATCHED = 0.1
"""Lengths are matched when they differ by at most this share of the longer answer, in characters."""


def brier(differences: Sequence[float]) -> float:
    """Mean of ``(1 - p)^2``: 0 is certain and right, 0.25 knows nothing, 1 is certain and wrong."""
    return float(np.mean((1 - _sigmoid(differences)) ** 2)) if len(differences) else float("nan")


def calibration_error(differences: Sequence[float], bins: int = BINS) -> float:
    """Expected calibration error: gap between confidence and accuracy, over equal bins of confidence.

    Confidence is that of the answer the model prefers, ``max(p, 1 - p)`` from one half to 1, so the order
    in which a pair was written down does not matter; a tie counts half.
    """
    if not len(differences):
        return float("nan")
    chosen = _sigmoid(differences)
    confidence = np.maximum(chosen, 1 - chosen)
    right = np.sign(np.asarray(differences, np.float64)) / 2 + 0.5
    bin_of = np.minimum(((confidence - 0.5) * 2 * bins).astype(int), bins - 1)
    gaps = [abs(float((confidence - right)[bin_of == place].sum())) for place in range(bins)]
    return sum(gaps) / len(differences)


def length_matched(pairs: Sequence[Record], differences: Sequence[float]) -> Rate:
    """Accuracy on the pairs whose answers are about as long as each other; ties half."""
    kept = [
        (pair["prompt"], difference)
        for pair, difference in zip(pairs, differences, strict=True)
        if abs(len(pair["chosen"]) - len(pair["rejected"]))
        <= MATCHED * max(len(pair["chosen"]), len(pair["rejected"]))
    ]
    return grouped_rate(ordered_rightly([each for _, each in kept]), [prompt for prompt, _ in kept])


def disagreement(chosen: NDArray[np.float64], rejected: NDArray[np.float64]) -> dict[str, Any]:
    """How far the members of an ensemble differ on pairs.

    Accuracy of the lowest member's score, which is the reward under ``reduce = "worst"``. The standard
    deviation of score differences over the members, its mean over pairs and over those that their mean gets
    right or wrong; and the share of pairs on which every member prefers the same answer. Nothing for one
    member.

    Args:
        chosen, rejected: scores of the answers by each member ``(pairs, members)``.
    """
    members = chosen - rejected
    if members.shape[1] < 2 or not len(members):
        return {}
    lowest = np.sign(chosen.min(1) - rejected.min(1)) / 2 + 0.5
    worst = wilson(float(lowest.sum()), len(lowest))
    spread, right = members.std(1), members.mean(1) > 0
    return {
        "members": members.shape[1],
        "lowest_member_accuracy": worst.value,
        "lowest_member_accuracy_interval": worst.interval,
        "disagreement": float(spread.mean()),
        "disagreement_right": float(spread[right].mean()) if right.any() else None,
        "disagreement_wrong": float(spread[~right].mean()) if not right.all() else None,
        "unanimous": float(np.mean(np.abs(np.sign(members).sum(1)) == members.shape[1])),
    }


def _sigmoid(differences: Sequence[float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return 0.5 * (1 + np.tanh(np.asarray(differences, np.float64) / 2))
