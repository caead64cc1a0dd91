"""JSONL files become raw notes: the whole file is checked before anything is stored, then read row by row.

Keeps rules 1 and 2 of DESIGN.md. One JSON object a line. A bad line is an `InputError` with file and line
number and never the line; so are a duplicate id, a key given twice (a row that names two patients) and an
unknown key. An empty file has no rows here; a site's import refuses it
(``importing.check_file``), because it is likelier an export that was cut off.

Kinds: notes ``{"id", "patient", "text", "known"?}``, demonstrations ``{"patient", "prompt",
"completion", "id"?}``, preferences ``{"patient", "prompt", "chosen", "rejected", "margin"?, "ratings"?,
"flags"?, "id"?}``. Without an id a row is named by its place among equal rows of its content. Ratings and
flags are ``{"chosen"?: {name: mark}, "rejected"?: {name: mark}}``, a number from 1 (worst) to 5 and a true or
false; what is not there was not judged. A demonstration needs words in both texts; a preference needs two
different answers with words in them: the same answer twice says nothing. Raters who contradict each other are
kept, each as a row of its own; together they train what a tie would.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from intraward_client.deid.jsonl import Rejected, lines, parse_known, parse_object
from intraward_client.deid.raw import RawNote, ingest
from intraward_client.store.datasets import HIGHEST_RATING, LOWEST_RATING, AnswerMarks
from intraward_shared.errors import InputError

Kind = Literal["notes", "demonstrations", "preferences"]
TEXT_FIELDS: Mapping[str, tuple[str, ...]] = {
    "notes": ("text",),
    "demonstrations": ("prompt", "completion"),
    "preferences": ("prompt", "chosen", "rejected"),
}
_OPTIONAL = {
    "notes": {"known"},
    "demonstrations": {"id", "known"},
    "preferences": {"id", "known", "margin", "ratings", "flags"},
}
_FILLED = {"id", "patient", "prompt", "completion"}
"""What may not be empty or white space; a note may, and then says nothing."""
_MARK = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_MOST_MARKS = 16
_HIGHEST_MARGIN = 100
"""Of the reward difference; strengths are 1 to 3 in the vault and grades up to 5 in the open sets."""
_REMEDY = "mend the line; nothing of the file was stored"


@dataclass(frozen=True, slots=True, repr=False)
class RawRow:
    """One row of a file: its id, its patient, and one raw note per text field."""

    row_id: str
    patient_id: str
    texts: tuple[RawNote, ...]
    margin: float = field(default=0.0)
    marks: tuple[AnswerMarks, ...] = ()

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
    return tuple(stream_rows(path, kind))


def stream_rows(path: Path | str, kind: Kind) -> Iterator[RawRow]:
    """Rows of a JSONL file of ``kind``, one line at a time; of those gone by, only the ids are remembered.

    Raises:
        InputError: names file and line, never content; the rows before it were given out.
    """
    path = Path(path)
    seen: dict[str, int] = {}
    for number, line in lines(path):
        try:
            row = parse_row(parse_object(line), kind, seen)
        except Rejected as refusal:
            hint = "" if seen else _likely(line, kind)
            raise InputError(path.name, number, str(refusal), remedy=hint + _REMEDY) from None
        seen[row.row_id] = number
        yield row


def file_digest(path: Path | str) -> str:
    """sha256 of the file; stored only as an HMAC under the site's key."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _likely(line: bytes, kind: Kind) -> str:
    """What a file may be whose first row is refused, in a fixed sentence; empty where nothing is likely."""
    if line.lstrip().startswith(b"["):
        return "a JSON array is not read: write one object a line; "
    try:
        keys = parse_object(line).keys()
    except Rejected as refusal:
        table = b"," in line or b";" in line or b"\t" in line
        likely = str(refusal) == "the line is not JSON" and table and not line.lstrip().startswith(b"{")
        return "a table (CSV) is not read: export JSON Lines, one object a line; " if likely else ""
    if keys >= set(TEXT_FIELDS[kind]):
        return ""
    others = [name for name, fields in TEXT_FIELDS.items() if keys >= set(fields)]
    return f"its keys are those of --kind {others[0]}; " if others else ""


