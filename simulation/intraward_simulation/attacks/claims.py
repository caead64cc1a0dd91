"""From a claimed epsilon to the mechanism that claims it.

Noise is calibrated by the auditor's own accountant (``intraward_shared.privacy``, PLD) to just below the
epsilon asked for, so the attacked mechanism spends the claim and not a comfortable part of it.
"""

from __future__ import annotations

import math

from intraward_shared.attack_results import LARGEST_CLAIM, AttackClaim
from intraward_shared.errors import ConfigError
from intraward_shared.privacy import events_to_epsilon
from intraward_shared.protocol import Mechanism

LEAST_EPSILON, MOST_EPSILON = 0.1, LARGEST_CLAIM
"""Claims that the gates speak of: none is made above 8, and below 0.1 nothing is left to see."""
LARGEST_NOISE = 1000.0
PARTS = 10_000
"""Noise multipliers are rounded up to a ten-thousandth."""


def calibrated(shape: Mechanism, epsilon: float, delta: float) -> Mechanism:
    """``shape`` with the least noise multiplier, to 0.0001, whose epsilon is at most ``epsilon``.

    Raises:
        ConfigError: it needs more noise than a mechanism may have.
    """
    low, high = 1, PARTS
    while events_to_epsilon([_noised(shape, high)], delta) > epsilon:
        low, high = high, 2 * high
        if high > LARGEST_NOISE * PARTS:
            raise ConfigError("--epsilon", "", "too small for any noise", remedy="attack a larger claim")
    while high - low > 1:
        middle = (low + high) // 2
        enough = events_to_epsilon([_noised(shape, middle)], delta) <= epsilon
        low, high = (low, middle) if enough else (middle, high)
    return _noised(shape, high)


def claim_of(mechanism: Mechanism, epsilon: float, delta: float) -> AttackClaim:
    """The claim as it stands in a result."""
    return AttackClaim(
        epsilon=epsilon,
        delta=delta,
        sample_rate=mechanism.sample_rate,
        noise_multiplier=mechanism.noise_multiplier,
        steps=mechanism.steps,
    )


def with_noise(mechanism: Mechanism, factor: float) -> Mechanism:
    """The mechanism as a hospital would run it that adds ``factor`` times the noise it claims."""
    return mechanism.model_copy(update={"noise_multiplier": mechanism.noise_multiplier * factor})


def check_epsilon(epsilon: float) -> None:
    """Refuse a claim that no gate speaks of.

    Raises:
        ConfigError: not within the range.
    """
    if not (math.isfinite(epsilon) and LEAST_EPSILON <= epsilon <= MOST_EPSILON):
        raise ConfigError(
            "--epsilon",
            "",
            "out of range",
            remedy=f"claims from {LEAST_EPSILON:g} to {MOST_EPSILON:g} can be attacked",
        )


def _noised(shape: Mechanism, parts: int) -> Mechanism:
    return shape.model_copy(update={"noise_multiplier": parts / PARTS})
