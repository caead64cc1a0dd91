"""One sheet with a drawing, saved whole or not at all: what the budget's and the curves' pictures share.

matplotlib is imported when a picture is asked for, without pyplot and its global state. Colours are stages,
in Okabe and Ito's palette, which the colour-blind can tell apart.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from intraward_shared.errors import ConfigError

FORMATS = (".svg", ".png")
STAGE_COLOURS = {
    "sft": "#0072B2",
    "reward": "#E69F00",
    "ppo": "#009E73",
    "rloo": "#D55E00",
    "dpo": "#CC79A7",
    "label": "#56B4E9",
}
INK, FAINT = "#222222", "#555555"


def check_format(target: Path) -> None:
    """Refuse a name that no picture can have, before anything else is done for it.

    Raises:
        ConfigError: another ending.
    """
    if target.suffix.lower() not in FORMATS:
        raise ConfigError(
            "--plot", "", "is neither an .svg nor a .png file", remedy="give a name with that ending"
        )


@contextmanager
def sheet(
    target: Path, size: tuple[float, float], style: Mapping[str, Any], *, private: bool = False
) -> Iterator[Any]:
    """A matplotlib figure to draw on, saved as ``target`` when the block ends well.

    Args:
        target: ``.svg`` or ``.png``; an older file is replaced when the new one is whole.
        size: inches; style: matplotlib's settings for this sheet alone.
        private: the file is for its owner's eyes alone (0600).

    Raises:
        ConfigError: another ending, the file cannot be written, or matplotlib is missing.
    """
    check_format(target)
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise ConfigError(
            "--plot", "", "matplotlib is not installed", remedy="install intraward[client]"
        ) from None
    with matplotlib.rc_context({"font.size": 10, **style}):
        figure = Figure(figsize=size, dpi=160, layout="constrained")
        yield figure
        _save(figure, target, 0o600 if private else 0o666)


def title(figure: Any, text: str) -> None:
    """The sheet's heading, at its left edge."""
    figure.suptitle(text, x=0.012, ha="left", weight="bold", size=13)


def plain_axes(axes: Any) -> None:
    """Horizontal grid behind the marks, no box."""
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Any, target: Path, mode: int) -> None:
    draft = target.with_name(f".{target.stem}.{os.getpid()}{target.suffix}")
    kind = target.suffix.lower().lstrip(".")
    metadata = {"Date": None} if kind == "svg" else None
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            figure.savefig(file, format=kind, metadata=metadata)
        draft.replace(target)
    except OSError:
        raise ConfigError(
            target, "", "the picture cannot be written", remedy="check folder and disk"
        ) from None
    finally:
        draft.unlink(missing_ok=True)
