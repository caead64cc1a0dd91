"""Training curves as a picture: one small panel a figure, the rounds one after another along each.

The panels that tell first whether a round went well come first: reward, KL, loss, clip fraction, entropy,
length. All share the axis of steps, so a jump in one is above its cause in another. Values are drawn as
they are, pale, with a moving mean where there are many. The picture is private data like the curves (0600).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from intraward_client.drawing import FAINT, INK, STAGE_COLOURS, plain_axes, sheet, title
from intraward_client.training.tracking import Curve

_FIRST = ("reward", "kl", "loss", "clip_fraction", "entropy", "length")
_NAMES = {
    "kl": "KL to the reference (nats)",
    "clip_fraction": "clip fraction",
    "entropy": "entropy (nats a token)",
    "length": "length (tokens)",
    "ended": "answers that ended",
    "approx_kl": "KL of a step (k3)",
    "ratio": "probability ratio",
    "value_loss": "value loss",
    "explained_variance": "explained variance of values",
    "accuracy": "pairs won",
    "margin": "margin",
}
_SHARES = ("accuracy", "ended")
_MOST_COLUMNS = 3
_SMOOTHED_FROM = 40
_ROUND = re.compile(r".*-(\d{4,})-([a-z]+)-(\d+)")


def draw_curves(curves: Sequence[Curve], site: str, target: Path) -> int:
    """Write the picture; returns its number of panels.

    Args:
        curves: of one round or several, oldest first, as ``read_curves`` gives them.
        target: ``.svg`` or ``.png``; an older file is replaced when the new one is whole.

    Raises:
        ConfigError: another ending, the file cannot be written, or matplotlib is missing.
    """
    rounds = list(dict.fromkeys(curve.round for curve in curves))
    steps = {name: max(len(c.values) for c in curves if c.round == name) for name in rounds}
    starts = {name: sum(steps[earlier] for earlier in rounds[:at]) for at, name in enumerate(rounds)}
    panels = _ordered(curve.name for curve in curves)
    columns = min(_MOST_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    size = (max(6.4, 3.7 * columns), 1.5 + 2.1 * rows)
    with sheet(target, size, {"font.size": 8.5}, private=True) as figure:
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True).flatten()
        for at, (axes, name) in enumerate(zip(grid, panels, strict=False)):
            _panel(axes, name, [curve for curve in curves if curve.name == name], starts)
            if at >= len(panels) - columns:  # the last of its column
                axes.set_xlabel("step", color=FAINT)
        grid[0].set_xlim(0.5, sum(steps.values()) + 0.5)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        _legend(figure, rounds)
        title(figure, f"Training curves of {site}\n ")
        along = "by step, one round after another" if len(rounds) > 1 else "by step"
        told = f"{along}; private data that no mechanism covers: look, and do not pass them on"
        figure.text(0.012, 1 - 0.36 / figure.get_figheight(), told, size=9, color=FAINT, va="top")
    return len(panels)


def words_of(folder: str) -> tuple[str, str]:
    """Stage of a round's folder, and what to call the round; the name itself where it says no more."""
    found = _ROUND.fullmatch(folder)
    if found is None:
        return "", folder
    number, stage, attempt = found.groups()
    return stage, f"round {int(number)}" + (f" (attempt {attempt})" if attempt != "1" else "")


def _ordered(names: Iterable[str]) -> list[str]:
    every = set(names)
    return [*(name for name in _FIRST if name in every), *sorted(every - set(_FIRST))]


def _panel(axes: Any, name: str, curves: Sequence[Curve], starts: dict[str, int]) -> None:
    for curve in curves:
        colour = STAGE_COLOURS.get(words_of(curve.round)[0], INK)
        places = [starts[curve.round] + step + 1 for step in range(len(curve.values))]
        many = len(curve.values) >= _SMOOTHED_FROM
        axes.plot(
            places,
            curve.values,
            color=colour,
            alpha=0.35 if many else 1.0,
            linewidth=0.9 if many else 1.5,
            marker="" if len(curve.values) > 12 else "o",
            markersize=3,
        )
        if many:
            axes.plot(places, moving_mean(curve.values), color=colour, linewidth=1.8)
    for start in list(starts.values())[1:]:
        axes.axvline(start + 0.5, color="#BBBBBB", linewidth=0.8, linestyle=(0, (3, 3)))
    if name in _SHARES:
        axes.set_ylim(-0.03, 1.03)
    elif (around := flat_range(value for curve in curves for value in curve.values)) is not None:
        axes.set_ylim(*around)
    axes.set_title(_NAMES.get(name, name.replace("_", " ")), loc="left", size=9.5, weight="bold", color=INK)
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.tick_params(labelbottom=True)
    plain_axes(axes)


def flat_range(values: Iterable[float]) -> tuple[float, float] | None:
    """Range of the axis where all finite values are the same: half of it to each side, so that it looks flat.

    None where they differ (or there is none): then matplotlib's own range is the right one.
    """
    known = {value for value in values if math.isfinite(value)}
    if len(known) != 1:
        return None
    (value,) = known
    reach = abs(value) / 2 or 1.0
    return value - reach, value + reach


def moving_mean(values: Sequence[float]) -> list[float]:
    """Mean of the finite values around each, over a twentieth of all; NaN where the value is not finite."""
    reach = max(1, len(values) // 40)
    means = []
    for at, value in enumerate(values):
        near = [v for v in values[max(0, at - reach) : at + reach + 1] if math.isfinite(v)]
        means.append(sum(near) / len(near) if math.isfinite(value) else math.nan)
    return means


def _legend(figure: Any, rounds: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    told: dict[str, list[str]] = {}
    for name in rounds:
        stage, words = words_of(name)
        told.setdefault(stage, []).append(words)
    handles = [Line2D([], [], color=STAGE_COLOURS.get(stage, INK), linewidth=2) for stage in told]
    labels = [": ".join(filter(None, (stage, ", ".join(words)))) for stage, words in told.items()]
    figure.legend(
        handles, labels, loc="outside lower left", ncols=min(3, len(told)), frameon=False, fontsize=9
    )
