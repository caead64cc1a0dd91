"""``intraward-client label unblind``: what clinicians here said of the coordinator's blind pairs."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from intraward_client.home import SiteHome
from intraward_shared.command import show

app = typer.Typer()


@app.command()
def unblind(
    key: Annotated[Path, typer.Argument(help="The coordinator's key of the pairs.")],
    home: Annotated[Path, typer.Option("--home", help="The site's folder.")] = Path("site"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for machines.")] = False,
) -> None:
    """Count the votes on blind pairs that label add took in. Figures of this hospital: nothing is sent.

    Example: intraward-client label unblind key.json --home /srv/intraward
    """
    from intraward_client.labeling.opening import open_book
    from intraward_client.labeling.unblinding import unblind
    from intraward_client.store.vault import Vault
    from intraward_shared.blind import FEWEST_PAIRS, read_key

    site, opened = SiteHome(home), read_key(key)
    with open_book(site) as book, closing(Vault.open(site.vault, site.vault_keys)) as vault:
        found = unblind(book, vault, opened)
    text = f"{found['votes']} votes on {found['pairs']} pairs, {found['not_judged']} not judged"
    if found["win_rate"] is not None:
        text += f"\nthe policy won {found['win_rate']:.3f} against {found['against']}"
    if found["win_rate_interval"] is not None:
        (low, high), even = found["win_rate_interval"], found["length_controlled_interval"]
        text += f" ({low:.3f} to {high:.3f}); at equal length {found['length_controlled']:.3f}"
        text += f" ({even[0]:.3f} to {even[1]:.3f})"
    else:
        text += f"\nno interval: fewer than {FEWEST_PAIRS} pairs were judged"
    show(found, as_json=as_json, text=text + "\n[yellow]private[/]: whether it leaves is for you to decide")
