"""De-identification of a file outside any site: rows in; text, spans and quarantine out.

Keeps rules 1, 2 and 10 of DESIGN.md. The whole input is checked before the first row is de-identified, then
read again row by row, so that a file of any length takes the same memory. What is done is kept in a journal
(``journal``) beside the output: a run that was stopped goes on from there. Outputs appear at the end, each
whole, by renaming, and the input is never one of them. A quarantined row is named with its reason code in
a file of its own, so no row is lost.

Rows are ``{"id", "text", "known"?, "patient"?}``. Rows of one patient share surrogates and date shift:
the patient is ``patient``, else the known record number, else the row alone.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any

from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.deid.journal import Journal
from intraward_client.deid.jsonl import Rejected, lines, parse_known, parse_object
from intraward_client.deid.note import DeidentifiedNote, Quarantined
from intraward_client.deid.raw import RawNote, ingest
from intraward_shared.errors import ConfigError, InputError

_TEXTS = ("id", "text")
_MAY = {"known", "patient", "spans", "template", "site"}
"""Keys beside id and text; the last three are those of gold files, which may be run as they are."""
_REMEDY = "mend the line; nothing was written"
_ID_BYTES = 16
"""Of the digest by which a row's id is remembered: no two of a billion ids share one by chance."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of a file's rows; counts only."""

    rows: int
    released: int
    quarantined: int
    by_class: Mapping[str, int]
    by_reason: Mapping[str, int]
    resumed: int = 0
    """Rows that an earlier, stopped run had done."""


def quarantine_path(output: Path) -> Path:
    """``OUT.quarantine.jsonl`` beside ``OUT.jsonl``."""
    return output.with_name(f"{output.stem}.quarantine.jsonl")


def journal_path(output: Path) -> Path:
    """``.OUT.jsonl.journal``, where a run under way keeps the rows that are done."""
    return output.with_name(f".{output.name}.journal")


def deidentify_file(
    source: Path,
    output: Path,
    deidentifier: Deidentifier,
    *,
    spans: Path | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
    keep: bool = True,
) -> FileReport:
    """De-identify a JSONL file, in order; what a stopped run of the same input and settings did is kept.

    Args:
        source: rows ``{"id", "text", "known"?, "patient"?}``.
        output: rows ``{"id", "text"}``; quarantined rows go to ``quarantine_path(output)``.
        spans: rows ``{"id", "spans": [{"start", "end", "label"}]}`` in characters of the original text.
        workers: processes.
        progress: told rows done and rows in all.
        keep: whether the journal of a run that is stopped is kept; it holds de-identified text only.

    Raises:
        InputError: a line of ``source`` is wrong; nothing was written.
        ConfigError: an output is the input, twice the same, or cannot be written.
        DeidError: the de-identifier failed its self-test or a worker died.
    """
    targets = [output, quarantine_path(output), *([spans] if spans is not None else [])]
    _check_targets(source, targets)
    rows, digest = survey(source)
    deidentifier.ready(workers)
    run = hashlib.sha256(f"{digest} {deidentifier.fingerprint()} {spans is not None}".encode()).hexdigest()
    journal, finished = Journal.open(journal_path(output), run), False
    try:
        resumed = journal.rows
        _go_on(source, journal, deidentifier, workers, rows, progress, with_spans=spans is not None)
        if _digest(source) != digest:
            keep = False
            raise InputError(source.name, 0, "changed while it was read", remedy="run again")
        report = _publish(journal, targets, resumed)
        finished = True
    finally:
        if keep and not finished and journal.rows:
            journal.close()
        else:
            journal.remove()
    return report


def survey(path: Path) -> tuple[int, str]:
    """Number of rows and sha256 of a file, after every line was found good; no row is held.

    Raises:
        InputError: names file and line, never content.
    """
    rows, seen = 0, set()
    for note in read_notes(path):
        name = hashlib.blake2b(note.note_id.encode("utf-8", "surrogatepass"), digest_size=_ID_BYTES).digest()
        rows += 1
        seen.add(name)
        if len(seen) < rows:
            line = next(islice(lines(path), rows - 1, None))[0]
            raise InputError(path.name, line, "the id was used before in this file", remedy=_REMEDY)
    return rows, _digest(path)


def read_notes(path: Path) -> Iterator[RawNote]:
    """Rows as raw notes, one line of the file at a time.

    Raises:
        InputError: names file and line, never content.
    """
    for number, line in lines(path):
        try:
            note = _note(parse_object(line))
        except Rejected as refusal:
            raise InputError(path.name, number, str(refusal), remedy=_REMEDY) from None
        yield note


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _go_on(
    source: Path,
    journal: Journal,
    deidentifier: Deidentifier,
    workers: int,
    rows: int,
    progress: Callable[[int, int], None] | None,
    *,
    with_spans: bool,
) -> None:
    """De-identify the rows that the journal has not."""
    done = journal.rows
    left = islice(read_notes(source), done, None)
    if progress is not None:
        progress(done, rows)
    for outcome in deidentifier.deidentify_many(left, workers, total=rows - done):
        if isinstance(outcome, Quarantined):
            journal.add({"id": outcome.note_id, "reason": outcome.reason})
        else:
            found = {"spans": _plain_spans(outcome)} if with_spans else {}
            counts = dict(outcome.receipt.counts)
            journal.add({"id": outcome.note_id, "text": outcome.text, "counts": counts, **found})
        if progress is not None:
            progress(journal.rows, rows)


def _publish(journal: Journal, targets: list[Path], resumed: int) -> FileReport:
    """Write the journal's rows where they belong, and count them."""
    by_class: Counter[str] = Counter()
    by_reason: Counter[str] = Counter()
    with _appear_together(targets) as files:
        for row in journal.read():
            if "reason" in row:
                by_reason[row["reason"]] += 1
                _write(files[1], {"id": row["id"], "reason": row["reason"]})
                continue
            by_class.update(row["counts"])
            _write(files[0], {"id": row["id"], "text": row["text"]})
            if len(files) > 2:
                _write(files[2], {"id": row["id"], "spans": row["spans"]})
    held = sum(by_reason.values())
    rows = journal.rows
    return FileReport(rows, rows - held, held, _sorted(by_class), _sorted(by_reason), resumed)


