"""Lower bounds on epsilon from the outcome of an attack: pure functions of counts, no training here.

Sources: Steinke, Nasr and Jagielski, NeurIPS 2023 (arXiv 2305.08846, theorem 5.2); Mahloujifar, Melis and
Chaudhuri, ICML 2025 (arXiv 2410.22235, algorithm 2); Clopper and Pearson 1934 for rates; Gaussian
differential privacy of Dong, Roth and Su (arXiv 1905.02383) for the gauge. A bound above the claim refutes
the claim at the stated confidence; one below it proves nothing: one run with m canaries cannot show more
than about ln(m). Departs from the papers in one point: the number of guesses is given beforehand, never
chosen by looking at the outcome.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import dp_accounting
import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

Floats = NDArray[np.float64]
PRECISION = 1e-6
LARGEST_EPSILON = 50.0


def one_run_p_value(canaries: int, guesses: int, correct: int, epsilon: float, delta: float) -> float:
    """Most probability that an (epsilon, delta)-private run gives ``correct`` or more right guesses.

    Each of ``canaries`` was put in by a fair coin; ``guesses`` of the coins were guessed.
    """
    if correct <= 0:
        return 1.0
    right = 1.0 / (1.0 + math.exp(-epsilon))
    tail = stats.binom.sf(np.arange(correct, -1, -1) - 1, guesses, right)  # P[Binomial >= correct - i]
    slope = float(np.max((tail[1:] - tail[0]) / np.arange(1, correct + 1)))
    return min(1.0, float(tail[0]) + 2.0 * canaries * delta * slope)


def one_run_epsilon(
    canaries: int, guesses: int, correct: int, delta: float, significance: float = 0.05
) -> float:
    """Largest epsilon refuted by Steinke, Nasr and Jagielski's test; 0 when none is."""
    return _largest_refuted(
        lambda epsilon: one_run_p_value(canaries, guesses, correct, epsilon, delta) <= significance
    )


def fdp_epsilon(canaries: int, guesses: int, correct: int, delta: float, significance: float = 0.05) -> float:
    """Largest epsilon refuted by Mahloujifar, Melis and Chaudhuri's test among Gaussian mechanisms.

    It speaks of the whole trade-off curve, taken as a Gaussian's. Many Poisson steps together come near
    to one (central limit theorem of 1905.02383), so beside the first bound, which assumes nothing, this is
    the sharper and slightly less strict one.
    """
    return _largest_refuted(
        lambda epsilon: _fdp_refutes(canaries, guesses, correct, epsilon, delta, significance)
    )


def _fdp_refutes(
    canaries: int, guesses: int, correct: int, epsilon: float, delta: float, significance: float
) -> bool:
    """Whether so many right guesses are too many for the Gaussian mechanism of (epsilon, delta)."""
    shift = 1.0 / dp_accounting.get_sigma_gaussian(epsilon, delta) if epsilon > 0 else 0.0
    wrong = significance * (guesses - correct) / canaries
    right = significance * correct / canaries
    for left in range(correct - 1, -1, -1):
        following = max(wrong, float(special.ndtr(special.ndtri(right) - shift)))
        right = min(1.0, right + left / (guesses - left) * (following - wrong))
        wrong = following
    return right + wrong > guesses / canaries


def guess_ends(scores: Floats, inside: NDArray[np.bool_], guesses: int) -> int:
    """Right guesses when the ``guesses / 2`` highest scores are called in and as many lowest out."""
    order = np.argsort(scores, kind="stable")
    half = guesses // 2
    return int(inside[order[len(order) - half :]].sum() + (~inside[order[:half]]).sum())


def gaussian_epsilon(inside: Floats, outside: Floats, delta: float) -> float:
    """Epsilon of the Gaussian mechanism whose two score distributions these are (a plug-in estimate)."""
    pooled = math.sqrt((inside.var(ddof=1) + outside.var(ddof=1)) / 2.0)
    shift = float(inside.mean() - outside.mean()) / pooled
    return float(dp_accounting.get_epsilon_gaussian(1.0 / shift, delta)) if shift > 0 else 0.0


def auc(inside: Floats, outside: Floats) -> float:
    """Probability that a member's score is above a non-member's; ties count half."""
    ranks = stats.rankdata(np.concatenate([inside, outside]))
    members = len(inside)
    return float((ranks[:members].sum() - members * (members + 1) / 2) / (members * len(outside)))


def rates_epsilon(
    inside: Floats, outside: Floats, delta: float, significance: float = 0.05
) -> tuple[float, float]:
    """``(true positive rate, epsilon refuted)`` at the threshold of no false positive.

    ``TPR <= e^epsilon FPR + delta`` holds for the true rates; what was counted bounds them by Clopper and
    Pearson, each at half the significance. Nothing is searched: the threshold is the highest of the n
    non-members' scores, where the false positive rate follows Beta(1, n), the very law of the interval.
    """
    found, members, others = int((inside > outside.max()).sum()), len(inside), len(outside)
    lowest = float(stats.beta.ppf(significance / 2, found, members - found + 1)) if found else 0.0
    highest = float(stats.beta.ppf(1 - significance / 2, 1, others))
    refuted = max(0.0, math.log((lowest - delta) / highest)) if lowest > delta else 0.0
    return found / members, refuted


def _largest_refuted(refutes: Callable[[float], bool]) -> float:
    """Bisection for the largest epsilon that ``refutes`` still answers with true."""
    if not refutes(0.0):
        return 0.0
    if refutes(LARGEST_EPSILON):
        return LARGEST_EPSILON
    return float(optimize.bisect(lambda e: 1.0 if refutes(e) else -1.0, 0.0, LARGEST_EPSILON, xtol=PRECISION))
