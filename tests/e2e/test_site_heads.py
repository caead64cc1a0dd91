"""By the command, with real wards: hospitals that disagree, a head for each, the reward of the worst one."""

from __future__ import annotations

import copy
import json
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

from intraward_server.checkpoint import read_history
from intraward_server.session import open_session
from intraward_shared.protocol import PLAN_DOMAIN, RoundPlan, open_signed
from intraward_shared.stages import SCORE_HEAD, Stage

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SITES = ("alder", "birch", "cedar")


def test_each_site_trains_its_own_head_and_the_worst_site_stands_beside_the_mean(
    small_scenario: dict[str, Any], tmp_path: Path
) -> None:
    table = copy.deepcopy(small_scenario)
    table["run"]["name"] = "disagreement"
    table["hospitals"]["sites"][1]["values"] = "reassuring"
    table["lora"]["reward"] = {"head": "per_site", "members": 3}
    table["stages"][2]["rounds"] = 1
    table["stages"][3]["training"] |= {"heads": {"reduce": "worst"}}
    path, out = tmp_path / "disagreement.toml", tmp_path / "run"
    path.write_text(tomli_w.dumps(table), encoding="utf-8")
    (point,) = entry_points(group="console_scripts", name="intraward-simulate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["intraward-simulate", "run", str(path), "--out", str(out), "--json"])
        with pytest.raises(SystemExit) as stop:
            point.load()()
    assert not stop.value.code

    session = open_session(out / "server")
    lines = read_history(session.home.history)
    plans = [
        open_signed(session.home.plan(line["round"]).read_bytes(), PLAN_DOMAIN, RoundPlan, session.key.public)
        for line in lines
    ]
    assert all(plan.lora.reward.per_site and plan.cohort == SITES for plan in plans)
    assert plans[-1].training.heads.reduce == "worst"
    (trained,) = [plan for plan in plans if plan.stage is Stage.REWARD]
    assert session.state.reward is not None
    before = session.registry.load(trained.inputs["reward"])[SCORE_HEAD[0]]
    after = session.registry.load(session.state.reward)[SCORE_HEAD[0]]
    np.testing.assert_array_equal(before, before[[0, 0, 0]])
    moved = after - before
    assert min(np.abs(moved[a] - moved[b]).max() for a, b in ((0, 1), (0, 2), (1, 2))) > 1e-4

    told = json.loads((out / "report.json").read_text(encoding="utf-8"))["reward_model"]
    assert set(told["by_site"]) == set(told["own_heads"]) == set(SITES)
    assert told["worst_site_accuracy"] == min(site["accuracy"] for site in told["by_site"].values())
    assert told["mean_site_accuracy"] >= told["worst_site_accuracy"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Head of each site alone, the worst in bold" in page
