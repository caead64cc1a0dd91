"""Training curves of a round, kept in the ward and nowhere else, if the hospital wants them at all.

A curve's figures are private data: no mechanism covers them. So they are the site's own choice
(``[tracking]`` in policy.toml, never a plan's), they lie in a 0700 folder of the site's home, and
nothing that is sealed, answered, logged or described depends on them (rules 1 and 4 of DESIGN.md). A
store that fails costs the rest of its curve, never the round. TensorBoard's own event files, read back
here for a look without a browser; the package is an extra and is imported only when asked for.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from intraward_shared.errors import ConfigError, InputError

Store = Literal["none", "tensorboard"]
Track = Callable[[int, Mapping[str, float]], None]
"""Told the step and its figures by name."""

_BARS = "▁▂▃▄▅▆▇█"
_EVENTS = "events.out.tfevents.*"


@dataclass(frozen=True)
class Curve:
    """One figure of one round; the values are private data of patients."""

    round: str
    name: str
    values: tuple[float, ...] = field(repr=False)


def check_store(store: Store, policy: Path) -> None:
    """Refuse a store whose package is not installed, before the ward takes any plan.

    Raises:
        ConfigError: names the key and the extra.
    """
    if store == "tensorboard" and importlib.util.find_spec("tensorboard") is None:
        raise ConfigError(
            policy,
            "tracking.store",
            "the package tensorboard is not installed",
            remedy="pip install 'intraward[tracking]', or set it to none",
        )


@contextmanager
def open_track(
    store: Store, folder: Path, watch: Track | None = None, failed: Callable[[], None] = lambda: None
) -> Iterator[Track]:
    """Where a round's figures go while it trains: the terminal's ``watch``, and the store.

    Args:
        folder: of this attempt at this round; made with mode 0700, its files 0600.
        failed: called once if the store cannot be written; the round goes on without it.
    """
    writer = _Writer(folder, failed) if store == "tensorboard" else None

    def track(step: int, figures: Mapping[str, float]) -> None:
        if watch is not None:
            with suppress(Exception):  # a terminal that went away must not end a charged round
                watch(step, figures)
        if writer is not None:
            writer.add(step, figures)

    try:
        yield track
    finally:
        if writer is not None:
            writer.close()


class _Writer:
    """TensorBoard's writer; after its first failure it writes no more."""

    def __init__(self, folder: Path, failed: Callable[[], None]) -> None:
        self._folder, self._failed = folder, failed
        self._summary: Any = None
        self._guard(self._open)

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        if self._summary is not None:
            self._guard(lambda: self._add(step, figures))

    def close(self) -> None:
        summary, self._summary = self._summary, None
        if summary is not None:
            self._guard(summary.close)

    def _open(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder.parent.chmod(0o700)
        make: Any = SummaryWriter
        summary = make(str(self._folder))
        for file in self._folder.glob(_EVENTS):
            file.chmod(0o600)
        self._summary = summary

    def _add(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._summary.add_scalar(name, value, step)

    def _guard(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception:  # whatever a store raises, its text may quote a figure
            self._summary = None
            self._failed()


def read_curves(folder: Path, last: int = 1) -> list[Curve]:
    """Curves of the newest ``last`` rounds, oldest first.

    Raises:
        InputError: nothing is kept here, or TensorBoard is not installed to read it.
    """
    kept = sorted((p for p in folder.iterdir() if p.is_dir()), key=_newest) if folder.is_dir() else []
    if not kept:
        raise InputError(
            folder, 0, "no curves are kept", remedy='set tracking.store = "tensorboard" in policy.toml'
        )
    if importlib.util.find_spec("tensorboard") is None:
        raise InputError(
            folder,
            0,
            "curves cannot be read without the package tensorboard",
            remedy="pip install 'intraward[tracking]'",
        )
    return [curve for place in kept[-last:] for curve in _read(place)]


def _newest(folder: Path) -> tuple[int, str]:
    return max((file.stat().st_mtime_ns for file in folder.glob(_EVENTS)), default=0), folder.name


def _read(folder: Path) -> list[Curve]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events: Any = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return [
        Curve(folder.name, name, tuple(float(event.value) for event in events.Scalars(name)))
        for name in sorted(events.Tags()["scalars"])
    ]


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """``values`` as one line of bars, averaged down to ``width``; ``?`` where nothing is finite."""
    size = max(1, math.ceil(len(values) / width))
    groups = [values[start : start + size] for start in range(0, len(values), size)]
    means = [[v for v in group if math.isfinite(v)] for group in groups]
    heights = [sum(group) / len(group) if group else None for group in means]
    known = [height for height in heights if height is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    top = len(_BARS) - 1
    return "".join(
        "?" if height is None else _BARS[round(top * (height - low) / (high - low)) if high > low else 0]
        for height in heights
    )
