"""Every process of a run is found and ended, whatever it did to hide; nothing else is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from intraward_shared.errors import ConfigError, RoundFailed
from intraward_simulation.supervision import (
    MARK,
    RUN_OPTION,
    Supervisor,
    interruptible,
    mark_of,
    processes_of,
    uninterrupted,
    wait_until,
)

SLEEP = [sys.executable, "-c", "import time; time.sleep(300)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True);"
    " time.sleep(300)",
]
DETACHING = [
    sys.executable,
    "-c",
    "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)'],"
    " start_new_session=True); print('on', flush=True)",
]


def settled(supervisor: Supervisor, name: str) -> None:
    """Wait until a process has said that it is on."""
    wait_until(lambda: "on" in supervisor.log(name).read_text(), seconds=20, what="no word", remedy="")


def test_a_detached_grandchild_is_ended_with_the_run(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start("parent", DETACHING, os.environ)
        settled(supervisor, "parent")
        wait_until(lambda: supervisor.ended("parent"), seconds=20, what="parent stays", remedy="")
        grandchild = processes_of(tmp_path)
        assert len(grandchild) == 1
    assert processes_of(tmp_path) == []
    assert not grandchild[0].is_running()


def test_a_process_that_ignores_the_request_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intraward_simulation.supervision.GRACE_SECONDS", 0.3)
    with Supervisor(tmp_path) as supervisor:
        supervisor.start("stubborn", STUBBORN, os.environ)
        settled(supervisor, "stubborn")
    assert processes_of(tmp_path) == []
    assert supervisor.ended("stubborn")


def test_a_ward_that_lets_nobody_look_in_is_found_by_its_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    run.mkdir()

    def closed(process: psutil.Process) -> dict[str, str]:
        raise psutil.AccessDenied(process.pid)

    wards = [
        subprocess.Popen([*SLEEP, RUN_OPTION, str(folder)], start_new_session=True) for folder in (run, other)
    ]
    named = subprocess.Popen([*SLEEP, str(run)], start_new_session=True)
    try:
        monkeypatch.setattr(psutil.Process, "environ", closed)
        with Supervisor(run):
            assert wards[0].wait(timeout=5) in (-signal.SIGTERM, 0)
            assert [each.poll() for each in (wards[1], named)] == [None, None]
    finally:
        for each in (*wards, named):
            each.kill()
            each.wait()


def test_what_an_earlier_dead_run_left_is_ended_and_a_stranger_is_not(tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    run.mkdir()
    left = subprocess.Popen(SLEEP, env={**os.environ, MARK: mark_of(run)}, start_new_session=True)
    stranger = subprocess.Popen(SLEEP, env={**os.environ, MARK: mark_of(other)}, start_new_session=True)
    try:
        with Supervisor(run):
            assert left.wait(timeout=5) in (-signal.SIGTERM, 0)
            assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_all_is_taken_down_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyError), Supervisor(tmp_path) as supervisor:
        supervisor.start("one", SLEEP, os.environ)
        raise KeyError
    assert processes_of(tmp_path) == []


def test_a_run_is_held_by_one_supervisor_at_a_time(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as first:
        first.start("one", SLEEP, os.environ)
        with pytest.raises(ConfigError, match="another process"), Supervisor(tmp_path):
            pass
        assert len(processes_of(tmp_path)) == 1
    with Supervisor(tmp_path):
        pass


def test_a_dead_process_is_started_again_as_often_as_allowed(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start("brief", [sys.executable, "-c", "print('on', flush=True)"], os.environ, restarts=2)
        names = []
        for _ in range(3):
            wait_until(lambda: supervisor.ended("brief"), seconds=20, what="stays", remedy="")
            names.append(supervisor.revive())
        assert names == [["brief"], ["brief"], []]
        assert supervisor.log("brief").read_text().count("on") == 3
        with pytest.raises(RoundFailed, match="brief ended") as caught:
            supervisor.demand("brief")
        assert str(supervisor.log("brief")) in caught.value.remedy


def test_logs_are_private_and_a_missing_program_is_named(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start("one", SLEEP, os.environ)
        assert supervisor.log("one").stat().st_mode & 0o777 == 0o600
        with pytest.raises(ConfigError, match="no-such-program"):
            supervisor.start("two", ["no-such-program"], os.environ)


def test_a_program_is_found_by_the_name_of_a_part_of_its_command(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start("one", [*SLEEP, "/somewhere/flwr-serverapp"], os.environ)
        wait_until(lambda: bool(processes_of(tmp_path)), seconds=20, what="nothing", remedy="")
        assert len(processes_of(tmp_path, "flwr-serverapp")) == 1
        assert processes_of(tmp_path, "serverapp") == []


def test_a_request_to_terminate_ends_the_work_in_order_and_handlers_come_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interruptible(), Supervisor(tmp_path) as supervisor:
        supervisor.start("one", SLEEP, os.environ)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert processes_of(tmp_path) == []
    assert signal.getsignal(signal.SIGTERM) is before


def test_taking_down_is_not_interrupted() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
    try:
        with uninterrupted():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_waiting_ends_with_what_was_awaited() -> None:
    with pytest.raises(RoundFailed, match="nothing came within 0 seconds"):
        wait_until(lambda: False, seconds=0.0, what="nothing came", remedy="wait longer")


def test_this_process_is_never_among_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARK, mark_of(tmp_path))
    assert psutil.Process().pid not in [process.pid for process in processes_of(tmp_path)]
