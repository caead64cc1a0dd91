"""Pair accuracy of several judges on the same pairs: intervals over prompts, length-matched pairs, gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from intraward_shared.intervals import grouped_mean
from intraward_simulation.studies.judged import STEPS, Prompt

MATCHED_WITHIN = 0.2
"""A pair is length-matched if its lengths differ by at most this share of the longer one."""
OURS, OVER = "reward_model", ("longer_wins", "tfidf_length_overlap")
"""The column whose gain is reported, and over which others."""

Outcomes = dict[str, list[float]]
"""By prompt name, one outcome a pair: 1 right, 0.5 tied, 0 wrong."""


def outcomes_of(prompts: Sequence[Prompt], scores: Mapping[str, Sequence[float]]) -> Outcomes:
    """Outcome of each counted pair under ``scores``, one an answer by prompt name."""
    return {
        p.name: [float((np.sign(scores[p.name][a] - scores[p.name][b]) + 1) / 2) for a, b in p.pairs]
        for p in prompts
    }


def accuracy_table(
    prompts: Sequence[Prompt], columns: Mapping[str, Sequence[Outcomes]], seed: int
) -> dict[str, dict[str, Any]]:
    """By set and column: accuracy, 95 % interval over prompts, accuracy on length-matched pairs.

    Also the mean over prompts, which large prompts do not rule. Outcomes of several seeds are averaged pair
    by pair before prompts are drawn again.

    Args:
        columns: by name the outcomes of one or several seeds, all folds put together.
    """
    table: dict[str, dict[str, Any]] = {}
    for source in STEPS:
        asked = [
            p for p in prompts if p.source == source and all(p.name in r for c in columns.values() for r in c)
        ]
        names = [prompt.name for prompt in asked for _ in prompt.pairs]
        close = np.array([_matched(prompt, pair) for prompt in asked for pair in prompt.pairs], dtype=bool)
        table[source] = {
            "prompts": len(asked),
            "pairs": len(names),
            "length_matched_pairs": int(close.sum()),
        }
        if not names:
            continue
        values = {name: _values(runs, asked) for name, runs in columns.items()}
        for name, found in values.items():
            mean, interval = grouped_mean(found.tolist(), names, seed)
            each = [float(found[[n == p.name for n in names]].mean()) for p in asked]
            table[source][name] = {
                "accuracy": mean,
                "interval": list(interval),
                "mean_over_prompts": float(np.mean(each)),
                "length_matched": float(found[close].mean()) if close.any() else None,
            }
        for other in OVER:
            mean, interval = grouped_mean((values[OURS] - values[other]).tolist(), names, seed)
            table[source][f"gain_over_{other}"] = {"mean": mean, "interval": list(interval)}
    return table


def _values(runs: Sequence[Outcomes], prompts: Sequence[Prompt]) -> Any:
    """Outcome of each pair ``(pairs,)``, the mean over runs."""
    return np.mean([[value for p in prompts for value in run[p.name]] for run in runs], axis=0)


def _matched(prompt: Prompt, pair: tuple[int, int]) -> bool:
    one, two = (len(prompt.answers[place]) for place in pair)
    return abs(one - two) <= MATCHED_WITHIN * max(one, two)
