"""The policy study's figures: win rates over SFT by both judges, and proxy and gold over KL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from intraward_simulation.studies.answers import AnswerFigures
from intraward_simulation.studies.winrates import Figures, outcomes, win_rate

JUDGED_BY = ("gold", "rule", "proxy")
"""The proxy is what was trained against: its rate says whether training worked, not whether answers did."""


def policy_row(runs: Sequence[AnswerFigures], sft: AnswerFigures, seed: int) -> dict[str, Any]:
    """A method's last policies, one a seed, against the SFT policy."""
    longer = np.array([np.subtract(run.words, sft.words) for run in runs])
    row: dict[str, Any] = {"win_rate": {}, "by_seed": {}}
    for judge in JUDGED_BY:
        won: Figures = np.array([outcomes(getattr(run, judge), getattr(sft, judge)) for run in runs])
        found = win_rate(won, longer, seed)
        row["win_rate"][judge] = {
            "rate": found.rate,
            "interval": list(found.interval),
            "length_controlled": found.controlled,
            "length_controlled_interval": list(found.controlled_interval),
        }
        row["by_seed"][judge] = won.mean(axis=1).tolist()
    return row | {name: _mean(runs, name) for name in ("kl", "words", "ended", "rule")}


def curve(runs: Sequence[Sequence[AnswerFigures]], sft: AnswerFigures) -> list[dict[str, float]]:
    """One point a measured policy of each seed: KL, and gain over SFT by each judge in SFT's deviations."""
    return [
        _point(measured, sft) | {"seed_place": place, "round": number}
        for place, run in enumerate(runs)
        for number, measured in enumerate(run, start=1)
    ]


def policy_table(
    runs: Mapping[str, Sequence[Sequence[AnswerFigures]]], sft: AnswerFigures, seed: int
) -> dict[str, Any]:
    """By method: last policies against SFT, and the way there.

    Args:
        runs: by method, then seed, then round of training.
    """
    start = {name: _mean([sft], name) for name in ("words", "ended", "rule")}
    table: dict[str, Any] = {"sft": {"questions": len(sft.rule)} | start}
    for method, seeds in runs.items():
        table[method] = policy_row([run[-1] for run in seeds], sft, seed) | {"curve": curve(seeds, sft)}
    return table


def _point(measured: AnswerFigures, sft: AnswerFigures) -> dict[str, float]:
    gains = {}
    for judge in ("proxy", "gold"):
        ours, theirs = np.array(getattr(measured, judge)), np.array(getattr(sft, judge))
        gains[judge] = float((ours - theirs).mean() / (theirs.std() or 1.0))
    return {
        "kl": _mean([measured], "kl"),
        "words": _mean([measured], "words"),
        "rule": _mean([measured], "rule"),
    } | gains


def _mean(runs: Sequence[AnswerFigures], name: str) -> float:
    return float(np.mean([getattr(run, name) for run in runs]))
