"""Training curves of a round, kept in the ward and nowhere else, if the hospital wants them at all.

A curve's figures are private data: no mechanism covers them. So they are the site's own choice
(``[tracking]`` in policy.toml, never a plan's), they lie in a 0700 folder of the site's home, and
nothing that is sealed, answered, logged or described depends on them (rules 1 and 4 of DESIGN.md). A
store that fails costs the rest of its curve, never the round. Two stores, each an extra that is looked
for only when asked for: TensorBoard's event files, a folder an attempt, and MLflow (``mlflow_store``).
Both are read back here for a look without a browser.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol

from intraward_client.training import mlflow_store
from intraward_shared.errors import ConfigError, InputError

Store = Literal["none", "tensorboard", "mlflow"]
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


def check_store(store: Store, policy: Path, curves: Path) -> None:
    """Refuse a store whose package is not installed or does not work, before the ward takes any plan.

    Raises:
        ConfigError: names the key and the extra.
    """
    lacking = ""
    if store == "tensorboard" and importlib.util.find_spec("tensorboard") is None:
        lacking = "tensorboard"
    elif store == "mlflow":
        lacking = mlflow_store.lacking()
    if lacking:
        extra = "tracking" if store == "tensorboard" else "mlflow"
        raise ConfigError(
            policy,
            "tracking.store",
            f"the package {lacking} is not installed",
            remedy=f"pip install 'intraward[{extra}]', or set it to none",
        )
    if store == "mlflow":
        try:
            mlflow_store.prepare(curves / mlflow_store.FILE)
        except (mlflow_store.StoreFailed, OSError):
            raise ConfigError(
                policy,
                "tracking.store",
                "MLflow cannot keep its file in the site's folder curves/",
                remedy="check the disk and move curves/ away, or set it to none",
            ) from None


class _Writer(Protocol):
    """A store while one attempt at a round is under way; each call may raise."""

    def add(self, step: int, figures: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


@contextmanager
def open_track(
    store: Store, folder: Path, watch: Track | None = None, failed: Callable[[], None] = lambda: None
) -> Iterator[Track]:
    """Where a round's figures go while it trains: the terminal's ``watch``, and the store.

    Args:
        folder: of this attempt at this round; made with mode 0700, its files 0600.
        failed: called once if the store cannot be written; the round goes on without it.
    """
    writer = None if store == "none" else _Guarded(store, folder, failed)

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


class _Guarded:
    """A store's writer; after its first failure it is asked nothing more."""

    def __init__(self, store: Store, folder: Path, failed: Callable[[], None]) -> None:
        self._failed = failed
        self._writer: _Writer | None = None
        self._guard(lambda: self._open(store, folder))

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        if (writer := self._writer) is not None:
            self._guard(lambda: writer.add(step, figures))

    def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            self._guard(writer.close)

    def _open(self, store: Store, folder: Path) -> None:
        self._writer = mlflow_store.MlflowRun(folder) if store == "mlflow" else _EventFiles(folder)

    def _guard(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception:  # whatever a store raises, its text may quote a figure
            self._writer = None
            self._failed()


class _EventFiles:
    """TensorBoard's writer of one attempt."""

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.parent.chmod(0o700)
        make: Any = SummaryWriter
        self._summary = make(str(folder))
        for file in folder.glob(_EVENTS):
            file.chmod(0o600)

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._summary.add_scalar(name, value, step)

    def close(self) -> None:
        self._summary.close()


def read_curves(folder: Path, last: int = 1, store: Store = "none") -> list[Curve]:
    """Curves of the newest ``last`` rounds, oldest first, whichever store kept them.

    Args:
        store: the policy's own, for the words where nothing is kept.

    Raises:
        InputError: nothing is kept here, or the package that kept it is not installed to read it.
    """
    rounds = sorted([*_event_rounds(folder), *_mlflow_rounds(folder, last)], key=lambda found: found[0])
    if not rounds:
        told, remedy = "no curves are kept", "set tracking.store in policy.toml to tensorboard or mlflow"
        if store != "none":
            told = "no round has been trained yet since curves are kept, or forget removed them"
            remedy = f"come again after the next round: tracking.store is {store}"
        raise InputError(folder, 0, told, remedy=remedy)
    return [curve for _, read in rounds[-last:] for curve in read()]


_Round = tuple[tuple[int, str], Callable[[], list[Curve]]]
"""When a round's curves were kept (milliseconds) and its name; and what reads them."""


def _event_rounds(folder: Path) -> list[_Round]:
    places = [place for place in folder.iterdir() if any(place.glob(_EVENTS))] if folder.is_dir() else []
    if places and importlib.util.find_spec("tensorboard") is None:
        raise _unreadable(folder, "tensorboard", "tracking")
    return [(_newest(place), partial(_read_events, place)) for place in places]


def _mlflow_rounds(folder: Path, last: int) -> list[_Round]:
    file = folder / mlflow_store.FILE
    if not file.exists():
        return []
    if lacking := mlflow_store.lacking():
        raise _unreadable(file, lacking, "mlflow")
    try:
        runs = mlflow_store.read_runs(file, last)
    except mlflow_store.StoreFailed:
        raise InputError(file, 0, "MLflow cannot read it", remedy="look at it with MLflow itself") from None
    found: list[_Round] = []
    for run in runs:
        curves = [Curve(run["run"], name, tuple(values)) for name, values in run["figures"].items()]
        found.append(((run["time"], run["run"]), partial(list, curves)))
    return found


def _unreadable(place: Path, package: str, extra: str) -> InputError:
    return InputError(
        place,
        0,
        f"curves cannot be read without the package {package}",
        remedy=f"pip install 'intraward[{extra}]'",
    )


def _newest(folder: Path) -> tuple[int, str]:
    written = max((file.stat().st_mtime_ns for file in folder.glob(_EVENTS)), default=0)
    return written // 1_000_000, folder.name


def _read_events(folder: Path) -> list[Curve]:
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
