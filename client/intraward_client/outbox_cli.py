"""``intraward-client outbox``: every sealed update that left, when, to whom, how large and at what cost."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from intraward_client.home import SiteHome
from intraward_client.outbox import as_lines, listing
from intraward_shared.command import show

app = typer.Typer()

Home = Annotated[Path, typer.Option("--home", help="The site's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]


@app.command()
def outbox(home: Home = Path("site"), as_json: Json = False) -> None:
    """Every sealed update that left: when, to whom, size, digest, cost. Sends and changes nothing.

    Each file and plan is verified. Epsilon is that of the update alone; `budget` composes all of them.

    Example: intraward-client outbox --home /srv/intraward
    """
    rows = listing(SiteHome(home))
    text = "\n".join(as_lines(rows, datetime.now(UTC))).replace("[", "\\[")
    show({"updates": rows}, as_json=as_json, text=text or "nothing has left")
