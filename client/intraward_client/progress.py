"""Progress bars for long work at the hospital's terminal (rich); nothing of it is stored or sent."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from intraward_shared.command import err


class Tell(Protocol):
    """Report the share done, and optionally a new name for what is being done."""

    def __call__(self, share: float, name: str | None = None) -> None:
        """``share`` between 0 and 1."""


@contextmanager
def bar(title: str, *, quiet: bool) -> Iterator[Tell]:
    """A bar on standard error; with ``quiet`` nothing is drawn."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, disable=quiet, transient=True) as progress:
        task = progress.add_task(title, total=1.0)

        def tell(share: float, name: str | None = None) -> None:
            progress.update(task, completed=min(1.0, share), description=name or title)

        yield tell
