"""The doctor: each line can fail, says what to do, and asks a real server over TLS."""

from __future__ import annotations

import json
import re
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from intraward_client import checkup, cli, machine, reach
from intraward_client.checkup import Finding
from intraward_client.config import SitePolicy, load_policy
from intraward_client.home import SiteHome
from intraward_server.authority import Authority
from intraward_shared.enrolment import MEMBERSHIP_DOMAIN, Membership, open_request
from intraward_shared.errors import IntrawardError, ModelError, SuperLinkError
from intraward_shared.kit import Kit
from intraward_shared.node_key import make_node_key
from intraward_shared.protocol import sign_value, to_bytes
from intraward_shared.signing import SigningKey

NOW = datetime.now(UTC)
TIME = "2026-01-01T00:00:00Z"


@pytest.fixture
def site(make_site: Any) -> tuple[SiteHome, SitePolicy]:
    """A site without patients, and its policy."""
    home = make_site(0)
    return home, load_policy(home.policy)


def authority(folder: Path, *, days: int = 3650, hosts: tuple[str, ...] = ()) -> Authority:
    made = Authority(folder / "ca.crt", folder / "ca.key")
    made.make("test", NOW, days)
    made.issue(folder / "server.crt", folder / "server.key", hosts, NOW)
    return made


