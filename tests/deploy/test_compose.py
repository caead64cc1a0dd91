"""Compose files: the ward has no network, nothing is root, nothing can be written but what is named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.deploy.shipped import COMPOSE, DEPLOY, compose, variables

# Keys of a service that Compose knows and these files use. A slip of the pen is not among them.
KNOWN = {
    *("image", "command", "entrypoint", "user", "network_mode", "networks", "ports", "volumes", "tmpfs"),
    *("read_only", "cap_drop", "security_opt", "ulimits", "init", "restart", "logging", "healthcheck"),
    *("depends_on", "profiles", "stop_grace_period", "stop_signal", "mem_limit", "memswap_limit"),
    *("pids_limit", "deploy"),
}


def services(name: str) -> dict[str, dict[str, Any]]:
    """Services of one of our files."""
    found = compose(DEPLOY / "compose" / f"{name}.yaml")["services"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.stem)
def test_files_hold_what_the_specification_knows(path: Path) -> None:
    loaded = compose(path)
    extra = {key for key in loaded if not key.startswith("x-")}
    assert extra <= {"name", "services", "networks", "volumes"}
    for service in loaded["services"].values():
        assert set(service) <= KNOWN
        named = {str(v).split(":")[0] for v in service.get("volumes", ()) if re.match(r"[a-z]", str(v))}
        assert named <= set(loaded.get("volumes", {}))
        assert set(service.get("networks", ())) <= set(loaded.get("networks", {}))
        assert set(service.get("depends_on", ())) <= set(loaded["services"])


@pytest.mark.parametrize("name", ["hospital", "consortium"])
def test_every_container_is_hardened(name: str) -> None:
    users = []
    for service in services(name).values():
        assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["ulimits"]["core"] == 0
        assert service["image"].endswith("_IMAGE")
        assert service["mem_limit"] and service["pids_limit"]
        assert "privileged" not in service and "cap_add" not in service
        users.append(service["user"])
    assert all(re.fullmatch(r"[1-9]\d{4}:[1-9]\d{4}", user) for user in users)


def test_the_ward_has_no_network_and_the_gateway_no_data() -> None:
    ward, gateway = services("hospital")["ward"], services("hospital")["gateway"]
    assert ward["network_mode"] == "none" and "ports" not in ward and "networks" not in ward
    assert ward["user"].split(":")[0] != gateway["user"].split(":")[0]
    assert ward["user"].split(":")[1] == gateway["user"].split(":")[1]  # the socket's group
    seen = [volume.split(":") for volume in gateway["volumes"]]
    assert ["FOLDER/site/gateway", "/srv/intraward/site/gateway", "ro"] in seen
    assert ["FOLDER/site/run", "/srv/intraward/site/run", "ro"] in seen
    assert {source for source, *_ in seen} == {"FOLDER/site/gateway", "FOLDER/site/run", "node-state"}
    assert "ports" not in gateway


def test_the_superlink_shares_the_proxys_loopback_and_only_the_proxy_has_a_port() -> None:
    found = services("consortium")
    assert [name for name, service in found.items() if "ports" in service] == ["proxy"]
    assert found["proxy"]["ports"] == ["443:8443"]
    for name in ("superlink", "coordinator"):
        assert found[name]["network_mode"] == "service:proxy" and "networks" not in found[name]


@pytest.mark.parametrize("name", ["hospital", "consortium"])
def test_the_example_names_every_variable(name: str) -> None:
    folder = DEPLOY / "compose"
    example = (folder / f"{name}.env.example").read_text(encoding="utf-8")
    given = {line.split("=")[0] for line in example.splitlines() if line}
    text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
    assert given == variables(text)
    assert set(re.findall(r"[A-Z_]{4,}", text.split("services:")[0])) >= given  # and the head of the file too
    assert all("@sha256:" in line for line in example.splitlines() if "IMAGE" in line)
