"""A study over seeds as a picture: each arm's mean and 95 % interval, a row for each variant and epsilon."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from intraward_client.drawing import INK, plain_axes, sheet, title

ARMS = {"federated": ("#0072B2", "o"), "local": ("#D55E00", "s"), "pooled": ("#555555", "D")}
"""Arms that are drawn, with colours of Okabe and Ito's palette, and marks to tell them apart without."""
_ROW, _SPREAD = 0.42, 0.22


def draw_seeds(sets: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Write the picture.

    Raises:
        ConfigError: the file cannot be written.
    """
    rows = [
        (f"{name}, {privacy}", found)
        for name, table in sets.items()
        for privacy, found in table.items()
        if isinstance(found, Mapping) and set(found) & set(ARMS)
    ]
    with sheet(path, (8.0, 1.6 + _ROW * len(rows)), {}) as figure:
        title(figure, "accuracy on held-out pairs, mean over seeds with 95 % t-interval")
        axes = figure.subplots()
        plain_axes(axes)
        axes.grid(axis="y", visible=False)
        axes.grid(axis="x", color="#DDDDDD", linewidth=0.7)
        for place, (_, found) in enumerate(rows):
            middle = (sum(arm in found for arm in ARMS) - 1) / 2
            for number, arm in enumerate(arm for arm in ARMS if arm in found):
                colour, mark = ARMS[arm]
                mean, interval = found[arm]["mean"], found[arm]["interval"] or [found[arm]["mean"]] * 2
                height = place + _SPREAD * (number - middle)
                axes.plot(interval, [height, height], color=colour, linewidth=2)
                axes.plot([mean], [height], mark, color=colour, label=arm if place == 0 else None)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows], color=INK)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(ARMS), frameon=False)