@contextmanager
def answering(folder: Path, status: int = 405, shown: int = 404, ahead: float = 0.0) -> Iterator[str]:
    """A server with the certificate in ``folder``; its clock is ``ahead`` seconds before ours."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(status if self.path == "/v1/fleet/" else shown)
            self.send_header(
                "Date", format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
            )
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"localhost:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def join(home: SiteHome, made: Authority, address: str) -> None:
    """What ``join`` leaves behind."""
    kit = Kit(site="north", issued=TIME, coordinator="d" * 64, superlink=address, program="first")
    home.authority.write_bytes(made.certificate.read_bytes())
    home.kit.write_bytes(to_bytes(kit))


def refused(check: Callable[[SiteHome, SitePolicy], str], at: tuple[SiteHome, SitePolicy]) -> str:
    with pytest.raises(IntrawardError) as caught:
        check(*at)
    assert caught.value.remedy
    return caught.value.message


def test_a_server_that_answers_as_it_should(site: Any, tmp_path: Path) -> None:
    made = authority(tmp_path)
    with answering(tmp_path) as address:
        join(site[0], made, address)
        told = reach.server(*site)
    assert told.startswith(f"https://{address} answers, its certificate lasts 36") and "advice" not in told


def test_what_is_wrong_with_a_server_is_named(site: Any, tmp_path: Path) -> None:
    made, other = authority(tmp_path / "one"), authority(tmp_path / "two")
    home = site[0]
    with answering(tmp_path / "one", shown=200) as address:
        join(home, made, address)
        assert "advice: it shows more than /v1/fleet/" in reach.server(*site)
        join(home, other, address)
        assert "not of the kit's authority" in refused(reach.server, site)
    join(home, made, address)
    assert "does not answer" in refused(reach.server, site)
    with answering(tmp_path / "one", status=502) as address:
        join(home, made, address)
        assert "SuperLink behind it does not" in refused(reach.server, site)
    for ahead, said in ((-60.0, r"clock is 6\d s fast"), (400.0, r"clock is \d+ s slow")):
        with answering(tmp_path / "one", ahead=ahead) as address:
            join(home, made, address)
            assert re.search(said, refused(reach.server, site))
    with answering(tmp_path / "one", ahead=200.0) as address:  # Flower takes a clock that is slow by this
        join(home, made, address)
        assert "answers" in reach.server(*site)


def test_certificates_that_end(site: Any, tmp_path: Path) -> None:
    home, policy = site
    assert "advice: send enrolment.json" in reach.certificate(home, policy)
    join(home, authority(tmp_path / "long"), "x:1")
    assert "3649 days left" in reach.certificate(home, policy) and reach.endings(home, policy)
    join(home, authority(tmp_path / "short", days=20), "x:1")
    assert "; advice: the consortium's authority ends on" in reach.certificate(home, policy)
    ended = Authority(tmp_path / "ended.crt", tmp_path / "ended.key")
    ended.make("test", NOW - timedelta(days=30), 20)
    join(home, ended, "x:1")
    assert "has ended" in refused(reach.certificate, site)
    home.authority.write_text("no certificate")
    assert "not a certificate" in refused(reach.certificate, site)


def test_membership_and_node_key(site: Any, tmp_path: Path) -> None:
    home, policy = site
    assert "not enrolled" in reach.membership(home, policy) and "enrolment.json" in reach.node_key(
        home, policy
    )
    keys = open_request(home.enrolment.read_bytes(), "request").keys
    coordinator = SigningKey.generate()
    pinned = policy.model_copy(
        update={"coordinator": policy.coordinator.model_copy(update={"public_key": coordinator.public})}
    )
    home.consortium.mkdir()
    path = home.consortium / "membership.json"
    path.write_bytes(sign_value(Membership(keys=keys, enrolled=TIME), MEMBERSHIP_DOMAIN, coordinator))
    assert reach.membership(home, pinned) == "enrolled since 2026-01-01"
    assert "not signed by the coordinator" in refused(reach.membership, site)
    home.node_key.unlink()
    make_node_key(home.node_key, "north")
    assert "other keys" in refused(reach.membership, (home, pinned))
    assert "not the key in enrolment.json" in refused(reach.node_key, site)
    home.node_key.unlink()
    assert "cannot be read" in refused(reach.node_key, site)


@pytest.mark.parametrize(
    ("place", "mode"), [("root", 0o755), ("keys", 0o750), ("run", 0o770), ("gateway", 0o755)]
)
def test_an_open_folder_is_named(site: Any, place: str, mode: int) -> None:
    home, policy = site
    assert "closed to others" in machine.folders(home, policy)
    path = home.root if place == "root" else home.root / place
    path.chmod(mode)
    assert f"{path}: is open to other users" in refused(machine.folders, site)
    path.chmod(0o700)
    home.node_key.chmod(0o644)
    assert "node: is open" in refused(machine.folders, site)
    home.node_key.chmod(0o640)
    assert "closed to others" in machine.folders(home, policy)


def test_the_machine(site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, policy = site
    assert machine.device(home, policy).startswith("cpu, ")
    for name in ("cuda:77", "abacus"):
        model = policy.model.model_copy(update={"device": name})
        with pytest.raises(ModelError, match="cannot be used"):
            machine.device(home, policy.model_copy(update={"model": model}))
        more = policy.model.model_copy(update={"more_devices": ("cpu:1", name)})
        with pytest.raises(ModelError, match=f"more_devices: '{name}' cannot be used"):
            machine.device(home, policy.model_copy(update={"model": more}))
    assert machine.disk(home, policy).endswith("GiB free")
    monkeypatch.setattr(machine, "FREE_BYTES", 1 << 60)
    assert "is free" in refused(machine.disk, site)
    pattern = tmp_path / "core_pattern"
    monkeypatch.setattr(machine, "CORE_PATTERN", pattern)
    for said, advised in (
        ("core", False),
        ("|/usr/lib/systemd/systemd-coredump %P", False),
        ("|/usr/share/apport/apport -p%p", True),
        ("|", True),
    ):
        pattern.write_text(said)
        assert ("advice" in machine.core_dumps(home, policy)) is advised
    pattern.unlink()
    assert "off" in machine.core_dumps(home, policy)


def test_a_clock_behind_the_ledger(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    home, policy = site

    class Clock(datetime):
        year_now = 2031

        @classmethod
        def now(cls, tz: Any = None) -> Clock:
            return cls(cls.year_now, 1, 1, tzinfo=tz)

    monkeypatch.setattr(machine, "datetime", Clock)
    real = policy.model_copy(update={"simulation": policy.simulation.model_copy(update={"allowed": False})})
    monkeypatch.setattr(machine, "_unsynchronised", lambda: False)
    assert machine.clock(home, real).endswith("UTC")
    monkeypatch.setattr(machine, "_unsynchronised", lambda: True)
    assert "advice: no time service" in machine.clock(home, real)
    monkeypatch.setattr(Clock, "year_now", 1990)
    assert "begun later" in refused(machine.clock, (home, real))


def test_calls_home_are_known_only_of_the_tested_flower(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.calls_home(*site).startswith("Flower 1.41.")
    monkeypatch.setattr(machine, "version", lambda name: "1.99.0")
    assert "1.99.0 is not a version" in refused(machine.calls_home, site)
    monkeypatch.setattr(machine, "gateway_environment", lambda: {"FLWR_TELEMETRY_ENABLED": "1"})
    assert "not switched off" in refused(machine.calls_home, site)


def test_a_spent_budget_is_told(site: Any) -> None:
    home, policy = site
    assert "left of" in checkup._budget(home, policy)
    for cap, said in ((0.0, "nothing is left"),):
        terms = policy.privacy.model_copy(update={"lifetime_epsilon": cap})
        assert said in refused(checkup._budget, (home, policy.model_copy(update={"privacy": terms})))


def test_advice_is_told_apart_from_failure(
    site: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def denied(home: SiteHome, policy: SitePolicy) -> str:
        raise PermissionError("secret path")

    def wrong(home: SiteHome, policy: SitePolicy) -> str:
        raise SuperLinkError("it is wrong", remedy="mend it")

    look = checkup._look
    assert look("x", lambda h, p: "fine", *site) == Finding("x", "ok", "fine", "")
    assert look("x", lambda h, p: "so so; advice: do [deid] better", *site) == Finding(
        "x", "advice", "so so", "do [deid] better"
    )
    assert look("x", wrong, *site) == Finding("x", "fail", "it is wrong", "mend it")
    found = look("x", denied, *site)
    assert found.state == "fail" and "secret" not in found.message

    def call(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["intraward-client", "doctor", "--home", str(site[0].root), *words])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        return int(stop.value.code or 0), capsys.readouterr().out

    for state, code in (("advice", 0), ("fail", 1)):
        rows = [Finding("one", "ok", "fine", ""), Finding("two", state, "so [deid]", "mend [deid]")]  # type: ignore[arg-type]
        monkeypatch.setattr(checkup, "examine", lambda home, *, offline, rows=rows: rows)
        told = call("--offline")
        assert told[0] == code and "do mend [deid]" in told[1] and "so [deid]" in told[1]
        told = call("--json")
        value = json.loads(told[1])
        assert value["fit"] is (code == 0) and value["checks"][1]["do"] == "mend [deid]"


def test_offline_asks_nobody(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*arguments: object) -> str:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(checkup, "_deidentifier", lambda home, policy: "skipped")
    monkeypatch.setattr(reach, "server", forbidden)
    names = [each.name for each in checkup.examine(site[0], offline=True)]
    assert "server" not in names and {"device", "clock", "folders", "certificate"} <= set(names)
    with pytest.raises(AssertionError, match="connection"):
        checkup.examine(site[0], offline=False)
    site[0].policy.write_text("[")
    (only,) = checkup.examine(site[0])
    assert (only.name, only.state) == ("policy", "fail")
