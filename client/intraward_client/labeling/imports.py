"""Judged projects of Label Studio and Argilla into the vault, as training rows.

Rule 2 and section 6 of DESIGN.md. The file is read as a whole before anything is stored, and what is not
known in it is refused by task and field. Every text passes the de-identifier; a task of which a text is held
back is left out and counted by reason code. The votes of one task come to one row, by its own votes alone,
and only above the policy's consensus. Rationales and corrections of a file are not taken.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.labeling.consensus import judged, share
from intraward_client.labeling.formats.argilla import read_records
from intraward_client.labeling.formats.judged import REMEDY, JudgedTask
from intraward_client.labeling.formats.labelstudio import Names, read_tasks
from intraward_client.labeling.judgment import Vote
from intraward_client.labeling.records import ranking_of
from intraward_client.store.consent import OPTED_OUT, opted_out
from intraward_client.store.ranking_intake import RawRanking, take_rankings
from intraward_client.store.vault import Vault
from intraward_shared.errors import InputError

_MOST_BYTES = 1 << 30
_NO_CONSENSUS, _UNJUDGED = "no-consensus", "unjudged"


@dataclass(frozen=True, slots=True)
class Brought:
    """Tasks in the file, rows stored, and by reason code what was left out."""

    tasks: int
    rows: int
    left_out: Mapping[str, int]


def read_project(path: Path, form: str, names: Names | None = None) -> tuple[JudgedTask, ...]:
    """Tasks of a project's JSON file.

    Args:
        form: ``labelstudio`` or ``argilla``; names: keys of Label Studio's ``data``.

    Raises:
        InputError: names file, task and field, never content.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(path.name, 0, "is larger than 1 GB", remedy="export it in parts")
        value = json.loads(path.read_bytes().decode("utf-8"), object_pairs_hook=_once)
    except OSError:
        raise InputError(path.name, 0, "cannot be read", remedy="check the path") from None
    except json.JSONDecodeError as error:
        raise InputError(path.name, error.lineno, "is not JSON", remedy=REMEDY) from None
    except UnicodeDecodeError:
        raise InputError(path.name, 0, "is not UTF-8", remedy=REMEDY) from None
    except (_Twice, RecursionError):
        raise InputError(
            path.name, 0, "holds a key twice in one object, or is nested too deep", remedy=REMEDY
        ) from None
    tasks = read_records(path.name, value) if form == "argilla" else read_tasks(path.name, value, names)
    if not tasks:
        raise InputError(path.name, 0, "holds no task", remedy="export the project again")
    return tasks


def bring(
    vault: Vault,
    deidentifier: Deidentifier,
    tasks: Sequence[JudgedTask],
    consensus: float,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Brought:
    """Store one row for each task on which its raters agree.

    Raises:
        DeidError, VaultError: the node is not fit to run; what was stored stays.
    """
    left: Counter[str] = Counter()
    with vault.transaction() as connection:
        out = opted_out(connection)
    ready = []
    for task in tasks:
        reason = _unfit(task, consensus)
        if (task.unit or vault.unit_of(task.patient)) in out:
            reason = OPTED_OUT
        if reason is None:
            ready.append(_row(task))
        else:
            left[reason] += 1
    rows, held = take_rankings(vault, deidentifier, ready, workers, progress)
    return Brought(len(tasks), rows, dict(sorted((left + held).items())))


def deciding(votes: Sequence[Vote]) -> list[Vote]:
    """The votes that count: a panel's if there are any, else the first ones; the last of each rater."""
    for stage in ("adjudication", "first"):
        found = {vote.rater: vote for vote in votes if vote.stage == stage and vote.judged}
        if found:
            return list(found.values())
    return []


def _unfit(task: JudgedTask, consensus: float) -> str | None:
    votes = deciding(task.votes)
    if not votes:
        return _UNJUDGED
    return None if share(votes) >= consensus else _NO_CONSENSUS


def _row(task: JudgedTask) -> RawRanking:
    ranking = ranking_of(judged(deciding(task.votes)))
    return RawRanking(_name(task), task.patient, task.unit, task.prompt, task.answers, task.known, ranking)


def _name(task: JudgedTask) -> str:
    """The item's own name where this site exported the task, so that it does not train twice."""
    if task.unit:
        return task.task_id
    content = json.dumps([task.patient, task.prompt, *task.answers]).encode()
    return f"import|{hashlib.sha256(content).hexdigest()}"


class _Twice(ValueError):
    pass


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Twice
    return found
