"""``intraward-audit report --attacks``: results of attacks beside the certificates, held to the gates."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from intraward_shared import audit
from intraward_shared.attack_results import GATES, AttackClaim, AttackFigure, AttackResult, judge

CLAIM = AttackClaim(epsilon=8.0, delta=1e-5, sample_rate=1.0, noise_multiplier=0.6003, steps=1)


def inversion(on: float = 0.0) -> AttackResult:
    """A result of the inversion attack that recovers ``on`` of the words in spite of the noise."""
    values = (("off", 1.0), ("on", on))
    figures = tuple(
        AttackFigure.model_validate(
            {"name": "tokens_recovered", "privacy": privacy, "epsilon": 8.0, "seed": 1, "value": value}
        )
        for privacy, value in values
    )
    gates = judge("inversion", figures)
    return AttackResult(
        attack="inversion",
        code_version="0",
        client_code="0" * 64,
        seeds=(1,),
        settings={},
        claims=(CLAIM,),
        figures=figures,
        gates=gates,
        passed=all(gate.passed for gate in gates),
    )


@pytest.fixture
def report(
    spent_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """``report(*arguments)``: exit code, text, and the report written, if any."""

    def run(*arguments: object) -> tuple[int, str, Any]:
        out = tmp_path / "privacy_report.json"
        words = ["intraward-audit", "report", spent_file, "--out", out, *arguments]
        monkeypatch.setattr(sys, "argv", list(map(str, words)))
        with pytest.raises(SystemExit) as stop:
            audit.main()
        told = capsys.readouterr()
        text = " ".join((told.out + told.err).split())
        written = json.loads(out.read_text()) if out.exists() else None
        return int(stop.value.code or 0), text, written

    return run


def test_without_attacks_the_report_says_which_were_not_given(report: Any) -> None:
    code, text, written = report()
    assert code == 0 and written["attacks"] == [] and written["attacks_not_given"] == list(GATES)
    assert all(f"attack {name}: not given" in text for name in GATES)


def test_a_result_stands_in_the_report_and_in_its_text(report: Any, tmp_path: Path) -> None:
    file = tmp_path / "inversion.json"
    file.write_text(inversion().model_dump_json())
    code, text, written = report("--attacks", file)
    assert code == 0 and AttackResult.model_validate(written["attacks"][0]) == inversion()
    assert "attack inversion: passed (seeds 1; code 0000000000000000)" in text
    assert "passed tokens_recovered with privacy off: 1, at least 0.8" in text
    assert "attacked code is not the code installed here: inversion; no ledger names" in text
    assert written["attacked_code"] == {"inversion": "other"}
    assert "inversion" not in written["attacks_not_given"] and "attack gauge: not given" in text


def test_an_attack_that_succeeds_is_reported_and_leaves_with_1(report: Any, tmp_path: Path) -> None:
    folder = tmp_path / "attacks"
    folder.mkdir()
    (folder / "inversion.json").write_text(inversion(0.5).model_dump_json())
    code, text, written = report("--attacks", folder)
    assert code == 1 and "attack inversion: FAILED" in text
    assert "MISSED tokens_recovered with privacy on: 0.5, at most 0.05" in text
    assert written["attacks"][0]["passed"] is False


def test_a_result_that_lies_leaves_no_report(report: Any, tmp_path: Path) -> None:
    lie = json.loads(inversion(0.5).model_dump_json()) | {"passed": True}
    file = tmp_path / "lie.json"
    file.write_text(json.dumps(lie))
    code, text, written = report("--attacks", file)
    assert code == 1 and "lie.json" in text and "verdict does not follow" in text and written is None
