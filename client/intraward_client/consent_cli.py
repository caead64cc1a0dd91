"""``intraward-client consent``: the opt-out list, kept without names, honoured at import and in training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated

import typer

from intraward_client.config import load_policy
from intraward_client.home import SiteHome
from intraward_client.store.vault import Vault
from intraward_shared.command import show
from intraward_shared.errors import InputError

app = typer.Typer(
    no_args_is_help=True,
    help="Patients who opted out of training.\n\n"
    "Example: intraward-client consent import optouts.txt --home /srv/intraward",
)

Home = Annotated[Path, typer.Option("--home", help="The site's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
Patient = Annotated[str, typer.Argument(help="Patient id as in the imported files.")]
STAYS = "what is in the vault stays there, encrypted and unused; intraward-client forget destroys it"


@app.command()
def add(patient: Patient, home: Home = Path("site"), as_json: Json = False) -> None:
    """Put a patient on the opt-out list: later imports refuse their rows, later tables leave them out.

    Rounds that were charged stay charged, and adapters that were released stay.

    Example: intraward-client consent add P-1002 --home /srv/intraward
    """
    from intraward_client.store.consent import opt_out

    with _vault(home) as vault:
        added = opt_out(vault, iter([_checked(patient)]))
    text = f"opted out; {STAYS}" if added else "was on the list already"
    show({"added": added}, as_json=as_json, text=text)


@app.command()
def remove(patient: Patient, home: Home = Path("site"), as_json: Json = False) -> None:
    """Take a patient off the list: rows in the vault count again, refused ones come with the next import.

    Example: intraward-client consent remove P-1002 --home /srv/intraward
    """
    from intraward_client.store.consent import opt_in

    with _vault(home) as vault:
        removed = opt_in(vault, _checked(patient))
    show(
        {"removed": removed}, as_json=as_json, text="taken off the list" if removed else "was not on the list"
    )


@app.command(name="list")
def list_opted_out(
    patient: Annotated[
        str | None, typer.Argument(help="Is this patient on the list? Exit code 1 if not.")
    ] = None,
    home: Home = Path("site"),
    as_json: Json = False,
) -> None:
    """The list as keyed tags, which name nobody; or whether one patient is on it.

    Example: intraward-client consent list --home /srv/intraward
    """
    from intraward_client.store.consent import listing, since

    with _vault(home) as vault:
        if patient is not None:
            moment = since(vault, _checked(patient))
            show(
                {"since": moment},
                as_json=as_json,
                text=f"opted out {moment}" if moment else "not on the list",
            )
            raise typer.Exit(0 if moment else 1)
        found = listing(vault)
    text = "\n".join(f"{tag}  {moment}" for tag, moment in found)
    rows = [{"tag": tag, "since": moment} for tag, moment in found]
    show({"opted_out": rows}, as_json=as_json, text=text or "nobody opted out")


@app.command(name="import")
def import_list(
    file: Annotated[Path, typer.Argument(help="Patient ids, one a line.")],
    home: Home = Path("site"),
    as_json: Json = False,
) -> None:
    """Put everybody in a file on the list, or nobody if a line is wrong. Repeating changes nothing.

    Example: intraward-client consent import optouts.txt --home /srv/intraward
    """
    from intraward_client.store.consent import opt_out, read_patient_ids

    with _vault(home) as vault:
        added = opt_out(vault, read_patient_ids(file))
    show({"added": added}, as_json=as_json, text=f"{added} added to the list; {STAYS}")


@contextmanager
def _vault(home: Path) -> Iterator[Vault]:
    site = SiteHome(home)
    load_policy(site.policy)
    with closing(Vault.open(site.vault, site.vault_keys)) as vault:
        yield vault


def _checked(patient: str) -> str:
    if not patient.strip():
        raise InputError("PATIENT", 0, "is empty", remedy="give a patient id as in the imported files")
    return patient