def _note(row: Mapping[str, Any]) -> RawNote:
    for key in _TEXTS:
        if key not in row:
            raise Rejected(f"the key {key!r} is missing")
    if row.keys() - set(_TEXTS) - _MAY:
        raise Rejected("there is an unknown key")
    named = [row["id"], *([row["patient"]] if "patient" in row else [])]
    if not isinstance(row["text"], str) or not all(isinstance(name, str) and name.strip() for name in named):
        raise Rejected("'id', 'text' or 'patient' is not a non-empty string")
    if any("\ud800" <= character <= "\udfff" for name in named for character in name):
        raise Rejected("'id' or 'patient' holds half a character (a lone surrogate)")
    known = parse_known(row.get("known") or {})
    return ingest(row["id"], row.get("patient") or known.get("mrn") or row["id"], row["text"], known)


def _check_targets(source: Path, targets: list[Path]) -> None:
    for target in targets:
        if target.exists() and source.exists() and target.samefile(source):
            raise ConfigError(target, "", "the output is the input", remedy="name another file")
        if target.exists() and not target.is_file():  # a device, a pipe: renaming over it would replace it
            raise ConfigError(target, "", "is no ordinary file", remedy="name a file in a folder")
        if not target.parent.is_dir():
            raise ConfigError(target, "", "cannot be written there", remedy="name a file in a folder")
    if len({target.resolve() for target in targets}) < len(targets):
        raise ConfigError(targets[0], "", "two outputs are the same file", remedy="name another file")


@contextmanager
def _appear_together(targets: list[Path]) -> Iterator[list[IO[str]]]:
    """Open ``.part`` files (mode 0600); rename them all when the block ends well, remove them when not."""
    parts = [target.with_name(f".{target.name}.part") for target in targets]
    try:
        with ExitStack() as stack:
            files = [stack.enter_context(_create(part)) for part in parts]
            yield files
            for file in files:
                file.flush()
                os.fsync(file.fileno())
        for part, target in zip(parts, targets, strict=True):
            part.replace(target)
    except OSError:
        raise ConfigError(targets[0], "", "cannot be written", remedy="check disk and permissions") from None
    finally:
        for part in parts:
            part.unlink(missing_ok=True)


def _create(part: Path) -> IO[str]:
    part.unlink(missing_ok=True)  # of a run that was killed as it wrote; its journal has the rows
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    return os.fdopen(os.open(part, flags, 0o600), "w", encoding="utf-8")


def _plain_spans(note: DeidentifiedNote) -> list[dict[str, Any]]:
    return [{"start": start, "end": end, "label": kind} for start, end, kind in note.spans]


def _write(file: IO[str], row: Mapping[str, Any]) -> None:
    file.write(json.dumps(row) + "\n")


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
