"""``intraward-audit verify`` of several ledgers: pins, duplicates, and missing or foreign receipts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from intraward_shared import audit
from intraward_shared.ledger_chain import read_ledger
from intraward_shared.ledger_entry import Kind
from intraward_shared.protocol import RECEIPT_DOMAIN, sign_value
from intraward_shared.signing import SigningKey

COORDINATOR = SigningKey.from_seed(b"c" * 32)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """``call(*arguments)``: exit code and standard output of ``intraward-audit verify``."""

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["intraward-audit", "verify", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            audit.main()
        return int(stop.value.code or 0), capsys.readouterr().out

    return run


@pytest.fixture
def receipts(tmp_path: Path, spent_file: Path, receipt_of: Any) -> tuple[object, ...]:
    """Options that name a coordinator's folder with a receipt of each released round."""
    entries = read_ledger(spent_file)
    released = {entry.plan for entry in entries if entry.kind is Kind.RELEASE}
    folder = tmp_path / "receipts" / "north"
    folder.mkdir(parents=True)
    for entry in entries:
        if entry.kind is Kind.RESERVE and entry.plan in released:
            data = sign_value(receipt_of(entry), RECEIPT_DOMAIN, COORDINATOR)
            (folder / f"{entry.round}.json").write_bytes(data)
    return "--receipts", tmp_path / "receipts", "--coordinator-key", COORDINATOR.public


def test_a_pin_for_a_site_that_was_not_given_fails(call: Any, spent_file: Path, site_key: SigningKey) -> None:
    code, out = call(spent_file, "--site-key", f"nrth={site_key.public}")
    assert code == 1 and "--site-key nrth: no ledger given is of that site (given: north)" in out
    pinned = ("--site-key", f"north={site_key.public}")
    code, out = call(spent_file, *pinned, "--site-key", f"south={site_key.public}", "--json")
    value = json.loads(out)
    assert code == 1 and not value["verified"] and value["ledgers"][0]["verified"] and "south" in str(value)
    assert call(spent_file, *pinned)[0] == 0
    assert call(spent_file, *pinned, "--site-key", "north=" + "a" * 64)[0] == 2


def test_one_sites_ledger_in_anothers_place_is_seen(call: Any, spent_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "south" / "ledger.jsonl"
    other.parent.mkdir()
    other.write_bytes(spent_file.read_bytes())
    code, out = call(spent_file, other)
    assert code == 1 and "north: its ledger was given more than once" in out
    assert out.count(str(other)) == out.count(str(spent_file)) == 2


def test_a_failure_names_file_and_site(call: Any, spent_file: Path, receipts: Any, tmp_path: Path) -> None:
    code, out = call(spent_file, "--site-key", "north=" + "a" * 64)
    assert code == 1 and f"{spent_file} (north): the ledger is not signed by the given key" in out
    short = tmp_path / "short.jsonl"
    short.write_bytes(b"".join(spent_file.read_bytes().splitlines(keepends=True)[:4]))
    code, out = call(short, *receipts)
    assert code == 1 and f"{short} (north): ledger ends before entry" in out
    assert "2.json" in out and "ask the site" in out and "burn --receipt" not in out


def test_a_release_without_a_receipt_is_named(call: Any, spent_file: Path, receipts: Any) -> None:
    code, out = call(spent_file, *receipts)
    assert code == 0 and "2 receipts" in out and "missing" not in out
    folder = receipts[1] / "north"
    (folder / "2.json").write_bytes((folder / "1.json").read_bytes())  # the same one twice
    code, out = call(spent_file, *receipts)
    assert code == 0 and "1 of 2 releases countersigned; missing: round 2" in out
    (row,) = json.loads(call(spent_file, *receipts, "--json")[1])["ledgers"]
    assert row["receipts"] == 1 and row["releases"] == 2 and row["releases_without_receipt"] == ["round 2"]


def test_a_receipt_of_another_site_in_this_sites_folder_fails(
    call: Any, spent_file: Path, receipts: Any, receipt_of: Any
) -> None:
    entry = next(e for e in read_ledger(spent_file) if e.kind is Kind.RESERVE and e.round == 2)
    foreign = sign_value(receipt_of(entry, site="south"), RECEIPT_DOMAIN, COORDINATOR)
    south = receipts[1] / "south"
    south.mkdir()
    (south / "2.json").write_bytes(foreign)
    code, out = call(spent_file, *receipts)
    assert code == 0 and "receipts of south, whose ledger was not given" in out
    (receipts[1] / "north" / "2.json").write_bytes(foreign)
    code, out = call(spent_file, *receipts)
    assert code == 1 and "a receipt of south in the folder of north" in out
