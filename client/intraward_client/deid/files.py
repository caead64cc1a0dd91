"""De-identification of a file outside any site: rows in; text, spans and quarantine out.

Keeps rules 1 and 2 of DESIGN.md. The whole input is checked before the first output byte; outputs appear
together at the end, by renaming, or not at all, and the input is never one of them. A quarantined row is
named with its reason code in a file of its own, so no row is lost.

Rows are ``{"id", "text", "known"?, "patient"?}``. Rows of one patient share surrogates and date shift:
the patient is ``patient``, else the known record number, else the row alone.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.deid.jsonl import Rejected, lines, parse_known, parse_object
from intraward_client.deid.note import DeidentifiedNote, Quarantined
from intraward_client.deid.raw import RawNote, ingest
from intraward_shared.errors import ConfigError, InputError

_TEXTS = ("id", "text")
_MAY = {"known", "patient", "spans", "template", "site"}
"""Keys beside id and text; the last three are those of gold files, which may be run as they are."""
_REMEDY = "mend the line; nothing was written"


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of a file's rows; counts only."""

    rows: int
    released: int
    quarantined: int
    by_class: Mapping[str, int]
    by_reason: Mapping[str, int]


def quarantine_path(output: Path) -> Path:
    """``OUT.quarantine.jsonl`` beside ``OUT.jsonl``."""
    return output.with_name(f"{output.stem}.quarantine.jsonl")


def deidentify_file(
    source: Path,
    output: Path,
    deidentifier: Deidentifier,
    *,
    spans: Path | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> FileReport:
    """De-identify a JSONL file, in order.

    Args:
        source: rows ``{"id", "text", "known"?, "patient"?}``.
        output: rows ``{"id", "text"}``; quarantined rows go to ``quarantine_path(output)``.
        spans: rows ``{"id", "spans": [{"start", "end", "label"}]}`` in characters of the original text.
        workers: processes.
        progress: told rows done and rows in all.

    Raises:
        InputError: a line of ``source`` is wrong; nothing was written.
        ConfigError: an output is the input, twice the same, or cannot be written.
        DeidError: the de-identifier failed its self-test or a worker died; nothing was written.
    """
    targets = [output, quarantine_path(output), *([spans] if spans is not None else [])]
    _check_targets(source, targets)
    notes = read_notes(source)
    deidentifier.self_test()
    by_class: Counter[str] = Counter()
    by_reason: Counter[str] = Counter()
    with _appear_together(targets) as files:
        for outcome in deidentifier.deidentify_many(notes, workers, progress):
            if isinstance(outcome, Quarantined):
                by_reason[outcome.reason] += 1
                _write(files[1], {"id": outcome.note_id, "reason": outcome.reason})
                continue
            by_class.update(outcome.receipt.counts)
            _write(files[0], {"id": outcome.note_id, "text": outcome.text})
            if spans is not None:
                _write(files[2], {"id": outcome.note_id, "spans": _plain_spans(outcome)})
    held = sum(by_reason.values())
    return FileReport(len(notes), len(notes) - held, held, _sorted(by_class), _sorted(by_reason))


def read_notes(path: Path) -> tuple[RawNote, ...]:
    """Every row as a raw note, after the whole file was found good.

    Raises:
        InputError: names file and line, never content.
    """
    notes: list[RawNote] = []
    seen: set[str] = set()
    for number, line in lines(path):
        try:
            note = _note(parse_object(line))
            if note.note_id in seen:
                raise Rejected("the id was used before in this file")
        except Rejected as refusal:
            raise InputError(path.name, number, str(refusal), remedy=_REMEDY) from None
        seen.add(note.note_id)
        notes.append(note)
    return tuple(notes)


def read_gold(path: Path) -> tuple[dict[str, Any], ...]:
    """Rows of a gold file, ``{"text", "spans": [{"start", "end", "entity"}], "known"?}``.

    Raises:
        InputError: names file and line, never content.
    """
    rows = []
    for number, line in lines(path):
        try:
            row = parse_object(line)
            _check_gold(row)
        except Rejected as refusal:
            raise InputError(path.name, number, str(refusal), remedy="mend the line") from None
        rows.append(row)
    return tuple(rows)


def _note(row: Mapping[str, Any]) -> RawNote:
    for key in _TEXTS:
        if key not in row:
            raise Rejected(f"the key {key!r} is missing")
    if row.keys() - set(_TEXTS) - _MAY:
        raise Rejected("there is an unknown key")
    named = [row["id"], *([row["patient"]] if "patient" in row else [])]
    if not isinstance(row["text"], str) or not all(isinstance(name, str) and name.strip() for name in named):
        raise Rejected("'id', 'text' or 'patient' is not a non-empty string")
    known = parse_known(row.get("known") or {})
    return ingest(row["id"], row.get("patient") or known.get("mrn") or row["id"], row["text"], known)


def _check_gold(row: Mapping[str, Any]) -> None:
    if not isinstance(row.get("text"), str):
        raise Rejected("'text' is missing or not a string")
    if not isinstance(row.get("spans"), list):
        raise Rejected("'spans' is missing or not a list")
    parse_known(row.get("known") or {})
    for span in row["spans"]:
        if not isinstance(span, dict) or not isinstance(span.get("entity"), str):
            raise Rejected("a span is not an object with start, end and entity")
        start, end = span.get("start"), span.get("end")
        if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(row["text"]):
            raise Rejected("a span does not lie within the text")


def _check_targets(source: Path, targets: list[Path]) -> None:
    for target in targets:
        if target.exists() and source.exists() and target.samefile(source):
            raise ConfigError(target, "", "the output is the input", remedy="name another file")
        if target.is_dir() or not target.parent.is_dir():
            raise ConfigError(target, "", "cannot be written there", remedy="name a file in a folder")
    if len({target.resolve() for target in targets}) < len(targets):
        raise ConfigError(targets[0], "", "two outputs are the same file", remedy="name another file")


@contextmanager
def _appear_together(targets: list[Path]) -> Iterator[list[IO[str]]]:
    """Open ``.part`` files (mode 0600); rename them all when the block ends well, remove them when not."""
    parts = [target.with_name(f".{target.name}.{os.getpid()}.part") for target in targets]
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
    return os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")


def _plain_spans(note: DeidentifiedNote) -> list[dict[str, Any]]:
    return [{"start": start, "end": end, "label": kind} for start, end, kind in note.spans]


def _write(file: IO[str], row: Mapping[str, Any]) -> None:
    file.write(json.dumps(row) + "\n")


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
