"""The clock and memory of a run: which phases are done, how long each took, and what each left.

Rule 10 of DESIGN.md for the researcher: a killed run goes on from its last finished phase, and its
times add up over the attempts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from intraward_shared.durable import write_durably
from intraward_shared.errors import InputError

Show = Callable[[str, str, float], None]
"""Told (phase, what is being done, share done)."""


class Phases:
    """Kept in ``phases.json`` of a run."""

    def __init__(self, path: Path, show: Show | None = None) -> None:
        """Read what an earlier attempt left.

        Raises:
            InputError: the file is not one that this version wrote.
        """
        self._path, self._show = path, show
        self._kept: dict[str, Any] = {"seconds": {}, "results": {}}
        if path.exists():
            try:
                self._kept = json.loads(path.read_text(encoding="utf-8"))
                self._kept["seconds"], self._kept["results"]
            except (ValueError, KeyError, TypeError):
                raise InputError(path, 0, "not a list of phases", remedy="start again with --fresh") from None

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of each phase, summed over attempts."""
        return dict(self._kept["seconds"])

    def done(self, name: str) -> bool:
        """Whether a phase left its result."""
        return name in self._kept["results"]

    def result(self, name: str) -> Any:
        """What a finished phase left."""
        return self._kept["results"][name]

    def once(self, name: str, work: Callable[[], Any], title: str, *, clock: str | None = None) -> Any:
        """Do ``work`` unless it was done; returns its JSON result either way. Time counts under ``clock``."""
        if not self.done(name):
            with self.timed(clock or name, title):
                value = work()
            self._kept["results"][name] = value
            self._save()
        return self.result(name)

    @contextmanager
    def timed(self, name: str, title: str) -> Iterator[None]:
        """Add the time spent inside to a phase, also when it fails."""
        self.tell(name, title, 0.0)
        start = time.monotonic()
        try:
            yield
        finally:
            self._kept["seconds"][name] = self._kept["seconds"].get(name, 0.0) + time.monotonic() - start
            self._save()

    def tell(self, name: str, what: str, share: float) -> None:
        """Show progress."""
        if self._show is not None:
            self._show(name, what, share)

    def _save(self) -> None:
        write_durably(self._path, json.dumps(self._kept, indent=1, sort_keys=True).encode())
