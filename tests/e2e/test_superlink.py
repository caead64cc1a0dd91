"""A real SuperLink as ``intraward-server superlink`` starts it: a hospital gets in, strangers do not.

One hospital joins by its kit and runs a real gateway through a proxy that passes on ``/v1/fleet/`` only. The
attacks are those of the facts on Flower, 3.2, which succeed against a SuperLink as it comes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import tomli_w
from flwr.proto.runtime_pb2 import AcquireTaskRequest
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor, SuperExecAuthHttpInterceptor
from flwr.supercore.protobuf.client import ProtobufClientInterceptor
from flwr.supercore.runtime import RuntimeHttpClient
from tests.e2e.filtering_proxy import proxy
from tests.e2e.test_processes import echo_ward
from tests.e2e.weighing import Weight, weighed
from typer.testing import CliRunner

from intraward_client import reach
from intraward_client.config import SitePolicy, load_policy
from intraward_client.home import SiteHome
from intraward_client.joining import join
from intraward_server import cli as server_cli
from intraward_server.deployment import call
from intraward_server.home import ServerHome
from intraward_server.members import read_members
from intraward_server.superlink import FLEET
from intraward_shared.config import parse
from intraward_shared.enrolment import make_request
from intraward_shared.node_key import make_node_key
from intraward_shared.signing import SigningKey
from intraward_simulation.control import FlowerApp, write_bundle
from intraward_simulation.processes import base_environment, free_port
from intraward_simulation.supervision import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
TRAINING = {"learning_rate": 0.01, "steps": 5}
PROGRAM = {
    "program": {"name": "first", "starts_at": "2026-01-01T00:00:00Z", "quorum": 1},
    "model": {"path": "/srv/models/base"},
    "lora": {"r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]},
    "stages": [{"stage": "sft", "public": "sft.jsonl", "training": TRAINING}],
}
UPDATE = 16_000_000
"""Bytes of a large sealed update."""
BINARIES = Path(sys.executable).parent


@pytest.fixture
def folder() -> Iterator[Path]:
    """A scratch folder with a short path: a socket lies below it."""
    with tempfile.TemporaryDirectory(prefix="iw-") as made:
        yield Path(made)


def administer(*words: str) -> str:
    """A command of the coordinator that has to succeed; what it printed."""
    done = CliRunner().invoke(server_cli.app, list(words))
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done.stdout


@contextmanager
def running(
    log: Path, *words: str, environment: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, ended with all that it started."""
    own = {"FLWR_HOME": str(log.parent / f"{log.name}.flwr")}
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(words),
            env=environment or base_environment() | own,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    family: list[psutil.Process] = []
    try:
        yield process
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    finally:
        process.terminate()
        process.wait(30)
        _, left = psutil.wait_procs(family, timeout=10)
        for each in left:
            each.kill()


