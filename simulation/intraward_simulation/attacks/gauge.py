"""The noise gauge: does the noised gradient have the epsilon that is claimed for it, to 5 per cent?

Recipe A of facts on privacy, section 4: with every patient drawn (q = 1, one step) the mechanism is
a plain Gaussian, the scores of ``dirac`` estimate its mu, and mu gives epsilon exactly. The gauge reads both
ways: too little noise is a broken promise, too much a wasted one. It must also fail when the noise is cut to
nine tenths, or it could not be believed. Blocks keep the per-record gradients small; each is a step of one
engine with coins of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from intraward_shared.attack_results import AttackFigure, AttackResult, Privacy
from intraward_shared.protocol import Mechanism
from intraward_simulation.attacks.bounds import gaussian_epsilon
from intraward_simulation.attacks.claims import calibrated, check_epsilon, claim_of, with_noise
from intraward_simulation.attacks.dirac import RECORDS, released_scores
from intraward_simulation.attacks.result import Tell, conclude, figures, part_of

EPSILONS = (1.0, 4.0, 8.0)
SEEDS = (20260101,)
DELTA = 1e-5
BLOCK = 500
CANARIES, CANARIES_AT_SMALL_EPSILON = 20_000, 200_000
"""The error of mu is 2 / sqrt(canaries): 1.7 % of mu at epsilon 1 needs ten times as many as at 4 (1.5 %)."""
SMALL_EPSILON = 2.0
NOISE: tuple[tuple[Privacy, float], ...] = (("on", 1.0), ("cut", 0.9), ("off", 1e-3))
"""Share of the claimed noise that the engine is given."""


def run_gauge(
    epsilons: Sequence[float] = EPSILONS,
    seeds: Sequence[int] = SEEDS,
    tell: Tell = lambda _: None,
    canaries: int = 0,
) -> AttackResult:
    """Gauge the engine at each claim: with its noise, with nine tenths of it, and with next to none.

    Args:
        canaries: at each claim; 0 for as many as 5 per cent need.

    Raises:
        ConfigError: an epsilon that cannot be attacked.
    """
    measured: list[AttackFigure] = []
    claims = []
    parts = [(epsilon, seed) for epsilon in epsilons for seed in seeds]
    for index, (epsilon, seed) in enumerate(parts):
        check_epsilon(epsilon)
        blocks = (canaries or canaries_for(epsilon)) // BLOCK
        mechanism = gaussian(epsilon)
        if seed == seeds[0]:
            claims.append(claim_of(mechanism, epsilon, DELTA))
        for done, (privacy, share) in enumerate(NOISE):
            report = part_of(tell, index * len(NOISE) + done, len(parts) * len(NOISE))
            found = gauge(with_noise(mechanism, share), 1 if privacy == "off" else blocks, seed, report)
            values = {"epsilon": found}
            if privacy != "off":
                values["claim_error"] = abs(found / epsilon - 1.0)
            measured += figures(privacy, epsilon, seed, values)
    settings: dict[str, int | float | str] = {"block": BLOCK, "records_per_patient": RECORDS}
    settings |= {f"noise_{privacy}": share for privacy, share in NOISE}
    settings |= {f"canaries_at_{e:g}": canaries or canaries_for(e) for e in epsilons}
    return conclude("gauge", measured, claims, settings)


def canaries_for(epsilon: float) -> int:
    """As many canaries as an error of 5 per cent needs."""
    return CANARIES_AT_SMALL_EPSILON if epsilon < SMALL_EPSILON else CANARIES


def gaussian(epsilon: float) -> Mechanism:
    """One step over every patient with the noise that ``epsilon`` asks for."""
    shape = Mechanism(
        sample_rate=1.0,
        noise_multiplier=1.0,
        max_grad_norm=1.0,
        steps=1,
        nominal_batch=1,
        max_records_per_unit=RECORDS,
    )
    return calibrated(shape, epsilon, DELTA)


def gauge(mechanism: Mechanism, blocks: int, seed: int, tell: Tell = lambda _: None) -> float:
    """Epsilon of what the engine really releases under ``mechanism``, of ``blocks`` blocks of canaries.

    Each block is one step of the same engine over a table of its own; the claim is that of one step.
    """
    coins = np.random.default_rng(seed).random((blocks, BLOCK)) < 0.5
    many = mechanism.model_copy(update={"steps": blocks})
    scores = np.stack(
        list(released_scores(many, BLOCK, lambda step: np.flatnonzero(coins[step]), seed, tell))
    )
    return gaussian_epsilon(scores[coins], scores[~coins], DELTA)
