"""A federation of real processes: it works, says what went wrong, leaves nothing, and goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.e2e.echo_ward import LEAKED

from intraward_client.gateway import supernode_command
from intraward_client.home import SiteHome
from intraward_server.program import ProgramEvent
from intraward_shared.errors import RoundFailed
from intraward_simulation.control import CONNECTION, program
from intraward_simulation.processes import base_environment, free_port, run_with_processes
from intraward_simulation.provision import provision
from intraward_simulation.scan import scan_files
from intraward_simulation.supervision import MARK, mark_of, processes_of

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
HERE = Path(__file__).parent


def echo_ward(site: str, home: Path) -> list[str]:
    """Command of a ward that echoes."""
    return [sys.executable, str(HERE / "echo_ward.py"), site, str(SiteHome(home).socket)]


def stranger_is_refused(run: Path, folder: Path, key: Path | None) -> bool:
    """Whether a SuperNode with this key, which nobody registered, or with none ends instead of joining."""
    settings = tomllib.loads((run / "flwr" / "operator" / "config.toml").read_text())
    connection = settings["superlink"][CONNECTION]
    command = supernode_command(
        superlink=connection["address"],
        root_certificates=Path(connection["root-certificates"]),
        key=key,
        socket=folder / "none.sock",
        runtime_port=free_port(),
    )
    command[0] = program(command[0])
    log = folder / ("log" if key else "keyless.log")
    environment = base_environment() | {"FLWR_HOME": f"{log}.flwr", MARK: mark_of(run)}
    with log.open("wb") as output:  # not a pipe: its children would hold that open
        done = subprocess.run(command, env=environment, stdout=output, stderr=output, timeout=45, check=False)
    return done.returncode != 0 and "Exit Code: 305" in log.read_text()


def test_bytes_go_to_every_ward_and_back_and_failure_is_told(tmp_path: Path) -> None:
    run = tmp_path / ("deep-" * 12) / ("deeper-" * 8)  # too long a path for a socket
    sites = {site: run / "sites" / site for site in ("a", "b", "c")}
    for home in sites.values():
        SiteHome(home).make()
    (run / "server").mkdir()
    events: list[str] = []
    refused: list[bool] = []

    def on_event(event: ProgramEvent) -> None:
        events.append(event.kind)
        if event.kind == "nodes":
            key = provision(tmp_path / "stranger", ["stranger"]).nodes["stranger"].private
            with ThreadPoolExecutor(2) as pool:
                tried = [pool.submit(stranger_is_refused, run, tmp_path / "stranger", k) for k in (key, None)]
                refused.extend(each.result() for each in tried)

    with pytest.raises(RoundFailed) as caught:
        run_with_processes(
            run,
            sites=sites,
            server_home=run / "server",
            ward_command=echo_ward,
            record=run / "recorded",
            progress=on_event,
            timeout_s=150,
            serverapp="plumbing_app:app",
        )
    assert (caught.value.message, caught.value.remedy) == ("the plumbing app always fails", "it is a test")
    assert json.loads((run / "server" / "result.json").read_text()) == {
        "sites": ["a", "b", "c"],
        "sizes": [1000, 1000, 1000],
    }
    assert events == ["nodes", "echoes"]
    assert refused == [True, True]
    assert len(list((run / "recorded").glob("*.out.bin"))) == 6
    assert len(list((run / "recorded").glob("*.in.bin"))) == 6
    leaking = scan_files([run / "recorded"], [LEAKED])  # the search sees an egress that leaks
    assert (leaking.found, len(leaking.files)) == (1, 3)
    assert {Path(name).suffixes[0] for name in leaking.files} == {".in"}
    assert [path.name for path in (run / "flwr").rglob("*.py")] == []  # no code travelled
    assert processes_of(run) == []
