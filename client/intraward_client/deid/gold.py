"""Gold rows: notes whose identifiers are known, read and checked before anything is scored.

A row is ``{"text", "spans": [{"start", "end", "entity", "role"?, "text"?}], "known"?, "patient"?, "id"?}``;
offsets count characters. Keeps rule 1 of DESIGN.md: what is wrong is said by file and line, never with text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intraward_client.deid.jsonl import Rejected, lines, parse_known, parse_object
from intraward_client.deid.raw import RawNote, ingest
from intraward_shared.errors import InputError

_DIRECT = """
    person name patient staff clinician doctor relative kin initials
    address street phone telephone fax pager email ssn mrn nhs nhs_number health_plan health_plan_id
    account license vehicle vehicle_id plate device device_id url ip ip_address mac biometric
"""
DIRECT = frozenset(_DIRECT.split())
"""Entities that are direct identifiers, in lower case: the sixteen of 45 CFR 164.514(e)(2), of staff too."""


@dataclass(frozen=True, slots=True)
class GoldSpan:
    """One identifier of a gold row."""

    start: int
    end: int
    entity: str
    role: str | None = None

    @property
    def direct(self) -> bool:
        """Whether it names somebody by itself (`DIRECT`)."""
        return self.entity.lower() in DIRECT


@dataclass(frozen=True, slots=True)
class GoldNote:
    """A note, and where its identifiers stand."""

    text: str = field(repr=False)
    spans: tuple[GoldSpan, ...]
    known: Mapping[str, str] = field(repr=False)
    patient: str = field(repr=False)

    def raw(self, number: int, *, use_known: bool) -> RawNote:
        """The note as the de-identifier takes it, as ``deid run`` would, or without what is known."""
        known = dict(self.known) if use_known else {}
        return ingest(str(number), self.patient or known.get("mrn") or f"row {number}", self.text, known)


def read_gold(path: Path) -> tuple[GoldNote, ...]:
    """The rows of a gold file.

    Raises:
        InputError: a line is wrong, or there is none; names file and line, never content.
    """
    notes = []
    for number, line in lines(path):
        try:
            notes.append(parse_gold(parse_object(line)))
        except Rejected as refusal:
            raise InputError(
                path.name, number, str(refusal), remedy="mend the line; nothing was scored"
            ) from None
    if not notes:
        raise InputError(path.name, 0, "there is no row to score", remedy="give a file with gold rows")
    return tuple(notes)


def parse_gold(row: Mapping[str, Any]) -> GoldNote:
    """A gold row, checked.

    Raises:
        Rejected: says which rule it breaks.
    """
    text, spans, patient = row.get("text"), row.get("spans"), row.get("patient", "")
    if not isinstance(text, str):
        raise Rejected("'text' is missing or not a string")
    if not isinstance(spans, list):
        raise Rejected("'spans' is missing or not a list")
    if not isinstance(patient, str):
        raise Rejected("'patient' is not a string")
    return GoldNote(
        text, tuple(_span(text, span) for span in spans), parse_known(row.get("known") or {}), patient
    )


def _span(text: str, span: object) -> GoldSpan:
    if not isinstance(span, dict) or not isinstance(span.get("entity"), str) or not span["entity"].strip():
        raise Rejected("a span is not an object with start, end and entity")
    start, end, role = span.get("start"), span.get("end"), span.get("role")
    if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
        raise Rejected("a span does not lie within the text")
    if role is not None and not isinstance(role, str):
        raise Rejected("a span's role is not a string")
    if "text" in span and span["text"] != text[start:end]:
        raise Rejected("a span's own text does not stand at its offsets (they count characters, not bytes)")
    if not any(map(str.isalnum, text[start:end])):
        raise Rejected("a span holds no letter and no digit")
    return GoldSpan(start, end, span["entity"].strip(), role)
