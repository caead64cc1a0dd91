"""JSONL files become raw notes: the whole file is checked before anything is stored.

Keeps rules 1 and 2 of DESIGN.md. One JSON object a line. A bad line is an `InputError` with file and line
number and never the line; so are a duplicate id, a key given twice (a row that names two patients) and an
unknown key. An empty file is a site without patients and is fine.

Kinds: notes ``{"id", "patient", "text", "known"?}``, demonstrations ``{"patient", "prompt",
"completion", "id"?}``, preferences ``{"patient", "prompt", "chosen", "rejected", "margin"?, "id"?}``.
Without an id a row is named by its place among equal rows of its content.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from intraward_client.deid.jsonl import Rejected, lines, parse_known, parse_object
from intraward_client.deid.raw import RawNote, ingest
from intraward_shared.errors import InputError

Kind = Literal["notes", "demonstrations", "preferences"]
TEXT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "notes": ("text",),
    "demonstrations": ("prompt", "completion"),
    "preferences": ("prompt", "chosen", "rejected"),
}
_OPTIONAL = {"notes": {"known"}, "demonstrations": {"id", "known"}, "preferences": {"id", "known", "margin"}}
_REMEDY = "mend the line; nothing of the file was stored"


@dataclass(frozen=True, slots=True, repr=False)
class RawRow:
    """One row of a file: its id, its patient, and one raw note per text field."""

    row_id: str
    patient_id: str
    texts: tuple[RawNote, ...]
    margin: float = field(default=0.0)

    def __repr__(self) -> str:
        return "RawRow(<redacted>)"


def import_jsonl(path: Path | str) -> Iterator[RawNote]:
    """The raw notes of a file of kind ``notes``, in file order, after the whole file was found good.

    Raises:
        InputError: the file or a line is wrong; raised before the first note is given out.
    """
    return iter([row.texts[0] for row in read_rows(path, "notes")])


def read_rows(path: Path | str, kind: Kind) -> tuple[RawRow, ...]:
    """Every row of a JSONL file of ``kind``, checked as a whole.

    Raises:
        InputError: names file and line, never content.
    """
    path = Path(path)
    rows: list[RawRow] = []
    seen: set[str] = set()
    for number, line in lines(path):
        try:
            row = _parse(line, kind, seen)
        except Rejected as refusal:
            raise InputError(path.name, number, str(refusal), remedy=_REMEDY) from None
        seen.add(row.row_id)
        rows.append(row)
    return tuple(rows)


def file_digest(path: Path | str) -> str:
    """sha256 of the file; stored only as an HMAC under the site's key."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _parse(line: bytes, kind: Kind, seen: set[str]) -> RawRow:
    values = parse_object(line)
    fields = TEXT_FIELDS[kind]
    required = {"patient", *fields, *(("id",) if kind == "notes" else ())}
    if missing := required - values.keys():
        raise Rejected(f"the key {sorted(missing)[0]!r} is missing")
    if values.keys() - required - _OPTIONAL[kind]:
        raise Rejected("there is an unknown key")
    for key in required | ({"id"} & values.keys()):
        if not isinstance(values[key], str) or (key in {"id", "patient"} and not values[key].strip()):
            raise Rejected(f"the value of {key!r} is not a non-empty string")
    known = parse_known(values.get("known", {}))
    row_id = values.get("id") or _content_id(values, fields, seen)
    if row_id in seen:
        raise Rejected("the id was used before in this file")
    patient = values["patient"]
    names = [row_id] if kind == "notes" else [f"{row_id}|{name}" for name in fields]
    texts = tuple(ingest(name, patient, values[key], known) for name, key in zip(names, fields, strict=True))
    return RawRow(row_id, patient, texts, _margin(values.get("margin", 0.0)))


def _margin(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise Rejected("'margin' is not a finite number")
    return float(value)


def _content_id(values: Mapping[str, str], fields: tuple[str, ...], seen: set[str]) -> str:
    """A name from the row's own content, so that reading the file again gives the same one."""
    joined = json.dumps([values["patient"], *(values[name] for name in fields)]).encode()
    digest = hashlib.sha256(joined).hexdigest()
    copy = 0
    while f"{digest}-{copy}" in seen:
        copy += 1
    return f"{digest}-{copy}"
