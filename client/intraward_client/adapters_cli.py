"""``intraward-client adapter``: take in a released adapter after verifying it, try it, go back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from intraward_client.config import load_policy
from intraward_client.home import SiteHome
from intraward_client.installed import Installed, check_release, find, shelf
from intraward_client.installed import install as take_in
from intraward_client.installed import rollback as go_back
from intraward_client.releases import take_revocations
from intraward_shared.command import finite, show
from intraward_shared.revocation import read_list
from intraward_shared.signed_adapter import AdapterManifest
from intraward_shared.stages import Stage

app = typer.Typer(
    no_args_is_help=True,
    help="Released adapters: verify, install, list, try, roll back.\n\n"
    "Example: intraward-client adapter install release/ --home /srv/intraward",
)

Home = Annotated[Path, typer.Option("--home", help="The site's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
Folder = Annotated[
    Path, typer.Argument(help="Release bundle, or adapter folder (PEFT format with intraward_adapter.json).")
]
Ancestors = Annotated[
    Path | None,
    typer.Option(help="Folder of all adapters of the run: the whole ancestry is verified."),
]


@app.command()
def verify(
    folder: Folder, home: Home = Path("site"), ancestors: Ancestors = None, as_json: Json = False
) -> None:
    """Check an adapter: signature, files, base model, lineage, and its rounds in your own ledger.

    Example: intraward-client adapter verify release/ --home /srv/intraward
    """
    site = SiteHome(home)
    manifest = check_release(folder, site, load_policy(site.policy), ancestors)
    text = f"verified: {_name(manifest)}, {manifest.digest[:16]}…"
    show(manifest.model_dump(mode="json"), as_json=as_json, text=text)


@app.command()
def install(
    folder: Folder, home: Home = Path("site"), ancestors: Ancestors = None, as_json: Json = False
) -> None:
    """Verify an adapter and keep a copy under the site's own adapters; a policy is then in use.

    Example: intraward-client adapter install release/ --home /srv/intraward
    """
    site = SiteHome(home)
    manifest = take_in(folder, site, load_policy(site.policy), ancestors)
    target = site.adapters / manifest.digest[:16]
    policy = manifest.stage is not Stage.REWARD
    said = "and in use" if policy else "a reward model, so what is in use stays"
    text = f"installed in {target}, {said}: {_name(manifest)}"
    show({"installed": str(target), "digest": manifest.digest, "in_use": policy}, as_json=as_json, text=text)


@app.command(name="list")
def list_installed(home: Home = Path("site"), as_json: Json = False) -> None:
    """Installed adapters, each verified again; a star marks the one in use.

    Example: intraward-client adapter list --home /srv/intraward
    """
    site = SiteHome(home)
    found = shelf(site, load_policy(site.policy))
    shown = {"digest", "stage", "round", "run_id", "iteration", "simulated"}
    rows = [
        one.manifest.model_dump(mode="json", include=shown)
        | {"in_use": one.in_use, "installed": one.since or None, "revoked": one.revoked}
        for one in found
    ]
    text = "\n".join(_line(one) for one in found)
    show({"adapters": rows}, as_json=as_json, text=text or "none installed")


@app.command(name="try")
def try_prompt(
    prompt_file: Annotated[
        Path | None, typer.Option(help="File with the prompt; without it, standard input.")
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(help="Digest, or its beginning; without it, the one in use.")
    ] = None,
    max_new_tokens: Annotated[
        int, typer.Option(min=1, max=4096, help="Most tokens of the answer (at most half the context).")
    ] = 256,
    temperature: Annotated[
        float, typer.Option(min=0, max=2, callback=finite, help="0: the likeliest tokens.")
    ] = 0.0,
    home: Home = Path("site"),
    as_json: Json = False,
) -> None:
    """Answer one prompt with an installed adapter, here. Neither prompt nor answer is logged or kept.

    Example: intraward-client adapter try --prompt-file prompt.txt --home /srv/intraward
    """
    from intraward_client.trying import answer, read_prompt

    site = SiteHome(home)
    policy = load_policy(site.policy)
    manifest, state = find(site, policy, adapter)
    prompt, terms = read_prompt(prompt_file), policy.model
    model = (terms.path, terms.sha256, terms.device, terms.dtype)
    text = answer(model, manifest, state, prompt, max_new_tokens, temperature)
    if as_json:
        show({"adapter": manifest.digest, "answer": text}, as_json=True, text="")
    else:
        sys.stdout.write(text + "\n")  # as it is: rich would take brackets for a style


@app.command()
def revoked(
    revocations: Annotated[Path, typer.Argument(metavar="FILE", help="The coordinator's revoked.json.")],
    home: Home = Path("site"),
    as_json: Json = False,
) -> None:
    """Take in the coordinator's newest list of revoked adapters; they are installed and used no more.

    Example: intraward-client adapter revoked revoked.json --home /srv/intraward
    """
    site = SiteHome(home)
    policy = load_policy(site.policy)
    public = policy.coordinator.public_key
    taken = take_revocations(site, public, read_list(revocations), revocations)
    here = [one for one in shelf(site, policy) if one.revoked]
    value = taken.model_dump(mode="json") | {"installed_here": [one.manifest.digest for one in here]}
    lines = [f"{len(taken.revoked)} adapters are revoked", *(_line(one) for one in here)]
    if any(one.in_use for one in here):
        lines.append("the one in use is revoked: intraward-client adapter rollback")
    show(value, as_json=as_json, text="\n".join(lines))


@app.command()
def rollback(home: Home = Path("site"), as_json: Json = False) -> None:
    """Put the adapter installed before the present one in use again; the copies stay.

    Example: intraward-client adapter rollback --home /srv/intraward
    """
    site = SiteHome(home)
    before = go_back(site, load_policy(site.policy))
    digest = before.manifest.digest if before is not None else None
    text = f"in use again: {_line(before)}" if before is not None else "in use again: the base model alone"
    show({"in_use": digest}, as_json=as_json, text=text)


def _name(manifest: AdapterManifest) -> str:
    stamp = " [yellow](simulated, not private)[/]" if manifest.simulated else ""
    return f"{manifest.stage.value} round {manifest.round} of {manifest.run_id}{stamp}"


def _line(one: Installed) -> str:
    mark = "*" if one.in_use else " "
    stamp = " [red]revoked[/]" if one.revoked else ""
    return f"{mark} {one.manifest.digest[:16]}  {one.since:<20}  {_name(one.manifest)}{stamp}"
