"""The one-run audit over 20 seeds at larger claims: a study; claim 1 is an ordinary slow test."""

from __future__ import annotations

import pytest

from intraward_simulation.attacks.one_run import run_one_run


@pytest.mark.bench
@pytest.mark.parametrize("epsilon", [4.0, 8.0])
def test_twenty_of_twenty_seeds_at_larger_claims(epsilon: float) -> None:
    result = run_one_run((epsilon,))
    for name in ("one_run_epsilon", "fdp_epsilon"):
        values = {
            kind: [f.value for f in result.figures if (f.name, f.privacy) == (name, kind)]
            for kind in ("on", "cut")
        }
        told = ", ".join(f"{kind} {min(found):.2f} to {max(found):.2f}" for kind, found in values.items())
        print(f"\nclaim {epsilon:g}, {name}: {told}")
    assert result.passed
