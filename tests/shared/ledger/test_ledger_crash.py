"""A crash or a full disk at each byte and at each step of an append: whole entry kept, torn line cut."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from intraward_shared.errors import LedgerError
from intraward_shared.ledger import Kind, Ledger, read_ledger
from intraward_shared.ledger_head import read_head
from intraward_shared.signing import SigningKey

TIME = "2030-01-01T00:00:00Z"
OFFICER = SigningKey.from_seed(b"o" * 32)


class Died(BaseException):
    """The process is killed at this point."""


@contextmanager
def failing(patch: pytest.MonkeyPatch, call: str, number: int, error: BaseException) -> Iterator[list[int]]:
    """The ``number``-th call of ``os.write``, ``os.fsync`` or a rename fails; the list counts calls."""
    owner: Any = Path if call == "replace" else os
    real, calls = getattr(owner, call), [0]

    def counted(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] == number:
            raise error
        return real(*arguments)

    with patch.context() as inner:
        inner.setattr(owner, call, counted)
        yield calls


@pytest.fixture
def site(make_ledger: Callable[..., Ledger], tmp_path: Path) -> tuple[Path, Path]:
    """A closed ledger of one entry and its second head."""
    (tmp_path / "volume").mkdir()
    head = tmp_path / "volume" / "north.head"
    make_ledger(officer=OFFICER.public, second_path=head).close()
    return tmp_path / "ledger.jsonl", head


def test_every_prefix_of_an_appended_line_reopens_right(
    site: tuple[Path, Path], site_key: SigningKey, round_of: Any
) -> None:
    """The second head was not yet written, as it is not while the line is."""
    path, head = site
    plan, before, old_head = round_of(1), path.read_bytes(), head.read_bytes()
    with Ledger.open(path, site_key) as ledger:
        ledger.reserve(plan)
    after, new_head = path.read_bytes(), head.read_bytes()
    for cut in range(len(before), len(after) + 1):
        path.write_bytes(after[:cut])
        head.write_bytes(old_head)
        with Ledger.open(path, site_key) as ledger:
            kept = ledger.state_of(plan.digest) is Kind.RESERVE
        assert kept == (cut >= len(after) - 1)
        assert path.read_bytes() == (after if kept else before)
        assert head.read_bytes() == (new_head if kept else old_head)


def test_a_torn_line_after_a_released_one_loses_no_release(
    site: tuple[Path, Path], site_key: SigningKey, round_of: Any
) -> None:
    path, _ = site
    with Ledger.open(path, site_key) as ledger:
        ledger.reserve(round_of(1))
        ledger.release(round_of(1).digest, "f" * 64)
        whole = path.read_bytes()
        ledger.amend_policy("d" * 64, 8.0, TIME, second_path=site[1])
    longer = path.read_bytes()
    for cut in range(len(whole) + 1, len(longer) - 1, 97):
        path.write_bytes(longer[:cut])
        with pytest.raises(LedgerError, match="older copy"):  # the second head knows the whole entry
            Ledger.open(path, site_key)
        with Ledger.open(path, site_key, for_officer=True) as ledger:
            assert ledger.state_of(round_of(1).digest) is Kind.RELEASE


@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
@pytest.mark.parametrize("full", [True, False], ids=["full disk", "killed"])
def test_each_step_of_an_append_may_be_the_last(
    site: tuple[Path, Path],
    site_key: SigningKey,
    round_of: Any,
    mechanism_of: Any,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    full: bool,
) -> None:
    path, head = site
    start, start_head = path.read_bytes(), head.read_bytes()
    plan, number, failures = round_of(1, mechanism_of()), 0, 0
    while True:
        number += 1
        path.write_bytes(start)
        head.write_bytes(start_head)
        ledger = Ledger.open(path, site_key)
        error = OSError(errno.ENOSPC, "full") if full else Died()
        acknowledged = False
        try:
            with failing(monkeypatch, call, number, error) as calls:
                ledger.reserve(plan)
                acknowledged = True
                ledger.release(plan.digest, "f" * 64)
        except (LedgerError, Died) as caught:
            failures += 1
            assert full == isinstance(caught, LedgerError)
            if full:
                with pytest.raises(LedgerError):
                    ledger.reserve(round_of(2))
        finally:
            ledger.close()
        with Ledger.open(path, site_key) as again:
            if acknowledged:
                assert again.charges() == (mechanism_of(),)
            state = again.state_of(plan.digest)
            if state is Kind.RESERVE:
                again.abort_dead_attempt(plan.digest)
            again.reserve(round_of(2))
        entries, told = read_ledger(path, site_key.public), read_head(head, site_key.public)
        assert told is not None and (told.sequence, told.entry) == (entries[-1].sequence, entries[-1].hash)
        if calls[0] < number:
            break
    assert failures == number - 1 >= 2


def test_a_write_that_is_torn_by_a_full_disk_is_cut_and_the_ledger_goes_on(
    site: tuple[Path, Path], site_key: SigningKey, round_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = site
    real, left = os.write, [100]

    def nearly_full(handle: int, data: bytes) -> int:
        if not left[0]:
            raise OSError(errno.ENOSPC, "full")
        written = real(handle, bytes(data)[: left[0]])
        left[0] -= written
        return written

    before = path.read_bytes()
    with Ledger.open(path, site_key) as ledger, monkeypatch.context() as patch:
        patch.setattr(os, "write", nearly_full)
        with pytest.raises(LedgerError, match="cannot be written"):
            ledger.reserve(round_of(1))
    assert len(path.read_bytes()) == len(before) + 100
    with Ledger.open(path, site_key) as ledger:
        assert len(ledger.entries) == 1
        ledger.reserve(round_of(1))
