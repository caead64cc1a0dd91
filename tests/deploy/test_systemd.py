"""Units: what each process may touch, read from the file; and systemd's own opinion where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.deploy.shipped import DEPLOY, UNITS, unit

SYSTEMD = DEPLOY / "systemd"
NEEDED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "CapabilityBoundingSet": "",
    "LimitCORE": "0",
    "RestrictSUIDSGID": "yes",
    "RestrictNamespaces": "yes",
    "SystemCallArchitectures": "native",
}
EXPOSURE = 15
"""Tenths of systemd's exposure level, 0 (safe) to 100; the units here are at 7 to 13."""


def service(name: str) -> dict[str, list[str]]:
    """The [Service] section of one of our units."""
    return unit(SYSTEMD / f"intraward-{name}.service")["Service"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_every_unit_is_fenced_in_and_limited(path: Path) -> None:
    keys = unit(path)["Service"]
    assert {key: keys.get(key) for key in NEEDED} == {key: [value] for key, value in NEEDED.items()}
    assert keys["SystemCallFilter"][0] == "@system-service" and "@privileged" in keys["SystemCallFilter"][1]
    assert keys["User"][0].startswith("intraward-") and keys["User"] == keys["Group"]
    for limit in ("MemoryMax", "TasksMax", "LimitNOFILE"):
        assert re.fullmatch(r"\d+[MG]?", keys[limit][0])


def test_the_ward_has_no_network() -> None:
    ward = service("ward")
    assert ward["PrivateNetwork"] == ["yes"]
    assert ward["RestrictAddressFamilies"] == ["AF_UNIX"]
    assert ward["ReadWritePaths"] == ["/srv/intraward"]
    assert ward["MemorySwapMax"] == ["0"]


def test_the_gateway_sees_only_the_socket_and_its_own_key() -> None:
    gateway = service("gateway")
    assert gateway["TemporaryFileSystem"] == ["/srv:ro"]
    assert gateway["BindReadOnlyPaths"] == ["/srv/intraward/site/run /srv/intraward/site/gateway"]
    assert "ReadWritePaths" not in gateway
    assert gateway["User"] != service("ward")["User"]


def test_the_server_is_reached_on_loopback_only() -> None:
    for name in ("superlink", "coordinator"):
        assert (service(name)["IPAddressDeny"], service(name)["IPAddressAllow"]) == (["any"], ["localhost"])


def test_users_and_folders_are_made_for_every_unit() -> None:
    users = {line.split()[1] for line in lines("intraward.sysusers")}
    assert {service(path.stem.removeprefix("intraward-"))["User"][0] for path in UNITS} == users
    folders = {line.split()[1]: line.split()[2:5] for line in lines("intraward.tmpfiles")}
    assert folders["/srv/intraward/site/run"] == ["2750", "intraward-ward", "intraward-gateway"]
    assert folders["/srv/intraward"][0] == "0710" and folders["/srv/intraward/keys"][0] == "0700"
    assert {owner for _, *owners in folders.values() for owner in owners} <= users | {"root"}


def lines(name: str) -> list[str]:
    """Lines of a sysusers or tmpfiles file that say something."""
    text = (SYSTEMD / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def analyze(*arguments: str) -> str:
    """Output of systemd-analyze; skips where it is not installed or too old for files."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed here")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze cannot look at files")
    return done.stdout + done.stderr + f"\nexit {done.returncode}"


def test_systemd_takes_every_line_of_the_units() -> None:
    said = analyze("verify", "--man=no", *map(str, UNITS)).splitlines()
    ours = [line for line in said if "intraward" in line and "is not executable" not in line]
    assert ours == []  # programs are not installed in /opt where this is tested


def test_systemd_finds_a_line_that_it_does_not_know(tmp_path: Path) -> None:
    path = tmp_path / "intraward-x.service"
    path.write_text("[Service]\nExecStart=/bin/true\nProtectSistem=strict\n")
    assert "ProtectSistem" in analyze("verify", "--man=no", str(path))


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_calls_the_units_safe(path: Path) -> None:
    assert analyze("security", "--offline=yes", f"--threshold={EXPOSURE}", str(path)).endswith("exit 0")
