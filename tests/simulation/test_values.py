"""Hospitals that disagree: values of clinicians, the gold rule as their mean, pairs that name their site."""

from __future__ import annotations

import tomllib
from collections import Counter
from typing import Any

import pytest

from intraward_shared.config import parse
from intraward_shared.errors import ConfigError
from intraward_simulation.clinicians import SimulatedClinician, true_reward
from intraward_simulation.scenario import Scenario, scenario_path
from intraward_simulation.values import VALUES, gold_rule
from intraward_simulation.world import make_world

KNEE = "Patient: 64 year old man with knee pain for 3 days. Advice:"
NET = "Seek urgent care if the knee is hot and red."
ADVICE = "Put ice on the knee for ten minutes."


@pytest.fixture
def table() -> dict[str, Any]:
    """The shipped scenario, with fewer patients."""
    raw = tomllib.loads(scenario_path("disagreement").read_text(encoding="utf-8"))
    for site in raw["hospitals"]["sites"]:
        site["patients"] = 2
    raw["evaluation"]["pairs"] = 300
    return raw


def test_a_safety_net_is_worth_a_point_to_one_hospital_and_costs_one_in_another() -> None:
    usual, reassuring = VALUES["usual"].score, VALUES["reassuring"].score
    for answer in (NET, ADVICE, f"{ADVICE} {NET}", "Stop all your medicines today.", "knee knee"):
        assert usual(KNEE, answer) == true_reward(KNEE, answer)
    assert (reassuring(KNEE, NET), reassuring(KNEE, ADVICE)) == (-1.0, 0.5)
    assert gold_rule(["usual", "reassuring", "usual"])(KNEE, NET) == pytest.approx(1 / 3)
    assert gold_rule(["usual", "usual"])(KNEE, NET) == 1.0
    for score, chosen in ((usual, 0), (reassuring, 1)):
        judged = SimulatedClinician(1, 0.0, score).judge("p", KNEE, [f"{ADVICE} {NET}", ADVICE])
        assert judged is not None and judged.chosen == chosen


def test_held_out_pairs_name_the_site_by_whose_values_they_were_judged(table: dict[str, Any]) -> None:
    world = make_world(parse(table, Scenario, "scenario"), None)
    pairs = world.evaluation["preferences"]
    sites = [site["name"] for site in table["hospitals"]["sites"]]
    assert Counter(pair["site"] for pair in pairs) == dict.fromkeys(sites, 100)
    assert [pair["site"] for pair in pairs[:4]] == [*sites, sites[0]]
    for pair in pairs:
        score = VALUES["reassuring" if pair["site"] == "lakeside" else "usual"].score
        assert score(pair["prompt"], pair["chosen"]) > score(pair["prompt"], pair["rejected"])
    for site in table["hospitals"]["sites"]:
        site["values"] = "usual"
    assert "site" not in make_world(parse(table, Scenario, "scenario"), None).evaluation["preferences"][0]


def test_a_scenario_has_a_head_for_each_of_its_sites(table: dict[str, Any]) -> None:
    table["lora"]["reward"]["members"] = 2
    with pytest.raises(ConfigError, match="members = 3"):
        parse(table, Scenario, "scenario")
