"""Scenario (b): open clinical files as hospitals' records, public prompts and the coordinator's test data.

Demonstrations are medquad_sft and mts_dialog, split over sites by institute and by note section, which
is the natural shift; preferences are medquad_judged and mts_summary_ratings. The privacy unit is the
document, dialogue or question, never the pair (one question of medquad_judged gives up to 40 pairs),
and a unit lies in one site and on one side of the hold-out, chosen by a keyed hash. Dialogues whose
preferences are held out are not demonstrated either. k_qa's questions are treated as public prompts.
Every choice is a function of the seed, so that a resumed run reads the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intraward_shared.errors import ConfigError, InputError
from intraward_simulation.scenario import Files

Row = dict[str, Any]

HELD_OUT_OF = 4
"""One preference question and one public prompt in this many are the coordinator's."""
RECORDS_OUT_OF = 20
"""One demonstration unit in this many is the coordinator's."""
MOST_RECORDS = 100
_INSTITUTES = (
    *("CancerGov", "GARD", "GHR"),
    *("NIDDK", "NHLBI", "NINDS"),
    *("NIHSeniorHealth", "MPlusHealthTopics", "CDC"),
)
_SECTIONS = ("exam", "assessment", "history", "intake", "medication")
_MEDQUAD_GRADES, _F1_RANGE = 3.0, 1.0  # largest possible difference of grades; margins are shares of it


@dataclass(frozen=True)
class SiteRows:
    """Rows of one site in the importers' formats."""

    demonstrations: tuple[Row, ...] = field(repr=False)
    preferences: tuple[Row, ...] = field(repr=False)


@dataclass(frozen=True)
class ClinicalData:
    """Sites, public prompts, and evaluation rows by the coordinator's names for them."""

    sites: Mapping[str, SiteRows]
    prompts: tuple[Row, ...] = field(repr=False)
    evaluation: Mapping[str, tuple[Row, ...]] = field(repr=False)


def read_clinical(folder: Path, terms: Files, seed: int) -> ClinicalData:
    """Read the open sets below ``folder`` and deal them out.

    Args:
        folder: holds ``medquad_sft/``, ``mts_dialog/``, ``medquad_judged/``, ``mts_summary_ratings/``,
            ``k_qa/`` and ``pubmedqa/``.
        terms: number of sites and how much of each set to take.
        seed: picks the hold-out and which rows are taken.

    Raises:
        ConfigError: a file is missing. InputError: a line is not what it should be.
    """
    pairs = [pair for pair in _preferences(folder) if _fits(pair, terms.max_characters)]
    wanted = [pair for pair in pairs if not _held_out(seed, pair["patient"], HELD_OUT_OF)]
    kept_back = [pair for pair in pairs if _held_out(seed, pair["patient"], HELD_OUT_OF)]
    closed_dialogues = {pair["prompt"] for pair in kept_back}
    demonstrations = {
        place: [
            row for row in rows if _fits(row, terms.max_characters) and row["prompt"] not in closed_dialogues
        ]
        for place, rows in _demonstrations(folder, terms.sites).items()
    }
    dealt = _deal(wanted, terms.sites, seed)
    sites = {
        f"site-{place + 1}": SiteRows(
            _take(_training(demonstrations[place], seed), terms.demonstrations, seed),
            _take(dealt[place], terms.preferences, seed),
        )
        for place in range(terms.sites)
    }
    questions = [{"prompt": row["prompt"]} for row in read_rows(folder / "k_qa" / "prompts.jsonl", "prompt")]
    public = [row for row in questions if not _held_out(seed, row["prompt"], HELD_OUT_OF)]
    own = [row for row in questions if _held_out(seed, row["prompt"], HELD_OUT_OF)]
    records = [row for rows in demonstrations.values() for row in rows if _is_record(seed, row)]
    evaluation = {
        "prompts": tuple(own),
        "preferences": tuple(
            {key: pair[key] for key in ("prompt", "chosen", "rejected")} for pair in kept_back
        ),
        "records": tuple(
            {"prompt": row["prompt"], "completion": row["completion"]}
            for row in _take(records, MOST_RECORDS, seed)
        ),
        "closed": _take(_closed(folder), terms.closed_questions, seed),
    }
    return ClinicalData(sites, _take(public, terms.prompts, seed), {k: v for k, v in evaluation.items() if v})


