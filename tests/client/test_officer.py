"""``intraward-client officer``: keys, recorded terms, burns, and what each leaves to the ward."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from intraward_client.home import SiteHome
from intraward_client.slot import SlotClock
from intraward_client.ward import Ward
from intraward_shared.errors import ConfigError, LedgerError
from intraward_shared.ledger import Kind, charged, policy_entry, read_ledger
from intraward_shared.privacy import events_to_epsilon
from intraward_shared.protocol import RECEIPT_DOMAIN, Receipt, open_update, sign_value, unpack_parts
from intraward_shared.signing import SigningKey, digest

NOW = datetime(2030, 1, 1, tzinfo=UTC)
COORDINATOR = SigningKey.from_seed(b"\x0c" * 32)
OFFICER = SigningKey.from_seed(b"\x0f" * 32)


@pytest.fixture
def head(tmp_path: Path) -> Path:
    """A second path; its folder stands for another volume."""
    (tmp_path / "volume").mkdir()
    return tmp_path / "volume" / "north.head"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """The officer's key file."""
    OFFICER.save(tmp_path / "officer.key")
    return tmp_path / "officer.key"


def change(home: SiteHome, old: str, new: str) -> None:
    text = home.policy.read_text()
    assert old in text
    home.policy.write_text(text.replace(old, new))


def answer(home: SiteHome, request: bytes) -> tuple[str, bytes]:
    with closing(Ward(home, slots=SlotClock(virtual=False, now=lambda: NOW))) as ward:
        reply = unpack_parts(ward.execute(request))
    return reply["code"].decode(), reply["update"]


def receipt_for(update: bytes, public: str) -> bytes:
    header, _ = open_update(update, public)
    fields = header.model_dump(include={"site", "run_id", "round", "plan", "ledger_sequence", "ledger_entry"})
    return sign_value(Receipt(update=digest(update), **fields), RECEIPT_DOMAIN, COORDINATOR)


def test_a_key_is_made_once_and_for_its_owner_only(call: Any, tmp_path: Path) -> None:
    file = tmp_path / "officer.key"
    code, out = call("officer", "key", file, "--json")
    assert code == 0 and json.loads(out)["public_key"] == SigningKey.load(file).public
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    code, out = call("officer", "key", file)
    assert code == 1 and "there already" in out and file.read_bytes() == before
    code, out = call("officer", "key", tmp_path / "other.key")
    assert code == 0 and SigningKey.load(tmp_path / "other.key").public in out
    assert SigningKey.load(tmp_path / "other.key").public != SigningKey.load(file).public


def test_the_policy_asks_for_an_officer_with_a_second_path(make_site: Any, tmp_path: Path, call: Any) -> None:
    home = make_site(0)
    draft = tmp_path / "draft.toml"
    draft.write_text(home.policy.read_text().replace("[ledger]", "") + '\n[ledger]\nsecond_path = "/mnt/x"\n')
    code, out = call("init", draft, "--home", tmp_path / "new")
    assert code == 1 and "needs officer.public_key" in out
    for bad in ("relative/path", "/", "/mnt/\\u0007"):
        draft.write_text(
            home.policy.read_text().replace("[ledger]", "") + f'\n[ledger]\nsecond_path = "{bad}"\n'
        )
        code, out = call("init", draft, "--home", tmp_path / "new")
        assert code == 1 and "ledger.second_path" in out


