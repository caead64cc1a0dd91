"""Judged projects of Label Studio and Argilla into the vault, as training rows.

Rule 2 and section 6 of DESIGN.md. The file is read as a whole before anything is stored, and what is not
known in it is refused by task and field. Every text passes the de-identifier; a task of which a text is held
back is left out and counted by reason code. The votes of one task come to one row by the rule of `label
collect` (``consensus.standing``): first votes and seniors' alone, the newest of each person, as many as the
policy wants, agreed; skips, repeats and gold say nothing. An item of this site's own book, which `label
export` wrote, is left to `label collect`: the book knows what was taken back since. Rationales and
corrections of a file are not taken, and counted.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.labeling.consensus import Standing, judged, standing
from intraward_client.labeling.formats.argilla import read_records
from intraward_client.labeling.formats.judged import REMEDY, JudgedTask
from intraward_client.labeling.formats.labelstudio import Names, read_tasks
from intraward_client.labeling.judgment import Kind
from intraward_client.labeling.records import ranking_of
from intraward_client.labeling.rubric import Rubric
from intraward_client.labeling.terms import LabelingTerms
from intraward_client.store.consent import OPTED_OUT, opted_out
from intraward_client.store.ranking_intake import RawRanking, take_rankings
from intraward_client.store.vault import Vault
from intraward_shared.errors import InputError

_MOST_BYTES = 1 << 30
UNJUDGED, TOO_FEW, NO_CONSENSUS, OWN = "unjudged", "too-few-raters", "no-consensus", "own-item"
"""Why a task is left out: nobody ranked it, fewer than are wanted, they disagree, the book has it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When the votes of a task train.

    Args:
        terms: the hospital's; of another tool's tasks ``overlap`` says how many raters a task must have.
        own: ids of the items in this site's book.
    """

    terms: LabelingTerms
    rubrics: Mapping[Kind, Rubric]
    own: frozenset[str] = frozenset()
    overlap: int | None = None

    def standing(self, task: JudgedTask) -> Standing:
        """Where a task stands, by its own votes alone."""
        return standing(task.votes, task.kind, self._terms(task), self.rubrics[task.kind].critical)

    def unfit(self, task: JudgedTask) -> str | None:
        """Why a task trains nothing, by code."""
        if task.unit and task.task_id in self.own:
            return OWN
        found = self.standing(task)
        if found.state == "agreed":
            return None
        if not found.deciding:
            return UNJUDGED
        terms = self._terms(task)
        wanted = terms.safety_overlap if task.kind == "safety" else terms.overlap
        return TOO_FEW if found.state == "open" and len(found.deciding) < wanted else NO_CONSENSUS

    def _terms(self, task: JudgedTask) -> LabelingTerms:
        if task.unit or self.overlap is None:
            return self.terms
        return self.terms.model_copy(update={"overlap": self.overlap, "safety_overlap": self.overlap})


@dataclass(frozen=True, slots=True)
class Brought:
    """Tasks in the file, rows stored, by reason code what was left out; free texts that were not taken."""

    tasks: int
    rows: int
    left_out: Mapping[str, int]
    comments: int = 0


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
    rule: Rule,
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
        reason = rule.unfit(task)
        if (task.unit or vault.unit_of(task.patient)) in out:
            reason = OPTED_OUT
        if reason is None:
            ready.append(_row(task, rule.standing(task)))
        else:
            left[reason] += 1
    rows, held = take_rankings(vault, deidentifier, ready, workers, progress)
    comments = sum(
        bool(text) for task in tasks for vote in task.votes for text in (vote.rationale, vote.correction)
    )
    return Brought(len(tasks), rows, dict(sorted((left + held).items())), comments)


def _row(task: JudgedTask, found: Standing) -> RawRanking:
    ranking = ranking_of(judged(found.deciding))
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
