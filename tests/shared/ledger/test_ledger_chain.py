"""Tampering: flipped bits, dropped, moved and forged entries, rolled-back copies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intraward_shared.errors import IntrawardError, LedgerError
from intraward_shared.ledger import Ledger, check_receipt, policy_entry, read_ledger, verify_chain
from intraward_shared.ledger_chain import parse_lines
from intraward_shared.ledger_entry import LEDGER_DOMAIN, Kind, LedgerEntry
from intraward_shared.protocol import to_bytes
from intraward_shared.signing import SigningKey
from intraward_shared.stages import Stage

SLOW = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def resign(entry: LedgerEntry, key: SigningKey, **changes: Any) -> LedgerEntry:
    """The entry changed by someone who holds the site's key."""
    draft = entry.model_copy(update=changes)
    return draft.model_copy(update={"signature": key.sign(LEDGER_DOMAIN, draft.signed_bytes)})


def forged(entries: tuple[LedgerEntry, ...], at: int, key: SigningKey, **changes: Any) -> list[LedgerEntry]:
    """The ledger with one entry changed, everything after it chained and signed anew."""
    out = list(entries[:at])
    for entry in (resign(entries[at], key, **changes), *entries[at + 1 :]):
        previous = out[-1].hash if out else entry.previous
        out.append(resign(entry, key, previous=previous, sequence=len(out)))
    return out


def test_a_whole_ledger_verifies_with_and_without_the_key(spent_file: Path, site_key: SigningKey) -> None:
    entries = read_ledger(spent_file, site_key.public)
    assert entries == read_ledger(spent_file)
    kinds = " ".join(entry.kind.value[:3] for entry in entries)
    assert kinds == "POL RES RES REL RES REL RES RES ABO"
    assert parse_lines(b"".join(to_bytes(entry) + b"\n" for entry in entries)) == entries


def test_every_flipped_bit_is_refused_by_reader_and_writer(
    spent_file: Path, tmp_path: Path, site_key: SigningKey
) -> None:
    """200 bits anywhere, 200 in the last line, where no later hash helps, and all of the last byte."""
    whole = spent_file.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    draw = np.random.Generator(np.random.Philox(1))
    bits = [*draw.choice(8 * len(whole), 200), *draw.choice(range(8 * last, 8 * len(whole)), 200)]
    for bit in (*bits, *range(8 * len(whole) - 8, 8 * len(whole))):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << int(bit % 8)
        copy = tmp_path / "flipped.jsonl"
        copy.write_bytes(flipped)
        with pytest.raises(LedgerError):
            read_ledger(copy)
        with pytest.raises(LedgerError):
            Ledger.open(copy, site_key)
        assert copy.read_bytes() == bytes(flipped)


def test_a_changed_last_entry_is_found_by_its_signature(spent_file: Path, site_key: SigningKey) -> None:
    entries = read_ledger(spent_file)
    for changes in ({"signature": "0" * 128}, {"process_died": True}):
        with pytest.raises(LedgerError, match="entry 8: signature does not verify"):
            verify_chain([*entries[:-1], entries[-1].model_copy(update=changes)])


@SLOW
@given(data=st.data())
def test_dropped_repeated_and_swapped_lines_are_refused(
    spent_file: Path, tmp_path: Path, site_key: SigningKey, data: st.DataObject
) -> None:
    lines = spent_file.read_bytes().splitlines(keepends=True)
    act = data.draw(st.sampled_from(("drop", "repeat", "swap")))
    at = data.draw(st.integers(0, len(lines) - 2))
    if act == "drop":
        del lines[at]
    elif act == "repeat":
        lines.insert(at, lines[at])
    else:
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
    copy = tmp_path / "edited.jsonl"
    copy.write_bytes(b"".join(lines))
    with pytest.raises(LedgerError, match=r"entry|empty"):
        read_ledger(copy)
    with pytest.raises(LedgerError):
        Ledger.open(copy, site_key)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_arbitrary_bytes_give_a_ledger_error_or_entries(data: bytes) -> None:
    try:
        parse_lines(data)
    except LedgerError as error:
        assert error.remedy


