"""Texts that belong together: prompt, chosen and rejected of one row are one item, with one surrogate map.

Names found in one text of an item are looked for in all, and its people, calendar and quarantine are
common. An item's notes follow each other and name it (`RawNote.item`); a note that names none is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from intraward_client.deid.raw import RawNote


def items_of(notes: Iterable[RawNote]) -> Iterator[tuple[RawNote, ...]]:
    """Neighbours of the same item and patient, together."""
    together: list[RawNote] = []
    for note in notes:
        if together and not (note.item and _name(note) == _name(together[-1])):
            yield tuple(together)
            together = []
        together.append(note)
    if together:
        yield tuple(together)


def batches(notes: Iterable[RawNote], size: int) -> Iterator[tuple[RawNote, ...]]:
    """``size`` notes at a time, or a few more: no item is parted."""
    batch: list[RawNote] = []
    for item in items_of(notes):
        batch += item
        if len(batch) >= size:
            yield tuple(batch)
            batch = []
    if batch:
        yield tuple(batch)


def _name(note: RawNote) -> tuple[str, str]:
    return note.item, note.patient_id
