"""Patients who opted out: kept as keyed tags, refused at import, left out of every later training table.

Section 6 of DESIGN.md: leaving rows out by their own patient alone couples nobody, and what was charged
before stays charged. The list on disk names nobody: a tag is the HMAC that stands for a patient everywhere
in the vault. Opting out destroys nothing (``forget`` does) and can be taken back.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, insert, select

from intraward_client.deid.jsonl import lines
from intraward_client.store.schema import optouts, withheld
from intraward_client.store.vault import Vault
from intraward_shared.errors import InputError

OPTED_OUT = "opted-out"
"""The code of a refused row."""
_LONGEST = 200


def opt_out(vault: Vault, patient_ids: Iterator[str]) -> int:
    """Put patients on the list, all or none; how many were not there yet. They need not be known."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    added = 0
    with vault.transaction() as connection:
        there = set(opted_out(connection))
        for patient in patient_ids:
            unit = vault.unit_of(patient)
            if unit not in there:
                connection.execute(insert(optouts).values(unit=unit, since=moment))
                there.add(unit)
                added += 1
    return added


def opt_in(vault: Vault, patient_id: str) -> bool:
    """Take a patient off the list; False when they were not on it."""
    with vault.transaction() as connection:
        unit = vault.unit_of(patient_id)
        return bool(connection.execute(delete(optouts).where(optouts.c.unit == unit)).rowcount)


def since(vault: Vault, patient_id: str) -> str | None:
    """When a patient opted out; None if they did not."""
    with vault.transaction() as connection:
        query = select(optouts.c.since).where(optouts.c.unit == vault.unit_of(patient_id))
        return connection.execute(query).scalar()


def listing(vault: Vault) -> tuple[tuple[str, str], ...]:
    """Tag and time of everybody on the list, by tag."""
    with vault.transaction() as connection:
        rows = connection.execute(select(optouts).order_by(optouts.c.unit)).all()
    return tuple((row.unit, row.since) for row in rows)


def opted_out(connection: Connection) -> frozenset[str]:
    """Units of everybody on the list."""
    return frozenset(connection.execute(select(optouts.c.unit)).scalars())


def is_opted_out(connection: Connection, unit: str) -> bool:
    """Whether one patient is on the list."""
    return connection.execute(select(optouts.c.unit).where(optouts.c.unit == unit)).first() is not None


def consenting(table: Table) -> ColumnElement[bool]:
    """The condition that a row's patient is not on the list, nor its prompt on that of ``withheld``."""
    willing = table.c.unit.not_in(select(optouts.c.unit))
    if "prompt_id" not in table.c:
        return willing
    return and_(willing, table.c.prompt_id.not_in(select(withheld.c.prompt_id)))


def read_patient_ids(path: Path) -> Iterator[str]:
    """Patient ids of a file, one a line, as in the imported files.

    Raises:
        InputError: names file and line, never content.
    """
    for number, line in lines(path):
        try:
            patient = line.decode("utf-8").strip()
        except UnicodeDecodeError:
            patient = ""
        if not patient.isprintable() or not 0 < len(patient) <= _LONGEST:
            remedy = "write one patient id a line, UTF-8; nothing of the file was stored"
            raise InputError(path.name, number, "the line is no patient id", remedy=remedy)
        yield patient
