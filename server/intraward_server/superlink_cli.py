"""``intraward-server superlink`` and ``renew``: the SuperLink, and the certificate that it shows."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from intraward_server.home import ServerHome
from intraward_shared.command import out, show

app = typer.Typer()
Home = Annotated[Path, typer.Option("--home", help="The coordinator's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]


@app.command()
def superlink(
    home: Home = Path("coordinator"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Loopback port.")] = 8100,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the commands only.")] = False,
    as_json: Json = False,
) -> None:
    """Run Flower's SuperLink and SuperExec until stopped: loopback, TLS, registered nodes, runtime secret.

    Example: intraward-server superlink --home /srv/coordinator --port 8100
    """
    from intraward_server.superlink import (
        CONNECTION,
        FLEET,
        prepare,
        serve,
        superexec_command,
        superlink_command,
    )

    made = ServerHome(home)
    commands = [superlink_command(made, port), superexec_command(made, port)]
    if dry_run:
        text = "\n".join(shlex.join(command) for command in commands).replace("[", "\\[")
        show({"commands": commands, "proxy": {"forward": FLEET, "to": port}}, as_json=as_json, text=text)
        return
    names = prepare(made, port)
    text = (
        f"SuperLink on https://127.0.0.1:{port}, state in {made.flower}\n"
        f"  its certificate covers {', '.join(names)}\n"
        f"  the reverse proxy passes on {FLEET} to https://127.0.0.1:{port}; anything else gets 404\n"
        f"  its connection is called {CONNECTION}: intraward-server start --superlink {CONNECTION}"
    )
    value = {"port": port, "names": names, "connection": CONNECTION, "proxy_forwards": FLEET}
    serve(made, port, lambda: show(value, as_json=as_json, text=text))


@app.command()
def renew(
    home: Home = Path("coordinator"),
    host: Annotated[
        list[str] | None,
        typer.Option("--host", help="A name or address of the server; those of the old one if left out."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a new TLS key and certificate for the server; hospitals notice nothing, the authority stays.

    Example: intraward-server renew --home /srv/coordinator
    """
    from intraward_server.authority import Authority, expiries, hosts_of

    made = ServerHome(home)
    names = tuple(host) if host else hosts_of(made.server_certificate)
    authority = Authority(made.authority, made.authority_key)
    covered = authority.issue(made.server_certificate, made.server_key, names, datetime.now(UTC))
    ends = expiries(made.authority, made.server_certificate)[1].at
    show(
        {"certificate": str(made.server_certificate), "names": covered, "ends": f"{ends:%Y-%m-%d}"},
        as_json=as_json,
        text=f"{made.server_certificate} covers {', '.join(covered)} until {ends:%Y-%m-%d}; "
        "start superlink and proxy anew",
    )
    if not as_json:
        out.print(f"its key: {made.server_key}")
