"""``intraward-simulate attack`` as a person runs it: table, JSON, file, exit codes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from intraward_shared.attack_results import GATES, AttackResult, read_attacks
from intraward_simulation import cli
from intraward_simulation.attacks import inversion
from intraward_simulation.attacks.result import conclude


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """``call(*arguments)``: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["intraward-simulate", "attack", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        return int(stop.value.code or 0), told.out, told.err

    return run


def test_an_attack_prints_privacy_off_beside_on_and_its_gates(call: Any, tmp_path: Path) -> None:
    file = tmp_path / "attacks" / "inversion.json"
    code, out, err = call(
        "inversion", "--seed", 1, "--seed", 2, "--epsilon", 4, "--epsilon", 8, "--out", file
    )
    assert code == 0
    for part in ("inversion: 2 seeds", "privacy off", "privacy on", "epsilon 4 at delta 1e-05", "passed"):
        assert part in out
    assert "passed  tokens_recovered with privacy on: 0" in out and "100%" in err
    (result,) = read_attacks([file])
    assert result.seeds == (1, 2) and [claim.epsilon for claim in result.claims] == [4.0, 8.0]


def test_json_is_one_object_and_the_same_each_time(call: Any) -> None:
    told = [call("inversion", "--seed", 3, "--json") for _ in range(2)]
    assert told[0] == told[1] and told[0][0] == 0 and told[0][2] == ""
    assert AttackResult.model_validate(json.loads(told[0][1])).passed


def test_a_missed_gate_is_written_and_leaves_with_1(
    call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = inversion.run_inversion(seeds=(1,))

    def leaking(**_: Any) -> AttackResult:
        figures = [f.model_copy(update={"value": 1.0}) for f in honest.figures]
        return conclude("inversion", figures, honest.claims, honest.settings)

    monkeypatch.setattr(inversion, "run_inversion", leaking)
    code, out, err = call("inversion", "--out", tmp_path / "x.json")
    assert code == 1 and "MISSED" in out and "gate was missed" in err
    assert not read_attacks([tmp_path / "x.json"])[0].passed


def test_a_place_that_cannot_be_written_is_refused_before_the_attack(call: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = call("gauge", "--out", tmp_path / "file" / "gauge.json")
    assert code == 1 and "cannot be made" in " ".join(err.split())
    (tmp_path / "attacks").mkdir()
    code, _, err = call("gauge", "--out", tmp_path / "attacks")
    assert code == 1 and "is a folder" in " ".join(err.split())
    code, _, err = call("gauge", "--out", tmp_path / "absent" / "attacks" / "gauge.json")
    assert code == 1 and "no such folder" in " ".join(err.split()) and not (tmp_path / "absent").exists()


@pytest.mark.parametrize("wrong", [("--epsilon", "9"), ("--epsilon", "0"), ("--seed", "-1"), ("--nois", "1")])
def test_usage_errors_leave_with_2(call: Any, wrong: tuple[str, str]) -> None:
    assert call("gauge", *wrong)[0] == 2


@pytest.mark.parametrize("name", sorted(GATES))
def test_every_attack_with_a_gate_is_a_command_with_an_example(call: Any, name: str) -> None:
    code, out, _ = call(name, "--help")
    assert code == 0 and f"intraward-simulate attack {name}" in " ".join(out.split())
    assert "--json" in out and "--epsilon" in out and "--seed" in out and "--out" in out
