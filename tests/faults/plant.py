"""A consortium of real processes, started by the product's own commands: SuperLink, wards, gateways, start.

Three hospitals with a tiny model and some patients each, joined by their kits; a program of private reward
rounds. Wards are ``phased_ward``s, so that a process can be killed while a round is at a known phase. The
sites are simulated ones: their clock is the program's, and no answer waits for its slot.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import tomli_w
from tests.faults.cable import Cable
from tests.faults.phased_ward import gate
from tests.faults.phases import Phase
from typer.testing import CliRunner

from intraward_client.home import SiteHome
from intraward_client.joining import join, utc_now
from intraward_server import cli as server_cli
from intraward_server.home import ServerHome
from intraward_shared.ledger import LedgerEntry, read_ledger
from intraward_shared.signing import SigningKey
from intraward_simulation.processes import answers, base_environment, free_port
from intraward_simulation.supervision import wait_until

SITES = ("alder", "birch", "cedar")
ROOT = Path(__file__).parents[2]
ROOTS = (ROOT, *(ROOT / name for name in ("client", "server", "shared", "simulation")))
BINARIES = Path(sys.executable).parent
SUPERLINK, START = "superlink", "start"
MECHANISM = {
    "sample_rate": 0.5,
    "noise_multiplier": 1.0,
    "max_grad_norm": 1.0,
    "steps": 2,
    "nominal_batch": 4,
    "max_records_per_unit": 2,
}
WAIT_SECONDS, RESTART_SECONDS = 300.0, 3.0


def program(model: Path, rounds: int) -> dict[str, Any]:
    """A program of ``rounds`` private reward rounds that asks again soon."""
    return {
        "program": {
            "name": "faults",
            "simulated": True,
            "seed": 5,
            "quorum": len(SITES),
            "round_deadline_s": 600.0,
            "join_deadline_s": 600.0,
            "poll_s": 0.2,
            "resends": 30,
            "resend_s": 5.0,
            "starts_at": "2030-01-01T00:00:00Z",
        },
        "model": {"path": str(model)},
        "lora": {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]},
        "stages": [
            {
                "stage": "reward",
                "rounds": rounds,
                "mechanism": MECHANISM,
                "training": {"learning_rate": 0.01, "max_prompt_tokens": 4, "max_completion_tokens": 6},
            }
        ],
    }


class Plant:
    """What stands while the test goes on. Every process is in a session of its own, by name."""

    def __init__(self, folder: Path, hub: ServerHome) -> None:
        self.folder, self.hub = folder, hub
        self.homes: dict[str, SiteHome] = {}
        self.port, self._processes = free_port(), dict[str, subprocess.Popen[bytes]]()
        self._runtime = {site: free_port() for site in SITES}
        self.cables = {site: Cable(self.port) for site in SITES}
        self._kept, self._down, self._ending = set[str](), set[str](), threading.Event()
        self._keeper = threading.Thread(target=self._keep_gateways, daemon=True)
        self._keeper.start()
        roots = os.pathsep.join([*map(str, ROOTS), os.environ.get("PYTHONPATH", "")])
        self.environment = base_environment() | {"PYTHONPATH": roots}
        self.environment.pop("FLWR_HOME", None)

    def run(self, name: str, *words: str, **more: str) -> None:
        """Start a process; its output is appended to ``NAME.log``."""
        with (self.folder / f"{name}.log").open("ab") as output:
            self._processes[name] = subprocess.Popen(
                list(words),
                env=self.environment | more,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def log(self, name: str) -> str:
        """What a process has said."""
        return (self.folder / f"{name}.log").read_text()

    def superlink(self) -> None:
        """Start the SuperLink on its port and wait until it is ready."""
        ready = "its connection is called"
        before = self.log(SUPERLINK).count(ready) if (self.folder / f"{SUPERLINK}.log").exists() else 0
        command = (str(BINARIES / "intraward-server"), "superlink", "--home", str(self.hub.root))
        self.run(SUPERLINK, *command, "--port", str(self.port))
        self.until(lambda: self.log(SUPERLINK).count(ready) > before, "the SuperLink is ready")
        for cable in self.cables.values():
            cable.mend()

    def ward(self, site: str) -> None:
        """Start a site's ward; ``await_ward`` waits for it."""
        (self.homes[site].root / "phases").mkdir(exist_ok=True)
        self.run(f"ward.{site}", sys.executable, "-m", "tests.faults.phased_ward", str(self.homes[site].root))

    def await_ward(self, site: str) -> None:
        """Return when the site's ward answers."""
        self.until(lambda: answers(self.homes[site].socket), f"{site}'s ward answers")

    def gateway(self, site: str) -> None:
        """Start a site's gateway."""
        command = (str(BINARIES / "intraward-client"), "gateway", "--home", str(self.homes[site].root))
        port = ("--runtime-port", str(self._runtime[site]))
        self.run(f"gateway.{site}", *command, *port, FLWR_HOME=str(self.folder / f"flwr.{site}"))
        self._kept.add(site)

    def gateway_again(self, site: str) -> None:
        """Let a dead gateway be started again, and wait until it got in: its place is held for a minute."""
        joined, log = "SuperNode ID", f"gateway.{site}"
        before = self.log(log).count(joined)
        self._down.discard(site)
        self.until(lambda: self.log(log).count(joined) > before, f"{site}'s gateway gets in again")

    def _keep_gateways(self) -> None:
        """Start gateways that ended by themselves again, as their unit does: a broken handshake ends one."""
        while not self._ending.wait(RESTART_SECONDS):
            for site in self._kept - self._down:
                if self.ended(f"gateway.{site}") is not None:
                    self.gateway(site)

    def second_gateway(self, site: str) -> int:
        """Exit code of another gateway with the site's node key, and what it was told."""
        command = (str(BINARIES / "intraward-client"), "gateway", "--home", str(self.homes[site].root))
        name = f"second.{site}"
        self.run(
            name, *command, "--runtime-port", str(free_port()), FLWR_HOME=str(self.folder / f"flwr.{name}")
        )
        self.await_end(name)
        (code,) = set(re.findall(r"Exit Code: (\d+)", self.log(name)))
        return int(code)

    def start(self, *options: str) -> None:
        """The coordinator runs or continues the program."""
        command = (str(BINARIES / "intraward-server"), "start", "--home", str(self.hub.root))
        self.run(START, *command, "--superlink", "consortium", *options)

    def administer(self, *words: str) -> None:
        """A command of the coordinator that has to succeed."""
        done = CliRunner().invoke(server_cli.app, [*words, "--home", str(self.hub.root)])
        assert done.exit_code == 0, done.output + repr(done.exception)

    def children(self, name: str, program: str = "") -> list[psutil.Process]:
        """Living processes that a process started; only those of ``program`` if it is named."""
        try:
            every = psutil.Process(self._processes[name].pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return [p for p in every if not program or program in (Path(part).name for part in p.cmdline())]

    def kill(self, name: str) -> None:
        """SIGKILL of a process that this object started."""
        self._processes[name].send_signal(signal.SIGKILL)
        self._processes[name].wait(30)

    def kill_gateway(self, site: str) -> None:
        """SIGKILL of a gateway, which is not started again before ``gateway_again``."""
        self._down.add(site)
        self.kill(f"gateway.{site}")

    def kill_superlink(self) -> None:
        """SIGKILL of the SuperLink's process; what it had started ends by itself, the ServerApp too."""
        family = self.children(SUPERLINK)
        for cable in self.cables.values():
            cable.cut()
        self.kill(SUPERLINK)
        self.until(lambda: all(map(_gone, family)), "what the SuperLink had started ends")

    def kill_serverapp(self) -> None:
        """SIGKILL of the process in which the coordinator's program runs."""
        found = self.children(SUPERLINK, "flwr-serverapp")
        assert found
        for process in found:
            process.kill()
        self.until(lambda: all(map(_gone, found)), "the ServerApp is gone")

    def ended(self, name: str) -> int | None:
        """Exit code of a process, None while it lives."""
        return self._processes[name].poll()

    def await_end(self, name: str) -> int:
        """Exit code of a process that is about to end."""
        self.until(lambda: self.ended(name) is not None, f"{name} ends")
        return int(self._processes[name].returncode)

    def stop_at(self, site: str, phase: Phase) -> None:
        """Let a site's ward wait when it comes to ``phase``."""
        gate(self.homes[site].root, phase, "stop").touch()

    def await_phase(self, site: str, phase: Phase) -> None:
        """Return when the site's ward waits there."""
        self.until(gate(self.homes[site].root, phase, "here").exists, f"{site} comes to {phase.name}")

    def go_on(self, site: str, phase: Phase) -> None:
        """Let a waiting ward go on."""
        gate(self.homes[site].root, phase, "here").unlink()

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something; a failure names the folder of the logs."""
        wait_until(
            condition, seconds=WAIT_SECONDS, poll=0.05, what=f"not so: {what}", remedy=str(self.folder)
        )

    def rounds_done(self) -> list[int]:
        """Numbers of the finished rounds, as the coordinator's state says."""
        state = self.hub.state
        return [done["round"] for done in json.loads(state.read_text())["rounds"]] if state.exists() else []

    def await_rounds(self, count: int) -> None:
        """Return when so many rounds are finished."""
        self.until(lambda: len(self.rounds_done()) >= count, f"{count} rounds are done")

    def ledger(self, site: str) -> tuple[LedgerEntry, ...]:
        """A site's ledger, verified."""
        return read_ledger(self.homes[site].ledger)

    def tell(self) -> None:
        """Print the end of each log, for whoever looks into a failure."""
        for path in sorted(self.folder.glob("*.log")):
            lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
            print(f"== {path.name}", *lines[-25:], sep="\n")

    def end(self) -> None:
        """End everything, and what it started."""
        self._ending.set()
        self._keeper.join()
        for cable in self.cables.values():
            cable.cut()
        families = [child for name in self._processes for child in self.children(name)]
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        _, left = psutil.wait_procs(families, timeout=5)
        for each in left:
            each.kill()


def _gone(process: psutil.Process) -> bool:
    """Whether it ended, waited for or not."""
    try:
        return not process.is_running() or bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@contextmanager
def plant(
    folder: Path, model: Path, make_site: Callable[[Path, str, str], SiteHome], rounds: int
) -> Iterator[Plant]:
    """A consortium whose SuperLink, wards and gateways run.

    Args:
        folder: short, because sockets lie below it.
        model: the tiny model.
        make_site: makes a site's home of path, name and the coordinator's public key.
        rounds: length of the program.
    """
    file = folder / "program.toml"
    file.write_text(tomli_w.dumps(program(model, rounds)))
    hub = ServerHome(folder / "hub")
    made = Plant(folder, hub)
    made.administer("init", str(file))
    public = SigningKey.load(hub.key).public
    made.homes = {site: make_site(folder / site, site, public) for site in SITES}
    try:
        for site in SITES:
            made.ward(site)
        made.superlink()
        for site, home in made.homes.items():
            made.administer("enroll", str(home.enrolment), "--superlink", "consortium")
            kit = folder / f"kit.{site}"
            made.administer(
                "provision", site, "--out", str(kit), "--address", f"localhost:{made.cables[site].port}"
            )
            join(home, kit, utc_now())
            made.gateway(site)
        for site in SITES:
            made.await_ward(site)
        yield made
    except BaseException:
        made.tell()
        raise
    finally:
        made.end()
