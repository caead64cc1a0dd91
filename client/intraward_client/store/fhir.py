"""A FHIR bulk export: ``DocumentReference`` NDJSON, and ``Patient`` NDJSON for what is known of them.

Bulk Data Access (HL7, 2.0) writes one resource a line. Each is validated by fhir.resources (R4B reads R4,
whose DocumentReference and Patient are the same). Taken are documents of the statuses that the mapping
names, never one entered in error; of several attachments, which FHIR says are the same document, the first
of the preferred type. Refused by line: a resource of another type, one with modifier extensions or implicit
rules (FHIR forbids reading what may negate it), a subject that is no Patient, an attachment that is not in
the file. ``Patient`` gives names, identifiers, birth date, telephone, address and next of kin; the document
itself its authors and custodian.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from email.message import Message
from pathlib import Path
from typing import Any, Literal

from intraward_client.deid.jsonl import Rejected, lines, parse_object
from intraward_client.store.importers import Kind, RawRow, file_digest, parse_row
from intraward_client.store.mapping import FhirTerms, FileMapping
from intraward_client.store.sources import REMEDY, combined
from intraward_shared.errors import ConfigError, InputError

_REFERENCE = re.compile(r"(?:.*/)?Patient/([A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?")
_CHARSETS = {"utf-8", "us-ascii", "iso-8859-1", "windows-1252"}
_ERROR = "entered-in-error"
_TELECOM = {"phone": "phone", "fax": "fax", "pager": "phone", "sms": "phone", "email": "email", "url": "url"}
Resource = Mapping[str, Any]
Patients = Mapping[str, tuple[str, Mapping[str, str]]]
"""By logical id: the patient's name here, and what is known of them."""


class FhirDocuments:
    """Notes of a DocumentReference export.

    ``patients`` are those of `read_patients`; a document of a patient who is not there is refused.
    """

    kind: Kind = "notes"

    def __init__(self, path: Path, mapping: FileMapping, patients: Patients | None = None) -> None:
        self.name, self.left_out = path.name, Counter[str]()
        self._path, self._mapping, self._patients = path, mapping, patients
        if mapping.fhir.patient_system is not None and patients is None:
            raise ConfigError(
                "mapping",
                "fhir.patient_system",
                "needs the Patient resources",
                remedy="give them with --patients Patient.ndjson",
            )
        self._validate = _validator(mapping.fhir.version, "DocumentReference")

    def rows(self) -> Iterator[RawRow]:
        """Rows in file order; what is left out on purpose is counted by reason."""
        self.left_out.clear()
        seen: dict[str, int] = {}
        for number, line in lines(self._path):
            try:
                record = self._record(parse_object(line))
                row = parse_row(record, "notes", seen) if record is not None else None
            except Rejected as refusal:
                raise InputError(self.name, number, str(refusal), remedy=REMEDY) from None
            if row is not None:
                seen[row.row_id] = number
                yield row

    def digest(self) -> str:
        """Of export, mapping and patients."""
        known = {f"{k}|{name}": found for k, (name, found) in (self._patients or {}).items()}
        return combined(file_digest(self._path), self._mapping, known)

    def _record(self, resource: Resource) -> Mapping[str, Any] | None:
        """One document as a row; None where the mapping leaves it out."""
        self._validate(resource)
        terms, status = self._mapping.fhir, resource.get("status")
        if _ERROR in (status, resource.get("docStatus")):
            self.left_out[_ERROR] += 1
            return None
        if status not in terms.status:
            self.left_out["status"] += 1
            return None
        logical = _subject(resource)
        patient, known = self._patient(logical)
        text = _text(resource, terms)
        if text is None:
            self.left_out["type"] += 1
            return None
        if not isinstance(resource.get("id"), str):
            raise Rejected("the document has no id")
        return {
            "id": resource["id"],
            "patient": patient,
            "text": text,
            "known": {**_people(resource), **known},
        }

    def _patient(self, logical: str) -> tuple[str, Mapping[str, str]]:
        if self._patients is None:
            return logical, {}
        if logical not in self._patients:
            raise Rejected("the file of patients does not hold this document's patient")
        return self._patients[logical]


def read_patients(path: Path, terms: FhirTerms) -> Patients:
    """Patients of a bulk export, by logical id.

    Raises:
        InputError: a line is no Patient, or lacks the identifier of ``patient_system``.
    """
    validate, found = _validator(terms.version, "Patient"), dict[str, tuple[str, Mapping[str, str]]]()
    for number, line in lines(path):
        try:
            resource = parse_object(line)
            validate(resource)
            logical = resource.get("id")
            if not isinstance(logical, str) or logical in found:
                raise Rejected("the patient has no id, or one that was used before in this file")
            found[logical] = (_name_here(resource, terms), _known_of(resource))
        except Rejected as refusal:
            raise InputError(path.name, number, str(refusal), remedy=REMEDY) from None
    return found


def _validator(
    version: Literal["R4B", "R5"], kind: Literal["DocumentReference", "Patient"]
) -> Callable[[Resource], None]:
    """Refuses what is no valid resource of this type, in a fixed sentence."""
    try:
        from fhir.resources import get_fhir_model_class
        from fhir.resources.R4B import get_fhir_model_class as get_r4b_model_class
    except ImportError:
        raise ConfigError(
            "fhir.resources", "", "is not installed", remedy="pip install 'intraward[client]'"
        ) from None
    model = get_fhir_model_class(kind) if version == "R5" else get_r4b_model_class(kind)

    def validate(resource: Resource) -> None:
        if resource.get("resourceType") != kind:
            raise Rejected(f"the resource is not a {kind}")
        if resource.get("modifierExtension") or resource.get("implicitRules"):
            raise Rejected(
                "the resource has a modifier extension or implicit rules, which may change its meaning"
            )
        try:
            model.model_validate(resource)
        except (ValueError, TypeError):
            raise Rejected(f"the resource is not a valid {kind} of FHIR {version}") from None

    return validate


