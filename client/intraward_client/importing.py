"""A file from the hospital's systems into the vault: the site's de-identifier, its vault, one import."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any, Literal

from intraward_client.config import SitePolicy
from intraward_client.deid.deidentifier import Deidentifier, DeidSettings, Stronger
from intraward_client.grade import check_grade
from intraward_client.home import SiteHome
from intraward_client.planted import marks_of, planted
from intraward_client.store.importers import Kind, stream_rows
from intraward_client.store.intake import run_import
from intraward_client.store.vault import Vault
from intraward_shared.errors import InputError

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


def check_file(path: Path, kind: Kind) -> None:
    """Refuse a file that an import would refuse, or that holds nothing, before anything slow is opened.

    Raises:
        InputError: the file is missing, empty, or a line is wrong.
    """
    if not sum(1 for _ in stream_rows(path, kind)):
        remedy = "an export that was cut off? export it again; nothing was stored"
        raise InputError(path.name, 0, f"is empty: it holds no {kind}", remedy=remedy)


def import_file(
    home: SiteHome,
    policy: SitePolicy,
    path: Path,
    kind: Kind,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Import a JSONL file; a second run does only what is new.

    Returns:
        counts for the site's own operator: rows, released, quarantined, skipped, by_class, by_reason.

    Raises:
        InputError: the file is missing or a line is wrong; nothing was stored.
        DeidError, VaultError: the node is not fit to run.
    """

    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        report = asdict(
            run_import(
                path, vault, make_deidentifier(home, vault, policy), policy.deid.workers, progress, kind
            )
        )
    report["rows"] = report.pop("notes_in")
    return report
