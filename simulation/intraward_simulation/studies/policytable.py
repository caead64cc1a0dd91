"""The policy study's figures: win rates over SFT by both judges, and proxy and gold over KL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from intraward_server.overoptimisation import Point, verdicts
from intraward_shared.winrates import Figures, outcomes, win_rate
from intraward_simulation.studies.answers import AnswerFigures

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


def curve(runs: Sequence[Sequence[AnswerFigures]], sft: AnswerFigures) -> dict[str, Any]:
    """Proxy and gold over KL, one iteration a seed, and what the coordinator would say of it.

    Both are in standard deviations of the same judge over the SFT policy's answers, whose mean is 0.

    Args:
        runs: by seed, then round of training.
    """
    points = [
        _point(place, number, measured, sft)
        for place, run in enumerate(runs, start=1)
        for number, measured in enumerate([sft, *run])
    ]
    return {
        "points": [asdict(point) for point in points],
        "verdicts": [asdict(verdict) for verdict in verdicts(points)],
    }


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


def _point(place: int, number: int, measured: AnswerFigures, sft: AnswerFigures) -> Point:
    proxy, gold = (_standardised(measured, sft, judge) for judge in ("proxy", "gold"))
    error = float(gold.std(ddof=1) / np.sqrt(len(gold)))
    return Point(place, number, _mean([measured], "kl"), float(proxy.mean()), float(gold.mean()), error)


def _standardised(measured: AnswerFigures, sft: AnswerFigures, judge: str) -> Figures:
    start = np.array(getattr(sft, judge))
    found: Figures = (np.array(getattr(measured, judge)) - start.mean()) / (start.std() or 1.0)
    return found


def _mean(runs: Sequence[AnswerFigures], name: str) -> float:
    return float(np.mean([getattr(run, name) for run in runs]))
