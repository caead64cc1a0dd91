"""The chain of events: it verifies, names the first bad one, and the database lets nobody change a row."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from tests.client.labeling.stations import add_account

from intraward_client.labeling import events
from intraward_client.labeling.book import Book
from intraward_client.labeling.database import migrate
from intraward_client.labeling.schema import metadata
from intraward_shared.errors import LabelError

ACTOR = events.Actor("ann", "labeller")


@pytest.fixture
def told(book: Book) -> Book:
    with book.writing() as connection:
        for number in range(5):
            book.tell(connection, ACTOR, "vote", f"item-{number}", stage="first")
    return book


def _break(book: Book, *statements: str) -> None:
    """What somebody does who may do anything to the database but has not the key."""
    with book.writing() as connection:
        if connection.dialect.name == "sqlite":
            for name in ("events_no_update", "events_no_delete"):
                connection.execute(text(f"DROP TRIGGER {name}"))
        else:
            connection.execute(text("ALTER TABLE events DISABLE TRIGGER ALL"))
        for statement in statements:
            connection.execute(text(statement))


def test_a_whole_chain_verifies_and_names_its_head(told: Book) -> None:
    with told.reading() as connection:
        verdict = events.check(connection, told.key)
        newest = events.newest(connection, 2)
    assert (verdict.count, verdict.bad) == (5, None)
    assert verdict.head == newest[0].hash and newest[0].detail == {"stage": "first"}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET \"user\" = 'bob' WHERE sequence = 3",
        'UPDATE events SET detail = \'{"stage":"gold"}\' WHERE sequence = 3',
        "DELETE FROM events WHERE sequence = 3",
    ],
)
def test_a_change_is_refused_by_the_database_and_found_where_it_is_not(told: Book, statement: str) -> None:
    with pytest.raises(LabelError), told.writing() as connection:
        connection.execute(text(statement))
    with told.reading() as connection:
        assert events.verify(connection, told.key).bad is None
    _break(told, statement)
    with told.reading() as connection, pytest.raises(LabelError, match=r"event [34] "):
        events.check(connection, told.key)


def test_votes_are_not_changed_either(told: Book) -> None:
    statement = "UPDATE votes SET held = 'x'"
    with told.writing() as connection:
        names = connection.execute(
            text(
                "SELECT name FROM sqlite_master WHERE type = 'trigger'"
                if connection.dialect.name == "sqlite"
                else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
            )
        ).scalars()
        assert "votes_no_update" in set(names), statement


def test_a_chain_made_anew_without_the_key_does_not_verify(told: Book) -> None:
    _break(told, "DELETE FROM events")
    with told.writing() as connection:
        events.append(connection, b"another key".ljust(32), ACTOR, "vote", "item-0")
    with told.reading() as connection:
        assert events.verify(connection, told.key).bad == 0


def test_cutting_off_the_newest_shows_against_a_noted_head(told: Book) -> None:
    with told.reading() as connection:
        head = events.verify(connection, told.key).head
    _break(told, "DELETE FROM events WHERE sequence = 4")
    with told.reading() as connection:
        assert events.verify(connection, told.key).bad is None
        assert events.verify(connection, told.key, head).bad is not None


def test_the_steps_make_what_the_schema_says_and_run_twice(told: Book) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    migrate(told.engine)
    with told.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_accounts_leave_events_only_when_told(book: Book) -> None:
    add_account(book, "ann")
    with book.reading() as connection:
        assert events.verify(connection, book.key).count == 0
