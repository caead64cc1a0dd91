"""The same program over real processes: a SuperLink, and a ward and a SuperNode for each hospital.

Section 3 of DESIGN.md on one machine: TLS and registered node keys, everything on loopback, wards
reached only through their sockets, one ``FLWR_HOME`` for each party, no code in the bundle that
travels. Rule 10: nothing is kept here that the program needs. Whatever was killed, the next call takes
the same homes, starts a new Flower run, and the coordinator goes on from its last finished round.

Flower's SuperNode asks for work every 3 seconds and knows no option for it, which sets the pace of
short rounds; the wait of its launcher is shortened by the variable that Flower reads for it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx

from intraward_client.gateway import supernode_command
from intraward_client.home import SiteHome
from intraward_server.program import ProgramEvent, Progress
from intraward_shared.errors import RoundFailed
from intraward_simulation.control import Control, FlowerApp, program
from intraward_simulation.provision import Credentials, provision
from intraward_simulation.supervision import (
    POLL_SECONDS,
    RUN_OPTION,
    Supervisor,
    interruptible,
    processes_of,
    wait_until,
)
from intraward_simulation.values import ValuesName
from intraward_simulation.watch import Watch

SERVERAPP = "intraward_simulation.serverapp:app"
CLIENTAPP = "intraward_client.app:app"
SUPERLINK, OPERATOR = "flower.superlink", "flower.operator"
LONGEST_SOCKET_PATH = 100
START_SECONDS = 180.0
RESTARTS = 3
LOOK_SECONDS, ASK_SECONDS = 1.0, 20.0

WardCommand = Callable[[str, Path], list[str]]
"""Command that serves a site's ward, by the site's name and home."""


@dataclass(frozen=True)
class _Plant:
    """What stands while a run goes on."""

    run: Path
    supervisor: Supervisor
    control: Control
    credentials: Credentials
    homes: Mapping[str, SiteHome]


def run_with_processes(
    run: Path,
    *,
    sites: Mapping[str, Path],
    server_home: Path,
    ward_command: WardCommand,
    record: Path,
    progress: Progress | None = None,
    timeout_s: float = 3600.0,
    values: Sequence[ValuesName] = (),
    threads: int = 1,
    serverapp: str = SERVERAPP,
) -> None:
    """Run the coordinator's program to its end over real processes, or go on with it.

    Args:
        run: folder of the run; takes ``tls``, ``flwr`` and ``logs``.
        sites: home folder of each initialised site.
        server_home: the coordinator's folder.
        ward_command: command that serves a site's ward, given its name and its home (a short link to
            it where the socket's path would be too long).
        record: folder that takes every message as it crossed the coordinator's Grid.
        progress: told each event of the program.
        timeout_s: longest time for all of it, in seconds.
        values: of the hospitals' clinicians, to score answers by; none: answers are not scored.
        threads: torch threads of the coordinator; the same number in process gives the same bits.
        serverapp: installed ServerApp, ``module:name``.

    Raises:
        RoundFailed: the program failed, a process was lost for good, or time ran out; no process is
            left in any case. The same call goes on from the last finished round.
        ConfigError: this run is going on in another process.
    """
    deadline = time.monotonic() + timeout_s
    run = run.resolve()
    credentials = provision(run / "tls", sites)
    (run / "flwr").mkdir(exist_ok=True, mode=0o700)
    watch = Watch(run / "flwr" / "watch")
    app = FlowerApp(
        serverapp,
        CLIENTAPP,
        {
            "intraward-home": str(server_home.resolve()),
            "intraward-record": str(record.resolve()),
            "intraward-watch": str(run / "flwr" / "watch"),
            "intraward-gold": " ".join(values),
            "intraward-threads": threads,
        },
    )
    with interruptible(), _reachable(sites) as homes, Supervisor(run) as supervisor:
        control = Control(run / "flwr" / "operator", base_environment(), supervisor.log(OPERATOR))
        plant = _Plant(run, supervisor, control, credentials, homes)
        watch.clear()
        _start(plant, ward_command)
        _follow(plant, control.start_run(app), watch, progress or _quiet, deadline)


def ward_command(run: Path) -> WardCommand:
    """Commands that serve the wards of a scenario's run: ``intraward-simulate ward``."""

    def command(site: str, home: Path) -> list[str]:
        module = [sys.executable, "-m", "intraward_simulation"]
        return [*module, "ward", RUN_OPTION, str(run.resolve()), "--home", str(home)]

    return command


def base_environment() -> dict[str, str]:
    """This process's environment; Flower's programs found first, nothing calls home, one thread each."""
    return dict(os.environ) | {
        "PATH": os.pathsep.join([str(Path(program("flwr")).parent), os.environ.get("PATH", os.defpath)]),
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.2",
    }


