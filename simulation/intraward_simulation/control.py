"""The coordinator's hand on a SuperLink: Flower's own command line, and the thinnest possible app.

Keeps rule 8 of DESIGN.md: the Flower app bundle that travels holds a ``pyproject.toml`` and no code;
its two components name modules that are installed on either side (facts on Flower, section 3.3 D).
Only documented commands are used, none of Flower's Python internals.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from intraward_shared.errors import RoundFailed

CONNECTION = "consortium"
CALL_SECONDS = 120.0


@dataclass(frozen=True)
class FlowerApp:
    """What the bundle names: two installed components, and the run configuration with its values."""

    serverapp: str
    clientapp: str
    config: Mapping[str, str | int | bool]


@dataclass(frozen=True)
class Control:
    """Calls of ``flwr`` against one SuperLink.

    Args:
        home: the operator's own ``FLWR_HOME``.
        environment: environment of the calls.
        log: file that takes what the calls print.
    """

    home: Path
    environment: Mapping[str, str] = field(repr=False)
    log: Path

    def connect(self, superlink: str, authority: Path) -> None:
        """Write the connection that all calls use: ``host:port`` and the CA certificate."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = {"address": superlink, "root-certificates": str(authority)}
        table = {"superlink": {"default": CONNECTION, CONNECTION: connection}}
        (self.home / "config.toml").write_text(tomli_w.dumps(table), encoding="utf-8")

    def register(self, site: str, public_key: Path) -> None:
        """Let the SuperNode with this key in.

        Raises:
            RoundFailed: the SuperLink refused.
        """
        self._call("supernode", "register", str(public_key), CONNECTION, "--name", site)

    def start_run(self, app: FlowerApp) -> int:
        """Submit the app; returns Flower's number of the run.

        Raises:
            RoundFailed: the SuperLink refused.
        """
        folder = self.home / "app"
        write_bundle(folder, app)
        values = self.home / "run-config.toml"
        values.write_text(tomli_w.dumps(dict(app.config)), encoding="utf-8")
        return int(self._call("run", str(folder), CONNECTION, "--run-config", str(values))["run-id"])

    def finished(self, run: int) -> bool:
        """Whether Flower has given the run up or ended it."""
        told = self._call("list", CONNECTION, "--run-id", str(run))
        return any(str(item.get("status", "")).startswith("finished") for item in told.get("runs", ()))

    def _call(self, *arguments: str) -> dict[str, Any]:
        command = [program("flwr"), *arguments, "--format", "json"]
        what = " ".join(arguments[:1] if arguments[0] != "supernode" else arguments[:2])
        try:
            done = subprocess.run(
                command,
                env=dict(self.environment) | {"FLWR_HOME": str(self.home)},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=CALL_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RoundFailed(
                f"flwr {what} did not answer within {CALL_SECONDS:.0f} seconds", remedy=f"see {self.log}"
            ) from None
        self.log.touch(mode=0o600)
        with self.log.open("ab") as file:
            file.write(done.stdout + done.stderr)
        try:
            told = json.loads(done.stdout)
        except ValueError:
            told = {}
        if done.returncode != 0 or not isinstance(told, dict) or told.get("success") is not True:
            raise RoundFailed(f"flwr {what} failed", remedy=f"see {self.log}")
        return told


def write_bundle(folder: Path, app: FlowerApp) -> None:
    """Write the app folder anew: one ``pyproject.toml``; every configuration key with an empty value."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    empty = {key: type(value)() for key, value in app.config.items()}
    components = {"serverapp": app.serverapp, "clientapp": app.clientapp}
    table = {
        "project": {
            "name": "intraward",
            "version": "0.1.0",
            "description": "Names installed code",
            "license": "Apache-2.0",
            "dependencies": [],
        },
        "tool": {"flwr": {"app": {"publisher": "intraward", "components": components, "config": empty}}},
    }
    (folder / "pyproject.toml").write_text(tomli_w.dumps(table), encoding="utf-8")


def program(name: str) -> str:
    """A command of this installation, beside its Python."""
    return str(Path(sys.executable).parent / name)
