"""Judgments become training rows in the vault: one for each item that its own votes agree on.

Section 6 of DESIGN.md: a row is a function of its item's votes, of its own patient's texts, and of weights
that gold items gave; nothing learnt from other patients' votes comes in. Running it again changes nothing
that has not changed: an item that is no longer agreed on, or not shown any more, loses its row. A correction
that a rater wrote passes the de-identifier once more and becomes a demonstration, for as long as the vote
stands and decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from intraward_client.deid.note import Quarantined
from intraward_client.labeling.book import AGREED, Book, correction_of
from intraward_client.labeling.consensus import Judged, judged, standing
from intraward_client.labeling.freetext import Cleaner
from intraward_client.labeling.judgment import Item, Kind, Vote
from intraward_client.labeling.raters import gold_scores, gold_weights
from intraward_client.labeling.rubric import Rubric
from intraward_client.store.corrections import drop_corrections, settle_correction
from intraward_client.store.datasets import AnswerMarks
from intraward_client.store.rankings import (
    UNACCEPTABLE,
    Ranking,
    drop_ranking,
    settle_ranking,
)
from intraward_client.store.vault import Vault


@dataclass(frozen=True, slots=True)
class Collected:
    """Items with a training row, items without one, new demonstrations, corrections held back."""

    rows: int
    without: int
    demonstrations: int
    held: int


def collect(
    book: Book, vault: Vault, rubrics: Mapping[Kind, Rubric], cleaner: Cleaner | None = None
) -> Collected:
    """Store the row of every agreed item, and drop every other.

    Args:
        cleaner: for corrections; without one none becomes a demonstration.

    Raises:
        VaultError, LabelError: vault or book refuse; what was stored stays, and a second run does the rest.
    """
    items = book.items()
    by_item: dict[str, list[Vote]] = defaultdict(list)
    for vote in book.votes():
        by_item[vote.item_id].append(vote)
    states = book.states()
    weights = _weights(items, by_item) if book.terms.gold_weights else None
    voters = book.voters()
    rows = without = demonstrations = held = 0
    for item in items:
        if item.gold is not None:
            continue
        rubric = rubrics[item.kind]
        found = standing(by_item[item.item_id], item.kind, book.terms, rubric.critical)
        if states[item.item_id] != AGREED or found.state != AGREED:
            drop_ranking(vault, item.item_id)
            drop_corrections(vault, _names(item, voters.get(item.item_id, ())))
            without += 1
            continue
        ranking = ranking_of(judged(found.deciding, [failure.key for failure in rubric.failures], weights))
        stored = settle_ranking(vault, item.item_id, item.prompt_id, item.candidate_ids, ranking)
        rows, without = rows + stored, without + (not stored)
        said = {vote.rater for vote in found.deciding if vote.correction.strip()}
        drop_corrections(vault, _names(item, voters[item.item_id] - said))
        made, kept_back = _corrected(vault, item, found.deciding, cleaner)
        demonstrations, held = demonstrations + made, held + kept_back
    return Collected(rows, without, demonstrations, held)


def ranking_of(found: Judged) -> Ranking:
    """One judgment as a training row; ``unacceptable`` is marked, or denied, of every answer."""
    marks = tuple(
        AnswerMarks(
            tuple(sorted(rated.items())),
            tuple(sorted({**flagged, UNACCEPTABLE: found.all_unacceptable}.items())),
        )
        for rated, flagged in zip(found.ratings, found.flags, strict=True)
    )
    return Ranking(found.ranks, found.strength, marks)


def _weights(items: Sequence[Item], by_item: Mapping[str, Sequence[Vote]]) -> Mapping[str, float]:
    gold = [item for item in items if item.gold is not None]
    votes = [vote for item in gold for vote in by_item.get(item.item_id, ())]
    return gold_weights(gold_scores(votes, gold))


def _corrected(vault: Vault, item: Item, votes: Sequence[Vote], cleaner: Cleaner | None) -> tuple[int, int]:
    """Demonstrations made of an item's corrections, and corrections that were held back."""
    made = held = 0
    for vote in votes:
        if not vote.correction.strip() or cleaner is None:
            continue
        text = cleaner.deidentify_text(vote.correction, item.unit, {})
        name = correction_of(item.item_id, vote.rater)
        if isinstance(text, Quarantined):
            drop_corrections(vault, [name])
            held += 1
        else:
            made += settle_correction(vault, name, item.prompt_id, text)
    return made, held


def _names(item: Item, raters: Iterable[str]) -> list[str]:
    return [correction_of(item.item_id, rater) for rater in raters]