def test_a_failed_init_leaves_neither_site_nor_head(
    make_site: Any, head: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    head.write_bytes(b"someone's")
    with pytest.raises(ConfigError, match="there already"):
        make_site(0, head=head)
    assert head.read_bytes() == b"someone's" and not (tmp_path / "site").exists()
    head.unlink()
    rename = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if target.name == "site":
            raise OSError
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        with pytest.raises(ConfigError, match="cannot be made here"):
            make_site(0, head=head)
    assert not head.exists()
    make_site(0, head=head)
    assert head.is_file()


def test_the_cap_is_raised_in_the_ledger_by_the_officers_key_alone(
    call: Any, make_site: Any, head: Path, key_file: Path, rounds: Any, tmp_path: Path
) -> None:
    home = make_site(2, head=head, lifetime_epsilon=1.0)
    assert answer(home, rounds().bytes_by())[0] == "BUDGET"
    change(home, "lifetime_epsilon = 1.0", "lifetime_epsilon = 50.0")
    assert answer(home, rounds().bytes_by())[0] == "LEDGER"  # the file alone raises nothing
    before = home.ledger.read_bytes()
    stranger = tmp_path / "stranger.key"
    SigningKey.generate().save(stranger)
    for options, message in (
        ((), "give the officer's key"),
        (("--key", stranger), "not the key of the officer"),
    ):
        code, out = call("officer", "amend", "--home", home.root, *options)
        assert code == 1 and message in out and home.ledger.read_bytes() == before
    code, out = call("officer", "amend", "--key", key_file, "--home", home.root, "--json")
    assert code == 0 and json.loads(out)["countersigned"] and json.loads(out)["sequence"] == 1
    assert answer(home, rounds().bytes_by())[0] == "OK"
    code, out = call("officer", "amend", "--key", key_file, "--home", home.root)
    assert code == 0 and "nothing to record" in out
    change(home, "lifetime_epsilon = 50.0", "lifetime_epsilon = 40.0")
    code, out = call("officer", "amend", "--home", home.root)
    assert code == 0 and "signed by the site" in out
    assert policy_entry(read_ledger(home.ledger)).lifetime_epsilon == 40.0


def test_a_site_without_an_officer_can_only_lower_its_cap(call: Any, make_site: Any, key_file: Path) -> None:
    home = make_site(0, lifetime_epsilon=2.0)
    change(home, "lifetime_epsilon = 2.0", "lifetime_epsilon = 3.0")
    for options in ((), ("--key", key_file)):
        code, out = call("officer", "amend", "--home", home.root, *options)
        assert code == 1 and "names no privacy officer" in out and "when a site is made" in out
    change(home, "lifetime_epsilon = 3.0", "lifetime_epsilon = 1.5")
    assert call("officer", "amend", "--home", home.root)[0] == 0
    code, out = call("officer", "burn", "--key", key_file, "--home", home.root)
    assert code == 1 and "names no privacy officer" in out
    home.policy.write_text(home.policy.read_text() + f'\n[officer]\npublic_key = "{OFFICER.public}"\n')
    code, out = call("officer", "amend", "--key", key_file, "--home", home.root)
    assert code == 1 and "or never" in out
    with pytest.raises(ConfigError, match=r"officer\.public_key"):
        Ward(home)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("delta = 1e-05", "delta = 1e-06", "privacy.delta"),
        ('site = "north"', 'site = "south"', "site"),
        ("allowed = false", "allowed = true", "simulation.allowed"),
        (OFFICER.public, "a" * 64, "officer.public_key"),
    ],
)
def test_constants_of_the_site_are_not_amended(
    call: Any, make_site: Any, head: Path, key_file: Path, old: str, new: str, key: str
) -> None:
    home = make_site(0, head=head)
    change(home, old, new)
    code, out = call("officer", "amend", "--key", key_file, "--home", home.root)
    assert code == 1 and key in out and len(read_ledger(home.ledger)) == 1


def test_another_second_path_counts_once_it_is_recorded(
    call: Any, make_site: Any, head: Path, key_file: Path
) -> None:
    home, other = make_site(0, head=head), head.with_name("other.head")
    change(home, str(head), str(other))
    with pytest.raises(ConfigError, match=r"ledger\.second_path"):
        Ward(home)
    code, out = call("doctor", "--home", home.root, "--json")
    failed = {check["name"] for check in json.loads(out)["checks"] if not check["ok"]}
    assert code == 1 and {"ledger", "second head"} <= failed
    code, out = call("officer", "amend", "--home", home.root)
    assert code == 1 and "give the officer's key" in out and not other.exists()
    assert call("officer", "amend", "--key", key_file, "--home", home.root)[0] == 0
    Ward(home).close()
    assert other.is_file()


