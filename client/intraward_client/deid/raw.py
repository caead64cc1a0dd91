"""Raw text's one door in: a `RawNote` is made by `ingest` and read by `reveal`, nowhere else.

Keeps rule 2 of DESIGN.md. Only ``intraward_client.deid`` and ``intraward_client.store`` may import
this module (import-linter and a test hold it). Python cannot forbid reading an attribute; it can make
every accidental way out fail: no repr, no pickle, no copy, no public text field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NoReturn

from intraward_shared.errors import DeidError

_DOOR = object()


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class RawNote:
    """Text as the ward wrote it, with the identifiers its header is known to hold.

    ``note_id`` and ``patient_id`` are the hospital's own ids and count as identifiers themselves. Texts
    of one row name the same ``item`` and are de-identified together.
    """

    note_id: str
    patient_id: str
    _text: str
    _known: Mapping[str, str]
    _door: object = field(default=None)
    item: str = ""

    def __post_init__(self) -> None:
        if self._door is not _DOOR:
            raise DeidError(
                "a raw note is made only by ingestion", remedy="use intraward_client.store.importers"
            )

    def __repr__(self) -> str:
        return "RawNote(<redacted>)"

    def __reduce__(self) -> NoReturn:
        raise DeidError("a raw note cannot be pickled or copied", remedy="de-identify it first")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        self.__reduce__()


def ingest(
    note_id: str, patient_id: str, text: str, known: Mapping[str, str] | None = None, item: str = ""
) -> RawNote:
    """Make a raw note. ``known`` maps fields of the structured header (``first``, ``mrn``) to values."""
    return RawNote(note_id, patient_id, text, MappingProxyType(dict(known or {})), _DOOR, item)


def reveal(note: RawNote) -> tuple[str, Mapping[str, str]]:
    """The text and known identifiers of ``note``; for the de-identifier only."""
    return note._text, note._known
