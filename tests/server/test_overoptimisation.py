"""Over-optimisation is said where gold falls by more than chance while the proxy rises, and only there."""

from __future__ import annotations

from typing import Any

import pytest

from intraward_server.overoptimisation import Point, curve, summary, verdicts


def points(proxy: list[float], gold: list[float], error: float = 0.05, iteration: int = 1) -> list[Point]:
    """A policy that moves one nat a round."""
    pairs = enumerate(zip(proxy, gold, strict=True))
    return [Point(iteration, place, float(place), p, g, error) for place, (p, g) in pairs]


@pytest.mark.parametrize(
    ("proxy", "gold", "error", "outcome", "best"),
    [
        ([0, 1, 2, 3], [0, 1, 1.5, 1.6], 0.05, "not seen", 3),
        ([0, 1, 2, 3], [0, 1, 0.8, 0.2], 0.05, "over-optimised", 1),
        ([0, 1, 2, 3], [0, 1, 0.8, 0.2], 0.5, "uncertain", 1),
        ([0, 1, 2, 3], [0, 1, 0.1, 0.9], 0.05, "over-optimised", 1),
        ([0, 1, 0.5, 0.6], [0, 1, 0.2, 0.1], 0.05, "not seen", 1),
        ([1, 0.9, 0.8, 1.0], [1, 0.5, 0.4, 0.3], 0.05, "proxy did not rise", 0),
        ([0, 1, 2, 3], [1, 0.5, 0.2, 0.1], 0.05, "over-optimised", 0),
    ],
)
def test_verdicts(proxy: list[float], gold: list[float], error: float, outcome: str, best: int) -> None:
    (verdict,) = verdicts(points(proxy, gold, error))
    assert (verdict.outcome, verdict.best_round) == (outcome, best)


def test_chance_is_two_means_1_96_standard_errors_apart() -> None:
    gap = 1.96 * 2**0.5 * 0.1
    for fall, outcome in ((0.99 * gap, "uncertain"), (1.01 * gap, "over-optimised")):
        assert verdicts(points([0, 1], [1, 1 - fall], 0.1))[0].outcome == outcome


def test_the_words_name_rounds_kl_and_both_rewards() -> None:
    (verdict,) = verdicts(points([0, 1, 2], [0.5, 1, 0.25]))
    for told in ("round 1 (KL 1.0)", "round 2 (KL 2.0)", "from 1.00 to 2.00", "from 1.00 to 0.25"):
        assert told in verdict.words


def test_iterations_stand_apart() -> None:
    both = [*points([0, 1], [1, 2]), *points([-5, -4], [2, 0], iteration=2)]
    assert [v.outcome for v in verdicts(both)] == ["not seen", "over-optimised"]
    assert verdicts(both[:3])[-1].iteration == 1  # one point says nothing


def line(iteration: int, number: int, start: bool = False, **figures: Any) -> dict[str, Any]:
    judged = {"kl": 1.0, "proxy_reward": 2.0, "gold_reward": 3.0, "gold_std_error": 0.1}
    more = {"start": judged | {"kl": 0.0}} if start else {}
    return {"iteration": iteration, "stage_round": number, "figures": figures or judged | more}


def test_the_curve_has_where_each_iteration_began_and_leaves_out_what_nobody_judged() -> None:
    history = [line(1, 1, accuracy=0.7), line(1, 1, True), line(1, 2), line(2, 3, True), line(2, 4, kl=1.0)]
    assert [(p.iteration, p.round, p.kl) for p in curve(history)] == [
        (1, 0, 0.0),
        (1, 1, 1.0),
        (1, 2, 1.0),
        (2, 2, 0.0),
        (2, 3, 1.0),
    ]
    told = summary(history, "a rule")
    assert told["judge"] == "a rule" and len(told["points"]) == 5 and len(told["verdicts"]) == 2
    assert summary([line(1, 1, accuracy=0.7)], "a rule") == {}
