"""Real open files as a scenario's world: three or more hospitals out of published clinical sets.

Reads a folder with the sets ``medquad_sft``, ``mts_dialog`` (demonstrations), ``medquad_judged``,
``mts_summary_ratings`` (clinicians' preferences), ``k_qa`` (public prompts) and ``pubmedqa`` (closed
questions). A set's own ``site`` labels (institute, note section, topic) are dealt to the hospitals, so
topic and style differ between them. The privacy unit is the question or encounter, not the pair. One
part of each set, chosen by a hash of the unit, is kept for the coordinator's evaluation.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intraward_shared.errors import ConfigError, InputError
from intraward_simulation.scenario import Files

Row = dict[str, Any]
SITE_NAMES = (
    "ashford",
    "bellevue",
    "carrick",
    "dunmore",
    "eastgate",
    "fairview",
    "glenholm",
    "harbour",
    "inverloch",
)
HELD_OUT_OF = 5
"""One unit in five belongs to the coordinator's evaluation."""


@dataclass(frozen=True)
class SiteRows:
    """One hospital's rows, ready for import."""

    demonstrations: tuple[Row, ...] = field(repr=False)
    preferences: tuple[Row, ...] = field(repr=False)


@dataclass(frozen=True)
class ClinicalData:
    """Hospitals, public prompts and the coordinator's evaluation sets."""

    sites: Mapping[str, SiteRows] = field(repr=False)
    prompts: tuple[Row, ...] = field(repr=False)
    evaluation: Mapping[str, tuple[Row, ...]] = field(repr=False)


def read_clinical(folder: Path, terms: Files, seed: int) -> ClinicalData:
    """Read the sets of ``folder``.

    Raises:
        ConfigError: the folder or one of its files is missing.
        InputError: a line is not as the set's description says.
    """
    if not folder.is_dir():
        raise ConfigError(folder, "", "no such data folder", remedy="give the folder that holds the sets")
    demonstrations = [
        *_read(folder / "medquad_sft" / "sft.jsonl", lambda r: _demonstration(r, "medquad")),
        *_read(folder / "mts_dialog" / "sft.jsonl", lambda r: _demonstration(r, "mts")),
    ]
    preferences = [
        *_read(folder / "medquad_judged" / "pairs.jsonl", lambda r: _preference(r, "judged")),
        *_read(folder / "mts_summary_ratings" / "pairs.jsonl", lambda r: _preference(r, "rated")),
    ]
    prompts = _read(
        folder / "k_qa" / "prompts.jsonl", lambda r: _Labelled(r["id"], "public", {"prompt": r["prompt"]})
    )
    closed = _read(folder / "pubmedqa" / "sft.jsonl", lambda r: _Labelled(r["id"], "public", _closed(r)))
    short = [row for row in demonstrations if _characters(row) <= terms.max_characters]
    pairs = [row for row in preferences if _characters(row) <= terms.max_characters]
    names = SITE_NAMES[: terms.sites]
    ours, theirs = _held_out(short, seed), _kept(short, seed)
    dealt = _deal(theirs, names, terms.demonstrations, seed)
    judged = _deal(_kept(pairs, seed), names, terms.preferences, seed)
    return ClinicalData(
        {name: SiteRows(_imports(dealt[name]), _imports(judged[name])) for name in names},
        _values(_kept(prompts, seed), seed)[: terms.prompts],
        {
            "prompts": _values(_held_out(prompts, seed), seed),
            "preferences": _values(_held_out(pairs, seed), seed, drop=("margin",)),
            "records": _values(ours, seed),
            "closed": _values(closed, seed)[: terms.closed_questions],
        },
    )


@dataclass(frozen=True)
class _Labelled:
    """A row with its privacy unit and the set's own site label."""

    unit: str
    label: str
    values: Row = field(repr=False)


def _read(path: Path, make: Callable[[Row], _Labelled]) -> list[_Labelled]:
    try:
        lines = path.read_text(encoding="utf-8").strip("\n").split("\n")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            path, "", "cannot be read", remedy="the scenario's data folder must hold this set"
        ) from None
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(make(json.loads(line)))
        except (ValueError, KeyError, TypeError):
            raise InputError(path, number, "not a row of this set", remedy="fetch the set again") from None
    return rows


def _demonstration(row: Row, tag: str) -> _Labelled:
    return _Labelled(
        f"{tag}-{row.get('doc', row['id'])}",
        f"{tag}-{row['site']}",
        {"prompt": row["prompt"], "completion": row["response"]},
    )


def _preference(row: Row, tag: str) -> _Labelled:
    texts = {key: row[key] for key in ("prompt", "chosen", "rejected")}
    return _Labelled(f"{tag}-{row['prompt_id']}", f"{tag}-{row['site']}", texts | {"margin": 0.0})


def _closed(row: Row) -> Row:
    return {"prompt": row["prompt"], "label": row["label"]}


def _characters(row: _Labelled) -> int:
    texts = [value for value in row.values.values() if isinstance(value, str)]
    return len(texts[0]) + max(len(text) for text in texts[1:])


def _hash(seed: int, text: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}|{text}".encode()).digest()[:8], "big")


def _held_out(rows: Iterable[_Labelled], seed: int) -> list[_Labelled]:
    return [row for row in rows if _hash(seed, row.unit) % HELD_OUT_OF == 0]


def _kept(rows: Iterable[_Labelled], seed: int) -> list[_Labelled]:
    return [row for row in rows if _hash(seed, row.unit) % HELD_OUT_OF != 0]


def _deal(rows: list[_Labelled], names: tuple[str, ...], most: int, seed: int) -> dict[str, list[_Labelled]]:
    """Deal the sets' site labels to the hospitals in turn, largest first; at most ``most`` rows each."""
    sizes: dict[str, int] = {}
    for row in rows:
        sizes[row.label] = sizes.get(row.label, 0) + 1
    filled = dict.fromkeys(names, 0)
    owner = {}
    for label in sorted(sizes, key=lambda name: (-sizes[name], name)):
        owner[label] = min(names, key=lambda name: (filled[name], name))
        filled[owner[label]] += sizes[label]
    dealt: dict[str, list[_Labelled]] = {name: [] for name in names}
    for row in _mixed(rows, seed):
        if len(dealt[owner[row.label]]) < most:
            dealt[owner[row.label]].append(row)
    return dealt


def _mixed(rows: Iterable[_Labelled], seed: int) -> list[_Labelled]:
    return sorted(rows, key=lambda row: _hash(seed + 1, json.dumps(row.values, sort_keys=True)))


def _imports(rows: list[_Labelled]) -> tuple[Row, ...]:
    return tuple({"id": f"row-{i}", "patient": row.unit, **row.values} for i, row in enumerate(rows))


def _values(rows: list[_Labelled], seed: int, drop: tuple[str, ...] = ()) -> tuple[Row, ...]:
    return tuple({k: v for k, v in row.values.items() if k not in drop} for row in _mixed(rows, seed))
