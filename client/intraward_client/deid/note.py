"""What leaves the de-identifier: a `DeidentifiedNote` with its receipt, or a `Quarantined` reason.

Keeps rule 2 of DESIGN.md: one type per state of trust. Every other module imports these types from
here and never touches ``deid.raw``. A receipt names what cleaned the text (profile, digest of the rule
pack, digest of the model) and how many spans of each class were replaced; it holds no text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from intraward_shared.errors import DeidError

_SEAL = object()


@dataclass(frozen=True, slots=True)
class DeidReceipt:
    """Which settings cleaned a note, and the number of replaced spans per class."""

    profile: str
    pack_sha256: str
    model_sha256: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class DeidentifiedNote:
    """Text that passed detection, replacement and the second look; only `seal_note` makes one.

    ``spans`` says what was replaced: ``(start, end, class)`` in offsets of the text as it came in.
    """

    note_id: str
    patient_id: str
    text: str
    receipt: DeidReceipt
    spans: tuple[tuple[int, int, str], ...] = ()
    _seal: object = field(default=None)

    def __post_init__(self) -> None:
        if self._seal is not _SEAL:
            raise DeidError(
                "a de-identified note is made only by the de-identifier", remedy="use Deidentifier"
            )

    def __repr__(self) -> str:
        return "DeidentifiedNote(<redacted>)"


@dataclass(frozen=True, slots=True, repr=False)
class Quarantined:
    """A note that was held back; ``reason`` is a fixed code such as ``residue:date``, never text."""

    note_id: str
    patient_id: str
    reason: str

    def __repr__(self) -> str:
        return f"Quarantined(<redacted>, reason={self.reason!r})"


def seal_note(
    note_id: str,
    patient_id: str,
    text: str,
    receipt: DeidReceipt,
    spans: tuple[tuple[int, int, str], ...] = (),
) -> DeidentifiedNote:
    """Make a de-identified note; called by ``deid.deidentifier`` after the second look came back clean."""
    frozen = DeidReceipt(
        receipt.profile, receipt.pack_sha256, receipt.model_sha256, MappingProxyType(dict(receipt.counts))
    )
    return DeidentifiedNote(note_id, patient_id, text, frozen, spans, _SEAL)
