"""Submitting the program to a SuperLink: a bundle that names installed code, and ``flwr run``.

Rule 8 of DESIGN.md: the bundle holds one ``pyproject.toml`` and no code. What it names must be
installed on both sides.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from intraward_server.home import ServerHome
from intraward_shared.durable import write_durably
from intraward_shared.errors import ConfigError

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
    flwr = str(Path(sys.executable).parent / "flwr")
    value = f"intraward-home={json.dumps(str(home.root.resolve()))}"
    connection = [superlink] if superlink else []
    return [flwr, "run", str(write_bundle(home)), *connection, "--run-config", value, "--stream"]


def submit(command: list[str]) -> int:
    """Run the command in the foreground; its output is the operator's.

    Raises:
        ConfigError: Flower's command is not installed beside this one.
    """
    try:
        return subprocess.run(command, check=False).returncode
    except FileNotFoundError:
        raise ConfigError(command[0], "", "is not installed", remedy="install intraward[server]") from None
