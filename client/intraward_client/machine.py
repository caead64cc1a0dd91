"""Is the machine under this node fit: device, disk, clock, folder rights, core dumps, calls home?

For ``checkup``. Each check looks at the real thing and changes nothing; what it returns is one sentence, with
``advice: ...`` at its end where the node runs but could stand better.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from intraward_client.config import SitePolicy
from intraward_client.gateway import gateway_environment
from intraward_client.home import SiteHome
from intraward_shared.errors import ConfigError, ModelError
from intraward_shared.expiry import end_of
from intraward_shared.ledger_chain import read_ledger

FREE_BYTES = 1 << 30
TESTED_FLOWER = "1.41."
CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")
_TIME_ERROR = 5
"""What adjtimex(2) returns while no time service has set the clock."""
_KEEPS_TO_LIMITS = "systemd-coredump"
_NO_DUMP = "off in the ward, which is not dumpable"
_SWITCHES = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}


def device(home: SiteHome, policy: SitePolicy) -> str:
    """Every device of the policy can hold a tensor.

    Raises:
        ModelError: one is not there, or is no device.
    """
    return "; ".join(_one_device(name) for name in (policy.model.device, *policy.model.more_devices))


def _one_device(name: str) -> str:
    import torch

    try:
        where = torch.device(name)
        torch.zeros(1, device=where).add_(1)
        if where.type == "cuda":
            free, _ = torch.cuda.mem_get_info(where)
            return f"{torch.cuda.get_device_name(where)}, {free / FREE_BYTES:.0f} GiB free"
    except (RuntimeError, AssertionError):  # how torch says that a device is unknown, absent or full
        raise ModelError(
            f"policy.toml, [model] device or more_devices: {name!r} cannot be used on this machine",
            remedy="install driver and torch for it, free its memory, or name another device",
        ) from None
    return f"{name}, {os.cpu_count()} cores"


def disk(home: SiteHome, policy: SitePolicy) -> str:
    """There is room for the ledger.

    Raises:
        ConfigError: less than 1 GiB.
    """
    free = shutil.disk_usage(home.root).free
    if free < FREE_BYTES:
        raise ConfigError(
            home.root, "", "less than 1 GiB is free", remedy="make room; the ledger must be able to write"
        )
    return f"{free // FREE_BYTES} GiB free"


def clock(home: SiteHome, policy: SitePolicy) -> str:
    """The clock is not behind what this node itself has written, and a time service keeps it.

    Raises:
        ConfigError: it is behind the ledger's first entry.
    """
    now, first = datetime.now(UTC), end_of(read_ledger(home.ledger)[0].time)
    if now < first and not policy.simulation.allowed:
        raise ConfigError(
            home.ledger,
            "",
            "was begun later than this machine's clock says it is",
            remedy="set the clock; plans are refused and node keys fail by a wrong one",
        )
    told = f"{now:%Y-%m-%d %H:%M} UTC"
    if _unsynchronised():
        return f"{told}; advice: no time service keeps it; the SuperLink takes a clock 5 s fast or 300 s slow"
    return told


def _unsynchronised() -> bool:
    """Whether the kernel says that nobody set the clock; False where it does not say."""
    buffer = ctypes.create_string_buffer(512)  # struct timex with modes = 0: read only
    try:
        return int(ctypes.CDLL(None).adjtimex(buffer)) == _TIME_ERROR
    except (AttributeError, OSError):
        return False


def folders(home: SiteHome, policy: SitePolicy) -> str:
    """Only this user gets in; the gateway's group gets to the socket and to ``gateway/``, and writes nowhere.

    Raises:
        ConfigError: names the folder, or the socket.
    """
    for path, closed in (
        (home.root, 0o067),
        (home.root / "keys", 0o077),
        (home.socket.parent, 0o027),
        (home.gateway, 0o027),
    ):
        if path.stat().st_mode & closed:
            raise ConfigError(path, "", "is open to other users", remedy=f"chmod {_mended(path, closed)} it")
    if home.socket.exists() and home.socket.stat().st_mode & 0o007:
        raise ConfigError(
            home.socket, "", "is open to every user", remedy="chmod 660 it, or restart the ward"
        )
    if home.node_key.exists() and home.node_key.stat().st_mode & 0o027:
        raise ConfigError(home.node_key, "", "is open to other users", remedy="chmod 640 it")
    if home.socket.parent.stat().st_gid == os.getgid():
        return "closed to others; advice: give run/ and gateway/ to a group of the gateway's own"
    return "closed to others"


def _mended(path: Path, closed: int) -> str:
    return f"{path.stat().st_mode & 0o7777 & ~closed:o}"


def core_dumps(home: SiteHome, policy: SitePolicy) -> str:
    """A crashed ward's memory goes nowhere (``memory``); a worker it started may reach a piped handler."""
    try:
        pattern = CORE_PATTERN.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return _NO_DUMP
    if pattern.startswith("|") and _KEEPS_TO_LIMITS not in pattern:
        handler = pattern[1:].split()[0] if pattern[1:].split() else "a program"
        return (
            f"{_NO_DUMP}; but the kernel pipes a worker's to {handler}, whatever its limit says; "
            "advice: sysctl kernel.core_pattern=core, for then the limit of 0 counts"
        )
    return _NO_DUMP


def calls_home(home: SiteHome, policy: SitePolicy) -> str:
    """Flower's telemetry, update check and dependency installation are off in the gateway.

    Raises:
        ConfigError: another Flower than the one whose switches are known, or a switch is not set.
    """
    found = version("flwr")
    environment = gateway_environment()
    if any(environment.get(name) != value for name, value in _SWITCHES.items()):
        raise ConfigError("gateway", "", "Flower's calls home are not switched off", remedy="reinstall")
    if not found.startswith(TESTED_FLOWER):
        raise ConfigError(
            "flwr",
            "",
            f"{found} is not a version whose switches are known",
            remedy="pip install 'flwr==1.41.*'",
        )
    return f"Flower {found}: telemetry, update check and dependency installation are off in the gateway"
