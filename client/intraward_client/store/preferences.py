"""Judgments, preferences and demonstrations: what training reads.

A judgment belongs to the patient whose note the prompt came from. Free text from people (a rationale)
is taken as a `DeidentifiedNote` only: whoever typed it, it went through the de-identifier. A rater who
judges the same two answers again corrects themselves. All additions can be repeated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from intraward_client.deid.note import DeidentifiedNote
from intraward_client.store.consent import consenting
from intraward_client.store.datasets import AnswerMarks, PairRecord, SftRecord, TrainingTable, check_marks
from intraward_client.store.schema import candidates, demonstrations, judgments, preferences, prompts
from intraward_client.store.vault import Vault
from intraward_shared.errors import VaultError


def add_judgment(
    vault: Vault,
    prompt_id: str,
    chosen_candidate: str,
    rejected_candidate: str,
    strength: int,
    rater: str,
    rationale: DeidentifiedNote | None = None,
    marks: tuple[AnswerMarks, ...] = (),
) -> str:
    """Store a rater's choice between two candidates of one prompt; returns the judgment's id.

    Args:
        marks: ratings and failure flags of the chosen, then of the rejected answer, or none.

    Raises:
        VaultError: the candidates are not two different answers to this prompt, strength is not 1 to 3,
            or one answer alone is marked.
    """
    check_marks(marks, 2)
    if not 1 <= strength <= 3 or chosen_candidate == rejected_candidate:
        raise VaultError("a judgment needs two answers and a strength of 1 to 3", remedy="judge again")
    pair = sorted((chosen_candidate, rejected_candidate))
    judgment_id = vault.tag("judgment", "|".join((prompt_id, *pair, rater)))
    with vault.transaction() as connection:
        unit = _common_unit(connection, prompt_id, pair)
        texts = [_answer(vault, connection, unit, candidate).split() for candidate in pair]
        if texts[0] == texts[1]:
            raise VaultError("both answers are the same", remedy="skip the task; there is nothing to judge")
        where = ("judgments", judgment_id, "rater")
        why = ("judgments", judgment_id, "rationale")
        marked = ("judgments", judgment_id, "marks")
        row = {
            "judgment_id": judgment_id,
            "unit": unit,
            "prompt_id": prompt_id,
            "chosen_id": chosen_candidate,
            "rejected_id": rejected_candidate,
            "strength": strength,
            "rater": vault.seal_field(connection, unit, where, rater),
            "rationale": vault.seal_field(connection, unit, why, rationale.text) if rationale else None,
            "marks": vault.seal_field(connection, unit, marked, encode_marks(marks)) if marks else None,
        }
        connection.execute(insert(judgments).prefix_with("OR REPLACE").values(**row))
    return judgment_id


def _common_unit(connection: Connection, prompt_id: str, pair: list[str]) -> str:
    """The one patient behind a prompt and both answers."""
    unit = connection.execute(select(prompts.c.unit).where(prompts.c.prompt_id == prompt_id)).scalar()
    query = select(candidates.c.unit, candidates.c.prompt_id).where(candidates.c.candidate_id.in_(pair))
    rows = connection.execute(query).all()
    if unit is None or len(rows) != 2 or any(row.prompt_id != prompt_id or row.unit != unit for row in rows):
        raise VaultError("a judgment must compare two answers to its own prompt", remedy="judge again")
    return str(unit)


def add_sft(vault: Vault, row_id: str, prompt: DeidentifiedNote, completion: DeidentifiedNote) -> bool:
    """Store a demonstration; False when it was there before or its patient was forgotten."""
    with vault.transaction() as connection:
        return put_sft(vault, connection, row_id, prompt, completion)


def put_sft(
    vault: Vault, connection: Connection, row_id: str, prompt: DeidentifiedNote, completion: DeidentifiedNote
) -> bool:
    """`add_sft` within a transaction that does more."""
    texts = {"prompt": prompt, "completion": completion}
    return _put(vault, connection, "demonstrations", row_id, texts, {})


def add_preference(
    vault: Vault,
    row_id: str,
    prompt: DeidentifiedNote,
    chosen: DeidentifiedNote,
    rejected: DeidentifiedNote,
    margin: float = 0.0,
    marks: tuple[AnswerMarks, ...] = (),
) -> bool:
    """Store an imported preference; False when it was there before or its patient was forgotten.

    ``marks``: of the chosen, then of the rejected answer, or none; stored encrypted like the texts.
    """
    with vault.transaction() as connection:
        return put_preference(vault, connection, row_id, (prompt, chosen, rejected), margin, marks)


def put_preference(
    vault: Vault,
    connection: Connection,
    row_id: str,
    texts: tuple[DeidentifiedNote, DeidentifiedNote, DeidentifiedNote],
    margin: float = 0.0,
    marks: tuple[AnswerMarks, ...] = (),
) -> bool:
    """`add_preference` within a transaction that does more; ``texts``: prompt, chosen, rejected."""
    sealed = {"marks": encode_marks(marks)} if marks else {}
    named = dict(zip(("prompt", "chosen", "rejected"), texts, strict=True))
    return _put(vault, connection, "preferences", row_id, named, {"margin": margin}, sealed)


def encode_marks(marks: tuple[AnswerMarks, ...]) -> str:
    """Marks as one text."""
    return json.dumps([[answer.ratings, answer.flags] for answer in marks])


def decode_marks(text: str) -> tuple[AnswerMarks, ...]:
    """What `encode_marks` made."""
    return tuple(
        AnswerMarks(
            tuple((str(name), float(rating)) for name, rating in ratings),
            tuple((str(name), bool(flag)) for name, flag in flags),
        )
        for ratings, flags in json.loads(text)
    )


def _put(
    vault: Vault,
    connection: Connection,
    name: str,
    row_id: str,
    texts: dict[str, DeidentifiedNote],
    extra: dict[str, float],
    secret: Mapping[str, str] = MappingProxyType({}),
) -> bool:
    table = {"demonstrations": demonstrations, "preferences": preferences}[name]
    owners = {note.patient_id for note in texts.values()}
    if len(owners) != 1:
        raise VaultError("a row names two patients", remedy="give each row one patient")
    unit, tag = vault.unit_of(owners.pop()), vault.tag(name, row_id)
    if vault.is_forgotten(connection, unit):
        return False
    owner = connection.execute(select(table.c.unit).where(table.c.row_id == tag)).scalar()
    if owner is not None:
        if owner != unit:
            raise VaultError("a row names two patients", remedy="give each row one patient and a unique id")
        return False
    vault.admit_unit(connection, unit)
    plain = {column: note.text for column, note in texts.items()} | dict(secret)
    sealed = {
        column: vault.seal_field(connection, unit, (name, tag, column), value)
        for column, value in plain.items()
    }
    connection.execute(insert(table).values(row_id=tag, unit=unit, **sealed, **extra))
    return True


def sft_table(vault: Vault) -> TrainingTable[SftRecord]:
    """Every demonstration as a training table, without patients who opted out."""
    with vault.transaction() as connection:
        rows = connection.execute(select(demonstrations).where(consenting(demonstrations))).all()
        return TrainingTable.freeze(
            SftRecord(
                row.unit,
                _demonstrated(vault, connection, row, "prompt"),
                _demonstrated(vault, connection, row, "completion"),
                row.row_id,
            )
            for row in rows
        )


def _demonstrated(vault: Vault, connection: Connection, row: Row[Any], column: str) -> str:
    where = ("demonstrations", row.row_id, column)
    return vault.open_field(connection, row.unit, where, row._mapping[column])


def preference_table(vault: Vault) -> TrainingTable[PairRecord]:
    """Judgments and imported preferences together as a training table, without patients who opted out."""
    with vault.transaction() as connection:
        imported = [
            _imported(vault, connection, row.row_id)
            for row in connection.execute(select(preferences).where(consenting(preferences))).all()
        ]
        judged = [
            _judged(vault, connection, row.judgment_id)
            for row in connection.execute(select(judgments).where(consenting(judgments))).all()
        ]
    return TrainingTable.freeze((*imported, *judged))


def _imported(vault: Vault, connection: Connection, row_id: str) -> PairRecord:
    row = connection.execute(select(preferences).where(preferences.c.row_id == row_id)).one()
    prompt, chosen, rejected = (
        vault.open_field(connection, row.unit, ("preferences", row_id, name), sealed)
        for name, sealed in (("prompt", row.prompt), ("chosen", row.chosen), ("rejected", row.rejected))
    )
    where = ("preferences", row_id, "marks")
    marks = decode_marks(vault.open_field(connection, row.unit, where, row.marks)) if row.marks else ()
    return PairRecord(row.unit, prompt, chosen, rejected, row.margin, row_id, marks)


def _judged(vault: Vault, connection: Connection, judgment_id: str) -> PairRecord:
    row = connection.execute(select(judgments).where(judgments.c.judgment_id == judgment_id)).one()
    asked = connection.execute(
        select(prompts.c.prompt).where(prompts.c.prompt_id == row.prompt_id)
    ).scalar_one()
    prompt = vault.open_field(connection, row.unit, ("prompts", row.prompt_id, "prompt"), asked)
    chosen, rejected = (
        _answer(vault, connection, row.unit, which) for which in (row.chosen_id, row.rejected_id)
    )
    where = ("judgments", judgment_id, "marks")
    marks = decode_marks(vault.open_field(connection, row.unit, where, row.marks)) if row.marks else ()
    return PairRecord(row.unit, prompt, chosen, rejected, float(row.strength), judgment_id, marks)


def _answer(vault: Vault, connection: Connection, unit: str, candidate_id: str) -> str:
    sealed = connection.execute(
        select(candidates.c.answer).where(candidates.c.candidate_id == candidate_id)
    ).scalar_one()
    return vault.open_field(connection, unit, ("candidates", candidate_id, "answer"), sealed)
