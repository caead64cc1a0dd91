"""Receipts against a ledger: cut-off ends, forks, and what a burn settles."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from intraward_shared import audit
from intraward_shared.audit_receipts import check_receipts
from intraward_shared.errors import LedgerError
from intraward_shared.ledger import Kind, Ledger, read_ledger
from intraward_shared.ledger_burn import whole_lifetime
from intraward_shared.ledger_entry import Burn
from intraward_shared.ledger_receipts import Lost, check_receipt, lost_by
from intraward_shared.protocol import RECEIPT_DOMAIN, sign_value
from intraward_shared.signing import SigningKey

TIME = "2030-01-01T00:00:00Z"
OFFICER = SigningKey.from_seed(b"o" * 32)
COORDINATOR = SigningKey.from_seed(b"c" * 32)
ROUNDS = 4


@pytest.fixture
def lived(make_ledger: Callable[..., Ledger], round_of: Any, receipt_of: Any, tmp_path: Path) -> Any:
    """Path of a ledger of four released rounds, its lines, and a receipt for each."""
    receipts = []
    with make_ledger(officer=OFFICER.public) as ledger:
        for number in range(1, ROUNDS + 1):
            reserved = ledger.reserve(plan := round_of(number))
            ledger.release(plan.digest, "f" * 64)
            receipts.append(receipt_of(reserved))
    path = tmp_path / "ledger.jsonl"
    return path, path.read_bytes().splitlines(keepends=True), receipts


def burn(lost: Lost) -> Burn:
    whole = whole_lifetime(8.0, 1e-5)
    return Burn(sequence=lost.sequence, entry=lost.entry, evidence="receipt", rounds=1, mechanism=whole)


def test_every_truncation_is_seen_by_the_last_receipt(lived: Any, site_key: SigningKey) -> None:
    path, lines, receipts = lived
    for kept in range(1, len(lines)):
        path.write_bytes(b"".join(lines[:kept]))
        with Ledger.open(path, site_key) as ledger:
            with pytest.raises(LedgerError, match="put back, or lines were cut off") as caught:
                ledger.check_receipt(receipts[-1])
            assert "officer burn" in caught.value.remedy
            whole = (kept - 1) // 2
            assert all(check_receipt(ledger.entries, receipt) for receipt in receipts[:whole])


def test_a_cut_off_release_is_named(lived: Any, site_key: SigningKey) -> None:
    path, lines, receipts = lived
    path.write_bytes(b"".join(lines[:-1]))
    entries = read_ledger(path)
    assert lost_by(entries, receipts[-1]) == Lost(len(lines) - 1, None)
    with pytest.raises(LedgerError, match="countersigned but is not RELEASEd"):
        check_receipt(entries, receipts[-1])
    with Ledger.open(path, site_key) as ledger:
        ledger.abort_dead_attempt(receipts[-1].plan)
        with pytest.raises(LedgerError, match="not RELEASEd"):
            ledger.check_receipt(receipts[-1])


@pytest.mark.parametrize("kept", range(1, 2 * ROUNDS + 1))
def test_after_a_burn_the_old_receipts_no_longer_block(
    lived: Any,
    site_key: SigningKey,
    round_of: Any,
    receipt_of: Any,
    kept: int,
    tmp_path: Path,
) -> None:
    path, lines, receipts = lived
    path.write_bytes(b"".join(lines[:kept]))
    with Ledger.open(path, site_key) as ledger:
        lost = lost_by(ledger.entries, receipts[-1])
        assert lost is not None
        ledger.burn(burn(lost), TIME, OFFICER)
        plan = round_of(9)
        reserved = ledger.reserve(plan)
        ledger.release(plan.digest, "f" * 64)
    entries = read_ledger(path)
    held = [check_receipt(entries, receipt) for receipt in (*receipts, receipt_of(reserved))]
    assert held == [2 * number < kept for number in range(1, ROUNDS + 1)] + [True]
    folder = tmp_path / "receipts"
    folder.mkdir()
    for number, receipt in enumerate(receipts):
        (folder / f"{number}.json").write_bytes(sign_value(receipt, RECEIPT_DOMAIN, COORDINATOR))
    count = check_receipts(entries, folder, COORDINATOR.public)
    assert (count.held, count.burned) == (sum(held) - 1, ROUNDS - sum(held) + 1)


def test_a_burn_settles_only_the_entry_that_it_names(
    lived: Any, site_key: SigningKey, receipt_of: Any
) -> None:
    path, lines, receipts = lived
    path.write_bytes(b"".join(lines[:2]))
    with Ledger.open(path, site_key) as ledger:
        third = receipts[2]
        ledger.burn(burn(Lost(third.ledger_sequence, third.ledger_entry)), TIME, OFFICER)
        assert not check_receipt(ledger.entries, third)
        other = third.model_copy(update={"ledger_entry": "9" * 64})
        for refused in (other, receipts[3]):
            with pytest.raises(LedgerError, match="countersigned"):
                ledger.check_receipt(refused)
        fourth = receipts[3]  # more was lost than the first burn knew: another one settles it
        ledger.burn(burn(Lost(fourth.ledger_sequence, fourth.ledger_entry)), TIME, OFFICER)
        assert not check_receipt(ledger.entries, fourth)


def test_receipts_of_no_entry_and_of_other_sites_are_refused(lived: Any) -> None:
    path, _, receipts = lived
    entries = read_ledger(path)
    for changes, message in (
        ({"ledger_sequence": -1}, "no ledger entry"),
        ({"site": "south"}, "another site"),
    ):
        with pytest.raises(LedgerError, match=message):
            check_receipt(entries, receipts[0].model_copy(update=changes))
    for changes in ({"plan": "1" * 64}, {"round": 3}, {"run_id": "other"}, {"ledger_entry": "2" * 64}):
        with pytest.raises(LedgerError, match="not the entry"):
            check_receipt(entries, receipts[0].model_copy(update=changes))


def test_verify_prints_what_was_burned(
    lived: Any,
    site_key: SigningKey,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    path, lines, receipts = lived
    path.write_bytes(b"".join(lines[:3]))
    with Ledger.open(path, site_key) as ledger:
        last = receipts[-1]
        ledger.burn(burn(Lost(last.ledger_sequence, last.ledger_entry)), TIME, OFFICER)
        assert ledger.entries[-1].kind is Kind.BURN
    folder = tmp_path / "receipts"
    folder.mkdir()
    (folder / "4.json").write_bytes(sign_value(last, RECEIPT_DOMAIN, COORDINATOR))

    def verify(*more: str) -> str:
        options = ("--receipts", str(folder), "--coordinator-key", COORDINATOR.public)
        monkeypatch.setattr(sys, "argv", ["intraward-audit", "verify", str(path), *options, *more])
        with pytest.raises(SystemExit) as stop:
            audit.main()
        assert not stop.value.code
        return capsys.readouterr().out

    text = " ".join(verify().split())
    assert "entries 3 to 7 are lost: burned by entry 8" in text and "1 receipts (1 of burned rounds)" in text
    (row,) = json.loads(verify("--json"))["ledgers"]
    assert row["burned"] == [
        {"sequence": 8, "lost_from": 3, "lost_to": 7, "evidence": "receipt", "rounds": 1}
    ]
