"""``intraward-client pause|resume|leave|trail``: stop taking part, and see who did what to this node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from intraward_client.home import SiteHome
from intraward_client.participation import leave as leave_for_good
from intraward_client.participation import pause as pause_now
from intraward_client.participation import resume as resume_now
from intraward_client.trail import read_trail
from intraward_shared.command import show
from intraward_shared.signing import SigningKey

app = typer.Typer()

Home = Annotated[Path, typer.Option("--home", help="The site's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
Reason = Annotated[
    str, typer.Option(help="A line for your own audit trail; it never leaves. Name no patient.")
]


@app.command()
def pause(reason: Reason = "", home: Home = Path("site"), as_json: Json = False) -> None:
    """Take no new plan until `resume`; restarts change nothing. A round under way goes on to its end.

    Updates that were released before are still sent when they are asked for again.

    Example: intraward-client pause --reason "model server moves" --home /srv/intraward
    """
    now = pause_now(SiteHome(home), reason)
    show(
        {"state": now.state.value, "since": now.since},
        as_json=as_json,
        text=f"paused since {now.since}: every new plan is refused (rule participation)",
    )


@app.command()
def resume(home: Home = Path("site"), as_json: Json = False) -> None:
    """Take plans again after a pause.

    Example: intraward-client resume --home /srv/intraward
    """
    now = resume_now(SiteHome(home))
    show({"state": now.state.value}, as_json=as_json, text="active: plans are taken again")


@app.command()
def leave(reason: Reason = "", home: Home = Path("site"), as_json: Json = False) -> None:
    """Leave the consortium for good: sign a statement, refuse every plan and every repetition from now on.

    Nothing is deleted; what remains, and how to destroy it, is told. It cannot be undone.

    Example: intraward-client leave --home /srv/intraward
    """
    site = SiteHome(home)
    statement = leave_for_good(site, reason)
    remains = {
        str(
            site.ledger
        ): "what was spent, with no patient's data: keep it, adapters that were released name it",
        str(site.outbox): "noised updates that left: delete them when nobody asks any more",
        str(
            site.vault_keys
        ): "destroy these first: without them the vault, and every copy of it, is unreadable",
        str(site.vault): "de-identified texts and labels, encrypted: delete it after its keys",
        str(site.adapters): "released adapters: yours to keep and use",
        str(site.signing_key): "signs for this site: destroy it when nobody asks for a signature any more",
    }
    gone = [f"{site.vault}*", *(str(path) for path in (site.outbox, site.curves) if path.exists())]
    destroy = [f"shred -u {site.vault_keys}/*", f"rm -r {' '.join(gone)}"]
    value = {"statement": str(site.leave_statement), **statement.model_dump(mode="json")}
    lines = [
        f"site {statement.site} has left; every plan is refused from now on",
        f"give the coordinator this file: {site.leave_statement}",
        "what remains here:",
        *(f"  {path}: {meaning}" for path, meaning in remains.items()),
        "to destroy what is about patients, stop the ward and the label station, then:",
        *(f"  {line}" for line in destroy),
        "and destroy the copies of the keys in your backups. Released adapters stay; epsilon bounds them.",
    ]
    show(value | {"remains": remains, "destroy": destroy}, as_json=as_json, text="\n".join(lines))


@app.command()
def trail(home: Home = Path("site"), as_json: Json = False) -> None:
    """Who did what to this node, each line verified: pauses, adapters, keys. It never leaves.

    Example: intraward-client trail --home /srv/intraward
    """
    site = SiteHome(home)
    entries = read_trail(site, SigningKey.load(site.signing_key).public)
    rows = [entry.model_dump(mode="json", exclude={"previous"}) for entry in entries]
    lines = [
        f"{e.time}  {e.user:<12} {e.action.value:<16} {(e.subject or '')[:16]:<16} {e.reason}"
        for e in entries
    ]
    plain = "\n".join(lines).replace("[", "\\[")
    show({"entries": rows}, as_json=as_json, text=plain or "nothing was ever done to this node")