def _subject(resource: Resource) -> str:
    reference = (resource.get("subject") or {}).get("reference") or ""
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise Rejected("the subject is not a reference to a Patient")
    return found[1]


def _text(resource: Resource, terms: FhirTerms) -> str | None:
    """The text of the preferred attachment; None where all are of types that the mapping skips."""
    attachments = [content.get("attachment") or {} for content in resource.get("content") or ()]
    typed = [(_media(attachment.get("contentType")), attachment) for attachment in attachments]
    for wanted in terms.types:
        for (media, charset), attachment in typed:
            if media == wanted:
                return _decoded(attachment, charset)
    if typed and all(media in terms.skip_types for (media, _), _ in typed):
        return None
    raise Rejected(
        "no attachment is of a type in the mapping file, fhir.types (fhir.skip_types leaves others out)"
    )


def _media(content_type: object) -> tuple[str, str]:
    """Type and character set of an attachment (RFC 2045)."""
    message = Message()
    message["Content-Type"] = content_type if isinstance(content_type, str) else ""
    return message.get_content_type() if content_type else "", message.get_content_charset("utf-8")


def _decoded(attachment: Mapping[str, Any], charset: str) -> str:
    if attachment.get("modifierExtension"):
        raise Rejected("the attachment has a modifier extension, which may change its meaning")
    data, url = attachment.get("data"), attachment.get("url")
    if data is None and isinstance(url, str) and url.startswith("data:"):
        head, _, body = url.partition(",")
        data = body if head.endswith(";base64") else None
    if not isinstance(data, str) or not data:
        raise Rejected("the attachment is not in the file (data); export documents with their content")
    if charset not in _CHARSETS:
        raise Rejected("the attachment is in a character set that is not read")
    try:
        return base64.b64decode("".join(data.split()), validate=True).decode(charset)
    except (binascii.Error, ValueError):
        raise Rejected("the attachment is not base64, or not text of its character set") from None


def _people(resource: Resource) -> dict[str, str]:
    """Authors and custodian as known identifiers."""
    named = [("clinician", person) for person in resource.get("author") or ()]
    named += [("clinician", resource["authenticator"])] if resource.get("authenticator") else []
    named += [("hospital", resource["custodian"])] if resource.get("custodian") else []
    return _numbered([(key, who["display"]) for key, who in named if who.get("display")])


def _name_here(resource: Resource, terms: FhirTerms) -> str:
    """What the patient is called here: the logical id, or the identifier of the mapping's system."""
    if terms.patient_system is None:
        return str(resource["id"])
    values = {
        item.get("value")
        for item in resource.get("identifier") or ()
        if item.get("system") == terms.patient_system and item.get("use") != "old" and item.get("value")
    }
    if len(values) != 1:
        raise Rejected("the patient has not exactly one identifier of the mapping file's fhir.patient_system")
    return str(values.pop())


def _known_of(resource: Resource) -> Mapping[str, str]:
    found: list[tuple[str, object]] = [
        *(pair for name in resource.get("name") or () for pair in _names(name)),
        *((_identifier_key(item), item.get("value")) for item in resource.get("identifier") or ()),
        ("dob", resource.get("birthDate")),
        *(
            (_TELECOM.get(item.get("system"), "account"), item.get("value"))
            for item in resource.get("telecom") or ()
        ),
        *(pair for place in resource.get("address") or () for pair in _places(place)),
    ]
    for contact in resource.get("contact") or ():
        kin = contact.get("name") or {}
        found += [("kin", " ".join(filter(None, (*(kin.get("given") or ()), kin.get("family")))))]
        found += [("kin", kin.get("text")), *_places(contact.get("address") or {})]
        found += [
            (_TELECOM.get(t.get("system"), "account"), t.get("value")) for t in contact.get("telecom") or ()
        ]
    return _numbered([(key, value) for key, value in found if isinstance(value, str) and value.strip()])


def _names(name: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    given = list(name.get("given") or ())
    yield ("maiden" if name.get("use") == "maiden" else "last"), name.get("family")
    yield from zip(("first", *["middle"] * len(given)), given, strict=False)
    if not name.get("family") and not given:
        yield "name", name.get("text")


def _identifier_key(item: Mapping[str, Any]) -> str:
    codes = {coding.get("code") for coding in (item.get("type") or {}).get("coding") or ()}
    return "ssn" if "SS" in codes or str(item.get("system")).endswith("us-ssn") else "mrn"


def _places(place: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    yield from (("address", line) for line in place.get("line") or ())
    yield from (
        (key, place.get(field))
        for key, field in (("city", "city"), ("county", "district"), ("zip", "postalCode"))
    )


def _numbered(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """``key``, ``key_2``, ... in the order given; the same value twice counts once."""
    known: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for key, value in dict.fromkeys(pairs):
        counts[key] += 1
        known[key if counts[key] == 1 else f"{key}_{counts[key]}"] = value
    return known
