"""Release gates: strict reading, each comparison, worst site, ends of intervals, and what is missing."""

from __future__ import annotations

from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from intraward_shared.errors import ConfigError
from intraward_shared.release_gates import GateResult, judge_release, read_gates

FIGURES: dict[str, Any] = {
    "evaluation": {
        "policy": {"win_rate": 0.62, "win_rate_interval": [0.55, 0.69], "kl": 4.0, "lost": None, "odd": [1]},
        "closed": {"accuracy_sft": 0.50, "accuracy_rl": 0.46},
        "verdicts": [{"outcome": "not seen"}, {"outcome": "over-optimised"}],
        "nothing": {},
        "inf": float("inf"),
    },
    "privacy": {"sites": {"a": {"epsilon": 2.0, "ok": True}, "b": {"epsilon": 6.0, "ok": False}, "c": {}}},
    "attacks": {"canary": {"passed": True}},
}


def judged(**terms: Any) -> GateResult:
    rule = {"name": "g", "source": "evaluation", **terms}
    (result,) = judge_release(read_gates(tomli_w.dumps({"gates": [rule]}).encode(), "gates.toml"), FIGURES)
    return result


@pytest.mark.parametrize(
    ("terms", "status", "measured"),
    [
        ({"figure": "policy.win_rate", "at_least": 0.62}, "passed", 0.62),
        ({"figure": "policy.win_rate", "above": 0.62}, "failed", 0.62),
        ({"figure": "policy.win_rate", "at_most": 0.62}, "passed", 0.62),
        ({"figure": "policy.win_rate", "below": 0.62}, "failed", 0.62),
        ({"figure": "policy.win_rate", "bound": "low", "above": 0.55}, "failed", 0.55),
        ({"figure": "policy.win_rate", "bound": "high", "below": 0.7}, "passed", 0.69),
        ({"figure": "policy.kl", "bound": "low", "above": 0.0}, "missing", None),
        (
            {"figure": "closed.accuracy_rl", "minus": "closed.accuracy_sft", "at_least": -0.05},
            "passed",
            -0.04,
        ),
        ({"figure": "closed.accuracy_rl", "minus": "closed.none", "at_least": -0.05}, "missing", None),
        ({"figure": "verdicts.*.outcome", "differs": "over-optimised"}, "failed", "over-optimised"),
        ({"figure": "verdicts.0.outcome", "differs": "over-optimised"}, "passed", "not seen"),
        ({"source": "attacks", "figure": "canary.passed", "equals": True, "veto": True}, "passed", True),
        ({"source": "attacks", "figure": "gauge.passed", "equals": True}, "missing", None),
        ({"source": "attacks", "figure": "canary.passed", "equals": "true"}, "missing", None),
        ({"figure": "inf", "at_least": 0.0}, "missing", None),
        ({"figure": "policy.odd", "at_least": 0.0}, "missing", None),
        ({"figure": "policy.odd", "at_least": 0.0, "optional": True}, "missing", None),
        ({"figure": "policy.lost", "at_least": 0.0, "optional": True}, "not measured", None),
        ({"figure": "nothing.*.x", "at_least": 0.0, "optional": True}, "not measured", None),
        ({"figure": "nothing.*.x", "at_least": 0.0}, "missing", None),
        ({"figure": "policy.kl.deeper", "at_least": 0.0}, "missing", None),
        ({"figure": "verdicts.7.outcome", "equals": "x"}, "missing", None),
    ],
)
def test_each_comparison(terms: dict[str, Any], status: str, measured: Any) -> None:
    result = judged(**terms)
    assert result.status == status and result.passed == (status in ("passed", "not measured"))
    assert result.measured == (pytest.approx(measured) if isinstance(measured, float) else measured)


