"""Rows for TRL: preference pairs with a margin, and KTO's answers with a label (datasets of TRL 1.x).

A ranking of more than two answers is every strict pair of it, named by its record so that a split can keep
them together. KTO: a sole best answer is desirable, a sole worst one is not; of answers that are all
unacceptable every one is undesirable, which no pair can say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import permutations

from intraward_client.store.datasets import PairRecord, RankingRecord
from intraward_client.store.rankings import UNACCEPTABLE

Record = PairRecord | RankingRecord


def preference_rows(records: Iterable[Record]) -> Iterator[dict[str, object]]:
    """``{prompt, chosen, rejected, margin, record}``; answers that are all unacceptable make no pair."""
    for record in records:
        if refused(record):
            continue
        answers, ranks = answers_of(record)
        margin = record.margin if isinstance(record, PairRecord) else 0.0
        for one, other in permutations(range(len(answers)), 2):
            if ranks[one] < ranks[other]:
                texts = {"prompt": record.prompt, "chosen": answers[one], "rejected": answers[other]}
                yield {**texts, "margin": margin, "record": record.row_id}


def kto_rows(records: Iterable[Record]) -> Iterator[dict[str, object]]:
    """``{prompt, completion, label, record}``."""
    for record in records:
        answers, ranks = answers_of(record)
        for answer, rank in zip(answers, ranks, strict=True):
            best = rank == min(ranks) and ranks.count(rank) == 1
            worst = rank == max(ranks) and ranks.count(rank) == 1
            if refused(record) or best or worst:
                label = best and not refused(record)
                yield {"prompt": record.prompt, "completion": answer, "label": label, "record": record.row_id}


def answers_of(record: Record) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Answers and ranks of a record."""
    if isinstance(record, RankingRecord):
        return record.answers, record.ranks
    return (record.chosen, record.rejected), (1, 2)


def refused(record: Record) -> bool:
    """Whether people said of every answer that it may be given to no one."""
    return bool(record.marks) and all(dict(marks.flags).get(UNACCEPTABLE) for marks in record.marks)
