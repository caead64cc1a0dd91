"""``intraward-client join``: take the coordinator's kit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from intraward_client.home import SiteHome
from intraward_shared.command import show

app = typer.Typer()


@app.command()
def join(
    kit: Annotated[Path, typer.Argument(help="Folder that intraward-server provision wrote.")],
    home: Annotated[Path, typer.Option("--home", help="The site's folder.")] = Path("site"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for machines.")] = False,
) -> None:
    """Verify a kit against the key in your policy, and put its files in place; the policy is not touched.

    Example: intraward-client join kit/ --home /srv/intraward
    """
    from intraward_client.joining import join as take
    from intraward_client.joining import utc_now

    site = SiteHome(home)
    joined = take(site, kit, utc_now())
    text = f"kit verified; the gateway will go to {joined.kit.superlink}"
    text += "".join(f"\n  {line}" for line in joined.advice)
    value = {"superlink": joined.kit.superlink, "enrolled": joined.enrolled, "advice": list(joined.advice)}
    show(value, as_json=as_json, text=text)
