"""The mapping file of an import: which column is the patient, the text, the known identifiers (TOML, strict).

The hospital's own file. It names columns and shapes, never values, so that it may be shown in an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from intraward_client.deid.jsonl import Rejected
from intraward_client.store.importers import TEXT_FIELDS, Kind
from intraward_shared.config import Strict

KNOWN_PREFIX = "known."
_NUMBERS = ("margin",)
_OURS = frozenset({"id", "patient", *_NUMBERS, *(name for names in TEXT_FIELDS.values() for name in names)})
_TYPES = ("text/plain", "text/html")


class CsvTerms(Strict):
    """How a table is written."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)


class TextTerms(Strict):
    """How a folder of text files is laid out; ``pattern`` is held against the path within the folder."""

    pattern: str = r"(?P<patient>[^/]+)/.+\.txt"

    @field_validator("pattern")
    @classmethod
    def _names_the_patient(cls, value: str) -> str:
        try:
            groups = re.compile(value).groupindex
        except re.error:
            raise ValueError("is not a regular expression") from None
        if set(groups) != {"patient"}:
            raise ValueError("needs one named group, (?P<patient>...), and no other")
        return value


class FhirTerms(Strict):
    """What of a FHIR export is taken.

    ``version``: R4B reads R4 (4.0.1) and R4B. ``patient_system``: the identifier of the Patient that other
    imports use as the patient, because one person under two names would be two privacy units.
    ``skip_types``: documents of these types alone are left out and counted, instead of refusing the file.
    """

    version: Literal["R4B", "R5"] = "R4B"
    patient_system: str | None = None
    status: tuple[str, ...] = ("current",)
    types: tuple[str, ...] = _TYPES
    skip_types: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _types_are_text(self) -> Self:
        if set(self.types) - set(_TYPES):
            raise ValueError(f"fhir.types: only {' and '.join(_TYPES)} can be read")
        return self


class FileMapping(Strict):
    """Columns by our key, known identifiers by what they are; a table for each kind of file."""

    columns: dict[str, str] = Field(default_factory=dict)
    known: dict[str, str] = Field(default_factory=dict)
    csv: CsvTerms = CsvTerms()
    text: TextTerms = TextTerms()
    fhir: FhirTerms = FhirTerms()

    @field_validator("columns")
    @classmethod
    def _our_keys(cls, value: dict[str, str]) -> dict[str, str]:
        if unknown := sorted(set(value) - _OURS):
            raise ValueError(f"there is no key {unknown[0]!r}; keys are {', '.join(sorted(_OURS))}")
        return value

    def needed(self, kind: Kind) -> tuple[str, ...]:
        """Columns without which no row of ``kind`` can be made, and those that the mapping names."""
        ours = ("patient", *TEXT_FIELDS[kind], *(("id",) if kind == "notes" else ()))
        named = [self.columns.get(key, key) for key in dict.fromkeys((*ours, *self.columns))]
        return (*named, *self.known.values())

    def row_of(self, record: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
        """The values of our keys out of a record; known identifiers that are empty say nothing.

        Raises:
            Rejected: a column that the mapping names is missing, or a number is none.
        """
        row: dict[str, Any] = {}
        for key in ("id", "patient", *TEXT_FIELDS[kind], *(_NUMBERS if kind == "preferences" else ())):
            column = self.columns.get(key, key)
            if column in record:
                row[key] = record[column]
            elif key in self.columns:
                raise Rejected(f"the column of {key!r} is missing")
        for key in _NUMBERS:
            if isinstance(row.get(key), str):
                row[key] = _number(row[key])
        if row.get("id") == "" and kind != "notes":
            del row["id"]
        row["known"] = self._known_of(record)
        return row

    def _known_of(self, record: Mapping[str, Any]) -> dict[str, Any]:
        if missing := [key for key, column in self.known.items() if column not in record]:
            raise Rejected(f"the column of the known identifier {missing[0]!r} is missing")
        known = {key: record[column] for key, column in self.known.items()}
        if not self.known:
            known = {k.removeprefix(KNOWN_PREFIX): v for k, v in record.items() if k.startswith(KNOWN_PREFIX)}
        return {key: value for key, value in known.items() if value not in ("", None)}


def _number(text: str) -> float:
    try:
        return float(text or 0)
    except ValueError:
        raise Rejected("'margin' is not a number") from None
