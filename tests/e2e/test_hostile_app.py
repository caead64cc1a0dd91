"""Hostile code in a real gateway finds nothing to read and leaves with nothing (rule 8 of DESIGN.md).

Somebody with the coordinator's rights to the SuperLink, and even with the coordinator's key, pushes a Flower
app to a hospital's node. The gateway runs as a user of its own, as the client's page says; behind its socket
is the real ward of a finished run. What the app sends home is searched for all that the hospital keeps.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from tests.e2e.other_user import USER, as_other_user, why_not
from tests.e2e.test_superlink import BINARIES, coordinator, running

from intraward_client.home import SiteHome
from intraward_client.store.prompts import prompt_records
from intraward_client.store.vault import Vault
from intraward_server.deployment import call
from intraward_server.home import ServerHome
from intraward_shared.protocol import (
    PARTS_MAGIC,
    PLAN_DOMAIN,
    RoundPlan,
    open_signed,
    pack_parts,
    sign_value,
    unpack_parts,
)
from intraward_shared.signing import SigningKey
from intraward_simulation.control import FlowerApp, write_bundle
from intraward_simulation.processes import answers, base_environment, free_port, ward_command
from intraward_simulation.scan import scan_bytes
from intraward_simulation.scenario import load_scenario
from intraward_simulation.sites import coordinator_key
from intraward_simulation.supervision import wait_until
from intraward_simulation.world import make_world

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
HERE = Path(__file__).parent
SITE = "alder"
SECRET = "Wrexmorquist-of-the-environment"
WEAKER: Mapping[str, Mapping[str, Any]] = {
    "noise": {"noise_multiplier": 0.1},
    "rate": {"sample_rate": 0.9},
    "steps": {"steps": 5000},
    "records": {"max_records_per_unit": 60},
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A scratch folder with a short path, through which other users may pass."""
    if why := why_not(tmp_path / "mount"):
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="iw-") as made:
        Path(made).chmod(0o711)
        yield Path(made)


def hospital(run: Path, folder: Path) -> SiteHome:
    """A copy of a site of the finished run, opened to the gateway's group as the client's page says."""
    home = SiteHome(folder / SITE)
    shutil.copytree(run / "sites" / SITE, home.root)
    for path, mode in ((home.root, 0o710), (home.socket.parent, 0o2750), (home.gateway, 0o2750)):
        os.chown(path, -1, USER)
        path.chmod(mode)
    os.chown(home.node_key, -1, USER)
    home.node_key.chmod(0o640)
    return home


def genuine(run: Path) -> bytes:
    """The site's last request of a charged round, as it was recorded on its way."""
    told = [path.read_bytes() for path in sorted((run / "recorded").glob("*.out.bin"))]
    requests = [data[data.index(PARTS_MAGIC) :] for data in told if PARTS_MAGIC in data]
    charged = [r for r in requests if b'"mechanism":{' in unpack_parts(r)["plan"].replace(b"\\", b"")]
    return charged[-3]  # of three sites, asked in the order of their names, the first


def requests_of(run: Path) -> dict[str, bytes]:
    """What the app will ask of the ward: ``request/NAME`` to the bytes."""
    key, stranger = coordinator_key(load_scenario(run / "scenario.toml")), SigningKey.generate()
    known = genuine(run)
    parts = unpack_parts(known)
    plan = open_signed(parts["plan"], PLAN_DOMAIN, RoundPlan, key.public)
    assert plan.mechanism is not None

    def asked(by: SigningKey = key, with_schedule: bool = True, **changes: Any) -> bytes:
        plan_of_theirs = plan.model_copy(update={"nonce": "0" * 32} | changes)
        schedule = parts["schedule"] if with_schedule else b""
        signed = sign_value(plan_of_theirs, PLAN_DOMAIN, by)
        return pack_parts(parts | {"plan": signed, "schedule": schedule})

    made = {
        "replayed": known,
        "forged": asked(stranger),
        "altered": known.replace(b'noise_multiplier\\":\\"1.0', b'noise_multiplier\\":\\"0.1'),
        "second": asked(),
        "elsewhere": asked(cohort=("birch",)),
        "unpaid": asked(mechanism=None, schedule=None, with_schedule=False),
        "unscheduled": asked(with_schedule=False),
        "truncated": known[:-100],
        "empty": b"",
        "noise": os.urandom(100_000),
    }
    assert made["altered"] != known
    for name, weaker in WEAKER.items():
        made[f"weaker {name}"] = asked(mechanism=plan.mechanism.model_copy(update=weaker))
    return {f"request/{name}": data for name, data in made.items()}


