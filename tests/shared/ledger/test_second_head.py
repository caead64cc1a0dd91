"""The head on a second path: what it refuses, what it mends, and how it moves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from intraward_shared.errors import LedgerError
from intraward_shared.ledger import Kind, Ledger, read_ledger
from intraward_shared.ledger_head import HEAD_DOMAIN, HeadState, LedgerHead, SecondHead, read_head
from intraward_shared.protocol import sign_value
from intraward_shared.signing import SigningKey

TIME = "2030-01-01T00:00:00Z"
OFFICER = SigningKey.from_seed(b"o" * 32)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """Stands for another volume."""
    (tmp_path / "volume").mkdir()
    return tmp_path / "volume" / "north.head"


@pytest.fixture
def held(make_ledger: Callable[..., Ledger], volume: Path) -> Callable[..., Ledger]:
    """``held()``: a fresh ledger with an officer and a second path."""
    return lambda **terms: make_ledger(officer=OFFICER.public, second_path=volume, **terms)


def test_the_head_follows_every_append(held: Any, volume: Path, site_key: SigningKey, round_of: Any) -> None:
    with held() as ledger:
        for number in (1, 2):
            ledger.reserve(round_of(number))
            ledger.release(round_of(number).digest, "f" * 64)
            head = read_head(volume, site_key.public)
            assert head is not None and (head.sequence, head.entry) == ledger.head
    assert volume.stat().st_mode & 0o777 == 0o600
    Ledger.open(volume.parent.parent / "ledger.jsonl", site_key).close()


def test_every_shorter_ledger_is_refused_and_the_whole_one_opens(
    held: Any, volume: Path, site_key: SigningKey, round_of: Any, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    with held() as ledger:
        for number in (1, 2):
            ledger.reserve(round_of(number))
            ledger.release(round_of(number).digest, "f" * 64)
    lines = path.read_bytes().splitlines(keepends=True)
    head = volume.read_bytes()
    for kept in range(1, len(lines)):
        path.write_bytes(b"".join(lines[:kept]))
        with pytest.raises(LedgerError, match="older copy was put back") as caught:
            Ledger.open(path, site_key)
        assert "officer burn" in caught.value.remedy
    assert volume.read_bytes() == head
    path.write_bytes(b"".join(lines))
    Ledger.open(path, site_key).close()


def test_a_ledger_that_went_on_from_a_backup_is_refused(
    held: Any, volume: Path, site_key: SigningKey, round_of: Any, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    with held() as ledger:
        backup, early = path.read_bytes(), volume.read_bytes()
        ledger.reserve(round_of(1))
    newest = volume.read_bytes()
    path.write_bytes(backup)
    volume.write_bytes(early)
    with Ledger.open(path, site_key) as ledger:
        ledger.reserve(round_of(1, nonce="1" * 32))
        ledger.reserve(round_of(2))
    volume.write_bytes(newest)
    with pytest.raises(LedgerError, match="older copy was put back"):
        Ledger.open(path, site_key)


def test_a_head_left_behind_by_a_crash_is_mended_forward(
    held: Any, volume: Path, site_key: SigningKey, round_of: Any, tmp_path: Path
) -> None:
    with held() as ledger:
        behind = [volume.read_bytes()]
        for number in (1, 2, 3):
            ledger.reserve(round_of(number))
            behind.append(volume.read_bytes())
    for old in behind:
        volume.write_bytes(old)
        Ledger.open(tmp_path / "ledger.jsonl", site_key).close()
        assert volume.read_bytes() == behind[-1]


def test_a_missing_foreign_or_changed_head_is_refused_with_the_way_out(
    held: Any, volume: Path, site_key: SigningKey, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    held().close()
    good = volume.read_bytes()
    entry = read_ledger(path)[0]
    other = LedgerHead(site="south", sequence=0, entry=entry.hash)
    own = LedgerHead(site="north", sequence=0, entry=entry.hash)
    for bad, message in (
        (None, "no such file"),
        (b"", "not a second head"),
        (good.replace(b"sequence", b"sequense"), "not a second head"),
        (sign_value(own, HEAD_DOMAIN, OFFICER), "not a second head"),
        (sign_value(own, "intraward/receipt/v1", site_key), "not a second head"),
        (sign_value(other, HEAD_DOMAIN, site_key), "another site's"),
    ):
        volume.unlink(missing_ok=True)
        if bad is not None:
            volume.write_bytes(bad)
        with pytest.raises(LedgerError, match=message) as caught:
            Ledger.open(path, site_key)
        assert caught.value.remedy
    volume.write_bytes(good)
    Ledger.open(path, site_key).close()


def test_every_flipped_bit_of_the_head_is_refused(
    held: Any, volume: Path, site_key: SigningKey, tmp_path: Path
) -> None:
    held().close()
    good = volume.read_bytes()
    for position in range(0, 8 * len(good), 7):
        flipped = bytearray(good)
        flipped[position // 8] ^= 1 << position % 8
        volume.write_bytes(flipped)
        if flipped.lower() == good:  # hexadecimal digits may be capitals: the very same signature
            continue
        with pytest.raises(LedgerError):
            Ledger.open(tmp_path / "ledger.jsonl", site_key)


def test_a_head_that_cannot_be_written_stops_the_ledger_and_keeps_the_charge(
    held: Any,
    volume: Path,
    site_key: SigningKey,
    round_of: Any,
    mechanism_of: Any,
    sealed_of: Any,
    tmp_path: Path,
) -> None:
    away = tmp_path / "away"
    plan = round_of(1, mechanism_of())
    with held() as ledger:
        volume.parent.rename(away)
        with pytest.raises(LedgerError, match="second head cannot be written"):
            ledger.reserve(plan)
        with pytest.raises(LedgerError, match="second head cannot be written"):
            ledger.reserve(round_of(2))
        with pytest.raises(LedgerError, match="second head cannot be written"):
            ledger.abort(plan.digest)
        sealed = sealed_of(plan, ledger.entries[-1])
        with pytest.raises(LedgerError, match="second head cannot be written"):
            ledger.ensure_released(plan.digest, sealed)
    with pytest.raises(LedgerError, match="no such file"):
        Ledger.open(tmp_path / "ledger.jsonl", site_key)
    assert not volume.parent.exists()
    away.rename(volume.parent)
    with Ledger.open(tmp_path / "ledger.jsonl", site_key) as ledger:
        assert ledger.charges() == (mechanism_of(),)
        ledger.abort_dead_attempt(plan.digest)
        assert ledger.entries[-1].kind is Kind.ABORT


def test_a_new_ledger_takes_no_file_that_is_there_and_leaves_none_behind(
    make_ledger: Any, volume: Path, tmp_path: Path
) -> None:
    volume.write_bytes(b"someone's")
    with pytest.raises(LedgerError, match="there already"):
        make_ledger(officer=OFFICER.public, second_path=volume)
    assert volume.read_bytes() == b"someone's" and not (tmp_path / "ledger.jsonl").exists()
    volume.unlink()
    (tmp_path / "ledger.jsonl").touch()
    with pytest.raises(LedgerError, match="there already"):
        make_ledger(officer=OFFICER.public, second_path=volume)
    assert not volume.exists()


def test_the_second_path_moves_only_with_the_officer_and_never_over_a_newer_head(
    held: Any, volume: Path, site_key: SigningKey, round_of: Any, tmp_path: Path
) -> None:
    path, other = tmp_path / "ledger.jsonl", volume.with_name("other.head")
    with held() as ledger:
        for second in (other, None):
            with pytest.raises(LedgerError, match="rule 8: the privacy officer did not sign"):
                ledger.amend_policy("d" * 64, 8.0, TIME, second_path=second)
        ledger.amend_policy("d" * 64, 8.0, TIME, second_path=other, officer=OFFICER)
        backup = path.read_bytes()
        ledger.reserve(round_of(1))
        assert SecondHead(other, site_key).state(ledger.entries) is HeadState.CURRENT
        assert SecondHead(volume, site_key).state(ledger.entries) is HeadState.BEHIND
    path.write_bytes(backup)
    with Ledger.open(path, site_key, for_officer=True) as ledger:
        for second in (volume, None, other):
            with pytest.raises(LedgerError, match="older copy was put back"):
                ledger.amend_policy("d" * 64, 8.0, TIME, second_path=second, officer=OFFICER)


def test_a_lost_head_is_made_anew_by_the_officer_alone(
    held: Any, volume: Path, site_key: SigningKey, round_of: Any, tmp_path: Path
) -> None:
    path = tmp_path / "ledger.jsonl"
    held().close()
    volume.unlink()
    with Ledger.open(path, site_key, for_officer=True) as ledger:
        with pytest.raises(LedgerError, match="no such file"):
            ledger.reserve(round_of(1))
        with pytest.raises(LedgerError, match="no such file"):
            ledger.amend_policy("d" * 64, 7.0, TIME, second_path=volume)
    volume.unlink(missing_ok=True)
    with Ledger.open(path, site_key, for_officer=True) as ledger:
        ledger.amend_policy("c" * 64, 8.0, TIME, second_path=volume, officer=OFFICER)
        ledger.reserve(round_of(1))
    Ledger.open(path, site_key).close()


def test_a_path_may_hold_anything_that_a_file_name_may(
    make_ledger: Any, site_key: SigningKey, tmp_path: Path
) -> None:
    """The line's signature is found although the path reads like one."""
    odd = tmp_path / ',"signature":"é\\'
    with make_ledger(officer=OFFICER.public, second_path=odd) as ledger:
        ledger.amend_policy("d" * 64, 7.0, TIME, second_path=odd)
    assert len(read_ledger(tmp_path / "ledger.jsonl", site_key.public)) == 2


def test_bytes_do_not_leave_while_the_head_lacks_their_release(
    held: Any, volume: Path, site_key: SigningKey, round_of: Any, sealed_of: Any, tmp_path: Path
) -> None:
    away, plan = tmp_path / "away", round_of(1)
    with held() as ledger:
        sealed = sealed_of(plan, ledger.reserve(plan))
        volume.parent.rename(away)
        for _ in range(2):  # the second time the ledger holds the RELEASE, but the head still does not
            with pytest.raises(LedgerError, match="second head cannot be written"):
                ledger.ensure_released(plan.digest, sealed)
        away.rename(volume.parent)
    with Ledger.open(tmp_path / "ledger.jsonl", site_key) as ledger:
        assert ledger.ensure_released(plan.digest, sealed).kind is Kind.RELEASE
        assert len(ledger.entries) == 3
