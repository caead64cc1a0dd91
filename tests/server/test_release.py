"""From a finished program to a signed bundle, or to the reasons why there is none; revoke and roll back."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from tests.shared.release.conftest import copy_of
from tests.shared.release.consortium import COORDINATOR, NOW, Finished, attack, finish, signed

from intraward_server import cli
from intraward_server.checkpoint import load_state
from intraward_server.gates import agreed_gates
from intraward_server.home import ServerHome
from intraward_server.release import bundles, release
from intraward_server.revocations import in_force
from intraward_shared.attack_results import GATES
from intraward_shared.attacked_code import Attacked, against_release
from intraward_shared.audit_release import verify_release
from intraward_shared.audit_release_text import release_table, release_text
from intraward_shared.config import parse
from intraward_shared.errors import ConfigError, ReleaseRefused, RoundFailed, SignatureError
from intraward_shared.program import ProgramConfig
from intraward_shared.release import read_release
from intraward_shared.release_gates import read_gates
from intraward_shared.signing import SigningKey
from intraward_shared.source_code import installed_code


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A finished coordinator; a test that changes it copies it first."""
    return finish(tmp_path_factory.mktemp("program"))


@pytest.fixture
def mine(done: Finished, tmp_path: Path) -> Finished:
    """A copy that may be changed."""
    return copy_of(done, tmp_path / "copy")


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def invoke(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["intraward-server", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        return int(stop.value.code or 0), told.out, " ".join(told.err.split())

    return invoke


def test_a_release_is_signed_and_an_auditor_agrees(mine: Finished) -> None:
    made = signed(mine)
    state = load_state(ServerHome(mine.home).state)
    assert state is not None and made.release.adapter == state.policy and made.release.number == 1
    assert made.folder == mine.home / "releases" / "1" and all(result.passed for result in made.gates)
    assert [result.veto for result in made.gates] == [True, True, True, False, False]  # vetoes first
    assert made.gates[0].item in ("alpha", "beta", "gamma")
    found = verify_release(made.folder, COORDINATOR.public)
    rounds = sorted({manifest.round for manifest in found.manifests.values()})
    assert rounds == [0, 1, 2, 3, 4] and set(found.ledgers) == {"alpha", "beta", "gamma"}
    assert read_release(mine.home / "release.json", COORDINATOR.public) == made.release
    with pytest.raises(SignatureError):
        read_release(mine.home / "release.json", SigningKey.generate().public)


def test_the_cards_are_the_hubs_and_say_what_was_measured(mine: Finished) -> None:
    made = signed(mine)
    measured = json.loads((mine.home / "evaluation.json").read_text())
    data = ModelCard.load(made.folder / "README.md").data
    assert (data.license, data.base_model, data.library_name) == ("apache-2.0", "tests/tiny", "peft")
    assert data.datasets == [] and {"intraward", "ppo", "simulated"} <= set(data.tags or [])
    told = {(each.metric_type, each.metric_name): each.metric_value for each in data.eval_results or []}
    assert told["win_rate", "win rate over the sft policy"] == measured["policy"]["win_rate"]
    assert told["accuracy", "reward model, pairwise accuracy"] == measured["reward_model"]["accuracy"]
    assert ModelCard.load(made.folder / "adapter" / "README.md").data.base_model == "tests/tiny"
    config = json.loads((made.folder / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tests/tiny"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({}, "2 of 5 release gates failed"),
        ({"attacks": True}, "veto canary: asked canary.passed equals true; measured no such figure"),
    ],
)
def test_each_failed_gate_is_named_with_what_was_asked_and_measured(
    mine: Finished, change: dict[str, bool], why: str
) -> None:
    if not change:
        lost = attack("canary", {("secrets_generated", "on"): 1.0})
        (mine.attacks / "canary.json").write_text(lost.model_dump_json())
        figures = json.loads((mine.home / "evaluation.json").read_text())
        figures["policy"]["kl"] = 26.5
        (mine.home / "evaluation.json").write_text(json.dumps(figures))
    else:
        (mine.attacks / "canary.json").unlink()
    with pytest.raises(ReleaseRefused, match=why) as refused:
        signed(mine)
    if not change:
        told = str(refused.value)
        assert "gate near: asked policy.kl at most 25; measured 26.5; see evaluation: policy.kl" in told
        assert told.index("veto canary") < told.index("gate near")
    assert not (mine.home / "release.json").exists() and bundles(ServerHome(mine.home)) == []


def test_a_refusal_shows_every_gate_to_people_and_to_machines(mine: Finished, call: Any) -> None:
    (mine.attacks / "canary.json").unlink()
    words = ("release", *mine.ledgers, "--attacks", mine.attacks, "--home", mine.home)
    code, out, err = call(*words, "--json")
    told = json.loads(out)
    assert code == 1 and told["release"] is None and told["stopped"] == [] and "gates failed" in err
    states = {gate["name"]: (gate["status"], gate["passed"], gate["measured"]) for gate in told["gates"]}
    assert len(states) == 5 and states["canary"] == ("missing", False, None)
    assert states["near"][:2] == ("passed", True) and isinstance(states["near"][2], float)
    code, out, err = call(*words)
    assert code == 1 and out == "" and "- missing veto canary: asked" in err
    assert "- passed gate near: asked policy.kl at most 25; measured" in err


def test_attacks_on_other_code_are_said_to_be(
    mine: Finished, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("release", *mine.ledgers, "--attacks", mine.attacks, "--home", mine.home)
    code, out, _ = call(*words)
    assert code == 0 and "attacked code is not this release's: canary" in out
    for path in mine.attacks.iterdir():
        told = json.loads(path.read_text()) | {"code_version": version("intraward")}
        path.write_text(json.dumps(told | {"client_code": installed_code("intraward_client")}))
    code, out, _ = call(*words, "--json")
    assert code == 0 and set(json.loads(out)["attacked_code"].values()) == {"same"}
    found = verify_release(mine.home / "releases" / "2", COORDINATOR.public)
    older = Attacked("gauge", "0.0.9", installed_code("intraward_client") or "")
    assert against_release([older], found.bundle.release) == {"gauge": "other"}
    assert "attacked code" not in release_text(found, {})
    monkeypatch.setattr("intraward_shared.attacked_code.installed_code", lambda package: "0" * 64)
    assert "attacked code is not shown to be this release's: canary" in release_text(found, {})
    assert set(release_table(found, {})["attacked_code"].values()) == {"unknown"}


def test_gates_that_were_changed_since_the_run_began_are_refused(mine: Finished) -> None:
    path = ServerHome(mine.home).gates
    path.write_text(path.read_text().replace("at_most = 25.0", "at_most = 250.0"))
    with pytest.raises(ReleaseRefused, match="not the gates that the run began under"):
        signed(mine)


def test_a_missing_ledger_a_strangers_and_one_with_a_gap_are_refused(mine: Finished, tmp_path: Path) -> None:
    with pytest.raises(ReleaseRefused, match="no ledger was given of gamma"):
        release(mine.home, mine.ledgers[:2], [mine.attacks], NOW)
    with pytest.raises(ConfigError, match="given before"):
        release(mine.home, [*mine.ledgers, mine.ledgers[0]], [mine.attacks], NOW)
    lines = mine.ledgers[0].read_bytes().splitlines(keepends=True)
    for rest, why in ((lines[:3] + lines[4:], "chain is broken"), (lines[:-1], "never released")):
        mine.ledgers[0].write_bytes(b"".join(rest))
        with pytest.raises(Exception, match=why):
            signed(mine)
    assert bundles(ServerHome(mine.home)) == [] and not (mine.home / "releases" / ".part").exists()


def test_an_unsigned_or_missing_ancestor_is_refused(mine: Finished) -> None:
    state = load_state(ServerHome(mine.home).state)
    assert state is not None and state.sft is not None
    (mine.home / "adapters" / state.sft[:16] / "intraward_adapter.json").unlink()
    with pytest.raises(SignatureError, match="not signed"):
        signed(mine)


def test_a_run_that_is_not_finished_has_no_release(mine: Finished) -> None:
    state = mine.home / "state.json"
    state.write_text(state.read_text().replace('"finished"', '"running"'))
    with pytest.raises(RoundFailed, match="not finished"):
        signed(mine)


def test_the_evaluation_of_another_run_is_refused(mine: Finished) -> None:
    path = mine.home / "evaluation.json"
    figures = json.loads(path.read_text())
    path.write_text(json.dumps(figures | {"run_id": "other-run"}))
    with pytest.raises(ReleaseRefused, match="of another run or adapter"):
        signed(mine)


def test_killed_while_writing_leaves_no_bundle(mine: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("intraward_server.release.verify_release", dies)
        with pytest.raises(KeyboardInterrupt):
            signed(mine)
    assert bundles(ServerHome(mine.home)) == [] and not (mine.home / "release.json").exists()
    assert signed(mine).release.number == 1


def test_a_revoked_adapter_is_released_no_more_and_the_earlier_one_comes_back(
    mine: Finished, call: Any
) -> None:
    words = ("release", *mine.ledgers, "--attacks", mine.attacks, "--home", mine.home)
    for number in (1, 2):
        code, out, _ = call(*words, "--json")
        assert code == 0 and json.loads(out)["release"] == number
    code, out, _ = call("registry", "rollback", "--home", mine.home, "--json")
    assert code == 0 and json.loads(out)["number"] == 1
    released = in_force(ServerHome(mine.home), COORDINATOR)
    assert released is not None and released.number == 1
    rows = json.loads(call("registry", "list", "--home", mine.home, "--json")[1])["adapters"]
    (current,) = (row for row in rows if row["released"])
    assert current["adapter"] == released.adapter and current["roles"] == ["policy"]
    name = released.adapter
    code, out, _ = call("registry", "show", name[:10], "--home", mine.home)
    assert code == 0 and "ledger entries: alpha" in " ".join(out.split())
    assert call("registry", "show", "0000", "--home", mine.home)[0] == 1
    code, _, err = call("registry", "revoke", name[:10], "--reason", "a\nb", "--home", mine.home)
    assert code == 1 and "one line" in err and "has a line break" in err
    words_revoke = ("registry", "revoke", name[:10], "--reason", "unsafe doses", "--home", mine.home)
    code, out, _ = call(*words_revoke, "--json")
    assert code == 0 and json.loads(out)["revoked"] == name and json.loads(out)["released"]
    assert call(*words_revoke)[0] == 0  # again: nothing to do
    code, _, err = call(*words)
    assert code == 1 and "was revoked on" in err and "unsafe doses" in err
    assert "release an earlier policy" in err and "ask the coordinator" not in err
    code, out, _ = call("registry", "rollback", "--home", mine.home, "--json")
    assert code == 0 and json.loads(out)["released"] is None and not (mine.home / "release.json").exists()
    assert call("registry", "rollback", "--home", mine.home)[0] == 1


def test_an_ancestor_that_was_revoked_revokes_what_descends_from_it(mine: Finished, call: Any) -> None:
    state = load_state(ServerHome(mine.home).state)
    assert state is not None and state.reward is not None
    assert call("registry", "revoke", state.reward, "--reason", "bad labels", "--home", mine.home)[0] == 0
    with pytest.raises(ReleaseRefused, match="bad labels"):
        signed(mine)


def test_the_shipped_gates_hold_where_a_program_names_none(program: dict[str, Any], tmp_path: Path) -> None:
    gates = read_gates(agreed_gates(parse(program, ProgramConfig, "program.toml"), tmp_path), "shipped").gates
    vetoes = {gate.figure for gate in gates if gate.veto}
    assert {f"{name}.passed" for name in GATES} < vetoes and "sites.*.within_cap" in vetoes
    assert {gate.source for gate in gates} == {"evaluation", "privacy", "attacks"}


def test_a_gates_file_that_is_missing_or_wrong_is_refused_before_a_run_begins(
    program: dict[str, Any], tmp_path: Path
) -> None:
    program["release"] = {"gates": "mine.toml"}
    config = parse(program, ProgramConfig, "program.toml")
    with pytest.raises(ConfigError, match=r"mine\.toml: no such gates file"):
        agreed_gates(config, tmp_path)
    (tmp_path / "mine.toml").write_text('[[gates]]\nname = "x"\nsource = "privacy"\nfigure = "delta"\n')
    with pytest.raises(ConfigError, match=r"mine\.toml: gates\.0: a gate has one of"):
        agreed_gates(config, tmp_path)
