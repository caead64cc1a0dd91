"""Rankings: two to four answers in the order that several people agreed on, as one training row each.

A row of the label station is a function of one item's votes and of its own patient's texts
(``labeling.settle``); it is replaced when they change and dropped when they no longer agree. An imported one
comes with its texts. Two answers that are not tied train as a pair whose margin is the strength; more, or
ties, as a ranking, which is one record. Where people said that no answer may be given to anyone, every answer
is marked ``unacceptable``: an absolute judgment, which a reward model's flag head learns and no pair says.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert, select

from intraward_client.deid.note import DeidentifiedNote
from intraward_client.store.consent import consenting
from intraward_client.store.datasets import AnswerMarks, PairRecord, RankingRecord, TrainingTable, narrowed
from intraward_client.store.preferences import decode_marks, encode_marks, preference_table
from intraward_client.store.schema import candidates, patients, prompts, rankings
from intraward_client.store.vault import Vault
from intraward_shared.errors import VaultError

UNACCEPTABLE = "unacceptable"
"""The flag of an answer that may be given to no one; no rubric has a failure of this name."""
_KIND = "rankings"


@dataclass(frozen=True, slots=True, repr=False)
class Ranking:
    """What people said of the answers of one prompt, in the order of the answers.

    Args:
        ranks: 1 the best, equal ranks are ties; margin: strength of the preference, 0 where none was given.
        marks: ratings and failures of each answer, or none.
    """

    ranks: tuple[int, ...]
    margin: float = 0.0
    marks: tuple[AnswerMarks, ...] = field(default=())

    def __repr__(self) -> str:
        return "Ranking(<redacted>)"


def settle_ranking(
    vault: Vault, name: str, prompt_id: str, candidate_ids: Sequence[str], ranking: Ranking
) -> bool:
    """Store what an item's votes come to, in place of what was there; False where its texts are gone.

    Raises:
        VaultError: the candidates are not answers to this prompt.
    """
    row_id = vault.tag(_KIND, name)
    with vault.transaction() as connection:
        found = connection.execute(select(prompts).where(prompts.c.prompt_id == prompt_id)).first()
        if found is None or vault.is_forgotten(connection, found.unit):
            return False
        where = ("prompts", prompt_id, "prompt")
        prompt = vault.open_field(connection, found.unit, where, found.prompt)
        answers = [
            _answer(vault, connection, found.unit, prompt_id, candidate) for candidate in candidate_ids
        ]
        connection.execute(delete(rankings).where(rankings.c.row_id == row_id))
        _insert(vault, connection, row_id, found.unit, prompt, answers, ranking)
    return True


def drop_ranking(vault: Vault, name: str) -> bool:
    """Take a row away whose item is no longer agreed on; False when there was none."""
    row_id = vault.tag(_KIND, name)
    with vault.transaction() as connection:
        return bool(connection.execute(delete(rankings).where(rankings.c.row_id == row_id)).rowcount)


def add_ranking(
    vault: Vault,
    name: str,
    prompt: DeidentifiedNote,
    answers: Sequence[DeidentifiedNote],
    ranking: Ranking,
    unit: str = "",
) -> bool:
    """Store an imported ranking; False when it was there before or its patient was forgotten.

    Args:
        unit: of the patient, where the file names no patient because this site exported it.

    Raises:
        VaultError: the texts are of two patients, or nobody here has this unit.
    """
    if len({note.patient_id for note in (prompt, *answers)}) != 1:
        raise VaultError("a row names two patients", remedy="give each row one patient")
    row_id, owner = vault.tag(_KIND, name), unit or vault.unit_of(prompt.patient_id)
    with vault.transaction() as connection:
        there = connection.execute(select(rankings.c.unit).where(rankings.c.row_id == row_id)).first()
        if there is not None or vault.is_forgotten(connection, owner):
            return False
        known = select(patients.c.unit).where(patients.c.unit == unit)
        if unit and connection.execute(known).first() is None:
            raise VaultError("a unit is no patient of this site", remedy="name the patient in the file")
        vault.admit_unit(connection, owner)
        _insert(vault, connection, row_id, owner, prompt.text, [note.text for note in answers], ranking)
    return True


def ranking_records(vault: Vault) -> tuple[PairRecord | RankingRecord, ...]:
    """Every row of patients who did not opt out; a strict pair as a `PairRecord`."""
    with vault.transaction() as connection:
        found = []
        for row in connection.execute(select(rankings).where(consenting(rankings))).all():
            prompt, answers, judgment = (
                vault.open_field(connection, row.unit, (_KIND, row.row_id, column), row._mapping[column])
                for column in ("prompt", "answers", "judgment")
            )
            found.append(_record(row.unit, row.row_id, prompt, json.loads(answers), judgment))
    return tuple(found)


def comparison_table(vault: Vault) -> TrainingTable[PairRecord | RankingRecord]:
    """What a reward model learns from: rankings, judged pairs and imported preferences."""
    return TrainingTable.freeze((*preference_table(vault).rows, *ranking_records(vault)))


def pair_table(vault: Vault) -> TrainingTable[PairRecord]:
    """What DPO learns from: every pair, and the best and worst answer of every ranking.

    Without those whose answers are all tied or unacceptable: of these none is to become more probable.
    """
    pairs = (as_pair(row) for row in ranking_records(vault))
    return TrainingTable.freeze(
        (*preference_table(vault).rows, *(pair for pair in pairs if pair is not None))
    )


def as_pair(record: PairRecord | RankingRecord) -> PairRecord | None:
    """What DPO may learn of a row; None where all its answers are tied or unacceptable."""
    if record.marks and all(dict(marks.flags).get(UNACCEPTABLE) for marks in record.marks):
        return None
    pair = narrowed(record) if isinstance(record, RankingRecord) else record
    return pair if isinstance(pair, PairRecord) else None


def _insert(
    vault: Vault,
    connection: Connection,
    row_id: str,
    unit: str,
    prompt: str,
    answers: Sequence[str],
    ranking: Ranking,
) -> None:
    judgment = [ranking.ranks, ranking.margin, encode_marks(ranking.marks)]
    plain = {"prompt": prompt, "answers": json.dumps(list(answers)), "judgment": json.dumps(judgment)}
    _record(unit, row_id, prompt, list(answers), plain["judgment"])  # refuse what could not be read back
    sealed = {
        column: vault.seal_field(connection, unit, (_KIND, row_id, column), value)
        for column, value in plain.items()
    }
    connection.execute(insert(rankings).values(row_id=row_id, unit=unit, **sealed))


def _record(
    unit: str, row_id: str, prompt: str, answers: list[str], judgment: str
) -> PairRecord | RankingRecord:
    ranks, margin, encoded = json.loads(judgment)
    marks = decode_marks(encoded)
    if len(answers) == 2 and len(ranks) == 2 and ranks[0] != ranks[1]:
        best, worst = (0, 1) if ranks[0] < ranks[1] else (1, 0)
        chosen = (marks[best], marks[worst]) if marks else ()
        return PairRecord(unit, prompt, answers[best], answers[worst], float(margin), row_id, chosen)
    return RankingRecord(unit, prompt, tuple(answers), tuple(ranks), row_id, marks)


def _answer(vault: Vault, connection: Connection, unit: str, prompt_id: str, candidate_id: str) -> str:
    query = select(candidates.c.answer).where(
        candidates.c.candidate_id == candidate_id, candidates.c.prompt_id == prompt_id
    )
    sealed = connection.execute(query).scalar()
    if sealed is None:
        raise VaultError("an answer is none to its prompt", remedy="run label prepare again")
    return vault.open_field(connection, unit, ("candidates", candidate_id, "answer"), sealed)