def _start(plant: _Plant, ward_command: WardCommand) -> None:
    """Bring everything up; the slow starts overlap."""
    port = free_port()
    superlink = f"localhost:{port}"
    plant.supervisor.start(SUPERLINK, _superlink_command(plant, port), _flower(plant, "superlink"))
    for site, home in plant.homes.items():
        command = ward_command(site, home.root)
        plant.supervisor.start(site, command, base_environment(), restarts=RESTARTS)
    _await(plant, SUPERLINK, lambda: _listening(port))
    plant.control.connect(superlink, plant.credentials.authority)
    with ThreadPoolExecutor(2) as pool:
        list(
            pool.map(
                lambda site: plant.control.register(site, plant.credentials.nodes[site].public), plant.homes
            )
        )
    for site in plant.homes:
        _start_gateway(plant, site, superlink)
    for site, home in plant.homes.items():
        _await(plant, site, lambda home=home: answers(home.socket))  # type: ignore[misc]


def _superlink_command(plant: _Plant, port: int) -> list[str]:
    database = plant.run / "flwr" / "state.db"
    for path in database.parent.glob(f"{database.name}*"):
        path.unlink()  # a dead SuperLink's messages; Flower does not go on with a run
    files = plant.credentials
    return [
        program("flower-superlink"),
        *("--ssl-ca-certfile", str(files.authority)),
        *("--ssl-certfile", str(files.certificate)),
        *("--ssl-keyfile", str(files.key)),
        "--enable-supernode-auth",
        "--disable-runtime-dependency-installation",
        *("--database", str(database)),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]


def _start_gateway(plant: _Plant, site: str, superlink: str) -> None:
    command = supernode_command(
        superlink=superlink,
        root_certificates=plant.credentials.authority,
        key=plant.credentials.nodes[site].private,
        socket=plant.homes[site].socket,
        runtime_port=free_port(),
    )
    command[0] = program(command[0])
    plant.supervisor.start(f"flower.{site}", command, _flower(plant, f"node.{site}"), restarts=RESTARTS)


def _flower(plant: _Plant, party: str) -> dict[str, str]:
    """Environment with a ``FLWR_HOME`` of the party's own."""
    home = plant.run / "flwr" / party
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return base_environment() | {"FLWR_HOME": str(home)}


def _await(plant: _Plant, name: str, ready: Callable[[], bool]) -> None:
    """Wait for a started process to answer; fail as soon as it is gone."""

    def condition() -> bool:
        plant.supervisor.demand(name)
        return ready()

    log = plant.supervisor.log(name)
    wait_until(condition, seconds=START_SECONDS, what=f"{name} did not answer", remedy=f"see {log}")


def _follow(plant: _Plant, number: int, watch: Watch, progress: Progress, deadline: float) -> None:
    """Pass progress on until the program has ended; restart wards and SuperNodes that died."""
    look, ask, seen = 0.0, time.monotonic() + ASK_SECONDS, False
    while True:
        outcome = watch.outcome()
        for event in watch.events():
            progress(event)
        if outcome is not None:
            if outcome.ok:
                return
            raise RoundFailed(outcome.message, remedy=outcome.remedy or _see_logs(plant))
        plant.supervisor.demand(SUPERLINK)
        plant.supervisor.revive()
        now = time.monotonic()
        if now > deadline:
            raise RoundFailed(
                "the program did not end in the time given",
                remedy="give more time; the same command goes on from the last finished round",
            )
        if now > look:
            look, alive = now + LOOK_SECONDS, bool(processes_of(plant.run, "flwr-serverapp"))
            gone, seen = seen and not alive, seen or alive
            if not seen and now > ask:
                ask, gone = now + ASK_SECONDS, plant.control.finished(number)
            if gone and watch.outcome() is None:
                raise RoundFailed("the coordinator's program was lost", remedy=_see_logs(plant))
        time.sleep(POLL_SECONDS)


def _see_logs(plant: _Plant) -> str:
    return f"see {plant.supervisor.log(SUPERLINK)}; the same command goes on from the last finished round"


def _quiet(event: ProgramEvent) -> None:
    """Progress that nobody watches."""


@contextlib.contextmanager
def _reachable(sites: Mapping[str, Path]) -> Iterator[dict[str, SiteHome]]:
    """Homes whose socket paths the kernel takes; a home too deep is reached by a private short link."""
    homes = {site: SiteHome(sites[site].resolve()) for site in sorted(sites)}
    deep = [site for site, home in homes.items() if len(os.fsencode(home.socket)) > LONGEST_SOCKET_PATH]
    if not deep:
        yield homes
        return
    folder = Path(tempfile.mkdtemp(prefix="iw-", dir=os.environ.get("XDG_RUNTIME_DIR")))
    try:
        for site in deep:
            link = folder / site
            link.symlink_to(homes[site].root)
            homes[site] = SiteHome(link)
        yield homes
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listening(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def answers(path: Path) -> bool:
    """Whether a ward answers on this socket."""
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), timeout=5.0) as client:
            return client.get("http://ward/describe").status_code == 200
    except httpx.HTTPError:
        return False
