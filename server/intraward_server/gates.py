"""The release gates of a run: read and checked as it begins, the same ever after (rule 9 of DESIGN.md)."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from intraward_server.home import ServerHome
from intraward_shared.errors import ConfigError, ReleaseRefused
from intraward_shared.program import ProgramConfig
from intraward_shared.release_gates import read_gates
from intraward_shared.signing import digest

SHIPPED = "gates.toml"


def agreed_gates(config: ProgramConfig, folder: Path) -> bytes:
    """The program's gates file, or the shipped one; checked.

    Args:
        config: the program.
        folder: where a relative path starts.

    Raises:
        ConfigError: the file is missing, or a gate in it is wrong; names the key.
    """
    if config.release.gates is None:
        data = (resources.files("intraward_server") / SHIPPED).read_bytes()
        place: object = f"shipped {SHIPPED}"
    else:
        place = folder / config.release.gates
        try:
            data = (folder / config.release.gates).read_bytes()
        except OSError:
            raise ConfigError(place, "", "no such gates file", remedy="put it beside the program") from None
    read_gates(data, place)
    return data


def fixed_gates(home: ServerHome, wanted: str | None) -> bytes:
    """The gates that the run began under.

    Raises:
        ReleaseRefused: the file was changed since, or the run is older than gates.
    """
    data = home.gates.read_bytes() if home.gates.exists() else b""
    if wanted is None or digest(data) != wanted:
        raise ReleaseRefused(
            f"{home.gates}: not the gates that the run began under",
            remedy="restore the file; other gates are for another run, named before its first round",
        )
    return data
