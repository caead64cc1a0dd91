"""Progress bars for long work at the hospital's terminal (rich); nothing of it is stored or sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from intraward_shared.command import err


class Tell(Protocol):
    """Report the share done, and optionally a new name for what is being done."""

    def __call__(self, share: float, name: str | None = None) -> None:
        """``share`` between 0 and 1."""


@dataclass
class RoundView:
    """The ward's line at its terminal: stage, round, and the last step's figures beside the bar."""

    tell: Tell
    _name: str = "ward"
    _figures: str = ""

    def progress(self, name: str, share: float) -> None:
        """A step of the round ``name`` was done; figures of another round are dropped."""
        if name != self._name:
            self._name, self._figures = name, ""
        self.tell(share, f"{name}{self._figures}")

    def watch(self, step: int, figures: Mapping[str, float]) -> None:
        """Keep a step's figures for the next drawing."""
        self._figures = "".join(f"  {name} {value:.3g}" for name, value in figures.items())


@contextmanager
def bar(title: str, *, quiet: bool) -> Iterator[Tell]:
    """A bar on standard error; with ``quiet`` nothing is drawn."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=quiet, transient=True) as progress:
        task = progress.add_task(title, total=1.0)

        def tell(share: float, name: str | None = None) -> None:
            progress.update(task, completed=min(1.0, share), description=name or title)

        yield tell


@contextmanager
def counter(title: str, unit: str, *, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar for things that are counted, with how many a second and an estimate of the time left.

    The first count told is where an earlier run stopped; it is not taken for speed.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Speed(unit))
    with Progress(*columns, TimeRemainingColumn(), console=err, disable=quiet, transient=True) as progress:
        task = progress.add_task(title, total=None)

        def tell(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield tell


class Speed(ProgressColumn):
    """``12.3 notes/s`` over the last half minute."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        super().__init__()

    def render(self, task: Task) -> Text:
        """Empty before the first count."""
        return Text(f"{task.speed:.1f} {self._unit}/s" if task.speed else "")
