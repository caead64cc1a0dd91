"""One coordinator at a time: a second one waits for the first to end, or is refused."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from intraward_server import cli
from intraward_server.home import ServerHome
from intraward_server.program import run
from intraward_server.sole import sole_coordinator
from intraward_shared.errors import ConfigError, RoundFailed


def test_two_coordinators_do_not_work_in_one_folder(federation: Any) -> None:
    made = federation()
    with sole_coordinator(ServerHome(made.home)):
        with (
            pytest.raises(RoundFailed, match="another process"),
            sole_coordinator(ServerHome(made.home), 0.3),
        ):
            pass
        done = CliRunner().invoke(cli.app, ["skip", "--home", str(made.home), "--yes"])
        assert isinstance(done.exception, RoundFailed)
    run(made.grid(), made.home)


def test_a_second_coordinator_waits_for_one_that_is_about_to_end(federation: Any) -> None:
    made = federation()
    held, order = threading.Event(), []

    def first() -> None:
        with sole_coordinator(ServerHome(made.home)):
            held.set()
            time.sleep(0.5)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    held.wait(5)
    with sole_coordinator(ServerHome(made.home)):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError), sole_coordinator(ServerHome(tmp_path / "nowhere")):
        pass
