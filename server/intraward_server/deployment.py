"""The coordinator's hand on a SuperLink: Flower's own command line, and a bundle that names installed code.

Rule 8 of DESIGN.md: the bundle holds one ``pyproject.toml`` and no code. What it names must be
installed on both sides. Only documented commands of ``flwr`` are called, none of Flower's Python internals.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from intraward_server.home import ServerHome
from intraward_shared.durable import write_durably
from intraward_shared.errors import ConfigError, SuperLinkError

CALL_SECONDS = 120.0
_BUNDLE = """[project]
name = "intraward"
version = "0.1.0"
description = "Names installed code"
license = "Apache-2.0"
dependencies = []

[tool.flwr.app]
publisher = "intraward"

[tool.flwr.app.components]
serverapp = "intraward_server.app:app"
clientapp = "intraward_client.app:app"

[tool.flwr.app.config]
intraward-home = ""
"""


def write_bundle(home: ServerHome) -> Path:
    """Write the bundle's folder below the coordinator's home and return it."""
    folder = home.root / "bundle"
    write_durably(folder / "pyproject.toml", _BUNDLE.encode())
    return folder


def flwr_command(home: ServerHome, superlink: str | None) -> list[str]:
    """Command that submits the program and follows it.

    Args:
        home: an initialised coordinator's folder.
        superlink: connection name in Flower's own configuration; None means its default.
    """
    value = f"intraward-home={json.dumps(str(home.root.resolve()))}"
    connection = [superlink] if superlink else []
    return [program("flwr"), "run", str(write_bundle(home)), *connection, "--run-config", value, "--stream"]


def program(name: str) -> str:
    """A command of this installation, beside its Python."""
    return str(Path(sys.executable).parent / name)


def flower_environment(home: ServerHome) -> dict[str, str]:
    """This process's environment for Flower's commands, with their calls home switched off.

    ``FLWR_HOME`` is the one that the operator set, else the coordinator's own once ``superlink`` filled it.
    """
    environment = dict(os.environ) | {
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    }
    if (home.flower / "config.toml").exists():
        environment.setdefault("FLWR_HOME", str(home.flower.resolve()))
    return environment


def submit(home: ServerHome, command: list[str]) -> int:
    """Run the command in the foreground; its output is the operator's.

    Raises:
        ConfigError: Flower's command is not installed beside this one.
    """
    try:
        return subprocess.run(command, env=flower_environment(home), check=False).returncode
    except FileNotFoundError:
        raise ConfigError(command[0], "", "is not installed", remedy="install intraward[server]") from None


def register_node(home: ServerHome, superlink: str, site: str, node_key: str, node: str | None) -> str:
    """Let the SuperNode with this public key in; returns its number, the old one if it is still registered.

    Args:
        home: the coordinator's folder.
        superlink: connection name in Flower's configuration.
        site: the site's name.
        node_key: its node's public key, OpenSSH form.
        node: number under which it was registered before.

    Raises:
        SuperLinkError: the SuperLink refused or did not answer.
    """
    if node is not None and node in _living(home, superlink):
        return node
    file = home.node_keys / f"{site}.pub"
    write_durably(file, f"{node_key} {site}\n".encode())
    return str(call(home, "supernode", "register", str(file), superlink, "--name", site)["node-id"])


def unregister_node(home: ServerHome, superlink: str, node: str) -> None:
    """Shut a SuperNode out; done already is done.

    Raises:
        SuperLinkError: the SuperLink refused or did not answer.
    """
    if node in _living(home, superlink):
        call(home, "supernode", "unregister", node, superlink)


def stop_earlier_runs(home: ServerHome, superlink: str | None) -> tuple[str, ...]:
    """Stop runs that an earlier start left behind; the program goes on from its last finished round.

    Returns:
        Flower's numbers of the runs.

    Raises:
        SuperLinkError: the SuperLink refused or did not answer.
    """
    connection = (superlink,) if superlink else ()
    runs = call(home, "list", *connection).get("runs", ())
    left = tuple(str(each["run-id"]) for each in runs if not str(each["status"]).startswith("finished"))
    for number in left:
        call(home, "stop", number, *connection)
    return left


def _living(home: ServerHome, superlink: str) -> set[str]:
    nodes = call(home, "supernode", "list", superlink).get("nodes", ())
    return {str(n["node-id"]) for n in nodes if n.get("status") not in ("unregistered", "deleted")}


def call(home: ServerHome, *arguments: str) -> dict[str, Any]:
    """One call of ``flwr``, with its answer as JSON.

    Raises:
        SuperLinkError: it failed, or did not answer within two minutes.
    """
    what = "flwr " + " ".join(arguments[:2])
    remedy = "start it with intraward-server superlink, and check the connection's name"
    try:
        done = subprocess.run(
            [program("flwr"), *arguments, "--format", "json"],
            env=flower_environment(home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=CALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SuperLinkError(f"{what} did not answer within {CALL_SECONDS:.0f} s", remedy=remedy) from None
    except FileNotFoundError:
        raise ConfigError("flwr", "", "is not installed", remedy="install intraward[server]") from None
    try:
        told = json.loads(done.stdout)
    except ValueError:
        told = None
    if done.returncode != 0 or not isinstance(told, dict) or told.get("success") is not True:
        raise SuperLinkError(f"{what} failed{_said(told)}", remedy=remedy)
    return told


def _said(told: object) -> str:
    """Last line of what Flower said; it speaks of nodes and connections only."""
    message = told.get("error-message") if isinstance(told, dict) else None
    lines = message.strip().splitlines() if isinstance(message, str) else []
    return f": {lines[-1][:200]}" if lines else ""
