"""Flower's SuperLink, started in the only way that is safe here.

Section 3 of DESIGN.md. As it comes, a SuperLink runs whatever anyone who can reach it submits, and gives its
ServerApp's task to anyone who asks (facts on Flower, 3.2). So: loopback only, TLS by the consortium's own
authority, registered SuperNodes only, a runtime secret that only our SuperExec knows (``--isolation
process``, made anew at each start), no dependency installation, no telemetry, no update check, state in the
coordinator's folder. Whoever can open a connection on this machine can still submit an app: nobody else may
have an account on it, and a reverse proxy may pass on nothing but ``/v1/fleet/``.
"""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from intraward_server.authority import hosts_of
from intraward_server.deployment import flower_environment, program
from intraward_server.home import ServerHome
from intraward_shared.durable import write_durably
from intraward_shared.errors import ConfigError, SuperLinkError

CONNECTION = "consortium"
"""Name of the connection that ``prepare`` writes for Flower's command line."""
FLEET = "/v1/fleet/"
"""The only path that a SuperNode uses, and the only one that a proxy may pass on."""
START_SECONDS, STOP_SECONDS, POLL_SECONDS = 120.0, 10.0, 0.2
_PR_SET_PDEATHSIG = 1


def superlink_command(home: ServerHome, port: int) -> list[str]:
    """Command line of the SuperLink."""
    return [
        program("flower-superlink"),
        *("--ssl-ca-certfile", str(home.authority)),
        *("--ssl-certfile", str(home.server_certificate)),
        *("--ssl-keyfile", str(home.server_key)),
        "--enable-supernode-auth",
        *("--isolation", "process", "--superexec-auth-secret-file", str(_secret(home))),
        "--disable-runtime-dependency-installation",
        *("--database", str(home.flower / "state.db")),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]


def superexec_command(home: ServerHome, port: int) -> list[str]:
    """Command line of the SuperExec that starts the coordinator's ServerApp; ends with this process."""
    return [
        program("flower-superexec"),
        *("--runtime-api-address", f"localhost:{port}"),
        *("--root-certificates", str(home.authority)),
        *("--superexec-auth-secret-file", str(_secret(home))),
        *("--parent-pid", str(os.getpid())),
    ]


def runtime_environment(home: ServerHome) -> dict[str, str]:
    """Environment of both: Flower's programs found first, an own ``FLWR_HOME``, older transports closed."""
    environment = flower_environment(home) | {
        "FLWR_HOME": str(home.flower.resolve()),
        "FLWR_INTERNAL_GRPC_CONTROL_API": "0",
        "FLWR_INTERNAL_GRPC_FLEET_API": "0",
        "PYTHONUNBUFFERED": "1",
    }
    programs = str(Path(program("flwr")).parent)
    environment["PATH"] = os.pathsep.join([programs, environment.get("PATH", os.defpath)])
    return environment


def prepare(home: ServerHome, port: int) -> tuple[str, ...]:
    """Check what is needed, make a new runtime secret, and write the coordinator's own connection.

    Returns:
        The names that the server's certificate covers.

    Raises:
        ConfigError: the folder has no authority or no server certificate.
    """
    for path in (home.authority, home.server_certificate, home.server_key):
        if not path.is_file():
            raise ConfigError(path, "", "no such file", remedy="run intraward-server init, or renew")
    names = hosts_of(home.server_certificate)
    home.flower.mkdir(mode=0o700, exist_ok=True)
    home.flower.chmod(0o700)
    write_durably(_secret(home), secrets.token_bytes(32))
    lines = (
        "[superlink]",
        f'default = "{CONNECTION}"',
        "",
        f"[superlink.{CONNECTION}]",
        f'address = "localhost:{port}"',
        f"root-certificates = {json.dumps(str(home.authority.resolve()))}",
    )
    write_durably(home.flower / "config.toml", ("\n".join(lines) + "\n").encode())
    return names


def serve(home: ServerHome, port: int, ready: Callable[[], None]) -> None:
    """Run SuperLink and SuperExec until a signal, or until one of them ends; neither outlives this process.

    Args:
        home: the coordinator's folder, prepared.
        port: loopback port.
        ready: called once both run.

    Raises:
        SuperLinkError: the port is taken, or one of them ended by itself.
    """
    if _listening(port):
        raise SuperLinkError(
            f"port {port} is taken", remedy="stop what listens there, or choose another --port"
        )
    environment = runtime_environment(home)
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        running["SuperLink"] = _start(superlink_command(home, port), environment)
        until = time.monotonic() + START_SECONDS
        while not _listening(port):
            _check(running)
            if time.monotonic() > until:
                raise SuperLinkError("the SuperLink did not begin to listen", remedy="see its lines above")
            time.sleep(POLL_SECONDS)
        running["SuperExec"] = _start(superexec_command(home, port), environment)
        ready()
        while True:
            _check(running)
            time.sleep(POLL_SECONDS)
    finally:
        for process in reversed(running.values()):
            _stop(process)


def _secret(home: ServerHome) -> Path:
    return home.flower / "superexec.secret"


def _start(command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, umask=0o077, preexec_fn=_end_with_parent
        )
    except OSError:
        raise ConfigError(command[0], "", "cannot be started", remedy="install intraward[server]") from None


def _end_with_parent() -> None:
    """In the child, before its program starts: be killed by the kernel when this process is gone.

    SIGTERM would let it wait for open connections, on the port that the next start needs.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _check(running: dict[str, subprocess.Popen[bytes]]) -> None:
    for name, process in running.items():
        code = process.poll()
        if code is not None:
            raise SuperLinkError(f"the {name} ended with code {code}", remedy="see its lines above")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _listening(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0
