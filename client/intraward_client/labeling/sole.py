"""One station at a time serves a site, and one a database (rule 10 of DESIGN.md).

Two would each hold the de-identifier and the memory of what was shown for their own, and answer at addresses
that people mix up. The lock is the kernel's, so that a killed process gives it back; where the book is in
PostgreSQL its server holds a second one for the station's connection, because two sites' folders may name one
database. Commands (`label user`, `collect`, ...) work beside a station: each of their changes is one
transaction.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text

from intraward_client.home import SiteHome
from intraward_shared.errors import ConfigError, LabelError

_STATION_LOCK = 0x1A7E2
"""Key of the advisory lock, beside the writers' in ``database``."""
_REMEDY = "stop it first, or use it; who runs it: ps {}"


@contextmanager
def sole_station(home: SiteHome) -> Iterator[None]:
    """Hold the site for one station.

    Raises:
        ConfigError: the site's folder cannot be written.
        LabelError: another station runs; names its process.
    """
    try:
        handle = os.open(home.label_lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        raise ConfigError(
            home.root, "", "is no folder that can be written", remedy="see intraward-client init"
        ) from None
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            process = os.read(handle, 20).decode("ascii", "replace").strip()
            raise LabelError(
                f"another label station runs on this site (process {process})", remedy=_REMEDY.format(process)
            ) from None
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode("ascii"))
        yield
    finally:
        os.close(handle)


@contextmanager
def sole_on_database(engine: Engine) -> Iterator[None]:
    """Hold a PostgreSQL database for one station; for SQLite the site's own lock is enough.

    Raises:
        LabelError: another station uses it; names its host.
    """
    if engine.dialect.name != "postgresql":
        yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _STATION_LOCK}).scalar():
            raise LabelError(
                f"another label station uses this database (from {_holder(connection)})",
                remedy="stop that one first, or give each site a database of its own in labeling.database",
            )
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _STATION_LOCK})


def _holder(connection: Connection) -> str:
    """Address and database process of who holds the station's lock."""
    query = text(
        "SELECT coalesce(host(client_addr), 'this host') AS host, pid FROM pg_locks "
        "JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND granted AND objid = :key "
        "AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    row = connection.execute(query, {"key": _STATION_LOCK}).first()
    return f"{row.host}, database process {row.pid}" if row is not None else "a process that has just ended"
