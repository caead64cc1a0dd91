"""``intraward-server follow`` and ``measure``: a further program; figures of an earlier policy of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from intraward_server.home import ServerHome
from intraward_shared.command import show

app = typer.Typer()


@app.command()
def follow(
    program: Annotated[Path, typer.Argument(help="The new program; its program.policy names a release.")],
    home: Annotated[Path, typer.Option("--home", help="The coordinator's folder.")] = Path("coordinator"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for machines.")] = False,
) -> None:
    """Put the finished run aside, and begin a further program with a policy that was released.

    Keys, members, adapters and releases stay; where it names no sites, the members take part again.

    Example: intraward-server follow next/program.toml --home /srv/coordinator
    """
    from intraward_server.following import follow as take

    made = take(ServerHome(home), program)
    value = {"earlier": str(made.earlier), "policy": made.release.adapter, "sites": list(made.sites)}
    text = f"{made.release.run_id} is kept in {made.earlier}\n"
    text += f"the new program begins with release {made.release.number}, {made.release.adapter[:16]}, "
    text += f"and {', '.join(made.sites)}\n"
    text += "give every hospital a new kit, so that they see what it costs: intraward-server provision"
    show(value, as_json=as_json, text=text)


@app.command()
def measure(
    adapter: Annotated[str, typer.Argument(help="Digest of an earlier policy, or its first six digits.")],
    home: Annotated[Path, typer.Option("--home", help="The coordinator's folder.")] = Path("coordinator"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for machines.")] = False,
) -> None:
    """Measure an earlier policy of the finished run like its last, so that `release --adapter` can judge it.

    Example: intraward-server measure 3fa2b1c09d77 --home /srv/coordinator
    """
    from intraward_server.concluding import measure as take

    place, figures = take(home, adapter)
    text = f"figures of {figures['adapters']['policy'][:16]} are in {place}"
    show({"evaluation": str(place), **figures}, as_json=as_json, text=text)
