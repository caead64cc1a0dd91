"""Prompts and their candidate answers.

A prompt is the rest of a note's ``Question:`` line. It is private even after de-identification (DESIGN
section 6) and belongs to the note's patient. Adding again changes nothing: ids are keyed hashes of
where a prompt or answer came from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from sqlalchemy import insert, select

from intraward_client.store.consent import consenting
from intraward_client.store.datasets import PromptRecord, TrainingTable
from intraward_client.store.notes import note_records
from intraward_client.store.schema import candidates, judgments, prompts
from intraward_client.store.vault import Vault
from intraward_shared.errors import VaultError

Extractor = Callable[[str], list[str]]
_QUESTION = "question:"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One generated answer to a prompt."""

    candidate_id: str
    slot: int
    adapter_digest: str
    answer: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LabelTask:
    """A prompt with its candidates, waiting for a judgment."""

    prompt: PromptRecord
    candidates: tuple[Candidate, ...]


def extract_questions(text: str) -> list[str]:
    """The rest of every line that starts with ``Question:``."""
    lines = (line.strip() for line in text.splitlines())
    found = (line[len(_QUESTION) :].strip() for line in lines if line.lower().startswith(_QUESTION))
    return [question for question in found if question]


def add_prompts(vault: Vault, extractor: Extractor = extract_questions) -> int:
    """Take the prompts out of every stored note; returns how many were new."""
    added = 0
    records = note_records(vault)
    with vault.transaction() as connection:
        have = set(connection.execute(select(prompts.c.prompt_id)).scalars())
        for note in records:
            for ordinal, prompt in enumerate(extractor(note.text)):
                prompt_id = vault.tag("prompt", f"{note.note_id}|{ordinal}")
                if prompt_id in have:
                    continue
                sealed = vault.seal_field(connection, note.unit, ("prompts", prompt_id, "prompt"), prompt)
                row = {"prompt_id": prompt_id, "unit": note.unit, "note_id": note.note_id, "prompt": sealed}
                connection.execute(insert(prompts).values(**row))
                have.add(prompt_id)
                added += 1
    return added


def prompt_records(vault: Vault) -> tuple[PromptRecord, ...]:
    """Every prompt of patients who did not opt out, ordered by unit and prompt id."""
    query = select(prompts).where(consenting(prompts)).order_by(prompts.c.unit, prompts.c.prompt_id)
    with vault.transaction() as connection:
        rows = connection.execute(query).all()
        return tuple(
            PromptRecord(
                row.unit,
                row.prompt_id,
                vault.open_field(connection, row.unit, ("prompts", row.prompt_id, "prompt"), row.prompt),
            )
            for row in rows
        )


def prompt_table(vault: Vault) -> TrainingTable[PromptRecord]:
    """The prompts as a training table (charged when policy optimisation uses it)."""
    return TrainingTable.freeze(prompt_records(vault))


def prompts_without_candidates(vault: Vault, adapter_digest: str) -> tuple[PromptRecord, ...]:
    """Prompts that this adapter has not answered yet, ordered by unit and prompt id."""
    query = select(candidates.c.prompt_id).where(candidates.c.adapter_digest == adapter_digest)
    with vault.transaction() as connection:
        answered = set(connection.execute(query).scalars())
    return tuple(record for record in prompt_records(vault) if record.prompt_id not in answered)


def add_candidates(
    vault: Vault, answers: Mapping[str, Sequence[str]], adapter_digest: str
) -> tuple[str, ...]:
    """Store one adapter's answers by prompt id, in one transaction; returns the ids of the candidates.

    Slots already filled stay as they are.

    Raises:
        VaultError: no such prompt.
    """
    ids = []
    with vault.transaction() as connection:
        for prompt_id, texts in answers.items():
            unit = connection.execute(select(prompts.c.unit).where(prompts.c.prompt_id == prompt_id)).scalar()
            if unit is None:
                raise VaultError("there is no such prompt", remedy="prepare the prompts first")
            for slot, answer in enumerate(texts):
                candidate_id = vault.tag("candidate", f"{prompt_id}|{adapter_digest}|{slot}")
                sealed = vault.seal_field(connection, unit, ("candidates", candidate_id, "answer"), answer)
                row = {
                    "candidate_id": candidate_id,
                    "unit": unit,
                    "prompt_id": prompt_id,
                    "slot": slot,
                    "adapter_digest": adapter_digest,
                    "answer": sealed,
                }
                connection.execute(insert(candidates).prefix_with("OR IGNORE").values(**row))
                ids.append(candidate_id)
    return tuple(ids)


def candidates_of(vault: Vault, prompt_id: str) -> tuple[Candidate, ...]:
    """The candidates of a prompt, ordered by adapter and slot."""
    query = select(candidates).where(candidates.c.prompt_id == prompt_id)
    with vault.transaction() as connection:
        rows = connection.execute(query.order_by(candidates.c.adapter_digest, candidates.c.slot)).all()
        return tuple(
            Candidate(
                row.candidate_id,
                row.slot,
                row.adapter_digest,
                vault.open_field(
                    connection, row.unit, ("candidates", row.candidate_id, "answer"), row.answer
                ),
            )
            for row in rows
        )


def unlabelled(vault: Vault, limit: int | None = None) -> tuple[LabelTask, ...]:
    """Two or more answers of one adapter to a prompt, none of them judged yet; by prompt id and adapter.

    A later iteration's policy answers the same prompts anew, so its answers are judged anew.
    """
    with vault.transaction() as connection:
        pairs = connection.execute(select(judgments.c.chosen_id, judgments.c.rejected_id)).all()
        judged = {name for pair in pairs for name in pair}
        offered = set(connection.execute(select(candidates.c.prompt_id)).scalars())
    tasks: list[LabelTask] = []
    for prompt in prompt_records(vault):
        if limit is not None and len(tasks) >= limit:
            break
        if prompt.prompt_id in offered:
            for _, group in groupby(candidates_of(vault, prompt.prompt_id), lambda c: c.adapter_digest):
                answers = tuple(group)
                if len(answers) > 1 and judged.isdisjoint(c.candidate_id for c in answers):
                    tasks.append(LabelTask(prompt, answers))
    return tuple(tasks[:limit])
