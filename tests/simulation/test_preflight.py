"""What is wrong with a run's inputs is said by file and key before anything is made."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from intraward_shared.errors import ConfigError, InputError
from intraward_simulation.preflight import check_inputs
from intraward_simulation.scenario import scenario_path

DEMO = scenario_path("demo")
FILE = Path("mine.toml")
Table = dict[str, Any]


def changed(change: Callable[[Table], object]) -> str:
    """The demo's text after a change."""
    table = tomllib.loads(DEMO.read_text(encoding="utf-8"))
    change(table)
    return tomli_w.dumps(table)


@pytest.mark.parametrize("name", ["demo", "demo-smollm2"])
def test_shipped_scenarios_are_right(name: str) -> None:
    path = scenario_path(name)
    check_inputs(path, path.read_text(encoding="utf-8"), None)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t["run"].update(sead=1), "mine.toml: run.sead"),
        (lambda t: t["stages"][2]["mechanism"].pop("steps"), "mine.toml: stages.2.mechanism.steps"),
        (lambda t: t["stages"][3]["training"].update(kl=1), "mine.toml: stages.3.training.kl"),
        (lambda t: t["stages"].reverse(), "the order sft, label, reward"),
        (
            lambda t: t["stages"][2]["mechanism"].update(noise_multiplier=0.81),
            "privacy.lifetime_epsilon: is 8",
        ),
        (lambda t: t["privacy"].update(lifetime_epsilon=2.0), "mine.toml: privacy.lifetime_epsilon: is 2"),
        (lambda t: t["stages"][2]["mechanism"].update(noise_multiplier=0.7), "mine.toml: stages.2.mechanism"),
        (lambda t: t["stages"][2]["mechanism"].update(steps=51), "privacy.max_steps_per_round"),
        (lambda t: t["stages"][2]["mechanism"].update(sample_rate=2), "stages.2.mechanism.sample_rate"),
        (lambda t: t["privacy"].update(declared_max_patients=20_000), "mine.toml: privacy.delta"),
        (lambda t: t["stages"][0].update(public="notes"), "mine.toml: stages.0.public"),
        (lambda t: t["run"].update(model="nowhere"), "mine.toml: run.model"),
        (lambda t: t.update(aggregation={"trim": 1}), "mine.toml: aggregation: trim belongs to"),
        (lambda t: t["hospitals"]["sites"][1].update(case_mix="x"), "hospitals.sites.case_mix"),
        (lambda t: t.update(evaluation={"preferences": "nowhere.jsonl"}), "nowhere.jsonl"),
        (lambda t: (t.pop("hospitals"), t.update(files={"reader": "clinical"})), "--data"),
    ],
)
def test_a_mistake_is_named(change: Callable[[Table], object], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_inputs(FILE, changed(change), None)
    assert told in caught.value.message
    assert caught.value.remedy


def test_a_line_of_the_preferences_is_named_and_not_told(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prompt": "p", "chosen": "c", "rejected": "r"}\n{"prompt": "secret"}\n', "utf-8")
    text = changed(lambda t: t.setdefault("evaluation", {}).update(preferences=str(path)))
    with pytest.raises(InputError) as caught:
        check_inputs(FILE, text, None)
    assert "2" in caught.value.message
    assert "secret" not in str(caught.value)


def test_a_data_folder_that_lacks_a_file_is_refused(tmp_path: Path) -> None:
    path = scenario_path("clinical")
    with pytest.raises(ConfigError) as caught:
        check_inputs(path, path.read_text(encoding="utf-8"), tmp_path)
    assert str(tmp_path) in caught.value.message
