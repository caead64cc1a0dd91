"""What stands in place of an identifier: one presidio-anonymizer operator, two profiles.

``safe-harbor`` (default, 45 CFR 164.514(b)(2)): tags such as ``[NAME]``, or surrogates where the site wants
natural text; of dates, ages and ZIP codes stays what the rule allows (``deid.safe_harbor``). ``research``
(Expert Determination, not Safe Harbor): dates moved by one secret offset per patient, and surrogates.

Surrogates are keyed by HMAC-SHA256 with the site's secret over patient, class and normalised value: the same
within a patient, in every note and without a table that could be stolen; unlinkable across patients. One
that equals a known identifier is drawn again. An invented name that stands in the original as a word of its
own raises `SurrogateClash`, because another draw in one note alone would give one person two names.
Presidio's own ``hash`` and ``encrypt`` operators are guessable or reversible (facts, section 2) and not used.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from intraward_client.deid.dateforms import Calendar, read_calendar, shift_date
from intraward_client.deid.fakecodes import invent_code, squash
from intraward_client.deid.libraries import Operator, OperatorType
from intraward_client.deid.people import People, Renamer, words_of
from intraward_client.deid.safe_harbor import safe_harbor

OPERATOR = "intraward"
PROFILES = frozenset({"safe-harbor", "research"})
_ATTEMPTS = 8
_RULED = frozenset({"DATE", "AGE", "ZIP"})
"""Classes of which Safe Harbor lets something stay."""


@dataclass(frozen=True, slots=True)
class PatientKey:
    """The site's secret and a patient: all that a draw depends on."""

    secret: bytes = field(repr=False)
    patient_id: str = field(repr=False)

    def draw(self, kind: str, value: str, attempt: int = 0) -> int:
        """A 128-bit number, equal for equal (patient, class, value), and unlike any other."""
        message = json.dumps([self.patient_id, kind, " ".join(value.lower().split()), attempt])
        digest = hmac.new(self.secret, b"intraward surrogate|" + message.encode(), hashlib.sha256).digest()
        return int.from_bytes(digest[:16], "big")

    @property
    def offset_days(self) -> int:
        """The patient's date shift, 1 to 364 days back; the same in all their notes."""
        return -(1 + self.draw("DATE", "offset") % 364)


@dataclass(frozen=True, slots=True, repr=False)
class Item:
    """What the replacements of one item share: its patient, people, calendar, and the words it holds.

    An item is a note, or the texts of one row (prompt, chosen, rejected), which share one surrogate map.
    """

    key: PatientKey
    reference_year: int
    calendar: Calendar
    renamer: Renamer
    taken: frozenset[str] = frozenset()
    forbidden: Callable[[str], bool] = lambda _value: False

    @classmethod
    def of(
        cls,
        key: PatientKey,
        texts: Sequence[str],
        spans: Sequence[Iterable[tuple[int, int, str]]],
        *,
        reference_year: int,
        day_first: bool = False,
        known_names: Iterable[str] = (),
        forbidden: Callable[[str], bool] = lambda _value: False,
    ) -> Item:
        """Read an item as a whole.

        Args:
            key: the patient's.
            texts: every text of the item.
            spans: of each text, ``(start, end, class)`` of what will be replaced.
            reference_year: the year in which ages are counted.
            day_first: the site's order of numbers in dates, where the item does not show it.
            known_names: names in the structured header.
            forbidden: whether a surrogate equals a known identifier.
        """
        found = [
            (kind, text[start:end])
            for text, own in zip(texts, spans, strict=True)
            for start, end, kind in own
        ]
        dates = [part for kind, part in found if kind == "DATE"]
        names = [part for kind, part in found if kind == "NAME"]
        words = frozenset(word for text in texts for word in words_of(text))
        return cls(
            key,
            reference_year,
            read_calendar(dates, day_first=day_first, reference_year=reference_year),
            Renamer.of(key, People.of(known_names, names), words, forbidden),
            words | {squash(part) for _, part in found},
            forbidden,
        )


class SurrogateOperator(Operator):
    """presidio-anonymizer operator; params: ``profile``, ``surrogates``, ``kind`` (class) and ``item``."""

    def operate(self, text: str, params: dict[str, Any] | None = None) -> str:
        """The replacement of one span."""
        given = params or {}
        kind, item = given["kind"], given["item"]
        if given["profile"] == "research":
            return research(kind, text, item)
        if given.get("surrogates") and kind not in _RULED:
            return research(kind, text, item)
        return safe_harbor(kind, text, item.reference_year)

    def validate(self, params: dict[str, Any] | None = None) -> None:
        """Refuse a call without class, item or a known profile."""
        given = params or {}
        if given.get("profile") not in PROFILES or "kind" not in given or "item" not in given:
            raise ValueError("surrogate operator needs profile, kind and item")

    def operator_name(self) -> str:
        """Name under which the engine registers it."""
        return OPERATOR

    def operator_type(self) -> OperatorType:
        """One way only."""
        return OperatorType.Anonymize


def research(kind: str, text: str, item: Item) -> str:
    """The consistent surrogate of ``text`` for one patient; a tag where none can be made.

    Raises:
        SurrogateClash: the invented name is a word of the original.
    """
    if kind == "DATE":
        return shift_date(text, item.key.offset_days, item.calendar) or "[DATE]"
    if kind == "AGE":
        return safe_harbor(kind, text, item.reference_year)
    if kind == "NAME":
        return item.renamer.rename(text)
    for attempt in range(_ATTEMPTS):
        surrogate = invent_code(kind, text, item.key, attempt)
        if not (
            item.taken.intersection({squash(surrogate), *_towns(kind, surrogate)})
            or item.forbidden(surrogate)
        ):
            return surrogate
    return f"[{kind}]"


def _towns(kind: str, surrogate: str) -> set[str]:
    """The invented word of a place; what stays of it (Hospital, Street) is in the original by right."""
    if kind not in {"LOCATION", "FACILITY", "ADDRESS"}:
        return set()
    return {next(word for word in words_of(surrogate))}