def parse_row(values: Mapping[str, Any], kind: Kind, seen: Mapping[str, int]) -> RawRow:
    """A row of ``kind`` out of the values of its keys, whatever file they stood in.

    Args:
        seen: ids of the rows before it, and the line of each.

    Raises:
        Rejected: a fixed sentence.
    """
    fields = TEXT_FIELDS[kind]
    required = {"patient", *fields, *(("id",) if kind == "notes" else ())}
    if missing := required - values.keys():
        raise Rejected(f"the key {sorted(missing)[0]!r} is missing")
    if values.keys() - required - _OPTIONAL[kind]:
        raise Rejected("there is an unknown key")
    for key in required | ({"id"} & values.keys()):
        if not isinstance(values[key], str) or (key in _FILLED and not values[key].strip()):
            raise Rejected(f"the value of {key!r} is not a non-empty string")
        if key in {"id", "patient"} and not _encodable(values[key]):
            raise Rejected(f"the value of {key!r} is not valid Unicode")
    if kind == "preferences":
        _check_answers(values["chosen"], values["rejected"])
    known = parse_known(values.get("known", {}))
    row_id = values.get("id") or _content_id(values, fields, seen)
    if row_id in seen:
        raise Rejected(f"the id was used before in this file, on line {seen[row_id]}")
    patient = values["patient"]
    names = [row_id] if kind == "notes" else [f"{row_id}|{name}" for name in fields]
    texts = tuple(
        ingest(name, patient, values[key], known, row_id) for name, key in zip(names, fields, strict=True)
    )
    return RawRow(row_id, patient, texts, _margin(values.get("margin", 0.0)), _marks(values))


def _check_answers(chosen: str, rejected: str) -> None:
    if not chosen.strip() or not rejected.strip():
        raise Rejected("an answer is empty")
    if chosen.split() == rejected.split():
        raise Rejected("both answers are the same")


def _encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8; a lone half of a surrogate pair cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _margin(value: object) -> float:
    """How much better: whoever means the other answer writes it as the chosen one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Rejected("'margin' is not a number")
    if not 0 <= value <= _HIGHEST_MARGIN or not math.isfinite(value):
        raise Rejected(f"'margin' is not from 0 to {_HIGHEST_MARGIN}")
    return float(value)


def _marks(values: Mapping[str, Any]) -> tuple[AnswerMarks, ...]:
    """Marks of the chosen, then of the rejected answer; none where the row has neither key."""
    if not {"ratings", "flags"} & values.keys():
        return ()
    ratings, flags = (_by_answer(values.get(key, {}), key) for key in ("ratings", "flags"))
    made = []
    for answer in ("chosen", "rejected"):
        rated = [(name, _rating(rating)) for name, rating in sorted(ratings.get(answer, {}).items())]
        flagged = [(name, _flag(flag)) for name, flag in sorted(flags.get(answer, {}).items())]
        made.append(AnswerMarks(tuple(rated), tuple(flagged)))
    return tuple(made)


def _by_answer(value: object, key: str) -> Mapping[str, Mapping[str, object]]:
    if not isinstance(value, dict) or value.keys() - {"chosen", "rejected"}:
        raise Rejected(f"{key!r} is not an object with the keys chosen and rejected")
    for marks in value.values():
        if not isinstance(marks, dict) or len(marks) > _MOST_MARKS:
            raise Rejected(f"{key!r} is not an object of at most {_MOST_MARKS} names for each answer")
        if not all(_MARK.fullmatch(name) for name in marks):
            raise Rejected(f"a name in {key!r} is not made of a-z, 0-9, _ and -")
    return value


def _rating(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Rejected("a rating is not a number from 1 to 5")
    if not LOWEST_RATING <= value <= HIGHEST_RATING:
        raise Rejected("a rating is not a number from 1 to 5")
    return float(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise Rejected("a flag is not true or false")
    return value


def _content_id(values: Mapping[str, Any], fields: tuple[str, ...], seen: Mapping[str, int]) -> str:
    """A name from the row's own content, so that reading the file again gives the same one."""
    joined = json.dumps([values["patient"], *(values[name] for name in fields)]).encode()
    digest = hashlib.sha256(joined).hexdigest()
    copy = 0
    while f"{digest}-{copy}" in seen:
        copy += 1
    return f"{digest}-{copy}"
