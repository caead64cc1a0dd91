"""A federation of real processes: it works, says what went wrong, leaves nothing, and goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from intraward_client.home import SiteHome
from intraward_server.program import ProgramEvent
from intraward_shared.errors import RoundFailed
from intraward_simulation.processes import run_with_processes
from intraward_simulation.supervision import processes_of

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
HERE = Path(__file__).parent
ROOTS = ("client", "server", "shared", "simulation")


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let child processes import the packages, installed or not, and the plumbing beside this file."""
    roots = [str(HERE), *(str(HERE.parents[1] / root) for root in ROOTS)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(roots))


def lay_out(run: Path, **orders: object) -> None:
    """Three site homes, and the orders of ``plumbing_app``."""
    for site in ("a", "b", "c"):
        SiteHome(run / "sites" / site).make()
    (run / "server").mkdir(exist_ok=True)
    (run / "server" / "orders.json").write_text(json.dumps({"nodes": 3, **orders}))


def echo_ward(site: str, home: Path) -> list[str]:
    """Command of a ward that echoes."""
    return [sys.executable, str(HERE / "echo_ward.py"), site, str(SiteHome(home).socket)]


def plumb(run: Path, progress: Callable[[ProgramEvent], None] | None = None) -> None:
    """The plumbing app over processes."""
    run_with_processes(
        run,
        sites={site: run / "sites" / site for site in ("a", "b", "c")},
        server_home=run / "server",
        ward_command=echo_ward,
        record=run / "recorded",
        progress=progress,
        timeout_s=150,
        serverapp="plumbing_app:app",
    )


def test_bytes_go_to_every_ward_and_back_though_its_path_is_too_long_for_a_socket(tmp_path: Path) -> None:
    run = tmp_path / ("deep-" * 12) / ("deeper-" * 8)
    run.mkdir(parents=True)
    lay_out(run)
    events: list[str] = []
    plumb(run, lambda event: events.append(event.kind))
    assert json.loads((run / "server" / "result.json").read_text()) == {
        "sites": ["a", "b", "c"],
        "sizes": [1000, 1000, 1000],
    }
    assert events == ["nodes", "echoes"]
    assert len(list((run / "recorded").glob("*.out.bin"))) == 6
    assert processes_of(run) == []


def test_a_killed_run_is_cleared_away_by_the_next_which_tells_why_it_fails(tmp_path: Path) -> None:
    lay_out(tmp_path, wait=True)
    code = f"import test_processes as t, pathlib; t.plumb(pathlib.Path({str(tmp_path)!r}))"
    driver = subprocess.Popen([sys.executable, "-c", code])
    progress = tmp_path / "flwr" / "watch" / "progress.jsonl"
    until = time.monotonic() + 120
    while not (progress.exists() and "echoes" in progress.read_text()):
        assert time.monotonic() < until and driver.poll() is None
        time.sleep(0.2)
    with pytest.raises(psutil.TimeoutExpired):  # it is alive and holds the run
        psutil.Process(driver.pid).wait(0.1)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    orphans = {process.pid for process in processes_of(tmp_path)}
    assert len(orphans) >= 8  # three wards, three SuperNodes, the SuperLink and its children

    lay_out(tmp_path, fail=True)
    with pytest.raises(RoundFailed) as caught:
        plumb(tmp_path)
    assert caught.value.message == "the orders say so"
    assert caught.value.remedy == "give other orders"
    assert processes_of(tmp_path) == []
    assert not any(psutil.pid_exists(pid) for pid in orphans)
