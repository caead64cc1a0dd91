"""Opening the station's database: SQLite in the site's folder, or PostgreSQL by URL; the same on both.

One writer at a time, on either: SQLite begins immediately, PostgreSQL takes an advisory lock, so that what a
transaction reads is what it changes and no item is given twice. Errors come out without statement or values.
The steps of ``migrations`` run at every opening, within one transaction.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from intraward_client.home import SiteHome
from intraward_shared.errors import ConfigError, LabelError

_WRITER_LOCK = 0x1A7E1
"""Key of the advisory lock; any number that no other user of the database takes."""
_WRITE = "intraward_write"


class Gone(LabelError):
    """What a row refers to is no longer there: the patient was forgotten meanwhile."""


def open_engine(home: SiteHome, url: str = "") -> Engine:
    """The engine of a site's book, made and brought up to date where it must be.

    Raises:
        ConfigError: the URL is none, or the file can be read by others.
        LabelError: the database does not answer, or a step failed.
    """
    engine = _postgresql(home, url) if url else _sqlite(home.label_book)
    try:
        migrate(engine)
    except SQLAlchemyError as error:
        engine.dispose()
        raise LabelError(
            f"the label station's database cannot be opened ({type(error).__name__})",
            remedy="start it, and check labeling.database in the policy and the account's rights",
        ) from None
    return engine


def migrate(engine: Engine) -> None:
    """Run every step that the database has not seen."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    with engine.connect().execution_options(**{_WRITE: True}) as connection, connection.begin():
        _lock(connection)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is the only one to write.

    Raises:
        Gone: a row it refers to has been deleted.
        LabelError: the database refused; no statement and no value is told.
    """
    try:
        with engine.connect().execution_options(**{_WRITE: True}) as connection, connection.begin():
            _lock(connection)
            yield connection
    except IntegrityError:
        raise Gone("this is no longer there", remedy="go on with the next item") from None
    except SQLAlchemyError as error:
        raise _refused(error) from None


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads."""
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    except SQLAlchemyError as error:
        raise _refused(error) from None


def _refused(error: SQLAlchemyError) -> LabelError:
    return LabelError(
        f"the label station's database refused ({type(error).__name__})",
        remedy="see that the database runs and its disk has room, and try again",
    )


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER_LOCK})


def _sqlite(path: Path) -> Engine:
    if path.exists() and path.stat().st_mode & 0o077:
        raise ConfigError(path, "", "the book can be read by others", remedy="chmod 600 it")
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    engine = create_engine(
        f"sqlite:///{path}", hide_parameters=True, connect_args={"timeout": 30}, pool_size=48
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # begin and commit are ours
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "foreign_keys=ON",
            "synchronous=FULL",
            "secure_delete=ON",
            "temp_store=MEMORY",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get(_WRITE)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _postgresql(home: SiteHome, url: str) -> Engine:
    try:
        return create_engine(make_url(url), hide_parameters=True, pool_size=20, pool_pre_ping=True)
    except ArgumentError:
        raise ConfigError(
            home.policy, "labeling.database", "is no database URL", remedy="postgresql+psycopg://host/name"
        ) from None