def coordinator(folder: Path) -> ServerHome:
    """A coordinator with its authority."""
    (folder / "program.toml").write_text(tomli_w.dumps(PROGRAM))
    (folder / "sft.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    administer("init", str(folder / "program.toml"), "--home", str(folder / "hub"))
    return ServerHome(folder / "hub")


def hospital(folder: Path, hub: ServerHome) -> SiteHome:
    """Keys, request and policy of a site; its ward only echoes, so it needs no more."""
    site, key = SiteHome(folder / "st-mary"), SigningKey.generate()
    site.make()
    key.save(site.signing_key)
    make_node_key(site.node_key, "st-mary")
    site.enrolment.write_bytes(make_request("st-mary", key, site.node_key, "2026-01-01T00:00:00Z"))
    privacy = {
        "delta": 1e-5,
        "declared_max_patients": 100,
        "lifetime_epsilon": 8.0,
        "min_noise_multiplier": 0.8,
        "max_sample_rate": 0.5,
        "max_steps_per_round": 10,
        "max_records_per_patient": 2,
    }
    table = {
        "site": "st-mary",
        "privacy": privacy,
        "model": {"path": "/srv/models/base", "sha256": "a" * 64},
        "coordinator": {"public_key": SigningKey.load(hub.key).public},
    }
    parse(table, SitePolicy, "policy")
    site.policy.write_text(tomli_w.dumps(table))
    return site


def may_acquire(hub: ServerHome, port: int, secret: bytes | None) -> bool:
    """Whether somebody on the server's own machine gets to ask for ServerApp tasks."""
    interceptors: list[ProtobufClientInterceptor] = [
        RuntimeVersionHttpInterceptor(component_name="SuperExec")
    ]
    if secret is not None:
        methods = frozenset({"/flwr.proto.Runtime/AcquireTask"})
        interceptors.append(SuperExecAuthHttpInterceptor(master_secret=secret, protected_methods=methods))
    client = RuntimeHttpClient.from_server_address(
        server_address=f"localhost:{port}",
        insecure=False,
        root_certificates=hub.authority.read_bytes(),
        interceptors=interceptors,
    )
    try:
        client.AcquireTask(AcquireTaskRequest(supported_task_types=["flwr-serverapp"]))
    except Exception as error:
        assert "401" in str(error) or "UNAUTHENTICATED" in str(error).upper(), repr(error)
        return False
    finally:
        client.close()
    return True


def submits(folder: Path, hub: ServerHome, port: int) -> bool:
    """Whether the ``flwr run`` of a stranger, who has the certificate and the address, is taken."""
    stranger = folder / "stranger"
    write_bundle(stranger / "app", FlowerApp("plumbing_app:asking", "intraward_client.app:app", {"a": "x"}))
    connection = {"address": f"localhost:{port}", "root-certificates": str(hub.authority)}
    (stranger / "config.toml").write_text(tomli_w.dumps({"superlink": {"default": "x", "x": connection}}))
    done = subprocess.run(
        [str(BINARIES / "flwr"), "run", str(stranger / "app"), "x", "--format", "json"],
        env=base_environment() | {"FLWR_HOME": str(stranger)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return json.loads(done.stdout).get("success") is True


def joins(folder: Path, hub: ServerHome, site: SiteHome, public: int) -> str:
    """The hospital is enrolled and takes its kit; its node's number at the SuperLink."""
    home = ("--home", str(hub.root))
    told = json.loads(administer("enroll", str(site.enrolment), "--superlink", "consortium", *home, "--json"))
    address = f"localhost:{public}"
    administer("provision", "st-mary", "--out", str(folder / "kit"), "--address", address, *home)
    assert join(site, folder / "kit", datetime.now(UTC)).enrolled
    return str(told["node"])


def asked(folder: Path, hub: ServerHome) -> list[str]:
    """Sites that answered an app of the coordinator's, from a ServerApp that our SuperExec started."""
    return list(run_app(folder, hub, "asking", "sites.json"))


def run_app(folder: Path, hub: ServerHome, name: str, told: str, **config: int) -> Any:
    """Submit an app of ``plumbing_app``; what it wrote."""
    values, answer = folder / "run.toml", folder / told
    app = FlowerApp(
        f"plumbing_app:{name}", "intraward_client.app:app", {"intraward-home": str(folder), **config}
    )
    write_bundle(folder / "bundle", app)
    values.write_text(tomli_w.dumps(dict(app.config)))
    call(hub, "run", str(folder / "bundle"), "consortium", "--run-config", str(values))
    wait_until(
        lambda: answer.exists() and answer.read_text() != "",
        seconds=60,
        what="no node answered",
        remedy="see superlink.log and gateway.log",
    )
    return json.loads(answer.read_text())


def check_weight(folder: Path, hub: ServerHome, weight: Weight) -> None:
    """A round's bytes on the wire, TLS and Flower's own words with them, beside the sealed bytes."""
    before = dict(weight.passed)
    assert run_app(folder, hub, "weighing", "weighed.json", **{"intraward-bytes": UPDATE}) == [UPDATE]
    ratios = {way: (weight.passed[way] - before[way]) / UPDATE for way in weight.passed}
    print(f"bytes on the wire over {UPDATE} sealed bytes: {ratios}")
    assert all(1 < ratio <= 1.05 for ratio in ratios.values()), ratios


def test_a_hospital_joins_and_strangers_get_nothing(folder: Path) -> None:
    hub = coordinator(folder)
    site, port, log = hospital(folder, hub), free_port(), folder / "superlink.log"
    home = ("--home", str(hub.root))
    with ExitStack() as stack:
        command = [str(BINARIES / "intraward-server"), "superlink", *home, "--port", str(port)]
        link = stack.enter_context(running(log, *command))
        stack.enter_context(running(folder / "ward.log", *echo_ward("st-mary", site.root)))
        behind, refused = stack.enter_context(proxy(hub.authority.parent, port, FLEET))
        public, weight = stack.enter_context(weighed(behind))
        ready = "its connection is called"
        wait_until(lambda: ready in log.read_text(), seconds=60, what="no SuperLink", remedy=str(log))
        node = joins(folder, hub, site, public)

        gateway = [str(BINARIES / "intraward-client"), "gateway", "--home", str(site.root)]
        with running(folder / "gateway.log", *gateway, "--runtime-port", str(free_port())):
            secret = (hub.flower / "superexec.secret").read_bytes()
            assert not may_acquire(hub, port, None)
            assert not may_acquire(hub, port, b"guessed")
            assert may_acquire(hub, port, secret)
            assert not submits(folder, hub, public)
            assert refused == ["/v1/control/start-run"]
            assert call(hub, "list", "consortium")["runs"] == []
            assert "advice" not in reach.server(site, load_policy(site.policy))
            assert asked(folder, hub) == ["st-mary"]
            check_weight(folder, hub, weight)

        administer("revoke", "st-mary", "--reason", "left", "--superlink", "consortium", *home)
        (known,) = call(hub, "supernode", "list", "consortium")["nodes"]
        assert (known["node-id"], known["status"]) == (node, "unregistered")
        assert read_members(hub, SigningKey.load(hub.key).public).revoked == {"st-mary"}

        children = psutil.Process(link.pid).children(recursive=True)
        assert {each.name()[:15] for each in children} >= {"flower-superlin", "flower-superexe"}
        os.kill(link.pid, signal.SIGKILL)
        _, left = psutil.wait_procs(children, timeout=15)
        assert left == []  # neither outlives the command that started it
    private = [hub.key, hub.authority_key, hub.server_key, site.signing_key, site.node_key]
    logs = b"".join(path.read_bytes() for path in folder.glob("*.log"))
    assert all(path.read_bytes().strip() not in logs for path in private)
    assert all(path.stat().st_mode & 0o077 == 0 for path in hub.flower.iterdir())