def push(folder: Path, hub: ServerHome, orders: Mapping[str, bytes]) -> dict[str, bytes]:
    """Submit the hostile app as the coordinator's own command would; what it brought home."""
    given, loot, bundle = folder / "orders", folder / "loot", folder / "bundle"
    given.write_bytes(pack_parts(dict(orders)))
    app = FlowerApp(
        "hostile_visitor:visit", "hostile_visitor:visitor", {"orders": str(given), "loot": str(loot)}
    )
    write_bundle(bundle, app)
    shutil.copy(HERE / "hostile_app.py", bundle / "hostile_visitor.py")
    values = folder / "run.toml"
    values.write_text(tomli_w.dumps(dict(app.config)))
    call(hub, "run", str(bundle), "consortium", "--run-config", str(values))
    wait_until(loot.exists, seconds=240, what="the app did not come back", remedy="see gateway.log")
    return unpack_parts(loot.read_bytes())


def body(answer: bytes) -> dict[str, bytes]:
    """Code and update of the ward's answer."""
    return unpack_parts(answer.split(b"\r\n\r\n", 1)[1])


def state(home: SiteHome) -> dict[str, bytes]:
    """What a charge or a release would change."""
    return {str(path): path.read_bytes() for path in (home.ledger, *sorted(home.outbox.iterdir()))}


def test_it_finds_nothing_and_leaves_with_nothing(folder: Path, inside: tuple[Path, Path]) -> None:
    run = inside[0]
    (folder / "run").mkdir()
    shutil.copy(run / "scenario.toml", folder / "run")
    home, hub, port = hospital(run, folder), coordinator(folder), free_port()
    before = state(home)
    kept = [str(path.relative_to(home.root)) for path in sorted(home.root.rglob("*")) if path.is_file()]
    for name in ("flower", "mount", "cwd"):
        (folder / name).mkdir()
    os.chown(folder / "flower", USER, USER)
    environment = base_environment() | {"FLWR_HOME": str(folder / "flower"), "HOME": str(folder / "flower")}
    environment["PYTHONPATH"] = environment["PYTHONPATH"].removeprefix(str(HERE) + os.pathsep)
    gateway = [
        *(str(BINARIES / "intraward-client"), "gateway", "--home", str(home.root)),
        *("--superlink", f"localhost:{port}", "--root-certificates", str(folder / "ca.crt")),
        *("--runtime-port", str(free_port())),
    ]
    with ExitStack() as stack:
        log, command = folder / "superlink.log", [str(BINARIES / "intraward-server"), "superlink"]
        words = [*command, "--home", str(hub.root), "--port", str(port)]
        stack.enter_context(running(log, *words))
        dumps = ["sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh"]
        serve = [*dumps, *ward_command(folder / "run")(SITE, home.root)]
        hidden = base_environment() | {"INTRAWARD_PASSPHRASE": SECRET}
        ward = stack.enter_context(
            running(folder / "ward.log", *serve, environment=hidden, cwd=folder / "cwd")
        )
        ready = "its connection is called"
        wait_until(lambda: ready in log.read_text(), seconds=60, what="no SuperLink", remedy=str(log))
        call(hub, "supernode", "register", f"{home.node_key}.pub", "consortium", "--name", SITE)
        shutil.copy(hub.authority, folder / "ca.crt")
        (folder / "ca.crt").chmod(0o644)
        wait_until(lambda: answers(home.socket), seconds=60, what="no ward", remedy="see ward.log")
        stack.enter_context(
            running(
                folder / "gateway.log",
                *as_other_user(folder / "mount", gateway),
                environment=environment,
                cwd=folder / "flower",
            )
        )
        orders = {"files": json.dumps(kept).encode(), "ward": str(ward.pid).encode(), **requests_of(run)}
        loot = push(folder, hub, orders)
        assert answers(home.socket)  # and the ward serves on
        ward.send_signal(signal.SIGSEGV)
        assert ward.wait(30) == -signal.SIGSEGV
    assert list((folder / "cwd").iterdir()) == []  # no core
    assert "Traceback" not in (folder / "ward.log").read_text()
    assert state(home) == before

    check_what_it_saw(loot, home, ward.pid)
    check_what_it_was_told(loot, home, before)
    check_what_it_took(b"".join(loot.values()), home, run)


