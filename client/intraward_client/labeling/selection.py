"""Which prompts are labelled first: those of which a reward ensemble disagrees, and any with a known chance.

Every prompt is drawn by itself, with a probability that depends on its own answers, a released adapter and
constants of the policy: ``random_share + (1 - random_share) * min(1, disagreement / scale)``. So no
patient's row depends on another's, as it would if the M most uncertain of all were taken (section 6 of
DESIGN.md: 3.6 C), and the stored probability is exact, for estimates that weigh by its inverse (Horvitz and
Thompson 1952). Draws
are keyed by the site, one for each prompt and adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from math import exp
from statistics import mean, pstdev


def disagreement(scores: Sequence[Sequence[float]]) -> float:
    """How far an ensemble's members disagree on which answer is better, 0 to 0.5.

    Args:
        scores: of each answer by every member ``(answers, members)``; a released reward adapter's.

    The standard deviation over members of the probability that one answer beats the other (Bradley-Terry),
    as a mean over every two answers. A member's offset drops out, its scale does not.
    """
    return mean(
        pstdev(1 / (1 + exp(min(700.0, second - first))) for first, second in zip(one, other, strict=True))
        for one, other in combinations(scores, 2)
    )


def propensity(disagreed: float, random_share: float, scale: float) -> float:
    """Probability with which a prompt is taken; at least ``random_share``."""
    return random_share + (1 - random_share) * min(1.0, disagreed / scale)


def select(propensities: Mapping[str, float], draw: Callable[[str], float]) -> Mapping[str, float]:
    """The prompts that are taken, with the propensity of each.

    Args:
        draw: uniform on [0, 1) by name, the same at every call: drawing again would change the chance.
    """
    return {name: chance for name, chance in propensities.items() if draw(name) < chance}


def keyed_draw(tag: Callable[[str], str]) -> Callable[[str], float]:
    """Uniform numbers out of keyed 32-hex names (``Vault.tag``), which only the site can foresee."""
    return lambda name: int(tag(name)[:13], 16) / (1 << 52)
