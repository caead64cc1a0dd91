"""The station's tables against its events: a whole book verifies, and every row changed by hand is named."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from starlette.testclient import TestClient
from tests.client.labeling.conftest import assignment, csrf
from tests.client.labeling.stations import Clock, add_account
from tests.e2e.label_site import lay

from intraward_client.labeling import accounts
from intraward_client.labeling.book import ADJUDICATION, HELD, QUARANTINED, Book
from intraward_client.labeling.events import SYSTEM
from intraward_client.labeling.judgment import Item
from intraward_client.labeling.opening import open_book
from intraward_client.labeling.queue import give_back, next_turn
from intraward_client.labeling.verification import wrong_rows
from intraward_client.store.consent import opt_out
from intraward_client.store.vault import Vault

Enter = Callable[..., TestClient]


def wrong(book: Book) -> list[str]:
    with book.reading() as connection:
        return list(wrong_rows(connection))


def judge(client: TestClient, **form: str) -> None:
    page = client.get("/task").text
    sent = {"csrf": csrf(page), "action": "submit", **form}
    assert client.post(f"/task/{assignment(page)}", data=sent).status_code == 303


@pytest.fixture
def worked(enter: Enter, items: dict[str, Item], book: Book, clock: Clock, vault: Vault) -> Book:
    """A day of everything: judged, skipped, escalated, taken back, agreed, held, quarantined, forgotten."""
    ann, bob, cy, sen = enter("ann"), enter("bob"), enter("cy"), enter("sen", "senior")
    with book.writing() as connection:
        for name, role in (("ann", "labeller"), ("bob", "labeller"), ("cy", "labeller"), ("sen", "senior")):
            book.tell(connection, SYSTEM, "user-added", name, role=role)
        found = accounts.find(connection, "cy")
        assert found is not None
    judge(ann, choice="0")
    clock.tick(1)
    judge(bob, choice="tie")
    clock.tick(1)
    bob.post("/undo", data={"csrf": csrf(bob.get("/").text)})
    judge(bob, choice="tie")
    (first,) = {vote.item_id for vote in book.votes()}
    judge(cy, action="escalate")
    clock.tick(1)
    cy.post("/undo", data={"csrf": csrf(cy.get("/").text)})
    judge(cy, action="skip", skip_reason="not-my-field")
    judge(ann, choice="0", strength="1")
    judge(bob, choice="0", strength="2")
    (second,) = {vote.item_id for vote in book.votes()} - {first}
    page = bob.get("/task").text
    bob.post(f"/task/{assignment(page)}/phi", data={"csrf": csrf(page)})
    (third,) = (name for name, state in book.states().items() if state == QUARANTINED)
    by_item = {item.item_id: patient for patient, item in items.items()}
    (fourth,) = by_item.keys() - {first, second, third}
    opt_out(vault, iter([by_item[fourth]]))
    ann.get("/task")
    page = sen.get("/adjudicate").text
    assert ('id="judgment"' in page) == (ADJUDICATION in book.states().values())
    vault.forget(by_item[second])
    assert book.reconcile() == 1 and book.states()[fourth] == HELD
    with book.writing() as connection:
        accounts.set_disabled(connection, found, True, book.clock())
        book.tell(connection, SYSTEM, "user-disable", "cy")
    return book


def test_a_days_work_is_as_the_events_have_it(worked: Book) -> None:
    assert wrong(worked) == []


CHANGES = {
    "UPDATE votes SET content = content || x'00' WHERE vote_id = :vote": "is in no event",
    "UPDATE votes SET stage = 'adjudication' WHERE vote_id = :vote": "its stage is not that of event",
    "UPDATE votes SET user_id = 1 + user_id % 2 WHERE vote_id = :vote": "its account is not that of event",
    "DELETE FROM votes WHERE vote_id = :vote": "is not there",
    "DELETE FROM withdrawals": "is not taken back",
    "INSERT INTO withdrawals SELECT vote_id, 1 FROM votes WHERE vote_id = :vote": "is taken back",
    "UPDATE users SET role = 'admin' WHERE name = 'bob'": "'bob' has another role",
    "UPDATE users SET disabled = 0 WHERE name = 'cy'": "'cy' was enabled without an event",
    "UPDATE users SET name = 'eve' WHERE name = 'bob'": "'eve' is in no event",
    "UPDATE items SET state = 'agreed' WHERE state = 'quarantined'": "is 'agreed', and the events left it",
    "DELETE FROM items WHERE item_id NOT IN (SELECT item_id FROM votes)": "are there, and the events tell of",
}


@pytest.mark.parametrize("database", [""])
def test_a_row_changed_by_hand_is_named(worked: Book, tmp_path: Path) -> None:
    for number, (statement, said) in enumerate(CHANGES.items()):
        copy = tmp_path / f"{number}.db"
        with closing(sqlite3.connect(copy, isolation_level=None)) as raw:
            with closing(sqlite3.connect(tmp_path / "site" / "label.db")) as whole:
                whole.backup(raw)
            named = "SELECT vote_id FROM votes WHERE vote_id NOT IN (SELECT vote_id FROM withdrawals) LIMIT 1"
            (vote,) = raw.execute(named).fetchone()
            raw.execute("DROP TRIGGER votes_no_update")
            assert raw.execute(statement, {"vote": vote} if ":vote" in statement else {}).rowcount
        engine = create_engine(f"sqlite:///{copy}")
        with engine.connect() as connection:
            told = list(wrong_rows(connection))
        engine.dispose()
        assert any(said in row for row in told), (statement, told)
        if ":vote" in statement and "DELETE" not in statement:
            assert any(vote in row for row in told), statement


def test_an_item_that_cannot_be_shown_is_held_with_an_event(
    book: Book, items: dict[str, Item], clock: Clock
) -> None:
    with book.writing() as connection:
        book.tell(connection, SYSTEM, "user-added", "ann", role="labeller")
    turn = next_turn(book, add_account(book, "ann"))
    assert turn is not None
    give_back(book, turn, HELD)
    assert book.states()[turn.item.item_id] == HELD and wrong(book) == []


def test_the_command_names_the_row_and_refuses_a_head_that_is_none(
    tmp_path: Path, call: Callable[..., tuple[int, str]]
) -> None:
    site = lay(tmp_path, {}, {"bob": "labeller"})
    assert call("label", "verify", "--home", site.home.root)[0] == 0
    with open_book(site.home) as book:
        add_account(book, "ann")  # without an event
    code, told = call("label", "verify", "--home", site.home.root)
    assert code == 1 and "account 'ann' is in no event" in told
    code, told = call("label", "verify", "--json", "--home", site.home.root)
    assert code == 1 and '"whole": false' in told
    for head in ("yesterday", "F" * 63, "'; DROP TABLE events"):
        code, told = call("label", "verify", "--head", head, "--home", site.home.root)
        assert code == 1 and "64 hexadecimal digits" in re.sub(r"\s+", " ", told)
    code, told = call("label", "verify", "--head", "f" * 64, "--home", site.home.root)
    assert code == 1 and "cut off" in told
