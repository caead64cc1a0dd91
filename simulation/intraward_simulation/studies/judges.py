"""What the proxy and the gold reward model learn from, and how well each tells good answers from bad.

Each has its own half of medquad_judged's prompts and its own topics of synthetic preferences: the reference
over an answer to another question, over its own first half and over what the SFT policy says, and of two
answers of that policy the one nearer to the reference, as a rater with the article at hand would say.
Nothing of the gold side is seen by any policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from intraward_client.store.datasets import PairRecord, RankingRecord
from intraward_client.training.inputs import PUBLIC_UNIT
from intraward_server.baselines import fold_of
from intraward_shared.winrates import unigram_f1
from intraward_simulation.studies.judged import ranking, read_judged
from intraward_simulation.studies.questions import Question, constructed_pairs

JUDGED = "medquad_judged"
FILES = tuple(
    f"{name}/{file}.jsonl" for name in (JUDGED, "mts_summary_ratings") for file in ("pairs", "ranked")
)
NEARER_BY = 0.05
"""Least difference of unigram F1 between two answers of the policy that makes a preference."""
Judge = Literal["proxy", "gold"]
JUDGES: tuple[Judge, ...] = ("proxy", "gold")
Comparison = PairRecord | RankingRecord


def judged_half(folder: Path, judge: Judge, seed: int) -> list[RankingRecord]:
    """The judge's own half of the judged prompts, by a keyed hash of the prompt."""
    prompts = [prompt for prompt in read_judged(folder) if prompt.source == JUDGED]
    half = JUDGES.index(judge)
    return [ranking(prompt) for prompt in prompts if fold_of(prompt.name, len(JUDGES), seed) == half]


def comparisons(
    questions: Sequence[Question], said: Sequence[tuple[str, str]], seed: int
) -> list[PairRecord]:
    """Synthetic preferences of some questions.

    Args:
        said: two answers of the SFT policy to each question. The reference is better than the first, and the
            one that has more words in common with the reference is better than the other.
    """
    found = [pair for question in questions for pair in constructed_pairs(question, questions, seed)]
    for question, (one, two) in zip(questions, said, strict=True):
        found.append(PairRecord(PUBLIC_UNIT, question.text, question.answer, one))
        nearer = unigram_f1(one, question.answer) - unigram_f1(two, question.answer)
        if abs(nearer) >= NEARER_BY:
            better, worse = (one, two) if nearer > 0 else (two, one)
            found.append(PairRecord(PUBLIC_UNIT, question.text, better, worse))
    return found


def best_and_worst(texts: Sequence[tuple[str, str]], scores: Sequence[float]) -> list[PairRecord]:
    """The pair of a question's best and worst answer; none where all are worth the same.

    Args:
        texts: (prompt, answer) of one prompt, in the order of ``scores``.
    """
    best, worst = int(np.argmax(scores)), int(np.argmin(scores))
    if scores[best] == scores[worst]:
        return []
    return [PairRecord(PUBLIC_UNIT, texts[best][0], texts[best][1], texts[worst][1])]


def judge_quality(
    reference: Sequence[float],
    half: Sequence[float],
    other: Sequence[float],
    said: Sequence[float],
    words: Sequence[float],
    rule: Sequence[float],
) -> dict[str, float]:
    """Shares of held-out questions on which the reference is above each other answer, and correlations of the
    policy's scores with their length in words and with unigram F1.
    """

    def above(scores: Sequence[float]) -> float:
        return float(np.mean(np.greater(reference, scores)))

    return {
        "over_first_half": above(half),
        "over_other_question": above(other),
        "over_sft_answer": above(said),
        "correlation_with_words": correlation(said, words),
        "correlation_with_rule": correlation(said, rule),
    }


def correlation(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Pearson's; 0 where one of the two never changes."""
    if np.std(ours) == 0 or np.std(theirs) == 0:
        return 0.0
    return float(np.corrcoef(ours, theirs)[0, 1])


def score_constants(scores: Sequence[float]) -> dict[str, Any]:
    """Fixed centre and scale of the proxy's scores, from the SFT policy's answers (arXiv 1909.08593)."""
    spread = round(float(np.std(scores)), 4)
    return {"score_mean": round(float(np.mean(scores)), 4), "score_std": spread or 1.0}
