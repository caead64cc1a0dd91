"""Where rows come from: JSON Lines, a table, a folder of texts, a FHIR bulk export. One of them per import.

Every source gives the same rows in the same order each time it is read, one at a time; an import reads it
twice, first to check the whole. A bad record is an `InputError` with file and line, never its content.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from intraward_client.deid.jsonl import Rejected, lines, parse_known, parse_object
from intraward_client.store.importers import Kind, RawRow, file_digest, parse_row, stream_rows
from intraward_client.store.mapping import FileMapping
from intraward_shared.errors import InputError

Format = Literal["jsonl", "csv", "text", "fhir"]
Known = Mapping[str, Mapping[str, str]]
"""Known identifiers of every patient."""
REMEDY = "mend it, or the mapping file; nothing of the file was stored"
_MAX_FIELD = 4_000_000


class Source(Protocol):
    """Rows of one kind. ``left_out`` counts, by reason, what the last reading passed over on purpose."""

    name: str
    kind: Kind
    left_out: Counter[str]

    def rows(self) -> Iterator[RawRow]:
        """Every row; `InputError` at the first bad one."""

    def digest(self) -> str:
        """sha256 over everything that the rows depend on."""


class JsonLines:
    """A JSONL file in our own keys, or in those that a mapping names."""

    def __init__(
        self, path: Path, kind: Kind, mapping: FileMapping | None = None, known: Known | None = None
    ) -> None:
        self.name, self.kind, self.left_out = path.name, kind, Counter[str]()
        self._path, self._mapping, self._known = path, mapping, known

    def rows(self) -> Iterator[RawRow]:
        """Rows in file order."""
        if self._mapping is None and self._known is None:
            return stream_rows(self._path, self.kind)
        return checked(self.name, self._records(), self.kind)

    def digest(self) -> str:
        """Of the file alone where nothing else is asked."""
        return combined(file_digest(self._path), self._mapping, self._known)

    def _records(self) -> Iterator[tuple[int, Callable[[], Mapping[str, Any]]]]:
        for number, line in lines(self._path):
            yield number, partial(self._record, line)

    def _record(self, line: bytes) -> Mapping[str, Any]:
        values = parse_object(line)
        row = values if self._mapping is None else self._mapping.row_of(values, self.kind)
        return with_known(row, self._known)


class CsvTable:
    """A table with a header, UTF-8; texts with line breaks stand in quotes."""

    def __init__(self, path: Path, kind: Kind, mapping: FileMapping, known: Known | None = None) -> None:
        self.name, self.kind, self.left_out = path.name, kind, Counter[str]()
        self._path, self._mapping, self._known = path, mapping, known

    def rows(self) -> Iterator[RawRow]:
        """Rows in file order."""
        return checked(self.name, self._records(), self.kind)

    def digest(self) -> str:
        """Of table, mapping and known identifiers."""
        return combined(file_digest(self._path), self._mapping, self._known)

    def _records(self) -> Iterator[tuple[int, Callable[[], Mapping[str, Any]]]]:
        csv.field_size_limit(_MAX_FIELD)
        try:
            with self._path.open("rb") as file:
                reader = csv.reader(
                    _decoded(self.name, file), delimiter=self._mapping.csv.delimiter, strict=True
                )
                header = self._header(next(_cells(self.name, reader), (1, []))[1])
                for number, cells in _cells(self.name, reader):
                    yield number, partial(self._record, header, cells)
        except FileNotFoundError:
            raise InputError(self.name, 0, "no such file", remedy="check the path") from None
        except OSError:
            raise InputError(self.name, 0, "cannot be read", remedy="check permissions") from None

    def _header(self, names: list[str]) -> list[str]:
        if not names:
            raise InputError(self.name, 0, "is empty: it has no header", remedy="export it again")
        if len(set(names)) < len(names):
            raise InputError(self.name, 1, "a column is named twice", remedy="name each column once")
        if missing := [name for name in self._mapping.needed(self.kind) if name not in names]:
            raise InputError(
                self.name,
                1,
                f"there is no column {missing[0]!r}",
                remedy="say in the mapping file, [columns] or [known], which column it is; "
                "[csv] delimiter is what stands between columns",
            )
        return names

    def _record(self, header: list[str], cells: list[str]) -> Mapping[str, Any]:
        if len(cells) != len(header):
            raise Rejected("the row has another number of columns than the header")
        return with_known(self._mapping.row_of(dict(zip(header, cells, strict=True)), self.kind), self._known)


class TextFolder:
    """A folder of UTF-8 texts, one note a file; the path says whose it is.

    Paths may name patients, so an error names a file by its place in the order of paths.
    """

    kind: Kind = "notes"

    def __init__(self, path: Path, mapping: FileMapping, known: Known | None = None) -> None:
        self.name, self.left_out = path.resolve().name, Counter[str]()
        self._path, self._mapping, self._known = path, mapping, known
        self._pattern = re.compile(mapping.text.pattern)

    def rows(self) -> Iterator[RawRow]:
        """Rows in the order of paths."""
        seen: dict[str, int] = {}
        for number, path in enumerate(self._files(), start=1):
            try:
                yield parse_row(self._record(path), "notes", seen)
            except Rejected as refusal:
                raise InputError(
                    self.name,
                    0,
                    f"file {number} of the folder: {refusal}",
                    remedy="the number counts as in: find . ! -type d ! -path '*/.*' | LC_ALL=C sort; "
                    + REMEDY,
                ) from None

    def digest(self) -> str:
        """Of every path and file, mapping and known identifiers."""
        whole = hashlib.sha256()
        for path in self._files():
            whole.update(f"{self._within(path)}\0{file_digest(path)}\0".encode("utf-8", "surrogateescape"))
        return combined(whole.hexdigest(), self._mapping, self._known)

    def _files(self) -> list[Path]:
        if not self._path.is_dir():
            raise InputError(self.name, 0, "is no folder", remedy="give the folder of the texts")
        found = [path for path in self._path.rglob("*") if path.is_file() or path.is_symlink()]
        shown = [path for path in found if not any(part.startswith(".") for part in self._parts(path))]
        return sorted(shown, key=lambda path: self._within(path).encode("utf-8", "surrogateescape"))

    def _parts(self, path: Path) -> tuple[str, ...]:
        return path.relative_to(self._path).parts

    def _within(self, path: Path) -> str:
        return path.relative_to(self._path).as_posix()

    def _record(self, path: Path) -> Mapping[str, Any]:
        if path.is_symlink():
            raise Rejected("is a link")
        found = self._pattern.fullmatch(self._within(path))
        if found is None:
            raise Rejected("its path does not fit [text] pattern of the mapping file")
        data = path.read_bytes()
        if len(data) > _MAX_FIELD:
            raise Rejected("is too long")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Rejected("is not UTF-8") from None
        row = {"id": self._within(path), "patient": found["patient"], "text": text}
        return with_known(row, self._known)


def read_known(path: Path) -> Known:
    """Known identifiers from JSONL of ``{"patient", "known"}``; a patient may stand there once.

    Raises:
        InputError: names file and line, never content.
    """
    known: dict[str, dict[str, str]] = {}
    for number, line in lines(path):
        try:
            values = parse_object(line)
            patient = values.get("patient")
            if set(values) != {"patient", "known"} or not isinstance(patient, str) or not patient.strip():
                raise Rejected("a line has the keys 'patient' and 'known', and no other")
            if patient in known:
                raise Rejected("the patient was named before in this file")
            known[patient] = parse_known(values["known"])
        except Rejected as refusal:
            raise InputError(path.name, number, str(refusal), remedy=REMEDY) from None
    return known


def with_known(row: Mapping[str, Any], known: Known | None) -> Mapping[str, Any]:
    """The row with what is known of its patient; what the row itself says counts first.

    Raises:
        Rejected: known identifiers are given, and none for this patient.
    """
    if known is None:
        return row
    patient = row.get("patient")
    if not isinstance(patient, str) or patient not in known:
        raise Rejected("the file of patients does not name this row's patient")
    return {**row, "known": {**known[patient], **parse_known(row.get("known", {}))}}


def checked(
    name: str, records: Iterator[tuple[int, Callable[[], Mapping[str, Any]]]], kind: Kind
) -> Iterator[RawRow]:
    """Rows out of records with their line numbers; a bad one is refused by its line."""
    seen: dict[str, int] = {}
    for number, record in records:
        try:
            row = parse_row(record(), kind, seen)
        except Rejected as refusal:
            raise InputError(name, number, str(refusal), remedy=REMEDY) from None
        seen[row.row_id] = number
        yield row


def combined(digest: str, mapping: FileMapping | None, known: Known | None) -> str:
    """A digest over a file and what goes with it; the file's own where nothing does."""
    if mapping is None and known is None:
        return digest
    whole = hashlib.sha256(digest.encode())
    whole.update(mapping.model_dump_json().encode() if mapping is not None else b"")
    for patient in sorted(known or {}):
        whole.update(repr((patient, sorted((known or {})[patient].items()))).encode("utf-8", "surrogatepass"))
    return whole.hexdigest()


def _decoded(name: str, file: Any) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise InputError(name, number, "the line is not UTF-8", remedy=REMEDY) from None


def _cells(name: str, reader: Any) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not blank, each with the line that it begins on."""
    while True:
        begins = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            hint = "a quotation mark inside a text is written twice, and every quoted text is closed; "
            raise InputError(name, begins, "the row is not CSV", remedy=hint + REMEDY) from None
        if cells:
            yield begins, cells
