"""Bundles and revocations at a hospital: what is installed, what is refused, and the list that only grows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.shared.release.consortium import COORDINATOR as CONSORTIUM
from tests.shared.release.consortium import finish, signed, site_key

from intraward_client.config import load_policy
from intraward_client.home import SiteHome
from intraward_client.installed import check_release, find, install, rollback, shelf
from intraward_client.releases import take_revocations
from intraward_client.trail import Action, read_trail
from intraward_shared.errors import ContractError, IntrawardError, ReleaseRefused, SignatureError
from intraward_shared.protocol import sign_value
from intraward_shared.revocation import REVOCATION_DOMAIN, RevocationList, Revoked
from intraward_shared.signing import SigningKey

COORDINATOR = SigningKey.from_seed(b"\x0c" * 32)
TIME = "2026-03-01T12:00:00Z"


def listed(*adapters: str, key: SigningKey = COORDINATOR) -> bytes:
    entries = tuple(Revoked(adapter=name, time=TIME, reason="unsafe doses") for name in adapters)
    return sign_value(RevocationList(revoked=entries), REVOCATION_DOMAIN, key)


def test_a_revoked_adapter_is_neither_installed_nor_used(make_site: Any, release: Any, call: Any) -> None:
    home = make_site(0)
    policy = load_policy(home.policy)
    first, second = (install(release(seed), home, policy) for seed in (1, 2))
    path = home.root.parent / "given.json"
    path.write_bytes(listed(second.digest))
    code, out = call("adapter", "revoked", path, "--home", home.root)
    assert code == 0 and "the one in use is revoked" in out
    assert json.loads(call("adapter", "revoked", path, "--home", home.root, "--json")[1])[
        "installed_here"
    ] == [second.digest]
    with pytest.raises(ReleaseRefused, match="revoked on 2026-03-01T12:00:00Z: unsafe doses"):
        find(home, policy, None)
    with pytest.raises(ReleaseRefused):
        install(home.root.parent / "release-2", home, policy)
    back = rollback(home, policy)
    assert back is not None and back.manifest == first
    assert [one.revoked for one in shelf(home, policy) if one.manifest == second] == [True]


def test_rollback_goes_past_what_was_revoked(make_site: Any, release: Any) -> None:
    home = make_site(0)
    policy = load_policy(home.policy)
    one, two, three = (install(release(seed), home, policy) for seed in (1, 2, 3))
    take_revocations(home, COORDINATOR.public, listed(two.digest, three.digest), "given")
    back = rollback(home, policy)
    assert back is not None and back.manifest == one
    actions = [e.action for e in read_trail(home, SigningKey.load(home.signing_key).public)]
    assert actions == [Action.INSTALL] * 3 + [Action.ROLLBACK] * 2
    take_revocations(home, COORDINATOR.public, listed(two.digest, three.digest, one.digest), "given")
    assert rollback(home, policy) is None


def test_a_child_of_a_revoked_adapter_is_refused(make_site: Any, release: Any) -> None:
    home = make_site(0)
    policy = load_policy(home.policy)
    take_revocations(home, COORDINATOR.public, listed("a" * 64), "given")
    with pytest.raises(ReleaseRefused, match="a" * 16):
        install(release(1, parents=("a" * 64,)), home, policy)
    assert list(home.adapters.iterdir()) == []


def test_the_list_only_grows(make_site: Any) -> None:
    home: SiteHome = make_site(0)
    first, second = "a" * 64, "b" * 64

    def take(data: bytes) -> list[str]:
        return [each.adapter for each in take_revocations(home, COORDINATOR.public, data, "given").revoked]

    assert take(listed()) == [] and not home.revoked.exists()
    assert take(listed(first)) == [first]
    assert take(listed(first, second)) == [first, second]
    kept = home.revoked.read_bytes()
    assert take(listed(first)) == [first, second]  # an old file brings nothing back
    with pytest.raises(ReleaseRefused, match="not the list that this site has seen"):
        take(listed(second))
    with pytest.raises(SignatureError):
        take(listed(first, second, "c" * 64, key=SigningKey.generate()))
    with pytest.raises(ContractError):
        take(b"{}")
    assert home.revoked.read_bytes() == kept
    with pytest.raises(ValueError, match="revoked twice"):
        listed(first, first)


@pytest.fixture
def member(make_site: Any, tmp_path: Path) -> tuple[SiteHome, Any, Path]:
    """Site alpha of a finished consortium, and that consortium's bundle."""
    (tmp_path / "consortium").mkdir()
    made = finish(tmp_path / "consortium")
    home: SiteHome = make_site(0)
    shutil.copyfile(made.ledgers[0], home.ledger)
    home.signing_key.unlink()
    site_key("alpha").save(home.signing_key)
    policy = load_policy(home.policy)
    coordinator = policy.coordinator.model_copy(update={"public_key": CONSORTIUM.public})
    model = policy.model.model_copy(update={"sha256": "b" * 64})
    changed = policy.model_copy(update={"site": "alpha", "coordinator": coordinator, "model": model})
    return home, changed, signed(made).folder


def test_a_bundle_is_verified_whole_and_its_adapter_installed(member: Any) -> None:
    home, policy, folder = member
    manifest = check_release(folder, home, policy)
    assert install(folder, home, policy) == manifest
    assert [one.in_use for one in shelf(home, policy)] == [True]


@pytest.mark.parametrize("change", ["gate", "ledger", "own key", "own ledger"])
def test_a_bundle_that_does_not_pass_is_not_installed(member: Any, change: str) -> None:
    home, policy, folder = member
    if change == "gate":
        (folder / "gates.json").write_text("{}")
    elif change == "ledger":
        (folder / "ledgers" / "beta.jsonl").unlink()
    elif change == "own key":
        home.signing_key.unlink()
        SigningKey.generate().save(home.signing_key)
    else:
        lines = home.ledger.read_bytes().splitlines(keepends=True)
        home.ledger.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(
        IntrawardError,
        match={
            "gate": "changed after signing",
            "ledger": "missing",
            "own key": "signature does not verify",
            "own ledger": "never released|names an entry",
        }[change],
    ):
        install(folder, home, policy)
    assert list(home.adapters.iterdir()) == []


def test_a_bundle_older_than_the_sites_list_is_refused(member: Any) -> None:
    home, policy, folder = member
    adapter = json.loads(json.loads((folder / "release.json").read_bytes())["payload"])["adapter"]
    take_revocations(home, CONSORTIUM.public, listed(adapter, key=CONSORTIUM), "given")
    with pytest.raises(ReleaseRefused, match="unsafe doses"):
        install(folder, home, policy)
