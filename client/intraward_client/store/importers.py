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
from typing import Any, Literal, NoReturn

from intraward_client.deid.raw import RawNote, ingest
from intraward_shared.errors import InputError

Kind = Literal["notes", "demonstrations", "preferences"]
TEXT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "notes": ("text",),
    "demonstrations": ("prompt", "completion"),
    "preferences": ("prompt", "chosen", "rejected"),
}
_OPTIONAL = {"notes": {"known"}, "demonstrations": {"id", "known"}, "preferences": {"id", "known", "margin"}}
_MAX_LINE = 4_000_000
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


class _Rejected(Exception):
    """Why a line is refused; a fixed sentence."""


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
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = _parse(line, kind, seen)
        except _Rejected as refusal:
            raise InputError(path.name, number, str(refusal), remedy=_REMEDY) from None
        seen.add(row.row_id)
        rows.append(row)
    return tuple(rows)


def file_digest(path: Path | str) -> str:
    """sha256 of the file; stored only as an HMAC under the site's key."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().split(b"\n")
    except FileNotFoundError:
        raise InputError(path.name, 0, "no such file", remedy="check the path") from None
    except OSError:
        raise InputError(path.name, 0, "cannot be read", remedy="check permissions") from None


def _parse(line: bytes, kind: Kind, seen: set[str]) -> RawRow:
    values = _object(line)
    fields = TEXT_FIELDS[kind]
    required = {"patient", *fields, *(("id",) if kind == "notes" else ())}
    if missing := required - values.keys():
        raise _Rejected(f"the key {sorted(missing)[0]!r} is missing")
    if values.keys() - required - _OPTIONAL[kind]:
        raise _Rejected("there is an unknown key")
    for key in required | ({"id"} & values.keys()):
        if not isinstance(values[key], str) or (key in {"id", "patient"} and not values[key].strip()):
            raise _Rejected(f"the value of {key!r} is not a non-empty string")
    known = _known(values.get("known", {}))
    row_id = values.get("id") or _content_id(values, fields, seen)
    if row_id in seen:
        raise _Rejected("the id was used before in this file")
    patient = values["patient"]
    names = [row_id] if kind == "notes" else [f"{row_id}|{name}" for name in fields]
    texts = tuple(ingest(name, patient, values[key], known) for name, key in zip(names, fields, strict=True))
    return RawRow(row_id, patient, texts, _margin(values.get("margin", 0.0)))


def _object(line: bytes) -> dict[str, Any]:
    if len(line) > _MAX_LINE:
        raise _Rejected("the line is too long")
    try:
        values = json.loads(line.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise _Rejected("the line is not UTF-8") from None
    except (json.JSONDecodeError, RecursionError):
        raise _Rejected("the line is not JSON") from None
    if not isinstance(values, dict):
        raise _Rejected("the line is not a JSON object")
    return values


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _Rejected("a key is given twice")
    return dict(pairs)


def _no_constant(_name: str) -> NoReturn:
    raise _Rejected("a number is not finite")


def _known(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise _Rejected("'known' is not an object of strings")
    return {str(key): str(item) for key, item in value.items()}


def _margin(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise _Rejected("'margin' is not a finite number")
    return float(value)


def _content_id(values: Mapping[str, str], fields: tuple[str, ...], seen: set[str]) -> str:
    """A name from the row's own content, so that reading the file again gives the same one."""
    joined = json.dumps([values["patient"], *(values[name] for name in fields)]).encode()
    digest = hashlib.sha256(joined).hexdigest()
    copy = 0
    while f"{digest}-{copy}" in seen:
        copy += 1
    return f"{digest}-{copy}"
