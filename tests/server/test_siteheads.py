"""Heads of sites at the coordinator: shared tensors by the rule, each site's row from that site alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intraward_server.gathering import Gathering
from intraward_server.home import ServerHome
from intraward_server.program import run
from intraward_server.registry import Registry
from intraward_server.siteheads import divided, whole
from intraward_shared.adapters import decode
from intraward_shared.aggregation_terms import AggregationTerms
from intraward_shared.errors import ConfigError
from intraward_shared.program import load_program
from intraward_shared.protocol import open_update
from intraward_shared.reward_heads import RewardHeads
from intraward_shared.signing import SigningKey
from intraward_shared.stages import Part, Stage

COHORT = ("alpha", "beta", "gamma")
HEADS = RewardHeads(head="per_site", members=3, criteria=("safety",))
LORA, HEAD = "m.lora_B.weight", "score.weight"


def state(lora: float, *rows: float) -> dict[str, Any]:
    return {
        LORA: np.full((2, 2), lora, np.float32),
        HEAD: np.array([[row, row] for row in rows], np.float32),
    }


START = state(1.0, 10.0, 20.0, 30.0, 0.0)
UPDATES = {
    "alpha": state(0.1, 1.0, 99.0, 99.0, 0.1),
    "beta": state(0.2, -99.0, 2.0, 99.0, 0.2),
    "gamma": state(0.9, 99.0, 99.0, 3.0, 0.9),
}


def gathered(terms: AggregationTerms, folder: Path, start: Any, *sites: str, name: str = "start") -> Any:
    gathering = Gathering(terms, start, Part.B, HEADS, COHORT)
    for site in sites:
        gathering.add(site, UPDATES[site])
    made = gathering.adapter(folder, name, fresh=name == "start")
    made.keep(name + "+")
    return made.state


@pytest.mark.parametrize(
    ("rule", "shared"),
    [("mean", 0.4), ("median", 0.2), ("trimmed_mean", 0.2)],
    ids=["mean", "median", "trim"],
)
def test_shared_tensors_follow_the_rule_and_rows_their_site(tmp_path: Path, rule: Any, shared: float) -> None:
    after = gathered(AggregationTerms(rule=rule), tmp_path, START, *COHORT)
    np.testing.assert_allclose(after[LORA], 1.0 + shared, rtol=1e-6)
    np.testing.assert_allclose(after[HEAD][:, 0], [11.0, 22.0, 33.0, shared], rtol=1e-6)


@pytest.mark.parametrize("optimizer", ["none", "fedavgm", "fedadam"])
def test_a_site_that_misses_a_round_has_its_row_as_it_was_moments_and_all(
    tmp_path: Path, optimizer: Any
) -> None:
    terms = AggregationTerms(optimizer=optimizer)
    first = gathered(terms, tmp_path, START, *COHORT)
    second = gathered(terms, tmp_path, first, "alpha", "gamma", name="start+")
    np.testing.assert_array_equal(second[HEAD][1], first[HEAD][1])
    assert (second[HEAD][[0, 2, 3]] != first[HEAD][[0, 2, 3]]).all() and (second[LORA] != first[LORA]).all()
    third = gathered(terms, tmp_path, second, "beta", name="start++")
    straight = gathered(terms, tmp_path / "straight", START, "beta")
    straight = gathered(terms, tmp_path / "straight", straight, "beta", name="start+")
    np.testing.assert_allclose(third[HEAD][1], straight[HEAD][1], rtol=1e-6)


def test_dividing_and_joining_give_the_same_adapter_and_shared_heads_stay_whole() -> None:
    for heads in (HEADS, HEADS.model_copy(update={"criteria": ()}), RewardHeads(members=4)):
        start = state(1.0, *range(heads.rows))
        again = whole(divided(start, heads), heads)
        assert set(again) == set(start)
        assert all(np.array_equal(again[name], start[name]) for name in start)
    assert divided(START, RewardHeads(members=4)) == START
    assert whole(divided({LORA: START[LORA]}, HEADS), HEADS) == {LORA: START[LORA]}


def test_a_whole_program_takes_each_sites_row_from_its_own_update(federation: Any) -> None:
    def change(table: dict[str, Any]) -> None:
        table["lora"]["reward"] = {"head": "per_site", "members": 3}
        table["stages"] = [stage for stage in table["stages"] if stage["stage"] in ("sft", "reward")]

    made = federation("sites", change)
    run(made.grid(), made.home)
    plans = [plan for plan in made.wards["alpha"].plans if plan.stage is Stage.REWARD]
    home = ServerHome(made.home)
    registry = Registry(home.adapters, SigningKey.load(home.key), plans[0].lora)
    before, after = (registry.load(plan.inputs["reward"])[HEAD] for plan in plans)
    for row, site in enumerate(COHORT):
        ward = made.wards[site]
        _, tensors = open_update(ward.sealed[plans[0].digest], ward.key.public)
        wanted = before[row].astype(np.float64) + decode(tensors)[HEAD][row]
        np.testing.assert_array_equal(after[row], wanted.astype(np.float32))


@pytest.mark.parametrize(
    ("reward", "more", "words"),
    [
        ({"members": 2}, {}, "a member for each site: members = 3"),
        ({"members": 3}, {"aggregation": {"rule": "krum"}}, "throws away"),
        ({"members": 3}, {"public": True}, "own patients"),
    ],
    ids=["members", "krum", "public"],
)
def test_heads_of_sites_are_refused_where_they_make_no_sense(
    federation: Any, reward: Any, more: Any, words: str
) -> None:
    def change(table: dict[str, Any]) -> None:
        table["lora"]["reward"] = {"head": "per_site", **reward}
        table["aggregation"] = more.get("aggregation", {})
        if "public" in more:
            del table["stages"][2]["mechanism"]
            table["stages"][2]["public"] = "pairs.jsonl"

    with pytest.raises(ConfigError, match=words):
        load_program(federation("bad", change).home / "program.toml")
