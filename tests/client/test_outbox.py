"""The outbox tells what left, by the ledger: when, to whom, how large, at what cost; it changes nothing."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import intraward_client.ward as ward_module
from intraward_client.home import SiteHome
from intraward_client.outbox import as_lines, listing
from intraward_client.slot import SlotClock
from intraward_client.ward import Ward
from intraward_shared.errors import ContractError
from intraward_shared.ledger import Kind, Ledger, read_ledger
from intraward_shared.privacy import events_to_epsilon
from intraward_shared.protocol import PLAN_DOMAIN, sign_value, unpack_parts
from intraward_shared.signing import SigningKey, digest, key_id

NOW = datetime(2030, 1, 1, tzinfo=UTC)
COORDINATOR = SigningKey.from_seed(b"\x0c" * 32)


class Died(BaseException):
    """The process is killed at this point."""


def ask(home: SiteHome, request: bytes) -> bytes:
    with closing(Ward(home, slots=SlotClock(virtual=False, now=lambda: NOW))) as ward:
        return bytes(unpack_parts(ward.execute(request))["update"])


def test_each_update_with_time_receiver_size_digest_and_cost(make_site: Any, rounds: Any) -> None:
    home = make_site()
    sent = [ask(home, rounds(number).bytes_by()) for number in (1, 2)]
    before = {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file()}
    rows = listing(home)
    assert {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file()} == before
    assert [(row["round"], row["stage"], row["released"]) for row in rows] == [
        (1, "reward", "2030-01-01T00:00:00Z"),
        (2, "reward", "2030-01-01T00:00:00Z"),
    ]
    assert [(row["bytes"], row["sha256"]) for row in rows] == [(len(b), digest(b)) for b in sent]
    assert {row["coordinator"] for row in rows} == {COORDINATOR.public}
    mechanism = rounds().plan.mechanism
    assert {row["epsilon"] for row in rows} == {events_to_epsilon([mechanism], 1e-5)}
    assert rows[0]["epsilon"] < rows[0]["epsilon_replace_one"]


def test_what_waits_for_its_slot_is_not_told_as_gone(make_site: Any, rounds: Any) -> None:
    home = make_site()
    ask(home, rounds().bytes_by())
    early, late = (" ".join(as_lines(listing(home), now)) for now in (NOW - timedelta(hours=1), NOW))
    assert "leaves at its slot 2030-01-01T00:00:00Z" in early and "released" not in early
    assert "released 2030-01-01T00:00:00Z" in late


def test_every_attempt_counts(make_site: Any, rounds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    home = make_site()

    def dies(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(ward_module, "train", dies)
        with pytest.raises(Died):
            ask(home, rounds().bytes_by())
    assert listing(home) == []
    ask(home, rounds().bytes_by())
    (row,) = listing(home)
    mechanism = rounds().plan.mechanism
    assert (row["attempts"], row["epsilon"]) == (2, events_to_epsilon([mechanism] * 2, 1e-5))


def test_sealed_and_not_released_is_told_apart(
    make_site: Any, rounds: Any, monkeypatch: pytest.MonkeyPatch, call: Any
) -> None:
    home = make_site()

    def dies(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "release", dies)
        with pytest.raises(Died):
            ask(home, rounds().bytes_by())
    (row,) = listing(home)
    assert row["released"] is None and row["bytes"]
    assert "it has not left" in call("outbox", "--home", home.root)[1]
    ask(home, rounds().bytes_by())
    assert [row["released"] for row in listing(home)] == ["2030-01-01T00:00:00Z"]


def test_a_file_or_plan_that_is_gone_is_told_and_a_foreign_one_refused(
    make_site: Any, rounds: Any, call: Any
) -> None:
    home = make_site()
    ask(home, rounds().bytes_by())
    (sealed,), (plan,) = home.outbox.iterdir(), home.plans.iterdir()
    kept, bytes_ = plan.read_bytes(), sealed.read_bytes()
    plan.write_bytes(sign_value(rounds(2).plan, PLAN_DOMAIN, COORDINATOR))
    with pytest.raises(ContractError, match="another plan"):
        listing(home)
    plan.write_bytes(kept.replace(b"reward", b"sft"))
    with pytest.raises(ContractError, match="does not verify"):
        listing(home)
    plan.unlink()
    sealed.unlink()
    (row,) = listing(home)
    assert (row["coordinator"], row["bytes"], row["sha256"]) == (None, None, None)
    assert row["tensors"] == next(e.output for e in read_ledger(home.ledger) if e.kind is Kind.RELEASE)
    code, told = call("outbox", "--home", home.root)
    assert code == 0 and "its file is gone" in told and "not recorded" in told
    (home.outbox / f"{'0' * 64}.sealed").write_bytes(bytes_)
    assert call("outbox", "--home", home.root)[0] == 1


def test_the_command_names_the_coordinator_by_key_id(make_site: Any, rounds: Any, call: Any) -> None:
    home = make_site()
    ask(home, rounds().bytes_by())
    code, told = call("outbox", "--home", home.root)
    assert code == 0 and f"to coordinator {key_id(COORDINATOR.public)}" in told and "alone" in told
    code, told = call("outbox", "--home", home.root, "--json")
    assert code == 0 and json.loads(told)["updates"] == listing(home)