@pytest.mark.parametrize(
    ("at", "changes", "message"),
    [
        (1, {"delta": 1e-3}, "delta differs"),
        (3, {"site": "south"}, "site differs"),
        (3, {"simulated": True}, "simulated differs"),
        (1, {"charges": ()}, "not the schedule's slots"),
        (1, {"run_id": None}, "names run, schedule"),
        (1, {"round": 1}, "names run, schedule"),
        (2, {"slot": 2}, "another|drawn"),
        (2, {"slot": 7}, "no such slot"),
        (2, {"slot": None}, "no such slot"),
        (2, {"schedule": "9" * 64}, "not reserved in this run"),
        (2, {"mechanism": None}, "not the slot's"),
        (2, {"attempt": 2}, "not number 1"),
        (2, {"output": "1" * 64}, "names run, round"),
        (3, {"attempt": 2}, "does not match"),
        (3, {"output": None}, "names its output"),
        (3, {"kind": Kind.ABORT}, "names its output"),
        (3, {"time": "2031-01-01T00:00:00Z"}, "does not match"),
        (3, {"plan": "7" * 64}, "no open RESERVE"),
        (4, {"plan": "7" * 64}, "no open RESERVE"),
        (7, {"slot": 1}, "not exactly the mechanism"),
        (8, {"process_died": None}, "whether the process died"),
        (8, {"kind": Kind.POLICY}, "terms and nothing else"),
    ],
)
def test_a_ledger_forged_with_the_sites_own_key_must_still_keep_the_rules(
    spent_file: Path, site_key: SigningKey, at: int, changes: dict[str, Any], message: str
) -> None:
    entries = read_ledger(spent_file)
    verify_chain(forged(entries, at, site_key))
    with pytest.raises(LedgerError, match=message):
        verify_chain(forged(entries, at, site_key, **changes))


def test_a_charge_cannot_be_taken_out_of_a_single_plans_reserve(
    make_ledger: Any, mechanism_of: Any, round_of: Any, site_key: SigningKey, tmp_path: Path
) -> None:
    with make_ledger() as ledger:
        ledger.reserve(round_of(1, mechanism_of()))
        entries = ledger.entries
    with pytest.raises(LedgerError, match="not exactly the mechanism"):
        verify_chain(forged(entries, 1, site_key, charges=()))
    other = (entries[1].charges[0].model_copy(update={"stage": Stage.SFT}),)
    with pytest.raises(LedgerError, match="another stage"):
        verify_chain(forged(entries, 1, site_key, charges=other))


def test_policy_entries_are_first_alone_and_by_one_key(
    make_ledger: Any, site_key: SigningKey, round_of: Any
) -> None:
    with make_ledger() as ledger:
        ledger.amend_policy("d" * 64, 7.0, "2030-01-01T00:00:00Z")
        ledger.reserve(round_of(1))
        entries = ledger.entries
    terms = entries[1].terms
    assert terms is not None
    other = terms.model_copy(update={"public": SigningKey.generate().public})
    with pytest.raises(LedgerError, match="key id is not"):
        verify_chain(forged(entries, 1, site_key, terms=other))
    with pytest.raises(LedgerError, match="only POLICY"):
        verify_chain(forged(entries, 2, site_key, terms=terms))
    with pytest.raises(LedgerError, match="first entry is not POLICY"):
        verify_chain([resign(entries[2], site_key, sequence=0, previous="0" * 64)])
    with pytest.raises(LedgerError, match="no POLICY"):
        policy_entry(entries[2:])
    with pytest.raises(LedgerError, match="empty"):
        verify_chain(())


def test_a_ledger_made_anew_with_another_key_fails_against_the_pinned_one(
    tmp_path: Path, make_ledger: Any, site_key: SigningKey
) -> None:
    stranger = SigningKey.generate()
    fields = {"site": "north", "policy": "c" * 64, "lifetime_epsilon": 8.0, "delta": 1e-5}
    path = tmp_path / "anew.jsonl"
    Ledger.create(path, stranger, **fields, simulated=False, time="2030-01-01T00:00:00Z").close()  # type: ignore[arg-type]
    read_ledger(path)
    with pytest.raises(LedgerError):
        read_ledger(path, site_key.public)


def test_a_restored_backup_is_refused_against_a_receipt(
    tmp_path: Path, make_ledger: Any, site_key: SigningKey, round_of: Any, receipt_of: Any
) -> None:
    path = tmp_path / "ledger.jsonl"
    with make_ledger() as ledger:
        backup = path.read_bytes()
        plan = round_of(1)
        reserved = ledger.reserve(plan)
        ledger.release(plan.digest, "f" * 64)
        receipt = receipt_of(reserved)
        ledger.check_receipt(receipt)
    path.write_bytes(backup)
    with Ledger.open(path, site_key) as ledger:
        with pytest.raises(LedgerError, match="older copy was put back"):
            ledger.check_receipt(receipt)
        ledger.reserve(round_of(1, nonce="2" * 32))
        with pytest.raises(LedgerError, match="not the entry that was countersigned"):
            ledger.check_receipt(receipt)


def test_receipts_of_others_do_not_count(spent_file: Path, receipt_of: Any) -> None:
    entries = read_ledger(spent_file)
    check_receipt(entries, receipt_of(entries[2]))
    for changes in ({"site": "south"}, {"plan": "1" * 64}, {"round": 3}, {"ledger_sequence": -1}):
        with pytest.raises(LedgerError):
            check_receipt(entries, receipt_of(entries[2], **changes))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(IntrawardError, match=r"none\.jsonl"):
        read_ledger(tmp_path / "none.jsonl")
