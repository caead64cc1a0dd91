"""The ledger as the ward opens it: rolled back, of another site, held by two, a full disk, a wrong clock."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from intraward_client.home import SiteHome
from intraward_client.slot import SlotClock
from intraward_client.store.vault import Vault
from intraward_client.ward import Ward
from intraward_shared.errors import ConfigError, LedgerError
from intraward_shared.ledger import Kind, charged, read_ledger
from intraward_shared.ledger_head import read_head
from intraward_shared.protocol import RECEIPT_DOMAIN, Receipt, open_update, sign_value, unpack_parts
from intraward_shared.signing import SigningKey, digest

COORDINATOR = SigningKey.from_seed(b"\x0c" * 32)
CODES = {"OK", "ABORTED", "LEDGER", "PLAN_REFUSED"}


def ward_of(home: SiteHome, year: int = 2030) -> Ward:
    now = datetime(year, 1, 1, tzinfo=UTC)
    return Ward(home, slots=SlotClock(virtual=False, now=lambda: now))


def ask(home: SiteHome, request: bytes, year: int = 2030) -> tuple[str, bytes]:
    """What a fresh process answers."""
    with closing(ward_of(home, year)) as ward:
        reply = unpack_parts(ward.execute(request))
    return reply["code"].decode(), reply["update"]


def receipt_for(update: bytes, public: str) -> bytes:
    header, _ = open_update(update, public)
    fields = header.model_dump(include={"site", "run_id", "round", "plan", "ledger_sequence", "ledger_entry"})
    return sign_value(Receipt(update=digest(update), **fields), RECEIPT_DOMAIN, COORDINATOR)


@pytest.fixture
def head(tmp_path: Path) -> Path:
    """A second path; its folder stands for another volume."""
    (tmp_path / "volume").mkdir()
    return tmp_path / "volume" / "north.head"


@pytest.fixture
def sealed_vault(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and from then on opening a vault fails the test."""
    return lambda: monkeypatch.setattr(Vault, "open", lambda *_: pytest.fail("the vault was opened"))


def test_a_restored_backup_is_refused_by_the_second_head(
    make_site: Any, rounds: Any, head: Path, sealed_vault: Any
) -> None:
    home = make_site(2, head=head)
    backup = home.ledger.read_bytes()
    assert ask(home, rounds().bytes_by())[0] == "OK"
    home.ledger.write_bytes(backup)
    sealed_vault()
    with pytest.raises(LedgerError, match="older copy was put back"):
        ward_of(home)
    assert home.ledger.read_bytes() == backup


def test_a_restored_backup_is_refused_by_the_receipt_on_file(
    make_site: Any, rounds: Any, sealed_vault: Any
) -> None:
    home = make_site(2)
    backup = home.ledger.read_bytes()
    _, update = ask(home, rounds().bytes_by())
    receipt = receipt_for(update, SigningKey.load(home.signing_key).public)
    assert ask(home, rounds(2).bytes_by(receipt=receipt))[0] == "OK"
    assert home.receipt.read_bytes() == receipt
    sealed_vault()
    lines = home.ledger.read_bytes().splitlines(keepends=True)
    for older in (backup, b"".join(lines[:2]), b"".join(lines[:3])):  # the third lacks only its RELEASE
        home.ledger.write_bytes(older)
        with pytest.raises(LedgerError, match="put back, or lines were cut off"):
            ward_of(home)
    home.ledger.write_bytes(b"".join(lines))
    ward_of(home).close()


def test_a_receipt_that_comes_with_a_request_refuses_it_and_is_kept(
    make_site: Any, rounds: Any, sealed_vault: Any
) -> None:
    home = make_site(2)
    backup = home.ledger.read_bytes()
    _, update = ask(home, rounds().bytes_by())
    receipt = receipt_for(update, SigningKey.load(home.signing_key).public)
    home.ledger.write_bytes(backup)
    sealed_vault()
    assert ask(home, rounds(2).bytes_by(receipt=receipt)) == ("LEDGER", b"")
    assert home.refused_receipt.read_bytes() == receipt and not home.receipt.exists()
    assert home.ledger.read_bytes() == backup


def test_an_older_receipt_does_not_replace_the_newest(make_site: Any, rounds: Any) -> None:
    home = make_site(2)
    public = SigningKey.load(home.signing_key).public
    first = receipt_for(ask(home, rounds().bytes_by())[1], public)
    second = receipt_for(ask(home, rounds(2).bytes_by())[1], public)
    for receipt in (second, first):
        assert ask(home, rounds(2).bytes_by(receipt=receipt))[0] == "OK"
        assert home.receipt.read_bytes() == second


