"""Answers that clinicians flagged, by batch: counts for monitoring, texts encrypted under their patient.

Section 6 of DESIGN.md, free text from people: prompt, answer and comment pass the de-identifier like a note;
what it holds back is not stored, and its flag still counts. A batch is stored whole or not at all, and the
same file once. Forgetting a patient removes the texts; the counts of a batch are of answers, not of people.
"""

from __future__ import annotations

import json
import re
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select

from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.deid.jsonl import Rejected, lines, parse_known, parse_object
from intraward_client.deid.note import DeidentifiedNote, Quarantined
from intraward_client.deid.raw import RawNote, ingest
from intraward_client.monitoring import Batch
from intraward_client.store.importers import file_digest
from intraward_client.store.schema import flag_batches, flags
from intraward_client.store.vault import Vault
from intraward_shared.errors import InputError

_NOBODY = "intraward: no patient"
"""Stands for the patient where an answer was about none."""
_TEXTS = ("prompt", "answer", "comment")
_POOL_FROM = 64
"""Texts; for fewer, starting processes takes longer than they save."""
_REASON = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_REMEDY = "mend the line; nothing of the file was stored"


@dataclass(frozen=True, slots=True, repr=False)
class FlaggedAnswer:
    """One flag: a reason code, and raw texts by name."""

    reason: str
    patient_id: str
    texts: Mapping[str, RawNote]

    def __repr__(self) -> str:
        return "FlaggedAnswer(<redacted>)"


@dataclass(frozen=True, slots=True)
class AddedBatch:
    """What was stored; ``withheld`` flags count without their text."""

    answers: int
    flagged: int
    withheld: int


@dataclass(frozen=True, slots=True, repr=False)
class KeptFlag:
    """A stored flag; ``texts`` are de-identified, empty where they were held back."""

    adapter: str
    time: str
    reason: str
    texts: Mapping[str, str]

    def __repr__(self) -> str:
        return "KeptFlag(<redacted>)"


def read_flags(path: Path) -> tuple[FlaggedAnswer, ...]:
    """Rows ``{"answer", "reason", "prompt"?, "comment"?, "patient"?, "known"?}`` of a JSONL file, all good.

    Raises:
        InputError: names file and line, never content.
    """
    return tuple(_parsed(path))


def add_batch(
    vault: Vault, deidentifier: Deidentifier, file: Path | None, answers: int, adapter: str, workers: int = 1
) -> AddedBatch:
    """Store a batch of answers and the flags among them.

    Args:
        file: the flags; None where there was none.
        answers: how many answers were given in all.
        adapter: digest of the adapter that gave them, or ``base``.

    Raises:
        InputError: a line is wrong, more flags than answers, or the file was added before.
        DeidError, VaultError: the node is not fit to run.
    """
    rows = read_flags(file) if file is not None else ()
    name = file.name if file is not None else "flags"
    if len(rows) > answers:
        raise InputError(name, 0, "holds more flags than answers", remedy="give all answers with --answers")
    batch_id = vault.tag("flags", file_digest(file)) if file is not None and rows else secrets.token_hex(16)
    with vault.transaction() as connection:
        query = select(flag_batches.c.batch_id).where(flag_batches.c.batch_id == batch_id)
        if connection.execute(query).first():
            raise InputError(name, 0, "was added before", remedy="give each batch a file of its own")
    cleaned = list(_cleaned(rows, deidentifier, workers))
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with vault.transaction() as connection:
        last = connection.execute(select(func.max(flag_batches.c.ordinal))).scalar()
        entry = {"batch_id": batch_id, "ordinal": (last or 0) + 1, "adapter": adapter, "time": moment}
        connection.execute(insert(flag_batches).values(**entry, answers=answers, flagged=len(rows)))
        for number, (row, content) in enumerate(zip(rows, cleaned, strict=True)):
            unit, flag_id = vault.unit_of(row.patient_id), vault.tag("flag", f"{batch_id}|{number}")
            if vault.is_forgotten(connection, unit):
                continue
            vault.admit_unit(connection, unit)
            where = (flags.name, flag_id, "content")
            sealed = vault.seal_field(connection, unit, where, content) if content is not None else None
            values = {"flag_id": flag_id, "unit": unit, "batch_id": batch_id, "reason": row.reason}
            connection.execute(insert(flags).values(**values, content=sealed))
    return AddedBatch(answers, len(rows), sum(content is None for content in cleaned))


