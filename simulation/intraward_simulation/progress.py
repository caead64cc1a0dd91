"""Progress of long work for a person: bars on a terminal, plain lines where there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from intraward_shared.command import err
from intraward_simulation.phases import Show


@contextmanager
def show_progress(*, quiet: bool) -> Iterator[Show]:
    """Told (phase, what, share): a bar per phase on a terminal, else a line at each quarter."""
    if quiet or not sys.stderr.isatty():
        yield _plain_lines(quiet)
        return
    columns = (
        TextColumn("[bold]{task.fields[phase]:<8}"),
        BarColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err) as progress:
        tasks: dict[str, TaskID] = {}

        def tell(phase: str, what: str, share: float) -> None:
            if phase not in tasks:
                for task in tasks.values():
                    progress.update(task, completed=1.0, description="done")
                    progress.stop_task(task)
                tasks[phase] = progress.add_task(what, total=1.0, phase=phase)
            progress.update(tasks[phase], description=what, completed=min(1.0, share))

        yield tell


def _plain_lines(quiet: bool) -> Show:
    last: dict[str, tuple[str, int]] = {}

    def tell(phase: str, what: str, share: float) -> None:
        step = (what, int(share * 4))
        if not quiet and last.get(phase) != step:
            last[phase] = step
            err.print(f"{phase:<8} {what} {share:4.0%}")

    return tell
