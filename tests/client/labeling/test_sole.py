"""One station at a time on a site, and on a database of PostgreSQL; a killed one holds nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.client.labeling.stations import home_at

from intraward_client.labeling.database import open_engine
from intraward_client.labeling.sole import sole_on_database, sole_station
from intraward_shared.errors import ConfigError, LabelError

_HOLDS = """
import sys, time
from pathlib import Path
from intraward_client.home import SiteHome
from intraward_client.labeling.sole import sole_station
with sole_station(SiteHome(Path(sys.argv[1]))):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_station_is_refused_by_name_until_the_first_is_gone(tmp_path: Path) -> None:
    home = home_at(tmp_path / "site")
    first = subprocess.Popen(
        [sys.executable, "-c", _HOLDS, str(home.root)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert first.stdout is not None and first.stdout.readline() == "held\n"
        with pytest.raises(LabelError, match=f"process {first.pid}") as refused, sole_station(home):
            pass
        assert f"ps {first.pid}" in refused.value.remedy
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait(60)
    with sole_station(home):
        assert home.label_lock.read_text() == f"{os.getpid()}\n"


def test_a_folder_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder"), sole_station(type(home_at(tmp_path))(tmp_path / "x")):
        pass


@pytest.mark.slow
def test_two_sites_do_not_serve_one_database(tmp_path: Path, postgres_url: str) -> None:
    engines = [open_engine(home_at(tmp_path / name), postgres_url) for name in ("one", "two")]
    refused = pytest.raises(LabelError, match=r"database process \d+")
    with sole_on_database(engines[0]), refused, sole_on_database(engines[1]):
        pass
    with sole_on_database(engines[1]):
        pass
    for engine in engines:
        engine.dispose()


def test_a_file_of_sqlite_needs_no_second_lock(tmp_path: Path) -> None:
    engine = open_engine(home_at(tmp_path / "site"))
    with sole_on_database(engine), sole_on_database(engine):
        pass
    engine.dispose()
