"""A kit is taken whole and from the pinned coordinator, or not at all; the policy is never touched."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import tomli_w

from intraward_client import cli
from intraward_client.config import SitePolicy, load_policy
from intraward_client.home import SiteHome
from intraward_client.initialise import initialise
from intraward_client.joining import connection_of, join
from intraward_client.releases import revoked_adapters
from intraward_server.authority import Authority
from intraward_server.home import ServerHome
from intraward_server.members import MemberList, enrolled, save_members
from intraward_server.provisioning import provision
from intraward_shared.config import parse
from intraward_shared.enrolment import open_request
from intraward_shared.errors import ConfigError, EnrolmentRefused, ReleaseRefused, SignatureError
from intraward_shared.kit import Kit, write_kit
from intraward_shared.protocol import sign_value
from intraward_shared.revocation import REVOCATION_DOMAIN, RevocationList, Revoked
from intraward_shared.signing import SigningKey

NOW = datetime.now(UTC)
ADDRESS = "fl.example.org:443"
TIME = "2026-01-01T00:00:00Z"
TRAINING = {"learning_rate": 0.01, "steps": 5}
PROGRAM = {
    "program": {"name": "first", "starts_at": TIME, "quorum": 1},
    "model": {"path": "/srv/models/base", "sha256": "a" * 64},
    "lora": {"r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]},
    "stages": [{"stage": "sft", "public": "sft.jsonl", "training": TRAINING}],
}


@pytest.fixture
def hub(tmp_path: Path) -> ServerHome:
    """A coordinator with an authority."""
    home = ServerHome(tmp_path / "hub")
    home.make()
    SigningKey.generate().save(home.key)
    home.program.write_text(tomli_w.dumps(PROGRAM))
    authority = Authority(home.authority, home.authority_key)
    authority.make("first", NOW)
    authority.issue(home.server_certificate, home.server_key, ["fl.example.org"], NOW)
    return home


def policy_of(hub: ServerHome) -> SitePolicy:
    table = {
        "site": "north",
        "privacy": {
            "delta": 1e-5,
            "declared_max_patients": 100,
            "lifetime_epsilon": 8.0,
            "min_noise_multiplier": 0.8,
            "max_sample_rate": 0.5,
            "max_steps_per_round": 10,
            "max_records_per_patient": 2,
        },
        "model": {"path": "/srv/models/base", "sha256": "b" * 64},
        "coordinator": {"public_key": SigningKey.load(hub.key).public},
    }
    return parse(table, SitePolicy, "policy")


@pytest.fixture
def site(tmp_path: Path, hub: ServerHome) -> SiteHome:
    """A site that pins the coordinator."""
    return initialise(tmp_path / "site", policy_of(hub), time=TIME)


def enroll(hub: ServerHome, site: SiteHome) -> None:
    request = open_request(site.enrolment.read_bytes(), site.enrolment)
    save_members(hub, enrolled(MemberList(), request, TIME), SigningKey.load(hub.key))


def joined(site: SiteHome) -> dict[str, bytes]:
    files = (*site.gateway.rglob("*"), *site.consortium.rglob("*"), site.policy)
    return {path.name: path.read_bytes() for path in files}


def test_a_new_site_asks_to_be_enrolled_and_joins(site: SiteHome, hub: ServerHome, tmp_path: Path) -> None:
    assert site.node_key.stat().st_mode & 0o777 == 0o600
    enroll(hub, site)
    kit = provision(hub, "north", tmp_path / "kit", ADDRESS, TIME)
    policy, node = site.policy.read_bytes(), site.node_key.read_bytes()
    made = join(site, tmp_path / "kit", NOW)
    assert made.kit == kit and made.enrolled
    assert any("base model" in line for line in made.advice)
    assert (site.policy.read_bytes(), site.node_key.read_bytes()) == (policy, node)
    assert site.authority.read_bytes() == hub.authority.read_bytes()
    found = connection_of(site, None, None, None, insecure=False)
    assert (found.superlink, found.authority, found.node_key) == (ADDRESS, site.authority, site.node_key)
    assert join(site, tmp_path / "kit", NOW).kit == kit  # again is no harm


def test_a_kit_holds_nothing_private(site: SiteHome, hub: ServerHome, tmp_path: Path) -> None:
    enroll(hub, site)
    provision(hub, "north", tmp_path / "kit", ADDRESS, TIME)
    secrets = [path.read_bytes().strip() for path in (hub.key, hub.authority_key, hub.server_key)]
    every = b"".join(path.read_bytes() for path in (tmp_path / "kit").iterdir())
    assert all(secret not in every for secret in secrets) and b"PRIVATE" not in every


def test_an_invitation_comes_before_enrolment(site: SiteHome, hub: ServerHome, tmp_path: Path) -> None:
    provision(hub, "north", tmp_path / "kit", ADDRESS, TIME)
    made = join(site, tmp_path / "kit", NOW)
    assert not made.enrolled and "enrolment.json" in made.advice[0]


def test_the_template_is_a_policy_once_the_officer_is_named(hub: ServerHome, tmp_path: Path) -> None:
    provision(hub, "north", tmp_path / "kit", ADDRESS, TIME)
    template = tmp_path / "kit" / "policy-template.toml"
    with pytest.raises(ConfigError, match="officer"):
        load_policy(template)
    template.write_text(template.read_text().replace("OFFICER_KEY", "c" * 64))
    policy = load_policy(template)
    assert (policy.site, policy.model.sha256) == ("north", "a" * 64)
    assert policy.coordinator.public_key == SigningKey.load(hub.key).public
    assert [stage.value for stage in policy.stages] == ["sft"]


def _resigned(folder: Path, hub: ServerHome, name: str, data: bytes | None) -> None:
    """Change a file of a kit and let the coordinator sign the new sums, as only it could."""
    (folder / "SHA256SUMS").unlink()
    (folder / "SHA256SUMS.sig").unlink()
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    if data is None:
        (folder / name).unlink()
        del files[name]
    else:
        files[name] = data
    key, said = SigningKey.load(hub.key), json.loads(files.pop("kit.json"))
    write_kit(folder, Kit.model_validate(said), files, key)


def _linked(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def _forged(folder: Path) -> None:
    """Whole in itself, and signed by a stranger."""
    key = SigningKey.generate()
    sums = (folder / "SHA256SUMS").read_bytes()
    (folder / "SHA256SUMS.sig").write_text(key.sign("intraward/kit/v1", sums))


BAD: dict[str, tuple[Callable[[Path, ServerHome], object], str]] = {
    "a changed file": (lambda k, h: (k / "ca.crt").write_bytes(b"x"), "it was changed"),
    "a missing file": (lambda k, h: (k / "program.toml").unlink(), "missing"),
    "a file more": (lambda k, h: (k / "extra.sh").write_text("rm"), "not named"),
    "a link": (lambda k, h: _linked(k / "ca.crt"), "plain"),
    "no sums": (lambda k, h: (k / "SHA256SUMS").unlink(), "missing"),
    "another's signature": (lambda k, h: _forged(k), "not signed by the coordinator"),
    "no authority": (lambda k, h: _resigned(k, h, "ca.crt", h.server_certificate.read_bytes()), "authority"),
    "no certificate": (lambda k, h: _resigned(k, h, "ca.crt", b"hello"), "authority"),
    "a program that is none": (lambda k, h: _resigned(k, h, "program.toml", b"[["), "not valid TOML"),
    "no template": (lambda k, h: _resigned(k, h, "policy-template.toml", None), "has to hold"),
    "too long": (lambda k, h: _resigned(k, h, "README.md", bytes(1_000_001)), "longer"),
    "no membership": (lambda k, h: _resigned(k, h, "membership.json", b"{}"), "membership"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_kit_that_is_not_whole_is_refused_and_nothing_is_written(
    site: SiteHome, hub: ServerHome, tmp_path: Path, what: str
) -> None:
    enroll(hub, site)
    kit, before = tmp_path / "kit", joined(site)
    provision(hub, "north", kit, ADDRESS, TIME)
    damage, said = BAD[what]
    damage(kit, hub)
    with pytest.raises(EnrolmentRefused, match=said):
        join(site, kit, NOW)
    assert joined(site) == before


def test_kits_of_others_older_ones_and_other_keys_are_refused(
    site: SiteHome, hub: ServerHome, tmp_path: Path
) -> None:
    provision(hub, "south", tmp_path / "south", ADDRESS, TIME)
    with pytest.raises(EnrolmentRefused, match="another site"):
        join(site, tmp_path / "south", NOW)
    stranger = initialise(tmp_path / "stranger", policy_of(hub), time=TIME)
    enroll(hub, stranger)
    provision(hub, "north", tmp_path / "swapped", ADDRESS, TIME)
    with pytest.raises(EnrolmentRefused, match="other keys than this site's"):
        join(site, tmp_path / "swapped", NOW)
    enroll(hub, site)
    provision(hub, "north", tmp_path / "old", ADDRESS, TIME)
    provision(hub, "north", tmp_path / "new", "fl.example.org:444", "2026-02-01T00:00:00Z")
    join(site, tmp_path / "new", NOW)
    with pytest.raises(EnrolmentRefused, match="older"):
        join(site, tmp_path / "old", NOW)
    assert connection_of(site, None, None, None, insecure=False).superlink == "fl.example.org:444"
    with pytest.raises(EnrolmentRefused, match="clock"):
        join(site, tmp_path / "new", NOW + timedelta(days=9999))


def test_the_mode_that_lets_the_gateway_read_stays(site: SiteHome, hub: ServerHome, tmp_path: Path) -> None:
    provision(hub, "north", tmp_path / "kit", ADDRESS, TIME)
    join(site, tmp_path / "kit", NOW)
    site.authority.chmod(0o640)
    join(site, tmp_path / "kit", NOW)
    assert site.authority.stat().st_mode & 0o777 == 0o640 and site.kit.stat().st_mode & 0o777 == 0o600


def test_provision_refuses_what_hospitals_could_not_use(hub: ServerHome, tmp_path: Path) -> None:
    (tmp_path / "kit").mkdir()
    (tmp_path / "kit" / "mine").write_text("x")
    for site, address, out, said in (
        ("north", "other.example.org:443", "new", "does not cover"),
        ("north", "fl.example.org", "new", "provision"),
        ("North!", ADDRESS, "new", "provision"),
        ("north", ADDRESS, "kit", "in use"),
    ):
        with pytest.raises(ConfigError, match=said):
            provision(hub, site, tmp_path / out, address, TIME)
    assert not (tmp_path / "new").exists()


def test_a_connection_needs_an_address_and_tls(site: SiteHome) -> None:
    with pytest.raises(ConfigError, match="join first"):
        connection_of(site, None, None, None, insecure=False)
    with pytest.raises(ConfigError, match="TLS is required"):
        connection_of(site, "host:443", None, None, insecure=True)
    assert connection_of(site, "localhost:1", None, None, insecure=True).authority is None
    site.kit.write_text("{}")
    with pytest.raises(ConfigError, match=r"kit\.json"):
        connection_of(site, None, None, None, insecure=False)


def test_the_commands_of_both_sides(
    hub: ServerHome,
    site: SiteHome,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    provision(hub, "north", tmp_path / "kit", ADDRESS, TIME)
    started: list[list[str]] = []

    def record(program: str, words: list[str], environment: dict[str, str]) -> None:
        started.append(words)

    monkeypatch.setattr(os, "execve", record)
    for words, code in (
        (["gateway", "--home", str(site.root)], 1),
        (["join", str(tmp_path / "kit"), "--home", str(site.root), "--json"], 0),
        (["gateway", "--home", str(site.root)], 0),
    ):
        monkeypatch.setattr(sys, "argv", ["intraward-client", *words])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert (stop.value.code or 0) == code, words
    assert json.loads(capsys.readouterr().out)["superlink"] == ADDRESS
    (command,) = started
    for flag, value in (
        ("--superlink", ADDRESS),
        ("--root-certificates", str(site.authority)),
        ("--auth-supernode-private-key", str(site.node_key)),
    ):
        assert command[command.index(flag) + 1] == value
    assert "--insecure" not in command


def revoke(hub: ServerHome, *adapters: str) -> None:
    listed = tuple(Revoked(adapter=each, time=TIME, reason="unsafe doses") for each in adapters)
    value = RevocationList(revoked=listed)
    hub.revoked.write_bytes(sign_value(value, REVOCATION_DOMAIN, SigningKey.load(hub.key)))


def test_a_kit_brings_the_list_of_revoked_adapters(site: SiteHome, hub: ServerHome, tmp_path: Path) -> None:
    enroll(hub, site)
    revoke(hub, "1" * 64)
    provision(hub, "north", tmp_path / "kit", ADDRESS, TIME)
    join(site, tmp_path / "kit", NOW)
    public = SigningKey.load(hub.key).public
    assert [each.adapter for each in revoked_adapters(site, public).revoked] == ["1" * 64]
    before = joined(site)
    revoke(hub, "2" * 64)  # the coordinator would bring the first one back
    provision(hub, "north", tmp_path / "other", ADDRESS, "2026-01-02T00:00:00Z")
    with pytest.raises(ReleaseRefused, match=r"other/revoked\.json: is not the list that this site has seen"):
        join(site, tmp_path / "other", NOW)
    assert joined(site) == before
    assert [each.adapter for each in revoked_adapters(site, public).revoked] == ["1" * 64]
    hub.revoked.write_bytes(hub.revoked.read_bytes().replace(b"unsafe", b"UNSAFE"))
    with pytest.raises(SignatureError, match=r"revoked\.json"):
        provision(hub, "north", tmp_path / "third", ADDRESS, TIME)
    assert not (tmp_path / "third").exists()
