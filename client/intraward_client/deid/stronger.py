"""A second recognizer from the hospital's own disk: a transformers token classifier, or a GLiNER model.

Keeps rules 2, 8 and 9 of DESIGN.md. What it finds is united with spaCy, the rules and the known identifiers,
never put in their place. The folder is held against its pin before a byte of it is used; safetensors only, no
code from the folder, no network. Every label of the model must be mapped to an entity or to nothing by name:
a label that nobody thought of refuses at start-up, because it would be a class of identifiers left in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intraward_client.deid.libraries import GLiNERRecognizer, NlpArtifacts, RecognizerResult
from intraward_client.deid.model import model_digest
from intraward_client.deid.tokenclassifier import TokenClassifier, bare
from intraward_shared.errors import DeidError, ModelError

NOTHING = "none"
"""A label mapped to this is not an identifier, by the hospital's own word."""
DEFAULT_LABELS: Mapping[str, str] = {
    **dict.fromkeys(("PATIENT", "HCW", "STAFF", "DOCTOR", "PERSON", "PER", "NAME", "USERNAME"), "PERSON"),
    **dict.fromkeys(("HOSPITAL", "HOSP", "PATORG", "VENDOR", "ORGANIZATION", "ORG"), "FACILITY"),
    **dict.fromkeys(("LOC", "LOCATION", "GPE", "CITY", "STATE", "COUNTRY"), "LOCATION"),
    **dict.fromkeys(("STREET", "ADDRESS"), "ADDRESS"),
    **dict.fromkeys(("ZIP", "POSTCODE"), "ZIP"),
    **dict.fromkeys(("DATE", "DATE_TIME"), "DATE_TIME"),
    "AGE": "AGE_OVER_89",
    **dict.fromkeys(("PHONE", "FAX", "PHONE_NUMBER"), "PHONE_NUMBER"),
    **dict.fromkeys(("EMAIL", "EMAIL_ADDRESS"), "EMAIL_ADDRESS"),
    **dict.fromkeys(("URL", "WEB"), "URL"),
    **dict.fromkeys(("ID", "OTHERPHI", "IDNUM", "BIOID", "DEVICE", "OTHER_ID"), "OTHER_ID"),
    **dict.fromkeys(("MEDICALRECORD", "MRN"), "MRN"),
    "SSN": "SSN",
    "HEALTHPLAN": "HEALTH_PLAN",
}
"""Labels of StanfordAIMI/stanford-deidentifier-base, obi/deid_roberta_i2b2, i2b2-2014 and CoNLL."""
GLINER_LABELS: Mapping[str, str] = {
    "person": "PERSON",
    "hospital or clinic": "FACILITY",
    "city or town": "LOCATION",
    "street address": "ADDRESS",
    "date of birth": "DATE_TIME",
    "phone number": "PHONE_NUMBER",
    "email address": "EMAIL_ADDRESS",
    "medical record number": "MRN",
    "identification number": "OTHER_ID",
}
"""What a GLiNER model is asked for; its labels are words, and any may be named instead."""
_REMEDY = "see client/README.md, stronger models"


@dataclass(frozen=True, slots=True)
class Found:
    """What lies in a model folder: its kind, its labels without prefixes, and its digest."""

    kind: str
    labels: tuple[str, ...]
    sha256: str


def inspect(directory: Path) -> Found:
    """What kind of recognizer lies in ``directory``; weights are digested, not loaded.

    Raises:
        DeidError: it is none, holds pickle weights, or its configuration asks for code.
    """
    if not directory.is_dir():
        raise DeidError("the recognizer's folder is not there, and nothing is downloaded", remedy=_REMEDY)
    if (directory / "gliner_config.json").is_file():
        _refuse_foreign(directory)
        return Found("gliner", (), model_digest(directory))
    config = _read(directory / "config.json")
    if not any(str(name).endswith("ForTokenClassification") for name in config.get("architectures") or []):
        raise DeidError("the recognizer is no token classifier and no GLiNER model", remedy=_REMEDY)
    _refuse_foreign(directory)
    from intraward_shared.base_model import model_files

    try:
        model_files(directory)
    except ModelError as error:
        raise DeidError(f"the recognizer: {error.message}", remedy=error.remedy) from None
    named = config.get("id2label")
    if not isinstance(named, dict) or not all(isinstance(label, str) for label in named.values()):
        raise DeidError("the recognizer names no labels (config.json, id2label)", remedy=_REMEDY)
    labels = tuple(sorted({bare(label) for label in named.values()} - {"O"}))
    return Found("transformers", labels, model_digest(directory))


