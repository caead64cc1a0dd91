"""``intraward-client keys``: rotate the key that the vault hangs on; other keys are told apart."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from intraward_client.home import SiteHome
from intraward_client.trail import Action, record
from intraward_shared.command import show
from intraward_shared.signing import SigningKey

app = typer.Typer(
    no_args_is_help=True,
    help="The site's keys.\n\nExample: intraward-client keys rotate --home /srv/intraward",
)

Home = Annotated[Path, typer.Option("--home", help="The site's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]

OTHERS = {
    "patients' data keys": "wrapped anew; each lives as long as its patient's data, forget destroys it",
    "index.key": "stands for patients' names in the vault; another one would bring forgotten patients back",
    "signing.key": "is this site in ledger and enrolment: another one is a new site for the coordinator",
    "node key and certificate": "the gateway's: the coordinator must register and sign new ones",
}
"""What is not rotated, and why."""


@app.callback()
def _group() -> None:
    """Keep ``rotate`` a command of its own."""


@app.command()
def rotate(home: Home = Path("site"), as_json: Json = False) -> None:
    """Replace the vault's site key, wrap every patient's key with the new one, and destroy the old one.

    Killed at any moment, run it again. The ward may run; texts are not encrypted anew, only their keys are.

    Example: intraward-client keys rotate --home /srv/intraward
    """
    from intraward_client.store.vault import Vault

    site = SiteHome(home)
    key = SigningKey.load(site.signing_key)
    with closing(Vault.open(site.vault, site.vault_keys)) as vault:
        vault.rotate()
    record(site, key, Action.ROTATE)
    rotated = str(site.vault_keys / "site.key")
    lines = [
        f"rotated: {rotated}, which wraps every patient's key; the old one is overwritten",
        "back the keys up again: an older copy opens older backups of the vault and nothing newer",
        "not rotated:",
        *(f"  {name}: {why}" for name, why in OTHERS.items()),
    ]
    show({"rotated": rotated, "not_rotated": OTHERS}, as_json=as_json, text="\n".join(lines))
