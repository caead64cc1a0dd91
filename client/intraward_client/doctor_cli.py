"""``intraward-client doctor``: one page, a line a check, and what to do about what is not right."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from intraward_client.home import SiteHome
from intraward_shared.command import show

app = typer.Typer()
_COLOURS = {"ok": "green", "advice": "yellow", "fail": "red"}


@app.command()
def doctor(
    home: Annotated[Path, typer.Option("--home", help="The site's folder.")] = Path("site"),
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Do not ask the consortium's server: a ward has no network."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for machines.")] = False,
) -> None:
    """Check that this node is fit to run: policy, keys, ledger, budget, model, machine, consortium.

    The exit code is 1 if something would keep it from running; advice does not count.

    Example: intraward-client doctor --home /srv/intraward
    """
    from intraward_client.checkup import examine

    found = examine(SiteHome(home), offline=offline)
    lines = []
    for each in found:
        label = "FAIL" if each.state == "fail" else each.state
        lines.append(f"[{_COLOURS[each.state]}]{label:<6}[/] {each.name}: {escape(each.message)}")
        lines += [f"       [bold]do[/] {escape(each.do)}"] if each.do else []
    fit = all(each.state != "fail" for each in found)
    value = {"fit": fit, "checks": [each._asdict() | {"ok": each.state != "fail"} for each in found]}
    show(value, as_json=as_json, text="\n".join(lines))
    raise typer.Exit(0 if fit else 1)
