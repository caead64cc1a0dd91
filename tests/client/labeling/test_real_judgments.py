"""Real judged answers through the whole of it: items, raters of known noise, agreement, training rows.

Summaries of MTS-Dialog with manual factual F1, and answers of MedQuAD with grades. Raters are simulated: each
sees the real score with noise, so what the figures should say is known.
"""

from __future__ import annotations

import json
import random
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.client.labeling.stations import Clock, make_book

from intraward_client.deid.note import DeidReceipt, seal_note
from intraward_client.home import SiteHome
from intraward_client.labeling.agreement import PREFERENCE, report
from intraward_client.labeling.consensus import judged, share
from intraward_client.labeling.judgment import MOST_ANSWERS, Item, Vote
from intraward_client.labeling.order import shown_order
from intraward_client.labeling.records import ranking_of
from intraward_client.labeling.sealing import ItemTexts
from intraward_client.labeling.terms import LabelingTerms
from intraward_client.store.notes import store_outcomes
from intraward_client.store.prompts import add_candidates, add_prompts, candidates_of, prompt_records
from intraward_client.store.rankings import comparison_table, pair_table, settle_ranking
from intraward_client.store.vault import Vault

pytestmark = pytest.mark.slow
SETS = ("mts_summary_ratings", "medquad_judged")
NOISE = {"careful": 0.02, "usual": 0.1, "hasty": 0.6}
"""Standard deviation of a rater's error, in shares of the set's range of scores."""


def _tasks(folder: Path) -> list[tuple[str, list[str], list[float]]]:
    """Prompts, two to four different answers, and their scores from 0 to 1."""
    found = []
    with (folder / "ranked.jsonl").open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    scores = [answer["score"] for row in rows for answer in row["answers"]]
    low, high = min(scores), max(scores)
    for row in rows:
        texts = {tuple(answer["text"].split()): answer for answer in row["answers"] if answer["text"].strip()}
        answers = list(texts.values())[:MOST_ANSWERS]
        if len(answers) > 1:
            scaled = [(answer["score"] - low) / (high - low) for answer in answers]
            found.append((row["prompt"], [answer["text"] for answer in answers], scaled))
    return found


def _vote(item: Item, rater: str, turn: int, scores: list[float], draw: random.Random) -> Vote:
    seen = [score + draw.gauss(0, NOISE[rater]) for score in scores]
    levels = sorted({round(value, 1) for value in seen}, reverse=True)
    ranks = tuple(levels.index(round(value, 1)) + 1 for value in seen)
    rated = tuple({"accuracy": min(5, max(1, round(1 + 4 * value)))} for value in seen)
    strength = 0 if len(levels) == 1 else min(3, 1 + int(3 * (levels[0] - levels[-1])))
    return Vote(item.item_id, rater, ranks, strength, ratings=rated, shown=shown_order(item, turn))


@pytest.mark.parametrize("name", SETS)
def test_judgments_of_real_answers(shared_data: Path, tmp_path: Path, name: str, make_site: Any) -> None:
    tasks, draw = _tasks(shared_data / name), random.Random(17)
    home: SiteHome = make_site(0)
    receipt = DeidReceipt("safe-harbor", "0" * 64, "0" * 64, {})
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        notes = [seal_note(f"n{n}", f"p{n}", f"Question: item {n}", receipt) for n in range(len(tasks))]
        store_outcomes(vault, notes)
        add_prompts(vault)
        by_name = {record.prompt.removeprefix("item "): record for record in prompt_records(vault)}
        items, votes = [], []
        for n, (_, answers, scores) in enumerate(tasks):
            record = by_name[str(n)]
            add_candidates(vault, {record.prompt_id: answers}, "d" * 64)
            ids = tuple(one.candidate_id for one in candidates_of(vault, record.prompt_id))
            items.append(Item(f"{n:032x}", record.unit, record.prompt_id, ids, "summaries", seed=str(n)))
            votes += [_vote(items[-1], rater, turn, scores, draw) for turn, rater in enumerate(NOISE)]
        with closing(make_book(home, vault, LabelingTerms(), Clock())) as book:
            assert book.add_items(items) == len(tasks) > 50
            texts = book.sealer.texts(items[0].unit, items[0].prompt_id, items[0].candidate_ids)
            assert isinstance(texts, ItemTexts) and list(texts.answers) == tasks[0][1]
        found = report(votes, items)
        _check_agreement(found, votes)
        right = told = 0
        for item, (_, _, scores) in zip(items, tasks, strict=True):
            own = [vote for vote in votes if vote.item_id == item.item_id]
            if share(own) < 0.66:
                continue
            ranking = ranking_of(judged(own))
            assert settle_ranking(vault, item.item_id, item.prompt_id, item.candidate_ids, ranking)
            best = ranking.ranks.index(1)
            told += 1
            right += scores[best] >= max(scores) - 0.15
        rows = comparison_table(vault).rows
        assert len(rows) == told > len(tasks) / 3 and right / told > 0.9
        assert 0 < len(pair_table(vault).rows) <= told


def _check_agreement(found: Any, votes: list[Vote]) -> None:
    """Careful raters agree with each other more than with a hasty one, and nobody prefers a place."""
    by_name = {question.question: question for question in found.questions}
    alpha = by_name["rating: accuracy"].alpha
    two = report([vote for vote in votes if vote.rater != "hasty"], _items_of(votes))
    closer = {question.question: question for question in two.questions}["rating: accuracy"].alpha
    assert closer is not None and closer.interval is not None
    assert alpha.interval[1] < closer.interval[0] and closer.value > 0.8
    assert by_name[PREFERENCE].percent.value < 1
    for bias in found.position:  # nobody prefers a place; one interval in twenty leaves it out all the same
        assert bias.interval[0] - 0.1 < bias.expected < bias.interval[1] + 0.1


def _items_of(votes: list[Vote]) -> list[Item]:
    return [Item(name, "u", name, ("a", "b")) for name in {vote.item_id for vote in votes}]
