"""Curves are seen in the ward alone: no byte that is answered, sealed, logged or charged knows of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from intraward_client.home import SiteHome
from intraward_client.slot import SlotClock
from intraward_client.training import schedule
from intraward_client.training.tracking import read_curves
from intraward_client.ward import Ward, site_status
from intraward_shared.errors import ConfigError
from intraward_shared.protocol import unpack_parts
from intraward_simulation.scan import scan_bytes, scan_files

FIGURE = "Quellenbrunn"
VALUE = 73914.25
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def terms(store: str) -> dict[str, Any]:
    """Of a simulated site, whose noise can be repeated."""
    return {"tracking": {"store": store}, "simulation": {"allowed": True}}


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step tells one figure, whose name and value can be found anywhere."""
    monkeypatch.setattr(schedule._StepFigures, "means", lambda self: {FIGURE: VALUE})


def run(home: SiteHome, request: bytes, watch: Callable[..., None] | None = None) -> dict[str, Any]:
    """All that a ward says and keeps for one round, the curves apart."""
    with closing(Ward(home, watch=watch, slots=SlotClock(virtual=True, now=lambda: NOW))) as ward:
        said = (ward.execute(request), ward.execute(request), ward.describe())
    sealed = {path.name: path.read_bytes() for path in home.outbox.iterdir()}
    return {
        "said": said,
        "sealed": sealed,
        "ledger": home.ledger.read_bytes(),
        "log": home.log.read_bytes(),
        "status": site_status(home),
    }


@pytest.mark.parametrize("kept_by", ["tensorboard", pytest.param("mlflow", marks=pytest.mark.slow)])
def test_tracking_changes_no_byte_and_its_figures_stay(
    kept_by: str, make_site: Any, rounds: Any, marked: None, capfd: pytest.CaptureFixture[str]
) -> None:
    if importlib.util.find_spec(kept_by) is None:  # never imported here: MLflow calls home when it is
        pytest.skip(f"{kept_by} is not installed")
    request = rounds(simulated=True, seed=5).bytes_by()
    found, homes, seen = [], [], []
    for store in ("none", kept_by):
        home = make_site(name=store, more=terms(store))
        found.append(run(home, request, lambda *told: seen.append(told)))
        homes.append(home)
    assert unpack_parts(found[0]["said"][0])["code"] == b"OK" and len(found[0]["sealed"]) == 1
    assert found[0] == found[1] and len(seen) == 4
    assert not homes[0].curves.exists() and read_curves(homes[1].curves)[0].values == (VALUE, VALUE)
    marks = [FIGURE, str(VALUE), str(int(VALUE))]
    assert not scan_bytes(b"".join(found[1]["said"]), marks) and not scan_bytes(str(found[1]).encode(), marks)
    kept = [path for path in homes[1].root.rglob("*") if path.is_file()]
    curves = [path for path in kept if path.is_relative_to(homes[1].curves)]
    assert scan_files([path for path in kept if path not in curves], marks).found == 0
    assert scan_files(curves, [FIGURE]).found == 1
    shown = capfd.readouterr()
    assert FIGURE not in shown.out + shown.err


def test_a_store_that_cannot_be_written_costs_the_curve_not_the_round(
    make_site: Any, rounds: Any, marked: None
) -> None:
    pytest.importorskip("tensorboard")
    home = make_site(more=terms("tensorboard"))
    home.curves.write_text("a file where the folder should be")
    answer = run(home, rounds(simulated=True, seed=5).bytes_by())
    assert unpack_parts(answer["said"][0])["code"] == b"OK"
    assert b"curves could not be kept" in answer["log"] and not scan_bytes(answer["log"], [FIGURE])


def test_a_ward_without_the_package_does_not_start(make_site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    home = make_site(more=terms("tensorboard"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"tracking\.store"):
        Ward(home)
