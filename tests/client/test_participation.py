"""A site that pauses, resumes and leaves: what its ward answers, what stays, and what a changed file does."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import intraward_client.participation as participation_module
from intraward_client.home import SiteHome
from intraward_client.participation import State, leave, participation, pause, resume
from intraward_client.slot import SlotClock
from intraward_client.store.vault import Vault
from intraward_client.trail import Action, read_trail, record
from intraward_client.ward import Ward
from intraward_shared.errors import ConfigError
from intraward_shared.leaving import LEAVE_DOMAIN, LeaveStatement
from intraward_shared.ledger import Kind, read_ledger
from intraward_shared.protocol import open_signed, unpack_parts
from intraward_shared.signing import SigningKey

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Died(BaseException):
    """The process is killed at this point."""


def ask(home: SiteHome, request: bytes) -> tuple[str, bytes]:
    """What a fresh process answers."""
    with closing(Ward(home, slots=SlotClock(virtual=False, now=lambda: NOW))) as ward:
        reply = unpack_parts(ward.execute(request))
    return reply["code"].decode(), reply["update"]


def rule_of(home: SiteHome) -> str:
    return str(json.loads(home.log.read_text().splitlines()[-1])["rule"])


def key_of(home: SiteHome) -> SigningKey:
    return SigningKey.load(home.signing_key)


def test_a_paused_ward_takes_no_new_plan_and_still_sends_what_was_released(
    make_site: Any, rounds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_site()
    first = ask(home, rounds().bytes_by())
    assert first[0] == "OK"
    charged = home.ledger.read_bytes()
    pause(home, "the model server moves")
    with monkeypatch.context() as patch:
        patch.setattr(Vault, "open", lambda *_: pytest.fail("the vault was opened"))
        assert ask(home, rounds(2).bytes_by()) == ("PLAN_REFUSED", b"")
        assert rule_of(home) == "participation"
        assert ask(home, rounds().bytes_by()) == first
    assert home.ledger.read_bytes() == charged
    resume(home)
    assert ask(home, rounds(2).bytes_by())[0] == "OK"


def test_a_ward_that_runs_sees_the_pause_at_the_next_plan(make_site: Any, rounds: Any) -> None:
    home = make_site()
    with closing(Ward(home, slots=SlotClock(virtual=False, now=lambda: NOW))) as ward:
        pause(home)
        assert unpack_parts(ward.execute(rounds().bytes_by()))["code"] == b"PLAN_REFUSED"
        resume(home)
        assert unpack_parts(ward.execute(rounds().bytes_by()))["code"] == b"OK"


def test_leaving_is_for_good_signed_and_answers_no_repetition(
    make_site: Any, rounds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_site()
    assert ask(home, rounds().bytes_by())[0] == "OK"
    statement = leave(home, "contract ended")
    entries = read_ledger(home.ledger)
    assert (statement.ledger_sequence, statement.ledger_entry) == (entries[-1].sequence, entries[-1].hash)
    signed = home.leave_statement.read_bytes()
    assert b"contract" not in signed
    assert open_signed(signed, LEAVE_DOMAIN, LeaveStatement, key_of(home).public) == statement
    with monkeypatch.context() as patch:
        patch.setattr(Ward, "_execute", lambda *_: pytest.fail("a plan was looked at"))
        for request in (rounds(), rounds(2)):
            assert ask(home, request.bytes_by()) == ("PLAN_REFUSED", b"")
    for change in (pause, resume):
        with pytest.raises(ConfigError, match="has left"):
            change(home)
    assert leave(home) == statement
    assert [e.action for e in read_trail(home, key_of(home).public)] == [Action.LEAVE]
    home.trail.unlink()
    assert ask(home, rounds().bytes_by()) == ("PLAN_REFUSED", b"")


def test_a_site_that_leaves_in_the_middle_of_a_round_sends_nothing(
    make_site: Any, rounds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_site()
    seal = Ward._seal

    def leaves_then_seals(self: Ward, *args: Any) -> bytes:
        leave(home)
        return seal(self, *args)

    monkeypatch.setattr(Ward, "_seal", leaves_then_seals)
    assert ask(home, rounds().bytes_by()) == ("PLAN_REFUSED", b"")
    assert read_ledger(home.ledger)[-1].kind is Kind.RELEASE  # the charge stays


def test_killed_between_statement_and_trail_the_site_has_left(
    make_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_site()

    def dies(*_: object, **__: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(participation_module, "record", dies)
        with pytest.raises(Died):
            leave(home)
    assert participation(home, key_of(home).public).state is State.LEFT
    leave(home)
    assert [e.action for e in read_trail(home, key_of(home).public)] == [Action.LEAVE]


def test_a_broken_ledger_keeps_nobody_from_leaving(make_site: Any) -> None:
    home = make_site()
    home.ledger.unlink()
    statement = leave(home)
    assert (statement.ledger_sequence, statement.ledger_entry) == (None, None)


@pytest.mark.parametrize("change", ["edited", "first line gone", "of another key"])
def test_a_changed_trail_refuses_every_plan(make_site: Any, rounds: Any, change: str) -> None:
    home = make_site()
    pause(home)
    resume(home)
    lines = home.trail.read_bytes().splitlines(keepends=True)
    if change == "edited":
        lines[0] = lines[0].replace(b"pause", b"leave")
    elif change == "first line gone":
        lines = lines[1:]
    else:
        home.trail.unlink()
        record(home, SigningKey.generate(), Action.RESUME)
        lines = home.trail.read_bytes().splitlines(keepends=True)
    home.trail.write_bytes(b"".join(lines))
    assert ask(home, rounds().bytes_by()) == ("PLAN_REFUSED", b"")
    with pytest.raises(ConfigError, match="changed after it was written"):
        pause(home)


def test_a_torn_last_line_is_cut_off(make_site: Any) -> None:
    home = make_site()
    pause(home)
    with home.trail.open("ab") as file:
        file.write(b'{"payload":"{\\"act')
    assert participation(home, key_of(home).public).state is State.PAUSED
    resume(home)
    assert [e.action for e in read_trail(home, key_of(home).public)] == [Action.PAUSE, Action.RESUME]


def test_the_commands_tell_what_they_did_and_what_remains(make_site: Any, call: Any) -> None:
    home = make_site()
    assert call("pause", "--reason", "new [b]cables[/b]", "--home", home.root)[0] == 0
    code, told = call("status", "--home", home.root, "--json")
    assert code == 0 and json.loads(told)["participation"] == "paused"
    assert call("resume", "--home", home.root)[0] == 0
    code, told = call("leave", "--home", home.root, "--json")
    value = json.loads(told)
    assert code == 0 and Path(value["statement"]).is_file()
    assert {str(home.ledger), str(home.vault), str(home.vault_keys)} <= set(value["remains"])
    assert call("resume", "--home", home.root)[0] == 1
    code, told = call("trail", "--home", home.root)
    assert code == 0 and "new [b]cables[/b]" in told and told.count("\n") == 3
    assert call("pause", "--reason", "two\nlines", "--home", make_site(name="other").root)[0] == 1