def test_a_receipt_on_file_that_nobody_signed_is_refused(make_site: Any) -> None:
    home = make_site(0)
    home.receipt.write_bytes(b"{}")
    with pytest.raises(LedgerError, match="not a receipt of the coordinator"):
        ward_of(home)


def test_the_ledger_of_another_site_is_refused(make_site: Any, rounds: Any, tmp_path: Path) -> None:
    home, other = make_site(0), make_site(0, name="other")
    theirs = SigningKey.generate()
    home.signing_key.unlink()
    theirs.save(home.signing_key)
    with pytest.raises(LedgerError):
        ward_of(home)
    other.policy.write_text(other.policy.read_text().replace('site = "north"', 'site = "south"'))
    with pytest.raises(ConfigError, match="another site's"):
        ward_of(other)


def test_two_wards_of_one_site_are_refused_in_one_process_and_in_two(make_site: Any) -> None:
    home = make_site(0)
    with closing(ward_of(home)):
        with pytest.raises(LedgerError, match="another process writes"):
            ward_of(home)
        code = (
            "import sys, pathlib; from intraward_client.home import SiteHome\n"
            "from intraward_client.site_ledger import open_ledger\n"
            "from intraward_client.config import load_policy\n"
            "from intraward_shared.signing import SigningKey\n"
            "from intraward_shared.errors import LedgerError\n"
            "home = SiteHome(pathlib.Path(sys.argv[1]))\n"
            "try: open_ledger(home, load_policy(home.policy), SigningKey.load(home.signing_key))\n"
            "except LedgerError: sys.exit(7)"
        )
        environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", code, str(home.root)], env=environment, check=False)
        assert done.returncode == 7


@pytest.mark.parametrize("year", [1970, 2040])
def test_a_wrong_clock_refuses_before_anything_is_read(
    make_site: Any, rounds: Any, sealed_vault: Any, year: int
) -> None:
    home = make_site(2)
    before = home.ledger.read_bytes()
    sealed_vault()
    assert ask(home, rounds().bytes_by(), year) == ("PLAN_REFUSED", b"")
    assert home.ledger.read_bytes() == before


@contextmanager
def full_at(patch: pytest.MonkeyPatch, number: int) -> Iterator[list[str]]:
    """From the ``number``-th flush to disk on the disk is full; names what was flushed."""
    real, names = os.fsync, []

    def fsync(handle: int) -> None:
        names.append(Path(f"/proc/self/fd/{handle}").readlink().name)
        if len(names) >= number:
            raise OSError(errno.ENOSPC, "full")
        real(handle)

    with patch.context() as inner:
        inner.setattr(os, "fsync", fsync)
        yield names


def test_a_full_disk_at_each_write_refuses_or_aborts_and_keeps_the_charge(
    make_site: Any, rounds: Any, head: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ledger, second head, sealed bytes and receipt, each in turn; afterwards the site goes on."""
    home = make_site(2, head=head)
    _, update = ask(home, rounds().bytes_by())
    receipt = receipt_for(update, SigningKey.load(home.signing_key).public)
    request = rounds(2).bytes_by(receipt=receipt)
    shutil.copytree(home.root, tmp_path / "start")
    start_head, number, flushed, said = head.read_bytes(), 0, set(), set()
    while True:
        number += 1
        shutil.rmtree(home.root)
        shutil.copytree(tmp_path / "start", home.root)
        head.write_bytes(start_head)
        with closing(ward_of(home)) as ward, full_at(monkeypatch, number) as names:
            reply = unpack_parts(ward.execute(request))
        code = reply["code"].decode()
        flushed |= {name.removesuffix(".part") for name in names[number - 1 :]}
        said.add(code)
        assert code in CODES and (code == "OK") == (reply["update"] != b"")
        if code == "OK":
            assert len(names) < number
            break
        again, sent = ask(home, request)
        entries = read_ledger(home.ledger)
        assert again == ("LEDGER" if entries[-1].kind is Kind.ABORT else "OK"), number
        released = [entry for entry in entries if entry.kind is Kind.RELEASE]
        assert len(charged(entries)) >= len(released) and len(charged(entries)) >= 2
        if again == "OK":
            header, _ = open_update(sent, SigningKey.load(home.signing_key).public)
            assert header.tensors == released[-1].output
        told = read_head(head, SigningKey.load(home.signing_key).public)
        assert told is not None and (told.sequence, told.entry) == (entries[-1].sequence, entries[-1].hash)
    assert {"ledger.jsonl", "receipt.json", "north.head"} <= flushed
    assert any(name.endswith(".sealed") for name in flushed) and {"ABORTED", "LEDGER"} <= said
