"""A whole run with tracking on: no figure of a curve is in anything that a hospital sends or others keep.

Every step tells one figure of a name and a value that occur nowhere else. Afterwards every byte of the run is
searched for both, as text and as binary numbers: what the Flower messages carried, what was sealed, ledgers,
logs, vaults, the coordinator's folder, the report. They may be in the sites' ``curves`` folders alone.
"""

from __future__ import annotations

import copy
import stat
import struct
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from intraward_client import cli
from intraward_client.training import optimise, schedule
from intraward_client.training.tracking import read_curves
from intraward_simulation.run import RunFolder, run_scenario
from intraward_simulation.scan import spellings

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
FIGURE, VALUE = "quellenbrunn", 73914.28125
MARKS = [
    FIGURE.encode(),
    *spellings(FIGURE),
    b"73914.28",
    *(struct.pack(f, VALUE) for f in ("<f", "<d", ">d")),
]


def holders(folder: Path) -> set[Path]:
    """Files below ``folder`` that hold the figure's name or value, in any form."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path
        for path in files
        if any(mark in path.name.encode() + path.read_bytes().lower() for mark in map(bytes.lower, MARKS))
    }


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory, small_scenario: dict[str, Any]) -> Path:
    """A finished run whose sites keep curves of the one figure."""
    pytest.importorskip("tensorboard")
    table = copy.deepcopy(small_scenario) | {"tracking": {"store": "tensorboard"}}
    folder = tmp_path_factory.mktemp("tracked")
    (folder / "tracked.toml").write_text(tomli_w.dumps(table), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedule._StepFigures, "means", lambda self: {FIGURE: VALUE})
        patch.setattr(optimise, "step_figures", lambda experience, figures: {FIGURE: VALUE})
        run_scenario(folder / "tracked.toml", folder / "run")
    return folder / "run"


def test_only_the_sites_curves_hold_the_figure(tracked: Path) -> None:
    places = {"recorded", "server", "sites", "report.json", "report.html"}
    assert places <= {path.name for path in tracked.iterdir()}  # all of it was searched
    run, found = RunFolder(tracked), holders(tracked)
    for site in run.sites.iterdir():
        home = run.site(site.name)
        mine = {path for path in found if path.is_relative_to(home.curves)}
        stages = {curve.round.split("-")[-2] for curve in read_curves(home.curves, last=99)}
        assert stages == {"sft", "reward", "ppo"} and len(mine) == len(list(home.curves.iterdir()))
        found -= mine
        modes = {stat.S_IMODE(path.stat().st_mode) for path in home.curves.rglob("*") if path.is_file()}
        assert modes == {0o600} and stat.S_IMODE(home.curves.stat().st_mode) == 0o700
        assert list(home.outbox.iterdir())
    assert found == set()


def test_the_search_would_find_it(tmp_path: Path) -> None:
    for number, mark in enumerate((FIGURE.upper().encode(), b"73914.28125", struct.pack("<f", VALUE))):
        (tmp_path / str(number)).write_bytes(b"..." + mark + b"...")
    assert len(holders(tmp_path)) == 3


def test_a_simulated_site_is_looked_at_with_the_hospitals_own_command(
    tracked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = next(RunFolder(tracked).sites.iterdir())
    cli.curves(home, last=2, plot=tmp_path / "curves.png")
    assert FIGURE in capsys.readouterr().out and (tmp_path / "curves.png").stat().st_size > 1000
