"""``intraward-server decision`` and ``figure``: take in what a person at a hospital signed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from intraward_server.home import ServerHome
from intraward_server.registry import open_registry
from intraward_shared.command import show
from intraward_shared.decision import Verdict

app = typer.Typer()

Home = Annotated[Path, typer.Option("--home", help="The coordinator's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
_DEFAULT = Path("coordinator")


@app.command()
def decision(
    file: Annotated[Path, typer.Argument(help="What intraward-client decide wrote.")],
    home: Home = _DEFAULT,
    as_json: Json = False,
) -> None:
    """Verify a hospital's decision about an adapter and keep it; `status` and `registry` tell what stands.

    Example: intraward-server decision decision.json --home /srv/coordinator
    """
    from intraward_server.decisions import decisions, take_decision

    made = ServerHome(home)
    key, registry = open_registry(made)
    said = take_decision(made, key, registry, file)
    text = f"{said.site} decided on {said.time}: {said.verdict.value}, adapter {said.adapter[:16]}"
    text += f" ({said.reason.value})"
    about = (said.site, said.adapter)
    stands = next(each for each in decisions(made, key.public) if (each.site, each.adapter) == about)
    if stands != said:
        text += f"\nit is older than decision {stands.number}, {stands.verdict.value}, which stands"
    elif said.verdict is Verdict.STOP:
        text += "\nit is released no more; to take it back from everybody: intraward-server registry revoke"
    elif said.verdict is Verdict.LABEL_AGAIN:
        text += "\na further program begins where this run ended: intraward-server follow"
    show(said.model_dump(mode="json") | {"stands": stands.number}, as_json=as_json, text=text)


@app.command()
def figure(
    file: Annotated[Path, typer.Argument(help="What intraward-client figure wrote.")],
    home: Home = _DEFAULT,
    as_json: Json = False,
) -> None:
    """Verify a hospital's noised figure and the ledger entry that paid for it, keep and countersign it.

    Example: intraward-server figure figure.json --home /srv/coordinator
    """
    from intraward_server.figures import figure_row, take_figure

    made = ServerHome(home)
    key, registry = open_registry(made)
    row = figure_row(take_figure(made, key, registry, file))
    said = f"{row['value']:.3f}" if row["value"] is not None else "not told: too uncertain"
    text = f"{row['site']}, {row['name']} of {row['adapter'][:16]}: {said}\n"
    text += f"within {row['max_error']:g} (95 %, noise and number of patients); the hospital was charged "
    text += f"epsilon {row['epsilon']:.3f} for it, ledger entry {row['ledger_sequence']}"
    show(row, as_json=as_json, text=text)
