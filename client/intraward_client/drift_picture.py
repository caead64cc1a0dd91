"""Drift as a picture: the sum of each monitor after every batch, under the line that it must not pass."""

from __future__ import annotations

from pathlib import Path

from intraward_client.drawing import FAINT, plain_axes, sheet, title
from intraward_client.drifting import Drift
from intraward_shared.errors import ConfigError

_QUIET, _ALARM = "#0072B2", "#D55E00"


def draw_drift(drift: Drift, site: str, target: Path) -> None:
    """Draw every monitor that has counted anything; the file is its owner's alone (0600).

    Raises:
        ConfigError: there is nothing to draw, or the file cannot be written.
    """
    if not drift.monitors:
        raise ConfigError("--plot", "", "nothing was counted yet", remedy="intraward-client flags add")
    with sheet(target, (9.0, 2.6 * len(drift.monitors)), {}, private=True) as figure:
        title(figure, f"{site}: drift of the adapter (CUSUM; above the line, look at the answers)")
        axes = figure.subplots(len(drift.monitors), squeeze=False)[:, 0]
        for one, monitor in zip(axes, drift.monitors, strict=True):
            plain_axes(one)
            colour = _ALARM if monitor.alarm_since else _QUIET
            one.step(range(len(monitor.path) + 1), [0.0, *monitor.path], where="post", color=colour)
            one.axhline(monitor.rates.threshold, color=FAINT, linewidth=0.8, linestyle="--")
            word = f", alarm since {monitor.alarm_since}" if monitor.alarm_since else ""
            one.set_title(monitor.what + word, loc="left", size=10)
            one.set_ylim(0, 1.15 * max(monitor.rates.threshold, *monitor.path))
