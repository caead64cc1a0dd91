"""Notes in the vault: outcomes of the de-identifier go in, records come out.

Keeps rule 2 of DESIGN.md: only a `DeidentifiedNote` can be stored, and a quarantined note leaves its
reason code. Storing the same note again changes nothing, so an import can be repeated after a crash.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, insert, select

from intraward_client.deid.note import DeidentifiedNote, Quarantined
from intraward_client.store.consent import consenting
from intraward_client.store.datasets import NoteRecord
from intraward_client.store.schema import notes, quarantine
from intraward_client.store.vault import Vault
from intraward_shared.errors import VaultError


def store_outcomes(vault: Vault, outcomes: Iterable[DeidentifiedNote | Quarantined]) -> None:
    """Commit a batch of outcomes in one transaction.

    Raises:
        VaultError: a note id is already there under another patient.
    """
    with vault.transaction() as connection:
        for outcome in outcomes:
            unit = vault.unit_of(outcome.patient_id)
            note_id = vault.tag("note", outcome.note_id)
            if vault.is_forgotten(connection, unit):
                continue
            if isinstance(outcome, Quarantined):
                row = {"note_id": note_id, "unit": unit, "reason": outcome.reason}
                connection.execute(insert(quarantine).prefix_with("OR IGNORE").values(**row))
            else:
                put_note(vault, connection, unit, note_id, outcome)


def put_note(vault: Vault, connection: Connection, unit: str, note_id: str, note: DeidentifiedNote) -> None:
    """Store one note, within a transaction that may do more; nothing if it is there.

    Raises:
        VaultError: the note id is already there under another patient.
    """
    owner = connection.execute(select(notes.c.unit).where(notes.c.note_id == note_id)).scalar()
    if owner is not None:
        if owner != unit:
            raise VaultError("a note names two patients", remedy="give each note one patient and a unique id")
        return
    vault.admit_unit(connection, unit)
    counts = json.dumps(dict(note.receipt.counts), sort_keys=True)
    connection.execute(
        insert(notes).values(
            note_id=note_id,
            unit=unit,
            text=vault.seal_field(connection, unit, ("notes", note_id, "text"), note.text),
            counts=vault.seal_field(connection, unit, ("notes", note_id, "counts"), counts),
            profile=note.receipt.profile,
            pack_sha256=note.receipt.pack_sha256,
            model_sha256=note.receipt.model_sha256,
        )
    )


def stored_ids(vault: Vault) -> frozenset[str]:
    """Tags of the notes that were released or quarantined before."""
    with vault.transaction() as connection:
        released = connection.execute(select(notes.c.note_id)).scalars().all()
        held = connection.execute(select(quarantine.c.note_id)).scalars().all()
    return frozenset((*released, *held))


def note_records(vault: Vault) -> tuple[NoteRecord, ...]:
    """Every released note of patients who did not opt out, ordered by unit and note id."""
    query = select(notes).where(consenting(notes)).order_by(notes.c.unit, notes.c.note_id)
    with vault.transaction() as connection:
        rows = connection.execute(query).all()
        return tuple(
            NoteRecord(
                row.unit,
                row.note_id,
                vault.open_field(connection, row.unit, ("notes", row.note_id, "text"), row.text),
            )
            for row in rows
        )


def class_counts(vault: Vault) -> Mapping[str, int]:
    """Replaced spans per class over all notes; for the site's own report."""
    total: Counter[str] = Counter()
    with vault.transaction() as connection:
        for row in connection.execute(select(notes.c.unit, notes.c.note_id, notes.c.counts)).all():
            where = ("notes", row.note_id, "counts")
            total.update(json.loads(vault.open_field(connection, row.unit, where, row.counts)))
    return dict(sorted(total.items()))


def quarantine_reasons(vault: Vault) -> Mapping[str, int]:
    """Quarantined notes per reason code; for the site's own report."""
    with vault.transaction() as connection:
        return dict(sorted(Counter(connection.execute(select(quarantine.c.reason)).scalars()).items()))