def check_what_it_saw(loot: Mapping[str, bytes], home: SiteHome, ward: int) -> None:
    """It ran as the gateway's user, read the gateway's own key, and nothing else of the site."""
    assert json.loads(loot["self/user"])[0] == USER
    assert loot["self/file"].endswith(b"/hostile_visitor.py")
    own = {f"read/{way}gateway/node" for way in ("", "run/../")}
    assert {name for name in loot if name.startswith("read/")} == own
    assert not [name for name in loot if name.startswith(("walk/", "write/", "proc/ptrace"))]
    assert not [name for name in loot if name.startswith("list/")]
    of_the_ward = {name.rsplit("/", 1)[1] for name in loot if name.startswith(f"proc/{ward}/")}
    assert of_the_ward <= {"cmdline"}
    assert any(name.endswith("/environ") for name in loot)  # its own: so it could have seen another's


def check_what_it_was_told(loot: Mapping[str, bytes], home: SiteHome, before: Mapping[str, bytes]) -> None:
    """Codes, who the site is, and an update that was released long ago."""
    codes = {
        name.removeprefix("call/request/"): body(answer)["code"].decode()
        for name, answer in loot.items()
        if name.startswith("call/request/")
    }
    assert codes.pop("replayed") == "OK"
    assert body(loot["call/request/replayed"])["update"] in before.values()
    assert codes == {
        "forged": "SIGNATURE",
        "altered": "SIGNATURE",
        "second": "LEDGER",
        "elsewhere": "PLAN_REFUSED",
        "unpaid": "PLAN_REFUSED",
        "unscheduled": "PLAN_REFUSED",
        "truncated": "CONTRACT",
        "empty": "CONTRACT",
        "noise": "CONTRACT",
    } | {f"weaker {name}": "PLAN_REFUSED" for name in WEAKER}
    assert all(not body(a)["update"] for n, a in loot.items() if n[13:] in codes)
    described = loot["call/GET /describe"]
    assert set(json.loads(described.split(b"\r\n\r\n", 1)[1])) == {"site", "public", "stages"}
    rest = {n: a.split(b" ")[1:2] for n, a in loot.items() if n.startswith("call/") and "request/" not in n}
    assert rest.pop("call/GET /describe") == [b"200"]
    assert rest.pop("call/declared") == [b"413"]
    assert rest.pop("call/crowd") == [b"503"]
    assert all(status in ([b"400"], [b"404"], [b"405"]) for status in rest.values()), rest


def check_what_it_took(everything: bytes, home: SiteHome, run: Path) -> None:
    """Neither a planted identifier nor a text of the vault, no key, no policy, nothing of the environment."""
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        texts = [record.prompt for record in prompt_records(vault)]
    planted = make_world(load_scenario(run / "scenario.toml"), None).canaries
    assert texts
    assert planted
    assert scan_bytes(everything, [*planted, *texts, SECRET]) == set()
    for path in (home.signing_key, *home.vault_keys.iterdir(), home.policy, home.vault, home.ledger):
        data = path.read_bytes().strip()[:200]
        forms = (data, data.hex().encode(), base64.b64encode(data)[:-4])
        assert not [form for form in forms if form in everything], path.name
