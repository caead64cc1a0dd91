"""Progress and outcome between processes, and the bundle that carries no code."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from intraward_server.program import ProgramEvent
from intraward_shared.errors import RoundFailed
from intraward_simulation.control import FlowerApp, write_bundle
from intraward_simulation.watch import Outcome, Watch


def test_events_arrive_whole_and_once(tmp_path: Path) -> None:
    writer, reader = Watch(tmp_path), Watch(tmp_path)
    assert reader.events() == []
    first, second = ProgramEvent("joined", detail={"sites": ["a"]}), ProgramEvent("planned", "sft", 1, 3)
    writer.report(first)
    with (tmp_path / "progress.jsonl").open("a") as file:
        file.write('{"kind": "fin')
    assert reader.events() == [first]
    assert reader.events() == []
    with (tmp_path / "progress.jsonl").open("a") as file:
        file.write('ished"}\n')
    writer.report(second)
    assert reader.events() == [ProgramEvent("finished"), second]


def test_an_outcome_says_what_was_wrong_and_what_to_do(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    assert watch.outcome() is None

    def fail() -> None:
        raise RoundFailed("no quorum", remedy="start again")

    with pytest.raises(RoundFailed):
        watch.perform(fail)
    assert watch.outcome() == Outcome(False, "no quorum", "start again")
    watch.perform(lambda: None)
    assert watch.outcome() == Outcome(True)
    watch.clear()
    assert watch.outcome() is None


def test_the_words_of_an_unexpected_error_are_not_told(tmp_path: Path) -> None:
    def fail() -> None:
        raise ValueError("Jane Roe, 12 May")

    with pytest.raises(ValueError, match="Jane"):
        Watch(tmp_path).perform(fail)
    assert "Jane" not in (tmp_path / "outcome.json").read_text()
    told = Watch(tmp_path).outcome()
    assert told is not None and not told.ok and told.message.endswith("ValueError")


def test_the_bundle_holds_names_and_no_value_of_this_machine(tmp_path: Path) -> None:
    config: dict[str, str | int | bool] = {"intraward-home": "/srv/x", "intraward-gold": True, "n": 3}
    write_bundle(tmp_path, FlowerApp("server.module:app", "client.module:app", config))
    assert [path.name for path in tmp_path.iterdir()] == ["pyproject.toml"]
    app = tomllib.loads((tmp_path / "pyproject.toml").read_text())["tool"]["flwr"]["app"]
    assert app["components"] == {"serverapp": "server.module:app", "clientapp": "client.module:app"}
    assert app["config"] == {"intraward-home": "", "intraward-gold": False, "n": 0}
