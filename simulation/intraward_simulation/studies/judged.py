"""Answers that people judged, grouped by prompt, and folds that never part a prompt.

Training takes a prompt's judged answers as one ranking (``ranked.jsonl``); accuracy counts the pairs that
the set's own ``pairs.jsonl`` names. Prompts whose answers are all equal teach nothing and are left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intraward_client.store.datasets import (
    HIGHEST_RATING,
    LOWEST_RATING,
    AnswerMarks,
    PairRecord,
    RankingRecord,
)
from intraward_client.training.inputs import PUBLIC_UNIT
from intraward_server.baselines import fold_of
from intraward_simulation.data import read_rows

STEPS = {"medquad_judged": 1.0, "mts_summary_ratings": 0.05}
"""Scores of a set that fall into the same step are ties: its own smallest difference of a pair."""
MOST_ANSWERS = 8
"""Answers of a prompt that one record holds; a forward pass has them all."""
QUALITY = "quality"
"""The criterion that both sets have: the grade, or factual F1."""
GRADES = {"medquad_judged": (1.0, 4.0), "mts_summary_ratings": (0.0, 1.0)}
"""Worst and best score of a set."""
FACTS = {"precision": "factual_precision", "recall": "factual_recall"}
"""Criteria from manual fact counts, and their keys; a set without them leaves those heads alone."""
CRITERIA = (QUALITY, *FACTS)


@dataclass(frozen=True)
class Prompt:
    """A prompt with its judged answers and their ratings; pairs that are counted are indices into them."""

    name: str
    source: str
    text: str = field(repr=False)
    answers: tuple[str, ...] = field(repr=False)
    scores: tuple[float, ...] = field(repr=False)
    pairs: tuple[tuple[int, int], ...] = field(repr=False)
    marks: tuple[AnswerMarks, ...] = field(default=(), repr=False)


def read_judged(folder: Path) -> tuple[Prompt, ...]:
    """Prompts of both judged sets that have at least one pair.

    Raises:
        ConfigError, InputError: a file is missing or a line is not what it should be.
    """
    return tuple(prompt for source in STEPS for prompt in _read_set(folder / source, source))


def _read_set(folder: Path, source: str) -> list[Prompt]:
    counted: dict[str, list[tuple[str, str]]] = {}
    for row in read_rows(folder / "pairs.jsonl", "prompt_id", "chosen", "rejected"):
        counted.setdefault(row["prompt_id"], []).append((row["chosen"], row["rejected"]))
    found = []
    for row in read_rows(folder / "ranked.jsonl", "id", "prompt", "answers"):
        rated = {answer["text"]: answer for answer in row["answers"]}
        answers = tuple(rated)
        scores = tuple(float(answer["score"]) for answer in rated.values())
        marks = tuple(_marks(answer, source) for answer in rated.values())
        place = {text: index for index, text in enumerate(answers)}
        pairs = tuple((place[a], place[b]) for a, b in counted.get(row["id"], ()))
        if pairs:
            found.append(Prompt(row["id"], source, row["prompt"], answers, scores, pairs, marks))
    return found


def _marks(answer: Mapping[str, Any], source: str) -> AnswerMarks:
    """Ratings of an answer on the product's scale, from the set's own."""
    worst, best = GRADES[source]
    shares = {QUALITY: (float(answer["score"]) - worst) / (best - worst)}
    shares |= {name: float(answer[key]) for name, key in FACTS.items() if answer.get(key) is not None}
    span = HIGHEST_RATING - LOWEST_RATING
    return AnswerMarks(tuple((name, LOWEST_RATING + span * share) for name, share in shares.items()))


def split(prompts: Sequence[Prompt], fold: int, folds: int, seed: int) -> tuple[list[Prompt], list[Prompt]]:
    """(training, test) prompts of a fold, over both sets together."""
    inside = [prompt for prompt in prompts if fold_of(prompt.name, folds, seed) == fold]
    return [prompt for prompt in prompts if prompt not in inside], inside


def ranking(prompt: Prompt) -> RankingRecord:
    """A prompt's answers as one record, spread over its grades where there are too many for one pass."""
    order = sorted(range(len(prompt.answers)), key=lambda index: -prompt.scores[index])
    count = min(len(order), MOST_ANSWERS)
    kept = [order[index * (len(order) - 1) // max(1, count - 1)] for index in range(count)]
    step = STEPS[prompt.source]
    levels = [round(prompt.scores[index] / step) for index in kept]
    ranks = tuple(1 + sorted(set(levels), reverse=True).index(level) for level in levels)
    answers = tuple(prompt.answers[i] for i in kept)
    marks = tuple(prompt.marks[i] for i in kept) if prompt.marks else ()
    return RankingRecord(PUBLIC_UNIT, prompt.text, answers, ranks, marks=marks)


def read_general(folder: Path, most: int, seed: int) -> list[PairRecord]:
    """General preference pairs to start from, chosen by a keyed hash of their ids."""
    rows = read_rows(folder / "hh_harmless_filtered" / "pairs.jsonl", "id", "prompt", "chosen", "rejected")
    rows.sort(key=lambda row: hashlib.sha256(f"{seed}|warm|{row['id']}".encode()).hexdigest())
    return [PairRecord(PUBLIC_UNIT, row["prompt"], row["chosen"], row["rejected"]) for row in rows[:most]]
