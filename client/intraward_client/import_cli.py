"""``intraward-client import``: from JSONL, tables, folders of texts and FHIR exports into the vault."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from intraward_client.config import load_policy
from intraward_client.home import SiteHome
from intraward_shared.command import show

app = typer.Typer()

Kind = Literal["notes", "demonstrations", "preferences"]
Form = Literal["jsonl", "csv", "text", "fhir"]
Home = Annotated[Path, typer.Option("--home", help="The site's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]


@app.command(name="import")
def import_rows(
    source: Annotated[Path, typer.Argument(help="JSONL, CSV or FHIR NDJSON file, or a folder of texts.")],
    home: Home = Path("site"),
    kind: Annotated[Kind, typer.Option(help="What the rows are.")] = "notes",
    form: Annotated[
        Form | None, typer.Option("--format", help="How it is written, if the name does not tell.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="TOML file: which column is the patient, the text, what is known.")
    ] = None,
    patients: Annotated[
        Path | None, typer.Option(help="Known identifiers by patient: FHIR Patient NDJSON, or JSONL.")
    ] = None,
    as_json: Json = False,
) -> None:
    """De-identify a file or folder and keep the result in the vault. A second run does only what is new.

    Example: intraward-client import notes.jsonl --home /srv/intraward
    """
    from intraward_client.importing import check_source, import_file, open_source
    from intraward_client.progress import counter

    site = SiteHome(home)
    policy = load_policy(site.policy)
    opened = open_source(source, kind, form, mapping, patients)
    check_source(opened)
    with counter(f"importing {kind}", "texts", quiet=as_json) as tell:
        report = import_file(site, policy, opened, kind, tell)
    text = f"{report['rows']} rows: {report['released']} in the vault, {report['quarantined']} quarantined"
    if report["skipped"]:
        text += f", {report['skipped']} left out (imported before, or forgotten)"
    text += "".join(f"\n  {reason}: {count}" for reason, count in report["by_reason"].items())
    text += "".join(f"\n  left out, {reason}: {count}" for reason, count in report["left_out"].items())
    show(report, as_json=as_json, text=text)
