"""Public records of free stages and of evaluation: JSONL in, canonical bytes out.

A free stage costs no privacy only if its records are public (DESIGN.md section 6), so they are read
once when a run begins, pinned by digest in its state and plans, and sent from that snapshot ever
after. Only the fields that a stage needs are kept.
"""

from __future__ import annotations

import json
from pathlib import Path

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
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            path, "", "public data cannot be read as UTF-8", remedy="check the path in the program"
        ) from None
    rows = [_row(path, number, line, fields) for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows:
        raise ConfigError(path, "", "public data holds no record", remedy="give at least one line")
    return rows if limit is None else rows[:limit]


def _row(path: Path, number: int, line: str, fields: tuple[str, ...]) -> Record:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise InputError(path, number, "not a JSON object", remedy="one object a line") from None
    if not isinstance(row, dict):
        raise InputError(path, number, "not a JSON object", remedy="one object a line")
    for name in fields:
        if not isinstance(row.get(name), str) or not row[name].strip():
            raise InputError(
                path, number, f"field {name!r} is missing or not text", remedy="add it, or drop the line"
            )
    return {name: row[name] for name in fields}


def encode_records(rows: list[Record]) -> bytes:
    """Canonical bytes as a ward reads them: a JSON list of objects of strings."""
    return canonical_json(rows)


def decode_records(data: bytes) -> list[Record]:
    """Inverse of ``encode_records`` for our own snapshot."""
    return [dict(row) for row in json.loads(data)]
