"""The one-run audit: a lower bound on epsilon that needs a single training, over many Poisson steps.

Steinke, Nasr and Jagielski (arXiv 2305.08846) and, beside it, the bound of Mahloujifar, Melis and Chaudhuri
(arXiv 2410.22235) on the Dirac canaries of ``dirac``; recipe B of facts on privacy, section 4. Unlike the
gauge it goes through the sampler and composes a hundred steps. A smoke test: with a thousand canaries the
first bound cannot exceed 5.1 whatever is wrong, so it refutes a claim of 8 only through the second. How many
guesses are made was fixed before looking.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from intraward_shared.attack_results import AttackFigure, AttackResult, Privacy
from intraward_shared.protocol import Mechanism
from intraward_simulation.attacks.bounds import fdp_epsilon, guess_ends, one_run_epsilon
from intraward_simulation.attacks.claims import calibrated, check_epsilon, claim_of, with_noise
from intraward_simulation.attacks.dirac import RECORDS, released_scores
from intraward_simulation.attacks.result import Tell, conclude, figures, part_of

EPSILONS = (1.0,)
SEEDS = tuple(range(1, 21))
DELTA = 1e-5
CANARIES = 1000
GUESSES = 500
SIGNIFICANCE = 0.05
NOISE: tuple[tuple[Privacy, float], ...] = (("on", 1.0), ("cut", 0.1), ("off", 1e-3))
"""Share of the claimed noise that the engine is given."""
SHAPE = Mechanism(
    sample_rate=0.1,
    noise_multiplier=1.0,
    max_grad_norm=1.0,
    steps=100,
    nominal_batch=50,
    max_records_per_unit=RECORDS,
)


def run_one_run(
    epsilons: Sequence[float] = EPSILONS, seeds: Sequence[int] = SEEDS, tell: Tell = lambda _: None
) -> AttackResult:
    """Bound epsilon from below with the claimed noise, a tenth of it, and next to none.

    ``excess`` is how far the higher of the two bounds is above the claim.

    Raises:
        ConfigError: an epsilon that cannot be attacked.
    """
    measured: list[AttackFigure] = []
    claims = []
    rounds = [
        (epsilon, seed, privacy, share)
        for epsilon in epsilons
        for seed in seeds
        for privacy, share in NOISE
        if privacy != "off" or seed == seeds[0]
    ]
    for index, (epsilon, seed, privacy, share) in enumerate(rounds):
        check_epsilon(epsilon)
        mechanism = calibrated(SHAPE, epsilon, DELTA)
        claim = claim_of(mechanism, epsilon, DELTA)
        if claim not in claims:
            claims.append(claim)
        values = bounds_of(with_noise(mechanism, share), seed, part_of(tell, index, len(rounds)))
        values["excess"] = max(values.values()) - epsilon
        measured += figures(privacy, epsilon, seed, values)
    settings: dict[str, int | float | str] = {
        "canaries": CANARIES,
        "guesses": GUESSES,
        "significance": SIGNIFICANCE,
    }
    settings |= {f"noise_{privacy}": share for privacy, share in NOISE}
    return conclude("one-run", measured, claims, settings | {"records_per_patient": RECORDS})


def bounds_of(mechanism: Mechanism, seed: int, tell: Tell = lambda _: None) -> dict[str, float]:
    """Both bounds of one run: each canary is in by a fair coin, its score is summed over the steps."""
    inside = np.random.default_rng(seed).random(CANARIES) < 0.5
    members = np.flatnonzero(inside)
    scores = np.zeros(CANARIES)
    for step in released_scores(mechanism, CANARIES, lambda _: members, seed, tell):
        scores += step
    correct = guess_ends(scores, inside, GUESSES)
    return {
        "one_run_epsilon": one_run_epsilon(CANARIES, GUESSES, correct, DELTA, SIGNIFICANCE),
        "fdp_epsilon": fdp_epsilon(CANARIES, GUESSES, correct, DELTA, SIGNIFICANCE),
    }