def load_stronger(
    directory: Path, sha256: str, labels: Mapping[str, str], entities: frozenset[str]
) -> TokenClassifier | Gliner:
    """Load the recognizer of ``directory``.

    Args:
        sha256: its pin, as ``intraward-client deid model`` prints it.
        labels: label to entity or ``none``, before the defaults; for GLiNER, what it is asked for.
        entities: the entity types that the rule pack knows.

    Raises:
        DeidError: missing, another than the pinned one, not to be loaded, or a label is not mapped.
    """
    found = inspect(directory)
    if found.sha256 != sha256:
        raise DeidError("the recognizer's files are not the pinned ones", remedy="fetch the model again")
    if found.kind == "gliner":
        return _load_gliner(
            directory, mapped(tuple(labels or GLINER_LABELS), labels or GLINER_LABELS, entities)
        )
    return TokenClassifier(directory, mapped(found.labels, {**DEFAULT_LABELS, **labels}, entities))


def mapped(found: tuple[str, ...], table: Mapping[str, str], entities: frozenset[str]) -> dict[str, str]:
    """Label to entity for every label of the model, those of no identifier left out.

    Raises:
        DeidError: a label or an entity is unknown, or no label is left.
    """
    folded = {label.upper(): entity for label, entity in table.items()}
    for label in found:
        if label.upper() not in folded:
            raise DeidError(
                f"the recognizer's label {label!r} is mapped to nothing",
                remedy=f'say what it is: [deid.labels] {label} = "PERSON", or "{NOTHING}"',
            )
    chosen = {label: folded[label.upper()] for label in found if folded[label.upper()] != NOTHING}
    for entity in chosen.values():
        if entity not in entities:
            raise DeidError(
                f"[deid.labels] names no entity: {entity!r}", remedy=f"one of {', '.join(sorted(entities))}"
            )
    if not chosen:
        raise DeidError("every label of the recognizer is mapped to nothing", remedy=_REMEDY)
    return chosen


class Gliner(GLiNERRecognizer):
    """Presidio's GLiNER recognizer, asked for its own labels only; theirs adds every entity of the pack."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Spans of the mapped labels, chunk by chunk."""
        found: list[RecognizerResult] = super().analyze(text, self.supported_entities)
        return found


def _load_gliner(directory: Path, labels: Mapping[str, str]) -> Gliner:
    """The GLiNER recognizer over the folder, offline; its failures are exceptions already."""
    try:
        import gliner  # noqa: F401
    except ImportError:
        raise DeidError("GLiNER is not installed", remedy="pip install 'intraward[gliner]'") from None
    try:
        recognizer = Gliner(
            entity_mapping=dict(labels),
            model_name=str(directory),
            map_location="cpu",
            threshold=0.3,
            local_files_only=True,
        )
        recognizer.load()
    except Exception as error:
        raise DeidError(f"the recognizer cannot be loaded ({type(error).__name__})", remedy=_REMEDY) from None
    return recognizer


def _refuse_foreign(directory: Path) -> None:
    for pattern in ("*.bin", "*.pt", "*.pth", "*.pkl", "*.pickle", "*.py"):
        if found := sorted(directory.rglob(pattern)):
            raise DeidError(
                f"the recognizer's folder holds {found[0].name}, and neither pickle nor code is read",
                remedy="convert the weights to safetensors, and remove it",
            )


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise DeidError(f"the recognizer has no readable {path.name}", remedy=_REMEDY) from None
    if not isinstance(value, dict):
        raise DeidError(f"the recognizer has no readable {path.name}", remedy=_REMEDY)
    return value
