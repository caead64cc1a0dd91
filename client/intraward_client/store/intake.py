"""One import from file to vault: check, de-identify, commit in batches, resume.

Keeps rules 2 and 10 of DESIGN.md. The file is checked as a whole first, then read again row by row, so that
its length costs no memory. Each batch is one transaction, so killing the process at any moment loses at
most the batch under way, and the next run does only what is not there. A row of several texts is released
whole or quarantined whole. What says nothing once it is de-identified (answers that differed by a name
alone, or a text of invisible characters) is held back too.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import insert, select

from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.deid.note import DeidentifiedNote, Quarantined
from intraward_client.deid.raw import RawNote
from intraward_client.store.consent import OPTED_OUT, opted_out
from intraward_client.store.importers import Kind, RawRow
from intraward_client.store.notes import store_outcomes, stored_ids
from intraward_client.store.preferences import add_preference, add_sft
from intraward_client.store.review import hold_back
from intraward_client.store.schema import demonstrations, imports, preferences, tombstones
from intraward_client.store.sources import JsonLines, Source
from intraward_client.store.vault import Vault
from intraward_shared.errors import InputError

BATCH = 64
Progress = Callable[[int, int], None]
_Part = DeidentifiedNote | Quarantined


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did; counts only, for the site's own operator.

    ``left_out``, by reason: records that the mapping leaves out, which are in no other count, and rows of
    patients who opted out (``opted-out``).
    """

    notes_in: int
    released: int
    quarantined: int
    skipped: int
    by_class: Mapping[str, int]
    by_reason: Mapping[str, int]
    left_out: Mapping[str, int]


def run_import(
    source: Source | Path | str,
    vault: Vault,
    deidentifier: Deidentifier,
    workers: int = 1,
    progress: Progress | None = None,
    kind: Kind = "notes",
) -> ImportReport:
    """Import rows; ``notes_in`` counts them, ``skipped`` those done before or forgotten.

    Args:
        source: where they come from; a path is a JSONL file of ``kind``.

    Raises:
        InputError: the file is wrong; nothing was stored.
        DeidError: the de-identifier failed its self-test or a worker died; finished batches stay.
    """
    if isinstance(source, Path | str):
        source = JsonLines(Path(source), kind)
    digest, kind = source.digest(), source.kind
    new = _New(vault, kind)
    rows, todo, texts, refused = _survey(source, new)
    deidentifier.ready(workers)
    waiting: deque[RawRow] = deque()
    notes = _texts(filter(new, source.rows()), waiting)
    outcomes = deidentifier.deidentify_many(notes, workers, progress, texts)
    tally = _Tally()
    for finished in _batches(outcomes, waiting):
        _commit(vault, finished, kind)
        for _, parts in finished:
            tally.add(parts, _held_back(parts, kind))
    if source.digest() != digest:
        remedy = "import it again; what is stored stays"
        raise InputError(source.name, 0, "changed while it was read", remedy=remedy)
    with vault.transaction() as connection:
        entry = {"file_tag": vault.tag("file", digest), "kind": kind, "rows": rows}
        connection.execute(insert(imports).prefix_with("OR REPLACE").values(**entry))
    left_out = {**source.left_out, **({OPTED_OUT: refused} if refused else {})}
    return tally.report(rows, rows - todo - refused, left_out)


def _survey(source: Source, new: _New) -> tuple[int, int, int, int]:
    """Check every line; rows, new rows, texts of new rows, and rows of patients who opted out."""
    rows = todo = texts = refused = 0
    for row in source.rows():
        rows += 1
        refused += new.refuses(row)
        if new(row):
            todo, texts = todo + 1, texts + len(row.texts)
    return rows, todo, texts, refused


def _texts(rows: Iterator[RawRow], waiting: deque[RawRow]) -> Iterator[RawNote]:
    """Every text of every row; a row whose first text is given out stands in ``waiting``."""
    for row in rows:
        waiting.append(row)
        yield from row.texts


def _batches(outcomes: Iterator[_Part], waiting: deque[RawRow]) -> Iterator[list[tuple[RawRow, list[_Part]]]]:
    """Outcomes with their rows, a batch at a time."""
    finished: list[tuple[RawRow, list[_Part]]] = []
    parts: list[_Part] = []
    for outcome in outcomes:
        parts.append(outcome)
        if len(parts) == len(waiting[0].texts):
            finished.append((waiting.popleft(), parts))
            parts = []
        if len(finished) == BATCH:
            yield finished
            finished = []
    if finished:
        yield finished


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

    def report(self, notes_in: int, skipped: int, left_out: Mapping[str, int]) -> ImportReport:
        held = sum(self.by_reason.values())
        by_class, by_reason = dict(sorted(self.by_class.items())), dict(sorted(self.by_reason.items()))
        return ImportReport(notes_in, self.released, held, skipped, by_class, by_reason, dict(left_out))


class _New:
    """Whether a row is neither released nor quarantined yet, and its patient not forgotten or opted out."""

    def __init__(self, vault: Vault, kind: Kind) -> None:
        self._vault, self._tag = vault, "note" if kind == "notes" else kind
        done = stored_ids(vault)
        with vault.transaction() as connection:
            if kind != "notes":
                table = demonstrations if kind == "demonstrations" else preferences
                done |= frozenset(connection.execute(select(table.c.row_id)).scalars())
            self._gone = frozenset(connection.execute(select(tombstones.c.unit)).scalars())
            self._opted_out = opted_out(connection) - self._gone
        self._out = self._gone | self._opted_out
        self._done = done

    def __call__(self, row: RawRow) -> bool:
        return (
            self._vault.unit_of(row.patient_id) not in self._out
            and self._vault.tag(self._tag, row.row_id) not in self._done
            and self._vault.tag("note", row.row_id) not in self._done
        )

    def refuses(self, row: RawRow) -> bool:
        """Whether the row's patient opted out."""
        return self._vault.unit_of(row.patient_id) in self._opted_out


def _held_back(parts: Sequence[DeidentifiedNote | Quarantined], kind: Kind) -> str | None:
    """Why a row is quarantined; None if it is released."""
    for part in parts:
        if isinstance(part, Quarantined):
            return part.reason
    texts = [part.text.split() for part in parts if isinstance(part, DeidentifiedNote)]
    if kind != "notes" and not all(texts):
        return "empty-text"
    return "same-answers" if kind == "preferences" and texts[1] == texts[2] else None


def _commit(vault: Vault, finished: list[tuple[RawRow, list[_Part]]], kind: Kind) -> None:
    """Store a batch; a row that is held back goes to the review queue."""
    released: list[tuple[RawRow, list[DeidentifiedNote]]] = []
    for row, parts in finished:
        if (reason := _held_back(parts, kind)) is not None:
            hold_back(vault, row, kind, reason)
        else:
            released.append((row, [part for part in parts if isinstance(part, DeidentifiedNote)]))
    if kind == "notes":
        store_outcomes(vault, [clean[0] for _, clean in released])
        return
    for row, clean in released:
        if kind == "demonstrations":
            add_sft(vault, row.row_id, clean[0], clean[1])
        else:
            add_preference(vault, row.row_id, clean[0], clean[1], clean[2], row.margin, row.marks)