def _demonstrations(folder: Path, sites: int) -> dict[int, list[Row]]:
    out: dict[int, list[Row]] = {place: [] for place in range(sites)}
    for row in read_rows(folder / "medquad_sft" / "sft.jsonl", "doc", "prompt", "response", "site"):
        place = _place(row["site"], _INSTITUTES, sites)
        out[place].append(
            {"patient": f"doc-{row['doc']}", "prompt": row["prompt"], "completion": row["response"]}
        )
    for row in read_rows(folder / "mts_dialog" / "sft.jsonl", "id", "prompt", "response", "site"):
        place = _place(row["site"], _SECTIONS, sites)
        out[place].append({"patient": row["id"], "prompt": row["prompt"], "completion": row["response"]})
    return out


def _preferences(folder: Path) -> list[Row]:
    keys = ("prompt_id", "prompt", "chosen", "rejected", "grade_chosen", "grade_rejected")
    out = []
    for name, span in (("medquad_judged", _MEDQUAD_GRADES), ("mts_summary_ratings", _F1_RANGE)):
        for row in read_rows(folder / name / "pairs.jsonl", *keys):
            margin = round((float(row["grade_chosen"]) - float(row["grade_rejected"])) / span, 6)
            pair = {key: row[key] for key in ("prompt", "chosen", "rejected")}
            out.append({"patient": row["prompt_id"], **pair, "margin": margin})
    return out


def _closed(folder: Path) -> list[Row]:
    rows = read_rows(folder / "pubmedqa" / "sft.jsonl", "prompt", "label")
    return [{"prompt": row["prompt"], "label": row["label"]} for row in rows]


def read_rows(path: Path, *keys: str) -> list[Row]:
    """Rows of a JSONL file that have ``keys``.

    Raises:
        ConfigError: no such file. InputError: a line is not JSON or lacks a key.
    """
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            path, "", "cannot be read", remedy="give the folder of the open data sets"
        ) from None
    rows: list[Row] = []
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except ValueError:
            raise InputError(path, number, "not JSON", remedy="fetch the file again") from None
        if not isinstance(row, dict) or any(key not in row for key in keys):
            raise InputError(path, number, "a key is missing", remedy=f"needed: {', '.join(keys)}")
        rows.append(row)
    return rows


def _place(label: str, order: Sequence[str], sites: int) -> int:
    """Neighbours in ``order`` share a site; an unknown label goes to the first."""
    return order.index(label) * sites // len(order) if label in order else 0


def _deal(rows: Iterable[Row], sites: int, seed: int) -> list[list[Row]]:
    """Units in turn to the sites, in the order of a keyed hash."""
    rows = list(rows)
    units = sorted({row["patient"] for row in rows}, key=lambda unit: _hash(seed, "deal", unit))
    place = {unit: index % sites for index, unit in enumerate(units)}
    return [[row for row in rows if place[row["patient"]] == site] for site in range(sites)]


def _training(rows: Iterable[Row], seed: int) -> list[Row]:
    return [row for row in rows if not _is_record(seed, row)]


def _is_record(seed: int, row: Row) -> bool:
    return _held_out(seed, row["patient"], RECORDS_OUT_OF)


def _take(rows: Sequence[Row], most: int, seed: int) -> tuple[Row, ...]:
    """At most ``most`` rows, chosen by a keyed hash of what they say, in that order."""
    return tuple(sorted(rows, key=lambda row: _hash(seed, "take", json.dumps(row, sort_keys=True)))[:most])


def _fits(row: Row, most: int) -> bool:
    answers = (len(row[key]) for key in ("completion", "chosen", "rejected") if key in row)
    return len(row["prompt"]) + max(answers) <= most


def _held_out(seed: int, unit: str, one_in: int) -> bool:
    return int(_hash(seed, "hold out", unit)[:8], 16) % one_in == 0


def _hash(seed: int, purpose: str, text: str) -> str:
    return hashlib.sha256(f"{seed}|{purpose}|{text}".encode()).hexdigest()