def test_doctor_tells_how_the_second_head_stands(call: Any, make_site: Any, head: Path) -> None:
    def told(home: SiteHome) -> tuple[bool, str]:
        page = call("doctor", "--home", home.root, "--json")[1]
        checks = {check["name"]: check for check in json.JSONDecoder().raw_decode(page)[0]["checks"]}
        head = checks["second head"]
        return head["ok"], f"{head['state']}: {head['message']}; {head['do']}"

    good, text = told(make_site(0, name="bare"))
    assert good and "advice" in text and "ledger.second_path" in text
    home = make_site(0, head=head)
    good, text = told(home)
    assert good and "agrees" in text and "own volume" in text
    kept = head.read_bytes()
    head.write_bytes(kept[:-1])
    assert not told(home)[0]
    head.unlink()
    good, text = told(home)
    assert not good and "no such file" in text and "--head-lost" in text


def test_a_lost_head_is_declared_by_the_officer(
    call: Any, make_site: Any, head: Path, key_file: Path
) -> None:
    home = make_site(0, head=head)
    head.unlink()
    for options in (("--key", key_file), ("--head-lost",)):
        assert call("officer", "amend", "--home", home.root, *options)[0] == 1
    assert not head.exists()
    assert call("officer", "amend", "--key", key_file, "--head-lost", "--home", home.root)[0] == 0
    Ward(home).close()


def test_a_burn_unlocks_a_restored_site_at_its_price(
    call: Any, make_site: Any, head: Path, key_file: Path, rounds: Any
) -> None:
    home = make_site(2, head=head)
    backup = home.ledger.read_bytes()
    first = rounds().bytes_by()
    assert answer(home, first)[0] == "OK"
    home.ledger.write_bytes(backup)
    options = ("--key", key_file, "--home", home.root)
    code, out = call("officer", "amend", *options, "--head-lost")
    assert code == 1 and "older copy was put back" in out
    code, out = call("officer", "burn", *options, "--dry-run", "--json")
    dry = json.loads(out)
    assert code == 0 and not dry["burned"] and home.ledger.read_bytes() == backup
    code, out = call("officer", "burn", *options)
    entries = read_ledger(home.ledger)
    assert code == 0 and "entries 1 to 3 are lost" in out and entries[-1].kind is Kind.BURN
    assert entries[-1].sequence == 4 and dry["rounds"] == 2 and dry["evidence"] == "second_head"
    assert events_to_epsilon(charged(entries), 1e-5) == pytest.approx(dry["epsilon"])
    code, out = call("officer", "burn", *options)
    assert code == 1 and "nothing is lost" in out
    assert answer(home, first) == ("LEDGER", b"")  # bytes of a lost round never leave again
    code, out = call("budget", "--home", home.root, "--json")
    assert code == 0 and [row["stage"] for row in json.loads(out)["stages"]] == ["burn"]


def test_a_burn_by_receipt_charges_the_cap_until_the_officer_raises_it(
    call: Any, make_site: Any, key_file: Path, head: Path, rounds: Any, tmp_path: Path
) -> None:
    home = make_site(2, head=head, lifetime_epsilon=12.0)
    backup, early = home.ledger.read_bytes(), head.read_bytes()
    code, update = answer(home, rounds().bytes_by())
    assert code == "OK"
    receipt = receipt_for(update, SigningKey.load(home.signing_key).public)
    home.ledger.write_bytes(backup)
    head.write_bytes(early)  # both volumes were rolled back: only the coordinator knows
    assert answer(home, rounds(2).bytes_by(receipt=receipt))[0] == "LEDGER"
    options = ("--key", key_file, "--home", home.root)
    assert call("officer", "burn", *options)[0] == 1
    stranger = tmp_path / "forged.json"
    stranger.write_bytes(receipt.replace(b"1", b"2"))
    code, out = call("officer", "burn", *options, "--receipt", stranger)
    assert code == 1 and "not a receipt" in out
    code, out = call("officer", "burn", *options, "--receipt", home.refused_receipt, "--json")
    assert code == 0 and json.loads(out)["evidence"] == "receipt" and json.loads(out)["epsilon"] >= 12.0
    for sealed in home.outbox.iterdir():
        sealed.unlink()
    request = rounds(2).bytes_by(receipt=receipt)
    assert answer(home, request)[0] == "BUDGET"  # the old receipt no longer blocks; the budget is gone
    change(home, "lifetime_epsilon = 12.0", "lifetime_epsilon = 90.0")
    assert call("officer", "amend", *options)[0] == 0
    assert answer(home, request)[0] == "OK"
    with pytest.raises(LedgerError, match="older copy"):
        home.ledger.write_bytes(backup)
        Ward(home)
