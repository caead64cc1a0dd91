"""The one-run audit through sampler, engine and noise: below the claim when honest, above when it is not."""

from __future__ import annotations

import pytest

from intraward_simulation.attacks.claims import calibrated, with_noise
from intraward_simulation.attacks.one_run import DELTA, SHAPE, bounds_of, run_one_run


def test_one_run_is_below_the_claim_and_above_it_at_a_tenth_of_the_noise() -> None:
    mechanism = calibrated(SHAPE, 1.0, DELTA)
    assert max(bounds_of(mechanism, 1).values()) <= 1.0
    assert min(bounds_of(with_noise(mechanism, 0.1), 1).values()) > 1.0


def test_a_sampler_that_draws_too_many_is_seen() -> None:
    """The claim counts on a tenth of the patients a step; with half of them its noise is far too small."""
    honest = calibrated(SHAPE, 1.0, DELTA)
    assert max(bounds_of(honest.model_copy(update={"sample_rate": 0.5}), 1).values()) > 1.0


@pytest.mark.exhaustive
def test_twenty_of_twenty_seeds_at_claim_1() -> None:
    """The reach row: <= the claim in 20 of 20 seeds, and above it when the noise is cut to a tenth."""
    result = run_one_run()
    bounds = [f for f in result.figures if f.name in ("one_run_epsilon", "fdp_epsilon")]
    honest = [f.value for f in bounds if f.privacy == "on"]
    cut = [f.value for f in bounds if f.privacy == "cut"]
    assert result.passed and len(result.seeds) == 20 and len(honest) == len(cut) == 40
    assert max(honest) <= 1.0 < min(cut)
