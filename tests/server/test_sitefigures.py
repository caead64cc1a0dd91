"""Sites that disagree: each site's figures, the worst by name, and a site that nobody measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intraward_server.checkpoint import read_history
from intraward_server.home import ServerHome
from intraward_server.program import run
from intraward_server.sitefigures import read_pairs, site_figures
from intraward_shared.errors import InputError
from intraward_shared.release_gates import judge_release, read_gates
from intraward_shared.reward_heads import RewardHeads

COHORT = ("alpha", "beta")
OWN = RewardHeads(head="per_site", members=2)
MEMBERS = np.array([[1.0, -3.0], [1.0, -0.5], [-1.0, 2.0], [0.0, 4.0]])
"""By pair: alpha's head is right, right, wrong, tied; beta's wrong, wrong, right, right."""
PAIRS = [{"prompt": f"w{n}"} for n in range(4)]
SITED = [pair | {"site": site} for pair, site in zip(PAIRS, ("alpha", "alpha", "beta", "beta"), strict=True)]
GATE = b"""
[[gates]]
name = "worst-site"
source = "evaluation"
figure = "reward_model.by_site.*.accuracy"
at_least = 0.4
"""


def test_figures_by_hand_and_the_worst_site_by_name() -> None:
    found = site_figures(SITED, MEMBERS, OWN, COHORT)
    alpha, beta = found["by_site"]["alpha"], found["by_site"]["beta"]
    assert (alpha["pairs"], alpha["accuracy"], found["own_heads"]["alpha"]["accuracy"]) == (2, 0.5, 1.0)
    assert (beta["pairs"], beta["accuracy"], found["own_heads"]["beta"]["accuracy"]) == (2, 1.0, 1.0)
    assert (found["worst_site_accuracy"], found["worst_site_accuracy_of"]) == (0.5, "alpha")
    assert found["worst_site_accuracy_interval"] == alpha["accuracy_interval"]
    assert found["mean_site_accuracy"] == 0.75 and found["mean_own_head"] == 1.0


def test_intervals_count_prompts_and_not_pairs() -> None:
    alike = [pair | {"prompt": "w0"} for pair in SITED]
    one, other = (site_figures(pairs, MEMBERS, OWN, COHORT)["by_site"]["beta"] for pairs in (SITED, alike))
    assert one["accuracy"] == other["accuracy"] == 1.0
    assert other["accuracy_interval"][0] < one["accuracy_interval"][0]


def test_without_sites_of_pairs_every_head_is_measured_on_all_and_a_shared_one_has_no_sites() -> None:
    found = site_figures(PAIRS, MEMBERS, OWN, COHORT)
    assert [found["own_heads"][site]["accuracy"] for site in COHORT] == [0.625, 0.5]
    assert found["worst_own_head_of"] == "beta" and "worst_site_accuracy" not in found
    assert site_figures(PAIRS, MEMBERS, RewardHeads(members=2), COHORT) == {}
    shared = site_figures(SITED, MEMBERS, RewardHeads(members=2), COHORT)
    assert shared["worst_site_accuracy"] == 0.5 and "own_heads" not in shared


def test_a_site_that_nobody_measured_is_not_passed_over() -> None:
    found = site_figures(SITED[:2], MEMBERS[:2], OWN, COHORT)
    for figures in (found["by_site"], found["own_heads"]):
        assert figures["beta"] == {"pairs": 0, "accuracy": None, "accuracy_interval": None}
    assert found["worst_site_accuracy"] is found["mean_site_accuracy"] is None
    gates = read_gates(GATE, "gates")
    assert judge_release(gates, {"evaluation": {"reward_model": found}})[0].status == "missing"
    whole = site_figures(SITED, MEMBERS, OWN, COHORT)
    result = judge_release(gates, {"evaluation": {"reward_model": whole}})[0]
    assert (result.status, result.measured, result.item) == ("passed", 0.5, "alpha")


def test_a_pair_of_an_unknown_site_is_refused_by_line(tmp_path: Path) -> None:
    row = {"prompt": "w1", "chosen": "w2", "rejected": "w3"}
    file = tmp_path / "pairs.jsonl"
    file.write_text("".join(json.dumps(row | {"site": site}) + "\n" for site in ("beta", "omega")))
    with pytest.raises(InputError, match="none of the program's sites") as caught:
        read_pairs(file, COHORT)
    assert ":2" in str(caught.value) or caught.value.line == 2
    file.write_text(json.dumps(row) + "\n" + json.dumps(row | {"site": "beta"}) + "\n")
    assert read_pairs(file, COHORT) == [row, row | {"site": "beta"}]
    assert read_pairs(file, COHORT, 1) == [row]


def test_a_program_tells_every_site_in_history_evaluation_and_card(federation: Any) -> None:
    def change(table: dict[str, Any]) -> None:
        table["lora"]["reward"] = {"head": "per_site", "members": 3}
        table["stages"] = [stage for stage in table["stages"] if stage["stage"] in ("sft", "reward")]
        table["evaluation"]["preferences"] = "sited.jsonl"

    made = federation("sited", change)
    rows = [
        {"prompt": f"w{n}", "chosen": "w1 w2", "rejected": f"w{n + 1}", "site": site}
        for n in range(5)
        for site in ("alpha", "beta", "gamma")
    ]
    (made.home / "sited.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(made.grid(), made.home)
    home = ServerHome(made.home)
    told = read_history(home.history)[-1]
    final = json.loads(home.evaluation.read_text(encoding="utf-8"))["reward_model"]
    assert final["by_site"] == told["figures"]["by_site"] and list(final["by_site"]) == sorted(made.wards)
    own = {site: figures["accuracy"] for site, figures in final["own_heads"].items()}
    assert final["worst_own_head"] == min(own.values()) == own[final["worst_own_head_of"]]
    card = (home.adapters / told["adapter"][:16] / "README.md").read_text(encoding="utf-8")
    assert f"of the own head of the worst site, {final['worst_own_head_of']} |" in card
    assert f"on the pairs of the worst site, {final['worst_site_accuracy_of']} |" in card
    assert "| accuracy on the pairs of a site, mean |" in card