def batches(vault: Vault) -> Mapping[str, tuple[Batch, ...]]:
    """Every batch in the order it was added, by adapter."""
    found: dict[str, tuple[Batch, ...]] = {}
    with vault.transaction() as connection:
        for row in connection.execute(select(flag_batches).order_by(flag_batches.c.ordinal)).all():
            found[row.adapter] = (*found.get(row.adapter, ()), Batch(row.time, row.answers, row.flagged))
    return found


def reasons(vault: Vault, adapter: str) -> Mapping[str, int]:
    """Flags of an adapter by reason, the commonest first."""
    query = select(flags.c.reason).join(flag_batches).where(flag_batches.c.adapter == adapter)
    with vault.transaction() as connection:
        return dict(Counter(connection.execute(query).scalars()).most_common())


def kept_flags(vault: Vault) -> tuple[KeptFlag, ...]:
    """Every flag with its text, in the order of batches; for a person's eyes in the hospital."""
    query = select(flags, flag_batches.c.adapter, flag_batches.c.time).join(flag_batches)
    kept = []
    with vault.transaction() as connection:
        for row in connection.execute(query.order_by(flag_batches.c.ordinal, flags.c.flag_id)).all():
            where = (flags.name, row.flag_id, "content")
            sealed = row.content
            content = vault.open_field(connection, row.unit, where, sealed) if sealed is not None else "{}"
            kept.append(KeptFlag(row.adapter, row.time, row.reason, json.loads(content)))
    return tuple(kept)


def _parsed(path: Path) -> Iterator[FlaggedAnswer]:
    for number, line in lines(path):
        try:
            yield _flag(parse_object(line), number)
        except Rejected as refusal:
            raise InputError(path.name, number, str(refusal), remedy=_REMEDY) from None


def _flag(values: Mapping[str, Any], number: int) -> FlaggedAnswer:
    if set(values) - {*_TEXTS, "reason", "patient", "known"}:
        raise Rejected("there is an unknown key")
    if not isinstance(values.get("answer"), str) or not values["answer"].strip():
        raise Rejected("the value of 'answer' is not a non-empty string")
    if not all(isinstance(values.get(key, ""), str) for key in (*_TEXTS, "patient")):
        raise Rejected("a text or the patient is not a string")
    if not isinstance(values.get("reason"), str) or not _REASON.fullmatch(values["reason"]):
        raise Rejected("'reason' is not a code of a-z, 0-9, _ and -")
    patient, known = values.get("patient") or _NOBODY, parse_known(values.get("known", {}))
    given = {key: values[key] for key in _TEXTS if values.get(key, "").strip()}
    texts = {key: ingest(f"{number}|{key}", patient, text, known, str(number)) for key, text in given.items()}
    return FlaggedAnswer(values["reason"], patient, texts)


def _cleaned(
    rows: tuple[FlaggedAnswer, ...], deidentifier: Deidentifier, workers: int
) -> Iterator[str | None]:
    """The texts of each flag as JSON; None where any of them is held back."""
    if not rows:
        return
    notes = [note for row in rows for note in row.texts.values()]
    processes = workers if len(notes) >= _POOL_FROM else 1
    deidentifier.ready(processes)
    outcomes = deidentifier.deidentify_many(iter(notes), processes, None, len(notes))
    for row in rows:
        parts: dict[str, DeidentifiedNote | Quarantined] = {key: next(outcomes) for key in row.texts}
        clean = {key: part.text for key, part in parts.items() if isinstance(part, DeidentifiedNote)}
        yield json.dumps(clean) if len(clean) == len(parts) else None
