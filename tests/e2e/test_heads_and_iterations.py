"""By the command, from label to policy and twice: reward heads, their marks, veto, versions and report."""

from __future__ import annotations

import copy
import json
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from intraward_client.config import load_policy
from intraward_client.home import SiteHome
from intraward_client.store.preferences import preference_table
from intraward_client.store.vault import Vault
from intraward_server.checkpoint import load_state, read_history
from intraward_server.home import ServerHome
from intraward_server.registry import Registry
from intraward_server.session import open_session
from intraward_shared.protocol import PLAN_DOMAIN, RoundPlan, open_signed
from intraward_shared.signing import SigningKey
from intraward_shared.stages import SCORE_HEAD

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
HEADS = {"members": 2, "criteria": ["safety", "clarity"], "flags": ["harmful", "nonsense"]}
TERMS = {
    "criteria": {"clarity": 0.5},
    "uncertainty_coef": 0.5,
    "veto_criterion": "safety",
    "veto_below": -0.5,
    "veto_flag": 0.9,
    "veto_reward": -5.0,
}
SITES = ("alder", "birch", "cedar")


@pytest.fixture(scope="module")
def run(small_scenario: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run of two iterations; for reading."""
    folder = tmp_path_factory.mktemp("heads")
    table = copy.deepcopy(small_scenario)
    table["run"] |= {"name": "heads", "iterations": 2}
    table["lora"]["reward"] = HEADS
    table["stages"][2]["rounds"] = 1
    table["stages"][3]["training"] |= {"heads": TERMS}
    path, out = folder / "heads.toml", folder / "run"
    path.write_text(tomli_w.dumps(table), encoding="utf-8")
    (point,) = entry_points(group="console_scripts", name="intraward-simulate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["intraward-simulate", "run", str(path), "--out", str(out), "--json"])
        with pytest.raises(SystemExit) as stop:
            point.load()()
    assert not stop.value.code
    return out


def plans(run: Path) -> list[RoundPlan]:
    """Every plan of the run, in order."""
    home = ServerHome(run / "server")
    public = SigningKey.load(home.key).public
    count = len(read_history(home.history))
    return [
        open_signed(home.plan(n).read_bytes(), PLAN_DOMAIN, RoundPlan, public) for n in range(1, count + 1)
    ]


def test_both_iterations_label_reward_and_optimise_with_versions(run: Path) -> None:
    state = load_state(ServerHome(run / "server").state)
    assert state is not None and set(state.versions()) == {1, 2}
    assert len({name for version in state.versions().values() for name in version.values()}) == 4
    stages = [(line["stage"], line["iteration"]) for line in read_history(ServerHome(run / "server").history)]
    loop = ["label", "reward", "ppo"]
    assert stages == [("sft", 1), *((s, 1) for s in loop), *((s, 2) for s in loop)]
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert [point["iteration"] for point in report["curves"]["iterations"]] == [1, 2]


def test_the_signed_plans_name_the_heads_and_no_judgment_is_without_marks(run: Path) -> None:
    """Few answers of this barely trained model differ; ``test_ratings`` has judgments for certain."""
    for site in SITES:
        home = SiteHome(run / "sites" / site)
        assert load_policy(home.policy).site == site
        vault = Vault.open(home.vault, home.vault_keys)
        try:
            for row in preference_table(vault).rows:
                assert [name for name, _ in row.marks[0].ratings] == HEADS["criteria"]
                assert [name for name, _ in row.marks[1].flags] == HEADS["flags"]
        finally:
            vault.close()
    for plan in plans(run):
        assert plan.lora.reward.model_dump(mode="json", exclude_defaults=True) == HEADS
        if plan.stage.value == "ppo":
            assert plan.training.heads.veto_criterion == "safety" and plan.training.heads.veto_reward == -5.0


def test_the_reward_adapter_has_a_row_for_every_head_and_its_card_says_how_far_members_differ(
    run: Path,
) -> None:
    session = open_session(run / "server")
    assert isinstance(session.registry, Registry) and session.state.reward is not None
    manifest, state = session.registry.read(session.state.reward)
    assert state[SCORE_HEAD[0]].shape[0] == 2 + 2 + 2 and manifest.iteration == 2
    card = (session.registry.path(session.state.reward) / "README.md").read_text(encoding="utf-8")
    history = read_history(ServerHome(run / "server").history)
    told = [line["figures"] for line in history if line["stage"] == "reward"][-1]
    assert told["members"] == 2 and told["disagreement"] > 0
    final = json.loads((run / "server" / "evaluation.json").read_text(encoding="utf-8"))["reward_model"]
    assert final["members"] == 2 and final["pairs"] >= told["pairs"]
    assert f"| disagreement of the 2 members | {told['disagreement']:.3f} |" in card
    assert f"| expected calibration error | {told['calibration_error']:.3f} |" in card


def test_proxy_and_gold_are_told_over_kl_and_drawn(run: Path) -> None:
    figures = json.loads((run / "server" / "evaluation.json").read_text(encoding="utf-8"))
    told = figures["over_optimisation"]
    assert [(p["iteration"], p["round"]) for p in told["points"]] == [(1, 0), (1, 1), (2, 1), (2, 2)]
    assert [v["iteration"] for v in told["verdicts"]] == [1, 2] and all(v["words"] for v in told["verdicts"])
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Reward model against gold, over KL" in page and "KL from SFT (nats)" in page
    assert json.loads((run / "report.json").read_text(encoding="utf-8"))["over_optimisation"] == told
