"""``intraward-server dashboard``: the coordinator's pages on loopback, or all of them as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from intraward_server.home import ServerHome
from intraward_shared.command import err, show
from intraward_shared.program import load_program
from intraward_shared.signing import SigningKey

app = typer.Typer()


@app.command()
def dashboard(
    home: Annotated[Path, typer.Option("--home", help="The coordinator's folder.")] = Path("coordinator"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on loopback; 0 takes a free one.")] = 8080,
    host: Annotated[str, typer.Option(help="Loopback address; any other is refused.")] = "127.0.0.1",
    report: Annotated[
        Path | None, typer.Option(help="Write all pages as one file instead, and serve nothing.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for machines.")] = False,
) -> None:
    """Serve read-only pages of the program, its sites, evaluation, adapters and gates, until stopped.

    Prometheus reads the same at /metrics.

    Example: intraward-server dashboard --home /srv/coordinator --port 8080
    """
    made = ServerHome(home)
    load_program(made.program)
    public = SigningKey.load(made.key).public
    if report is not None:
        from intraward_server.dashboard.pages import write_report
        from intraward_server.dashboard.view import read_view

        view = read_view(home, public)
        write_report(view, report)
        value = {"report": str(report), "rounds_done": view.done, "rounds": view.rounds_in_all}
        show(value, as_json=as_json, text=f"{view.done} of {view.rounds_in_all} rounds in {report}")
        return
    from intraward_server.dashboard.serve import bind, serve

    listener = bind(host, port)
    name = f"[{host.strip('[]')}]" if ":" in host else host
    address = f"http://{name}:{listener.getsockname()[1]}/"
    if as_json:
        show({"address": address}, as_json=True, text="")
    else:
        err.print(f"dashboard of {home} at {address}, until stopped".replace("[", "\\["))
    serve(home, public, listener)
