"""What was held back, and what people decided about it.

Keeps rules 2 and 10 and section 6 of DESIGN.md. A row that is quarantined goes to the review queue with its
texts, encrypted under its patient's key; it leaves by a person's decision, in one transaction with the
record of it: row, decision, reason codes, user (encrypted) and time, never text. Forgetting the patient
removes row, queue and records.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection, delete, insert, select

from intraward_client.deid.note import DeidentifiedNote
from intraward_client.deid.raw import RawNote, ingest, reveal
from intraward_client.store.importers import TEXT_FIELDS, Kind, RawRow
from intraward_client.store.notes import put_note
from intraward_client.store.preferences import decode_marks, encode_marks, put_preference, put_sft
from intraward_client.store.schema import quarantine, review_decisions, review_queue
from intraward_client.store.vault import Vault
from intraward_shared.errors import InputError, VaultError

Decision = Literal["release", "correct", "reject", "clean", "leak"]
_TABLE = review_queue.name
_SHORTEST_PREFIX = 6


@dataclass(frozen=True, slots=True)
class Held:
    """A row that waits for a person; nothing of its text."""

    row_id: str
    kind: Kind
    reason: str
    queued: str


def hold_back(vault: Vault, row: RawRow, kind: Kind, reason: str) -> None:
    """Quarantine a row and put its texts into the queue, or do neither.

    Raises:
        VaultError: the vault refuses the change, for instance because the disk is full.
    """
    unit, row_id = vault.unit_of(row.patient_id), vault.tag("note", row.row_id)
    with vault.transaction() as connection:
        if vault.is_forgotten(connection, unit):
            return
        held = {"note_id": row_id, "unit": unit, "reason": reason}
        connection.execute(insert(quarantine).prefix_with("OR IGNORE").values(**held))
        vault.admit_unit(connection, unit)
        content = vault.seal_field(connection, unit, (_TABLE, row_id, "content"), _pack(row))
        entry = {"row_id": row_id, "unit": unit, "kind": kind, "reason": reason, "queued": now()}
        connection.execute(insert(review_queue).prefix_with("OR IGNORE").values(**entry, content=content))


def waiting(vault: Vault) -> tuple[Held, ...]:
    """The queue, oldest first."""
    with vault.transaction() as connection:
        order = (review_queue.c.queued, review_queue.c.row_id)
        rows = connection.execute(select(review_queue).order_by(*order)).all()
    return tuple(Held(row.row_id, row.kind, row.reason, row.queued) for row in rows)


def take(vault: Vault, prefix: str) -> tuple[Held, RawRow]:
    """A waiting row by its id, or the beginning of it; it stays in the queue.

    Raises:
        InputError: no such row, or more than one.
    """
    found = [held for held in waiting(vault) if held.row_id.startswith(prefix)]
    if len(prefix) < _SHORTEST_PREFIX or len(found) != 1:
        remedy = "intraward-client deid review lists the ids"
        raise InputError("review", 0, "no row, or more than one, has this id", remedy=remedy)
    held = found[0]
    with vault.transaction() as connection:
        row = connection.execute(select(review_queue).where(review_queue.c.row_id == held.row_id)).one()
        content = vault.open_field(connection, row.unit, (_TABLE, held.row_id, "content"), row.content)
    return held, _unpack(content)


def release(
    vault: Vault,
    held: Held,
    row: RawRow,
    notes: Sequence[DeidentifiedNote],
    decision: Decision,
    codes: Sequence[str],
    user: str,
) -> None:
    """Put a row that passed the second look where it belongs, out of the queue, and record who did it.

    Raises:
        VaultError: the row is not in the queue any more, or the vault refuses the change.
    """
    with vault.transaction() as connection:
        unit = _leave(vault, connection, held, decision, codes, user)
        if held.kind == "notes":
            put_note(vault, connection, unit, held.row_id, notes[0])
        elif held.kind == "demonstrations":
            put_sft(vault, connection, row.row_id, notes[0], notes[1])
        else:
            texts = (notes[0], notes[1], notes[2])
            put_preference(vault, connection, row.row_id, texts, row.margin, row.marks)
        connection.execute(delete(quarantine).where(quarantine.c.note_id == held.row_id))


def reject(vault: Vault, held: Held, user: str) -> None:
    """Destroy the text; the row stays quarantined, so that no import takes it again."""
    with vault.transaction() as connection:
        _leave(vault, connection, held, "reject", (), user)


def record(
    vault: Vault,
    connection: Connection,
    unit: str,
    row_id: str,
    decision: Decision,
    codes: Sequence[str],
    user: str,
) -> None:
    """Write down a decision."""
    moment = now()
    sealed = vault.seal_field(connection, unit, (review_decisions.name, f"{row_id}|{moment}", "user"), user)
    values = {"unit": unit, "row_id": row_id, "decision": decision, "codes": " ".join(codes)}
    connection.execute(insert(review_decisions).values(**values, time=moment, user=sealed))


def decisions(vault: Vault) -> tuple[Mapping[str, str], ...]:
    """Every decision, oldest first: row, decision, codes, time, user."""
    with vault.transaction() as connection:
        rows = connection.execute(select(review_decisions).order_by(review_decisions.c.decision_id)).all()
        return tuple(
            {
                "row": row.row_id,
                "decision": row.decision,
                "codes": row.codes,
                "time": row.time,
                "user": vault.open_field(
                    connection,
                    row.unit,
                    (review_decisions.name, f"{row.row_id}|{row.time}", "user"),
                    row.user,
                ),
            }
            for row in rows
        )


def replace_texts(row: RawRow, kind: Kind, texts: Mapping[str, str]) -> RawRow:
    """``row`` with some of its texts written anew, by field name.

    Raises:
        InputError: the row has no such text.
    """
    if unknown := set(texts) - set(TEXT_FIELDS[kind]):
        remedy = f"its texts are {', '.join(TEXT_FIELDS[kind])}"
        raise InputError("review", 0, f"the row has no text of {len(unknown)} given names", remedy=remedy)
    fresh = []
    for field, note in zip(TEXT_FIELDS[kind], row.texts, strict=True):
        text, known = reveal(note)
        fresh.append(ingest(note.note_id, note.patient_id, texts.get(field, text), known, note.item))
    return RawRow(row.row_id, row.patient_id, tuple(fresh), row.margin, row.marks)


def current_user() -> str:
    """The account that decides, from the system and not from the environment."""
    import os
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def now() -> str:
    """UTC, to the microsecond, so that two decisions about one row differ."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _leave(
    vault: Vault, connection: Connection, held: Held, decision: Decision, codes: Sequence[str], user: str
) -> str:
    """Take a row out of the queue and record why; its unit."""
    query = select(review_queue.c.unit).where(review_queue.c.row_id == held.row_id)
    unit = connection.execute(query).scalar()
    if unit is None:
        raise VaultError("this row is not in the queue any more", remedy="somebody decided before you")
    connection.execute(delete(review_queue).where(review_queue.c.row_id == held.row_id))
    record(vault, connection, str(unit), held.row_id, decision, (held.reason, *codes), user)
    return str(unit)


def _pack(row: RawRow) -> str:
    texts = [{"id": note.note_id, "item": note.item, "text": reveal(note)[0]} for note in row.texts]
    content: dict[str, Any] = {"row": row.row_id, "patient": row.patient_id, "texts": texts}
    content |= {"known": dict(reveal(row.texts[0])[1]), "margin": row.margin}
    return json.dumps(content | {"marks": encode_marks(row.marks) if row.marks else ""})


def _unpack(content: str) -> RawRow:
    made = json.loads(content)
    notes: list[RawNote] = [
        ingest(text["id"], made["patient"], text["text"], made["known"], text["item"])
        for text in made["texts"]
    ]
    marks = decode_marks(made["marks"]) if made["marks"] else ()
    return RawRow(made["row"], made["patient"], tuple(notes), float(made["margin"]), marks)
