"""Figures over every vote, reckoned beside the requests; a page shows the newest that are done, and of when.

Over ten thousand items they take longer than anybody waits for a page. A thread reckons them anew when a page
is asked for after something was judged, taken back or taken away since; one at a time, and after it as long a
rest as it took, thrice, so that raters have the processor.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from sqlalchemy import select

from intraward_client.labeling.book import Book
from intraward_client.labeling.schema import events

Figures = TypeVar("Figures")
PATIENCE_SECONDS = 2.0
"""How long a page waits for figures of a small book, which are done at once."""
_REST = 3
_MATTERS = ("vote", "skip", "escalate", "undo", "quarantine", "release", "forget", "items-added")
_LOG = logging.getLogger("intraward.label")


@dataclass(frozen=True, slots=True)
class Done(Generic[Figures]):
    """Figures, the newest event that is in them (-1: none), and when they were begun, as text in UTC."""

    figures: Figures
    sequence: int
    as_of: str


class Reckoned(Generic[Figures]):
    """Figures of a book. ``make``: reckons them, in a thread; ``patience``: seconds that `newest` waits."""

    def __init__(
        self, book: Book, make: Callable[[Book], Figures], patience: float = PATIENCE_SECONDS
    ) -> None:
        self._book, self._make, self._patience = book, make, patience
        self._lock = threading.Lock()
        self._running: threading.Thread | None = None
        self._done: Done[Figures] | None = None
        self._rests_until = 0.0

    def newest(self) -> Done[Figures] | None:
        """The newest figures that are done; None where the first are still being reckoned."""
        last = self._last()
        with self._lock:
            if self._done is not None and self._done.sequence == last:
                return self._done
            if self._running is None and time.monotonic() >= self._rests_until:
                self._running = threading.Thread(target=self._reckon, args=(last,), daemon=True)
                self._running.start()
            running = self._running
        if running is not None:
            running.join(self._patience)
        with self._lock:
            return self._done

    def _reckon(self, last: int) -> None:
        begun, done = time.monotonic(), None
        as_of = datetime.fromtimestamp(self._book.clock(), UTC).strftime("%Y-%m-%d %H:%M")
        try:
            done = Done(self._make(self._book), last, as_of)
        except Exception as error:  # its text may quote a value
            _LOG.error("figures could not be reckoned: %s", type(error).__name__)
        with self._lock:
            took = time.monotonic() - begun
            self._done = done or self._done
            self._running, self._rests_until = None, begun + took * (1 + _REST)

    def _last(self) -> int:
        """The newest event that may change a figure."""
        query = select(events.c.sequence).where(events.c.action.in_(_MATTERS))
        with self._book.reading() as connection:
            found = connection.execute(query.order_by(events.c.sequence.desc()).limit(1)).scalar()
        return -1 if found is None else int(found)
