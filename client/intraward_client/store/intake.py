"""One import from file to vault: check, de-identify, commit in batches, resume.

Keeps rules 2 and 10 of DESIGN.md. The file is checked as a whole first. Each batch is one transaction, so
killing the process at any moment loses at most the batch under way, and the next run does only what is
not there. A row of several texts is released whole or quarantined whole. What says nothing once it is
de-identified (answers that differed by a name alone, or a text of invisible characters) is held back too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import insert

from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.deid.note import DeidentifiedNote, Quarantined
from intraward_client.store.importers import Kind, RawRow, file_digest, read_rows
from intraward_client.store.notes import store_outcomes, stored_ids
from intraward_client.store.preferences import add_preference, add_sft
from intraward_client.store.schema import demonstrations, imports, preferences
from intraward_client.store.vault import Vault

BATCH = 64
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did; counts only, for the site's own operator."""

    notes_in: int
    released: int
    quarantined: int
    skipped: int
    by_class: Mapping[str, int]
    by_reason: Mapping[str, int]


def run_import(
    path: Path | str,
    vault: Vault,
    deidentifier: Deidentifier,
    workers: int = 1,
    progress: Progress | None = None,
    kind: Kind = "notes",
) -> ImportReport:
    """Import a JSONL file; ``notes_in`` counts its rows, ``skipped`` those done before or forgotten.

    Raises:
        InputError: the file is wrong; nothing was stored.
        DeidError: the de-identifier failed its self-test or a worker died; finished batches stay.
    """
    rows = read_rows(path, kind)
    deidentifier.self_test()
    todo = _remaining(vault, rows, kind)
    texts = [note for row in todo for note in row.texts]
    outcomes = deidentifier.deidentify_many(texts, workers, progress)
    tally = _Tally()
    for start in range(0, len(todo), BATCH):
        batch = todo[start : start + BATCH]
        finished = [(row, [next(outcomes) for _ in row.texts]) for row in batch]
        _commit(vault, finished, kind)
        for _, parts in finished:
            tally.add(parts, _held_back(parts, kind))
    with vault.transaction() as connection:
        entry = {"file_tag": vault.tag("file", file_digest(path)), "kind": kind, "rows": len(rows)}
        connection.execute(insert(imports).prefix_with("OR REPLACE").values(**entry))
    return tally.report(len(rows), len(rows) - len(todo))


class _Tally:
    """Running counts of one import."""

    def __init__(self) -> None:
        self.released = 0
        self.by_class: Counter[str] = Counter()
        self.by_reason: Counter[str] = Counter()

    def add(self, parts: Sequence[DeidentifiedNote | Quarantined], reason: str | None) -> None:
        if reason is not None:
            self.by_reason[reason] += 1
            return
        self.released += 1
        for part in parts:
            if isinstance(part, DeidentifiedNote):
                self.by_class.update(part.receipt.counts)

    def report(self, notes_in: int, skipped: int) -> ImportReport:
        held = sum(self.by_reason.values())
        by_class, by_reason = dict(sorted(self.by_class.items())), dict(sorted(self.by_reason.items()))
        return ImportReport(notes_in, self.released, held, skipped, by_class, by_reason)


def _remaining(vault: Vault, rows: Sequence[RawRow], kind: Kind) -> list[RawRow]:
    """Rows not yet released or quarantined, whose patient was not forgotten."""
    done = stored_ids(vault)
    with vault.transaction() as connection:
        if kind != "notes":
            table = demonstrations if kind == "demonstrations" else preferences
            done |= frozenset(connection.execute(table.select().with_only_columns(table.c.row_id)).scalars())
        gone = {
            row.patient_id for row in rows if vault.is_forgotten(connection, vault.unit_of(row.patient_id))
        }
    tag = "note" if kind == "notes" else kind
    return [
        row
        for row in rows
        if row.patient_id not in gone
        and vault.tag(tag, row.row_id) not in done
        and vault.tag("note", row.row_id) not in done
    ]


def _held_back(parts: Sequence[DeidentifiedNote | Quarantined], kind: Kind) -> str | None:
    """Why a row is quarantined; None if it is released."""
    for part in parts:
        if isinstance(part, Quarantined):
            return part.reason
    texts = [part.text.split() for part in parts if isinstance(part, DeidentifiedNote)]
    if kind != "notes" and not all(texts):
        return "empty-text"
    return "same-answers" if kind == "preferences" and texts[1] == texts[2] else None


def _commit(
    vault: Vault, finished: list[tuple[RawRow, list[DeidentifiedNote | Quarantined]]], kind: Kind
) -> None:
    if kind == "notes":
        store_outcomes(vault, [parts[0] for _, parts in finished])
        return
    for row, parts in finished:
        clean = [part for part in parts if isinstance(part, DeidentifiedNote)]
        if (reason := _held_back(parts, kind)) is not None:
            store_outcomes(vault, [Quarantined(row.row_id, row.patient_id, reason)])
        elif kind == "demonstrations":
            add_sft(vault, row.row_id, clean[0], clean[1])
        else:
            add_preference(vault, row.row_id, clean[0], clean[1], clean[2], row.margin, row.marks)