def test_the_worst_site_counts_and_is_named() -> None:
    whole = {"sites": {k: v for k, v in FIGURES["privacy"]["sites"].items() if k != "c"}}
    rule: dict[str, Any] = {"name": "g", "source": "privacy", "figure": "sites.*.epsilon"}

    def of(**terms: Any) -> GateResult:
        gates = read_gates(tomli_w.dumps({"gates": [rule | terms]}).encode(), "gates.toml")
        return judge_release(gates, {"privacy": whole})[0]

    assert (of(at_most=5.0).item, of(at_most=5.0).measured, of(at_most=5.0).passed) == ("b", 6.0, False)
    assert (of(at_least=1.0).item, of(at_least=1.0).measured) == ("a", 2.0)
    assert (of(at_most=5.0, over="mean").item, of(at_most=5.0, over="mean").measured) == (None, 4.0)
    assert (of(figure="sites.*.ok", equals=True).item, of(figure="sites.*.ok", equals=True).passed) == (
        "b",
        False,
    )


def test_a_site_without_the_figure_fails_the_gate() -> None:
    result = judged(source="privacy", figure="sites.*.epsilon", at_most=100.0)
    assert (result.status, result.item) == ("missing", "c")


def test_a_reason_says_what_was_asked_measured_and_where() -> None:
    result = judged(figure="policy.win_rate", bound="low", above=0.6, veto=True)
    assert result.reason == (
        "veto g: asked low end of the 95 % interval of policy.win_rate above 0.6; measured 0.55; "
        "see evaluation: policy.win_rate_interval"
    )


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ({"figure": "x"}, "gates.0: a gate has one of"),
        ({"figure": "x", "at_least": 1.0, "below": 2.0}, "and only one"),
        ({"figure": "x", "equals": True, "minus": "y"}, "compare numbers"),
        ({"figure": "x", "at_least": 1.0, "minus": "y", "bound": "low"}, "has no interval"),
        ({"figure": "x.*.*", "at_least": 1.0}, "one \\* in figure"),
        ({"figure": "x", "at_least": 1.0, "veto": True, "optional": True}, "a veto cannot be optional"),
        ({"figure": "x", "at_leest": 1.0}, "gates.0.at_leest: unknown key; did you mean at_least"),
        ({"figure": "x y", "at_least": 1.0}, "gates.0.figure"),
        ({"figure": "x", "at_least": "1"}, "gates.0.at_least"),
        ({"figure": "x", "at_least": True}, "gates.0.at_least"),
        ({"figure": "x", "at_least": 1.0, "source": "hearsay"}, "gates.0.source"),
    ],
)
def test_a_wrong_rule_is_refused_with_file_and_key(terms: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why) as refused:
        judged(**terms)
    assert refused.value.file == "gates.toml"


@pytest.mark.parametrize("data", [b"gates = [", b"\xff", b"", b"[[gates]]\nfigure='x'\n" * 20_000])
def test_what_is_no_gates_file_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError):
        read_gates(data, "gates.toml")


def test_two_gates_of_one_name_are_refused() -> None:
    rule = {"name": "g", "source": "evaluation", "figure": "x", "above": 0.0}
    with pytest.raises(ConfigError, match="same name"):
        read_gates(tomli_w.dumps({"gates": [rule, rule]}).encode(), "gates.toml")


@given(st.floats(allow_nan=True, allow_infinity=True), st.floats(-1e9, 1e9))
def test_no_figure_passes_both_sides_of_a_threshold(value: float, bound: float) -> None:
    def passes(**terms: Any) -> bool:
        rule = {"name": "g", "source": "evaluation", "figure": "x", **terms}
        gates = read_gates(tomli_w.dumps({"gates": [rule]}).encode(), "gates.toml")
        return judge_release(gates, {"evaluation": {"x": value}})[0].passed

    assert not (passes(at_least=bound) and passes(below=bound))
    assert not (passes(above=bound) and passes(at_most=bound))
    if value - value == 0:  # finite
        assert passes(at_least=bound) != passes(below=bound)
