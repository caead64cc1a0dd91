"""What is wrong with a simulation's command line is said at once, of the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from intraward_simulation import cli


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """``refused(*arguments)``: what is told where a command ends with exit code 1."""

    def call(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["intraward-simulate", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == 1
        return " ".join(capsys.readouterr().err.split())

    return call


@pytest.mark.parametrize("study", ["study-sft", "study-reward", "study-policy"])
def test_a_study_without_data_or_with_processes_blames_the_option(
    refused: Any, study: str, tmp_path: Path
) -> None:
    assert "--data: is missing" in refused("run", study, "--out", tmp_path / "run")
    told = refused("run", study, "--data", tmp_path, "--processes", "--out", tmp_path / "run")
    assert "--processes: a study has no hospitals" in told
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("scenario", ["study-sft", "clinical"])
def test_a_data_folder_that_is_not_there_is_called_so(refused: Any, scenario: str, tmp_path: Path) -> None:
    told = refused("run", scenario, "--data", tmp_path / "nope", "--out", tmp_path / "run")
    assert "nope: no such folder" in told and not (tmp_path / "run").exists()


def test_scoring_a_run_that_is_not_there_is_called_so(refused: Any, tmp_path: Path) -> None:
    told = refused("score", tmp_path / "nope", tmp_path / "pairs.jsonl")
    assert "nope: no such run" in told
