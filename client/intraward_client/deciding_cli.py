"""``intraward-client decide``: what this hospital decides about an adapter, signed for the coordinator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from intraward_client.home import SiteHome
from intraward_shared.command import show
from intraward_shared.decision import Reason, Verdict

app = typer.Typer()


@app.command()
def decide(
    verdict: Annotated[Verdict, typer.Argument(help="What is to be done with the adapter.")],
    reason: Annotated[Reason, typer.Option(help="The one code that goes with it; there is no free text.")],
    adapter: Annotated[
        str | None, typer.Option(help="Digest, or its beginning; without it, the one in use.")
    ] = None,
    home: Annotated[Path, typer.Option("--home", help="The site's folder.")] = Path("site"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for machines.")] = False,
) -> None:
    """Sign your decision about an installed adapter; the file is all that the coordinator learns.

    Example: intraward-client decide stop --reason flags-rose --home /srv/intraward
    """
    from intraward_client.deciding import decide as sign

    made, path = sign(SiteHome(home), adapter, verdict, reason)
    value = {"file": str(path), **made.model_dump(mode="json")}
    text = f"decision {made.number}: {verdict.value}, adapter {made.adapter[:16]}, {reason.value}\n"
    text += f"give the coordinator this file: {path}"
    if verdict is Verdict.STOP:
        text += "\nto stop using it here: intraward-client adapter rollback"
    show(value, as_json=as_json, text=text)
