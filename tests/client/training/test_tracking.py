"""Curves: what each stage tells, where it is kept and how tightly; and that no byte depends on it."""

from __future__ import annotations

import dataclasses
import importlib.util
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from intraward_client.privacy.noise import NoiseSource
from intraward_client.training.tracking import check_store, open_track, read_curves, sparkline
from intraward_client.training.train import train
from intraward_shared.adapters import encode
from intraward_shared.errors import ConfigError, InputError
from intraward_shared.protocol import Mechanism
from intraward_shared.stages import Stage

MECHANISM = Mechanism(
    sample_rate=0.5, noise_multiplier=0.5, max_grad_norm=1.0, steps=2, nominal_batch=4, max_records_per_unit=2
)
NAMES = {
    Stage.SFT: {"loss"},
    Stage.REWARD: {"loss", "accuracy", "margin"},
    Stage.DPO: {"loss", "accuracy", "margin"},
}


needs_mlflow = pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="needs the extra mlflow")
"""Never ``importorskip``: MLflow calls home as soon as it is imported."""


def run(inputs: Any) -> bytes:
    return encode(train(inputs, NoiseSource.seeded(1, "north", "0" * 64, 1)).tensors)


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("stage", list(NAMES))
def test_a_step_tells_its_figures_and_the_update_does_not_change(
    stage: Stage, private: bool, inputs_of: Any, record_of: Any
) -> None:
    rows = [record_of(stage, f"u{index // 2}" if private else "public", index) for index in range(12)]
    inputs = inputs_of(stage, rows, mechanism=MECHANISM if private else None)
    told: list[tuple[int, Mapping[str, float]]] = []
    watched = dataclasses.replace(inputs, track=lambda step, figures: told.append((step, dict(figures))))
    assert run(watched) == run(inputs)
    assert [step for step, _ in told] == list(range(2 if private else inputs.plan.training.steps))
    assert all(set(figures) == NAMES[stage] for _, figures in told)
    assert all(0 <= figures.get("accuracy", 0) <= 1 and figures["loss"] > 0 for _, figures in told)


def test_fillers_take_no_part_in_the_figures(inputs_of: Any, record_of: Any) -> None:
    """The mean of a step is that of its own records, however many fillers the plan's shape asks for."""
    rows = [record_of(Stage.SFT, f"u{index}", index) for index in range(3)]
    everyone = MECHANISM.model_copy(update={"sample_rate": 1.0, "steps": 1})
    means = []
    for micro_batch in (3, 8):
        told: list[float] = []
        inputs = inputs_of(Stage.SFT, rows, mechanism=everyone, micro_batch=micro_batch)
        run(dataclasses.replace(inputs, track=lambda _, figures, told=told: told.append(figures["loss"])))
        means += told
    assert means[0] == pytest.approx(means[1], abs=1e-5)


def test_curves_are_kept_tightly_and_read_back(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    for number, name in enumerate(("run-0001-sft-1", "run-0002-ppo-1")):
        with open_track("tensorboard", tmp_path / "curves" / name) as track:
            for step in range(3):
                track(step, {"loss": number + step / 2})
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}
    assert modes == {0o600}
    folders = [path for path in (tmp_path / "curves", *(tmp_path / "curves").iterdir()) if path.is_dir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    (newest,) = read_curves(tmp_path / "curves")
    assert (newest.round, newest.name, newest.values) == ("run-0002-ppo-1", "loss", (1.0, 1.5, 2.0))
    assert len(read_curves(tmp_path / "curves", last=9)) == 2
    assert "1.5" not in repr(newest)


def test_none_keeps_nothing(tmp_path: Path) -> None:
    with open_track("none", tmp_path / "curves" / "round") as track:
        track(0, {"loss": 1.0})
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=r"tracking\.store"):
        read_curves(tmp_path / "curves")


def test_a_store_that_fails_is_told_once_and_ends_nothing(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / "curves").write_text("a file where the folder should be")
    failures: list[int] = []
    with open_track("tensorboard", tmp_path / "curves" / "r", failed=lambda: failures.append(1)) as track:
        track(0, {"loss": 1.0})
        track(1, {"loss": 1.0})
    assert failures == [1]


def test_a_terminal_that_fails_ends_nothing(tmp_path: Path) -> None:
    def gone(step: int, figures: Mapping[str, float]) -> None:
        raise BrokenPipeError

    with open_track("none", tmp_path, gone) as track:
        track(0, {"loss": 1.0})


def test_a_missing_package_is_refused_by_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    check_store("none", tmp_path, tmp_path)
    with pytest.raises(ConfigError, match=r"tracking\.store.*intraward\[tracking\]"):
        check_store("tensorboard", tmp_path, tmp_path)
    with pytest.raises(ConfigError, match=r"tracking\.store.*intraward\[mlflow\]"):
        check_store("mlflow", tmp_path, tmp_path)


@needs_mlflow
@pytest.mark.slow
def test_both_stores_are_read_back_in_the_order_in_which_they_were_kept(tmp_path: Path) -> None:
    curves = tmp_path / "curves"
    check_store("mlflow", tmp_path, curves)
    failures: list[int] = []
    for store, number in (("tensorboard", 1), ("mlflow", 2), ("mlflow", 3), ("tensorboard", 4)):
        folder = curves / f"run-{number:04d}-ppo-1"
        with open_track(cast(Any, store), folder, failed=lambda: failures.append(1)) as track:
            for step in range(12):
                track(step, {"kl": float("nan"), "reward": number + step / 4} if step else {"kl": 1.0})
    assert failures == []
    found = {curve.round: curve.values for curve in read_curves(curves, last=3) if curve.name == "reward"}
    assert list(found) == [f"run-{number:04d}-ppo-1" for number in (2, 3, 4)]
    assert found["run-0003-ppo-1"] == tuple(3 + step / 4 for step in range(1, 12))
    assert {stat.S_IMODE(path.stat().st_mode) for path in curves.rglob("*") if path.is_file()} == {0o600}
    assert stat.S_IMODE(curves.stat().st_mode) == 0o700
    assert {path.name for path in curves.iterdir() if path.is_file()} == {"mlflow.db"}
    assert not [name for name in sys.modules if name.split(".")[0] == "mlflow"]


@needs_mlflow
@pytest.mark.slow
def test_a_damaged_mlflow_file_is_refused_by_name_and_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"not a database, not a database, not a database")
    with pytest.raises(ConfigError, match="MLflow cannot keep its file"):
        check_store("mlflow", tmp_path / "policy.toml", tmp_path)
    with pytest.raises(InputError, match=r"mlflow\.db"):
        read_curves(tmp_path)
    assert (tmp_path / "mlflow.db").read_bytes().startswith(b"not a database")


@pytest.mark.parametrize(
    "act",
    [
        "import socket; socket.socket()",
        "import socket; socket.getaddrinfo('localhost', 80)",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.system('true')",
    ],
)
def test_the_process_that_touches_mlflow_can_open_nothing(act: str) -> None:
    """By an audit hook that stays; the same line without it goes further."""
    program = "from intraward_client.training.mlflow_child import shut_in; shut_in(); " + act
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 1 and b"PermissionError" in done.stderr.splitlines()[-1]


def test_sparkline() -> None:
    assert sparkline([0.0, 0.5, 1.0]) == "▁▅█"
    assert sparkline([2.0, 2.0]) == "▁▁" and sparkline([float("nan"), 1.0]) == "?▁" and sparkline([]) == ""
    assert len(sparkline([float(v) for v in range(1000)], width=40)) == 40
