"""Prompts with answers that somebody wrote or generated elsewhere, through the de-identifier into the vault.

Rule 2 of DESIGN.md: every text is a raw note until the de-identifier has released it, and a task is stored
whole or not at all; what is held back is counted by reason code and still in the file. The prompt is kept as
a note, with its receipt, so that it can be shown; its answers as candidates of no adapter. It is a prompt
like any other of the site from then on: the ward may answer it, and a round on own prompts may read it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import insert, select

from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.deid.note import DeidentifiedNote
from intraward_client.deid.raw import RawNote, ingest
from intraward_client.store.consent import OPTED_OUT, opted_out
from intraward_client.store.notes import put_note
from intraward_client.store.ranking_intake import BEFORE, held_back
from intraward_client.store.schema import candidates, prompts
from intraward_client.store.vault import Vault

GIVEN = "given"
"""Stands for the adapter of an answer that none of ours wrote."""


@dataclass(frozen=True, slots=True, repr=False)
class RawTask:
    """A prompt and its answers as they stand in a file; ``name``: unique there and over all files."""

    name: str
    patient: str
    prompt: str
    answers: tuple[str, ...]
    known: Mapping[str, str]

    def __repr__(self) -> str:
        return "RawTask(<redacted>)"


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a task is in the vault."""

    unit: str
    prompt_id: str
    candidate_ids: tuple[str, ...]


def take_tasks(
    vault: Vault,
    deidentifier: Deidentifier,
    tasks: Sequence[RawTask],
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, Stored], Counter[str]]:
    """Store tasks; those that are in the vault now by name, new or not, and what was left out by reason code.

    Raises:
        DeidError, VaultError: the node is not fit to run, or a name is another patient's; what was stored
            stays, and a second run does the rest.
    """
    left: Counter[str] = Counter()
    found: dict[str, Stored] = {}
    todo = []
    for task in tasks:
        there = _there(vault, task)
        if isinstance(there, str):
            left[there] += 1
        elif there is not None:
            found[task.name] = there
        else:
            todo.append(task)
    if not todo:
        return found, left
    deidentifier.ready(workers)
    notes = [note for task in todo for note in _raw(task)]
    outcomes = deidentifier.deidentify_many(iter(notes), workers, progress, len(notes))
    for task in todo:
        parts = [next(outcomes) for _ in range(1 + len(task.answers))]
        reason = held_back(parts)
        if reason is not None:
            left[reason] += 1
            continue
        prompt, *answers = [part for part in parts if isinstance(part, DeidentifiedNote)]
        found[task.name] = _store(vault, task, prompt, answers)
    return found, left


def _there(vault: Vault, task: RawTask) -> Stored | str | None:
    """Where a task is already, or why it is not to be stored, or None."""
    unit, prompt_id = vault.unit_of(task.patient), _prompt_id(vault, task)
    with vault.transaction() as connection:
        if vault.is_forgotten(connection, unit):
            return BEFORE
        if unit in opted_out(connection):
            return OPTED_OUT
        query = select(candidates.c.candidate_id).where(
            candidates.c.prompt_id == prompt_id,
            candidates.c.unit == unit,
            candidates.c.adapter_digest == GIVEN,
        )
        names = connection.execute(query.order_by(candidates.c.slot)).scalars().all()
    return Stored(unit, prompt_id, tuple(names)) if names else None


def _store(
    vault: Vault, task: RawTask, prompt: DeidentifiedNote, answers: Sequence[DeidentifiedNote]
) -> Stored:
    unit, prompt_id, note_id = vault.unit_of(task.patient), _prompt_id(vault, task), _note_id(vault, task)
    names = tuple(_candidate(vault, prompt_id, slot) for slot in range(len(answers)))
    with vault.transaction() as connection:
        put_note(vault, connection, unit, note_id, prompt)
        sealed = vault.seal_field(connection, unit, ("prompts", prompt_id, "prompt"), prompt.text)
        row = {"prompt_id": prompt_id, "unit": unit, "note_id": note_id, "prompt": sealed}
        connection.execute(insert(prompts).prefix_with("OR IGNORE").values(**row))
        for slot, (name, answer) in enumerate(zip(names, answers, strict=True)):
            kept = vault.seal_field(connection, unit, ("candidates", name, "answer"), answer.text)
            connection.execute(
                insert(candidates).values(
                    candidate_id=name,
                    unit=unit,
                    prompt_id=prompt_id,
                    slot=slot,
                    adapter_digest=GIVEN,
                    answer=kept,
                )
            )
    return Stored(unit, prompt_id, names)


def answer_names(vault: Vault, name: str, answers: int) -> tuple[str, ...]:
    """Candidates that a task of this name has or would have, in the order of its file."""
    prompt_id = vault.tag("prompt", f"{vault.tag('note', f'{GIVEN}|{name}')}|0")
    return tuple(_candidate(vault, prompt_id, slot) for slot in range(answers))


def _candidate(vault: Vault, prompt_id: str, slot: int) -> str:
    return vault.tag("candidate", f"{prompt_id}|{GIVEN}|{slot}")


def _raw(task: RawTask) -> Iterator[RawNote]:
    for number, text in enumerate((task.prompt, *task.answers)):
        yield ingest(f"{task.name}|{number}", task.patient, text, dict(task.known), task.name)


def _note_id(vault: Vault, task: RawTask) -> str:
    return vault.tag("note", f"{GIVEN}|{task.name}")


def _prompt_id(vault: Vault, task: RawTask) -> str:
    """As ``prompts.add_prompts`` would name it, which therefore adds no second one."""
    return vault.tag("prompt", f"{_note_id(vault, task)}|0")
