"""Judged answers of other tools' files through the de-identifier into the vault.

Rule 2 of DESIGN.md: every text is a raw note until the de-identifier has released it, and a row is stored
whole or not at all. What is held back is counted by reason code and not kept; it is still in the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.deid.note import DeidentifiedNote, Quarantined
from intraward_client.deid.raw import RawNote, ingest
from intraward_client.store.rankings import Ranking, add_ranking
from intraward_client.store.vault import Vault

BEFORE = "imported-before"
"""The code of a row that is there already, or whose patient was forgotten."""


@dataclass(frozen=True, slots=True, repr=False)
class RawRanking:
    """A row of a file. ``unit`` only where this site exported it; then ``patient`` is empty."""

    name: str
    patient: str
    unit: str
    prompt: str
    answers: tuple[str, ...]
    known: Mapping[str, str]
    ranking: Ranking

    def __repr__(self) -> str:
        return "RawRanking(<redacted>)"


def take_rankings(
    vault: Vault,
    deidentifier: Deidentifier,
    rows: Sequence[RawRanking],
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, Counter[str]]:
    """Store rows; how many, and what was left out by reason code.

    Raises:
        DeidError, VaultError: the node is not fit to run; what was stored stays, a second run does the rest.
    """
    left: Counter[str] = Counter()
    if not rows:
        return 0, left
    deidentifier.ready(workers)
    notes = [note for row in rows for note in _raw(row)]
    outcomes = deidentifier.deidentify_many(iter(notes), workers, progress, len(notes))
    stored = 0
    for row in rows:
        parts = [next(outcomes) for _ in range(1 + len(row.answers))]
        clean = [part for part in parts if isinstance(part, DeidentifiedNote)]
        reason = held_back(parts)
        if reason is None and add_ranking(vault, row.name, clean[0], clean[1:], row.ranking, row.unit):
            stored += 1
        else:
            left[reason or BEFORE] += 1
    return stored, left


def _raw(row: RawRanking) -> Iterator[RawNote]:
    for number, text in enumerate((row.prompt, *row.answers)):
        yield ingest(f"{row.name}|{number}", row.patient or row.unit, text, dict(row.known), row.name)


def held_back(parts: Sequence[DeidentifiedNote | Quarantined]) -> str | None:
    for part in parts:
        if isinstance(part, Quarantined):
            return part.reason
    texts = [tuple(part.text.split()) for part in parts if isinstance(part, DeidentifiedNote)]
    if not all(texts):
        return "empty-text"
    return "same-answers" if len(set(texts[1:])) < len(texts[1:]) else None
