"""What people typed (rationale, correction) becomes de-identified text, or is held back with a reason code.

Section 6 of DESIGN.md, free text from people. It passes the de-identifier like a note before anything but
its own draft may hold it; where it is held back, the judgment counts and the text is not kept. The
de-identifier is one per process and takes one text at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from intraward_client.deid.note import DeidentifiedNote, Quarantined
from intraward_client.labeling.judgment import Vote


class Cleaner(Protocol):
    """What the station needs of a `Deidentifier`."""

    def deidentify_text(
        self, text: str, patient_id: str, known: Mapping[str, str]
    ) -> DeidentifiedNote | Quarantined:
        """De-identify text that a person typed."""


@dataclass(frozen=True, slots=True, repr=False)
class Cleaned:
    """A vote whose free text may be stored; ``held``: why a text of it was not kept."""

    vote: Vote
    held: str | None

    def __repr__(self) -> str:
        return "Cleaned(<redacted>)"


class FreeText:
    """The de-identifier, made when the first text comes, for many threads."""

    def __init__(self, make: Callable[[], Cleaner]) -> None:
        self._make, self._lock = make, threading.Lock()
        self._made: Cleaner | None = None

    def ready(self) -> None:
        """Make the de-identifier now: an unfit one is told at start, and the first rater does not wait.

        Raises:
            DeidError: it is not fit to run.
        """
        with self._lock:
            self._made = self._made or self._make()

    def clean(self, vote: Vote, unit: str) -> Cleaned:
        """The vote with its free text de-identified; a text that is held back is left out."""
        kept: list[str] = []
        held: str | None = None
        for text in (vote.rationale, vote.correction):
            outcome = self._one(text, unit) if text.strip() else ""
            if isinstance(outcome, Quarantined):
                held = held or outcome.reason
            kept.append(outcome if isinstance(outcome, str) else "")
        return Cleaned(replace(vote, rationale=kept[0], correction=kept[1]), held)

    def _one(self, text: str, unit: str) -> str | Quarantined:
        with self._lock:
            if self._made is None:
                self._made = self._make()
            outcome = self._made.deidentify_text(text, unit, {})
        return outcome.text if isinstance(outcome, DeidentifiedNote) else outcome
