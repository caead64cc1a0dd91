"""What a person who reviews a quarantined text is shown, and what they may decide.

Keeps rule 2 of DESIGN.md. A person may add spans and accept codes of the second look that are plainly wrong;
a known identifier or a canary (`residue.FIRM`) is nobody's to accept, and whatever else held the text back
(encoding, language, time) holds it back again. Both types hide their text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from intraward_client.deid.residue import FIRM, PREFIX, RULES

Span = tuple[int, int, str]


@dataclass(frozen=True, slots=True, repr=False)
class Examined:
    """One text as it is now read: spans and findings are in offsets of ``text``, which is normalised."""

    text: str
    spans: tuple[Span, ...]
    findings: tuple[Span, ...]

    def codes(self) -> frozenset[str]:
        """Codes of what the second look finds."""
        return frozenset(code for _, _, code in self.findings)


@dataclass(frozen=True, slots=True, repr=False)
class Ruling:
    """A person's decision about an item.

    Attributes:
        marks: of each text, further ``(start, end, class)`` in offsets of the normalised text.
        accepted: codes of the second look (``date``, ``digits``) that the person says are wrong.
    """

    marks: Sequence[Sequence[Span]] = field(default=())
    accepted: frozenset[str] = frozenset()

    def allows(self, code: str) -> bool:
        """Whether a finding of this code may stay."""
        return code in self.accepted and code not in FIRM


NO_RULING = Ruling()
_ORDER = ("canary", "known", *dict.fromkeys(code for code, _ in RULES))


def reason_of(codes: frozenset[str], ruling: Ruling = NO_RULING) -> str | None:
    """The first code that the ruling does not allow, as a reason; canaries first."""
    first = next((code for code in _ORDER if code in codes and not ruling.allows(code)), None)
    return f"{PREFIX}{first}" if first else None
