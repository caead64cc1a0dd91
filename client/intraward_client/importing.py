"""Files of the hospital into the vault: the right reader, the site's de-identifier, its vault, one import."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, Literal

from intraward_client.config import SitePolicy
from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.deid.engine import Stronger
from intraward_client.grade import check_grade
from intraward_client.home import SiteHome
from intraward_client.planted import marks_of, planted
from intraward_client.store.fhir import FhirDocuments, read_patients
from intraward_client.store.importers import Kind
from intraward_client.store.intake import run_import
from intraward_client.store.mapping import CsvTerms, FileMapping
from intraward_client.store.sources import CsvTable, Format, JsonLines, Source, TextFolder, read_known
from intraward_client.store.vault import Vault
from intraward_shared.config import load_toml
from intraward_shared.errors import ConfigError, InputError

Profile = Literal["safe-harbor", "research"]


def make_deidentifier(
    home: SiteHome, vault: Vault, policy: SitePolicy, profile: Profile | None = None
) -> Deidentifier:
    """The de-identifier of the site's own (or the given) profile, keyed by a secret that the vault derives.

    Raises:
        DeidError: model or rule pack is missing or not the pinned one, or below the site's grade.
    """
    check_grade(home, policy, date.today())
    terms, stronger = policy.deid, None
    if terms.model is not None and terms.model_sha256 is not None:
        stronger = Stronger(path=terms.model, sha256=terms.model_sha256, labels=terms.labels)
    settings = DeidSettings(
        profile=profile or terms.profile,
        replacement=terms.replacement,
        date_order=terms.date_order,
        stronger=stronger,
        canaries=marks_of(planted(vault, terms.canaries)),
    )
    return Deidentifier(settings, vault.derive("deid"))


def open_source(
    path: Path,
    kind: Kind,
    form: Format | None = None,
    mapping: Path | None = None,
    patients: Path | None = None,
) -> Source:
    """The reader of a file or folder.

    Args:
        path: what is imported.
        kind: what its rows are; texts and FHIR documents are notes.
        form: how it is written; None tells by folder or ending (.csv, .tsv, .ndjson, anything else JSONL).
        mapping: TOML that names columns.
        patients: known identifiers: ``Patient`` NDJSON for FHIR, else JSONL of ``{"patient", "known"}``.

    Raises:
        ConfigError: the mapping file, or a form that has no such rows.
        InputError: a line of ``patients`` is wrong.
    """
    form = form or _form_of(path)
    terms = load_toml(mapping, FileMapping) if mapping is not None else None
    if form in ("text", "fhir") and kind != "notes":
        raise ConfigError("--kind", "", f"{form} holds notes", remedy="leave --kind out")
    if form == "fhir":
        terms = terms or FileMapping()
        found = read_patients(patients, terms.fhir) if patients is not None else None
        return FhirDocuments(path, terms, found)
    known = read_known(patients) if patients is not None else None
    if form == "text":
        return TextFolder(path, terms or FileMapping(), known)
    if form == "csv":
        if terms is None and path.suffix.lower() == ".tsv":
            terms = FileMapping(csv=CsvTerms(delimiter="\t"))
        return CsvTable(path, kind, terms or FileMapping(), known)
    return JsonLines(path, kind, terms, known)


def check_source(source: Source) -> None:
    """Refuse what an import would refuse, or what holds nothing, before anything slow is opened.

    Raises:
        InputError: missing, empty, or a record is wrong.
    """
    if not sum(1 for _ in source.rows()) and not source.left_out:
        remedy = "an export that was cut off? export it again; nothing was stored"
        raise InputError(source.name, 0, f"is empty: it holds no {source.kind}", remedy=remedy)


def check_file(path: Path, kind: Kind) -> None:
    """`check_source` of a JSONL file."""
    check_source(JsonLines(path, kind))


def import_file(
    home: SiteHome,
    policy: SitePolicy,
    source: Source | Path,
    kind: Kind = "notes",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Import from a source, or a JSONL file of ``kind``; a second run does only what is new.

    Returns:
        counts for the site's own operator: rows, released, quarantined, skipped, left_out, by_class,
        by_reason.

    Raises:
        InputError: the file is missing or a line is wrong; nothing was stored.
        DeidError, VaultError: the node is not fit to run.
    """

    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        report = asdict(
            run_import(
                source, vault, make_deidentifier(home, vault, policy), policy.deid.workers, progress, kind
            )
        )
    report["rows"] = report.pop("notes_in")
    return report


def _form_of(path: Path) -> Format:
    if path.is_dir():
        return "text"
    forms: dict[str, Format] = {".csv": "csv", ".tsv": "csv", ".ndjson": "fhir"}
    return forms.get(path.suffix.lower(), "jsonl")
