"""``intraward-client adapter``: take in a released adapter, after verifying it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from intraward_client.config import load_policy
from intraward_client.home import SiteHome
from intraward_shared.command import show
from intraward_shared.signed_adapter import read_signed_adapter

app = typer.Typer(
    no_args_is_help=True,
    help="Released adapters: verify, install, list.\n\n"
    "Example: intraward-client adapter install release/ --home /srv/intraward",
)

Home = Annotated[Path, typer.Option("--home", help="The site's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
Folder = Annotated[Path, typer.Argument(help="Adapter folder (PEFT format with intraward_adapter.json).")]


@app.command()
def verify(folder: Folder, home: Home = Path("site"), as_json: Json = False) -> None:
    """Check an adapter's signature against the coordinator's key pinned in the policy.

    Example: intraward-client adapter verify release/ --home /srv/intraward
    """
    manifest, _ = read_signed_adapter(folder, load_policy(SiteHome(home).policy).coordinator.public_key)
    value = manifest.model_dump(mode="json")
    stamp = " [yellow](simulated, not private)[/]" if manifest.simulated else ""
    show(
        value,
        as_json=as_json,
        text=f"verified: {manifest.stage} round {manifest.round}, {manifest.digest[:16]}…{stamp}",
    )


@app.command()
def install(folder: Folder, home: Home = Path("site"), as_json: Json = False) -> None:
    """Verify an adapter and keep a copy under the site's own adapters; an unsigned one is refused.

    Example: intraward-client adapter install release/ --home /srv/intraward
    """
    site = SiteHome(home)
    manifest, _ = read_signed_adapter(folder, load_policy(site.policy).coordinator.public_key)
    target = site.adapters / manifest.digest[:16]
    if not target.exists():
        draft = target.with_suffix(".part")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(folder, draft)
        draft.rename(target)
    show(
        {"installed": str(target), "digest": manifest.digest}, as_json=as_json, text=f"installed in {target}"
    )


@app.command(name="list")
def list_installed(home: Home = Path("site"), as_json: Json = False) -> None:
    """Installed adapters, each verified again.

    Example: intraward-client adapter list --home /srv/intraward
    """
    site = SiteHome(home)
    trusted = load_policy(site.policy).coordinator.public_key
    found = [
        read_signed_adapter(folder, trusted)[0]
        for folder in sorted(site.adapters.iterdir())
        if folder.is_dir() and folder.suffix != ".part"
    ]
    rows = [
        m.model_dump(mode="json", include={"digest", "stage", "round", "run_id", "simulated"}) for m in found
    ]
    text = "\n".join(f"{r['digest'][:16]}  {r['run_id']}  {r['stage']} round {r['round']}" for r in rows)
    show({"adapters": rows}, as_json=as_json, text=text or "none installed")
