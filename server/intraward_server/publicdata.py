"""Public records of free stages and of evaluation: JSONL in, canonical bytes out.

A free stage costs no privacy only if its records are public (DESIGN.md section 6), so they are read
once when a run begins, pinned by digest in its state and plans, and sent from that snapshot ever
after. Only the fields that a stage needs are kept.
"""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

from intraward_shared.errors import ConfigError, InputError
from intraward_shared.signing import canonical_json
from intraward_shared.stages import Stage

Record = dict[str, str]

FIELDS: dict[Stage, tuple[str, ...]] = {
    Stage.SFT: ("prompt", "completion"),
    Stage.REWARD: ("prompt", "chosen", "rejected"),
    Stage.PPO: ("prompt",),
    Stage.RLOO: ("prompt",),
    Stage.DPO: ("prompt", "chosen", "rejected"),
}


def read_records(path: Path, fields: tuple[str, ...], *, limit: int | None = None) -> list[Record]:
    """Read a JSONL file and keep ``fields`` of each row.

    Raises:
        ConfigError: the file cannot be read, or holds no row.
        InputError: a line is not a JSON object with these fields as non-empty strings.
    """
    rows = [row for _, row in numbered_records(path, fields)]
    return rows if limit is None else rows[:limit]


def numbered_records(path: Path, fields: tuple[str, ...]) -> list[tuple[int, Record]]:
    """The same with the line of each row; a byte order mark is passed over.

    Raises:
        ConfigError, InputError: as ``read_records``.
    """
    return [(n, {name: row[name] for name in fields}) for n, row in numbered_objects(path, fields)]


def numbered_objects(path: Path, fields: tuple[str, ...]) -> list[tuple[int, dict[str, Any]]]:
    """The same with everything else that stands in a row, unchecked.

    Raises:
        ConfigError, InputError: as ``read_records``.
    """
    lines = _bytes(path).removeprefix(codecs.BOM_UTF8).split(b"\n")
    rows = [(n, _row(path, n, line, fields)) for n, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise ConfigError(path, "", "holds no record", remedy="give at least one line")
    return rows


def _bytes(path: Path) -> bytes:
    if path.is_dir():
        raise ConfigError(path, "", "is a folder", remedy="name a JSONL file in it")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(path, "", "no such file", remedy="check the path") from None
    except OSError:
        raise ConfigError(path, "", "cannot be read", remedy="check permissions") from None


def _row(path: Path, number: int, line: bytes, fields: tuple[str, ...]) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise InputError(path, number, "not UTF-8 text", remedy="save the file as UTF-8") from None
    except (ValueError, RecursionError):
        raise InputError(path, number, "not a JSON object", remedy="one object a line") from None
    if not isinstance(row, dict):
        raise InputError(path, number, "not a JSON object", remedy="one object a line")
    for name in fields:
        if not isinstance(row.get(name), str):
            raise InputError(
                path, number, f"field {name!r} is missing or not text", remedy="add it, or drop the line"
            )
        if not _whole(row[name]):
            raise InputError(path, number, f"field {name!r} holds half a character", remedy="mend the text")
        if not row[name].strip():
            raise InputError(path, number, f"field {name!r} is empty", remedy="fill it, or drop the line")
    return row


def encode_records(rows: list[Record]) -> bytes:
    """Canonical bytes as a ward reads them: a JSON list of objects of strings."""
    return canonical_json(rows)


def decode_records(data: bytes) -> list[Record]:
    """Inverse of ``encode_records`` for our own snapshot."""
    return [dict(row) for row in json.loads(data)]


def _whole(text: str) -> bool:
    """Whether a text can be written down; JSON can name one half of a character outside the first plane."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
