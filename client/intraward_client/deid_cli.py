"""``intraward-client deid``: de-identify a file, or score the de-identifier on gold notes.

Thin: the work is in ``deid.files`` and ``deid.evaluate``. Neither command needs a site: without one they key
their surrogates with a secret that is forgotten at the end, so two runs give different surrogates.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from intraward_client import review_cli
from intraward_shared.command import err, show

if TYPE_CHECKING:
    from intraward_client.deid.deidentifier import Deidentifier

app = typer.Typer(
    no_args_is_help=True,
    help="De-identify files, measure how well it goes, and review what was held back.\n\n"
    "Example: intraward-client deid run notes.jsonl --output clean.jsonl",
)

app.add_typer(review_cli.app, name="review")
app.command(name="canary")(review_cli.canary)

Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
Profile = Literal["safe-harbor", "research"]


@app.command()
def run(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help='JSONL of {"id", "text", "known": {...}?}.')
    ],
    output: Annotated[Path, typer.Option("--output", help='Where {"id", "text"} rows go.')],
    spans: Annotated[
        Path | None, typer.Option("--spans", help="Where spans go, in offsets of the original text.")
    ] = None,
    profile: Annotated[Profile, typer.Option("--profile", help="Tags, or surrogates and shifted dates.")] = (
        "safe-harbor"
    ),
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes.")] = 1,
    home: Annotated[
        Path | None, typer.Option("--home", help="A site, for its model and the surrogates of its vault.")
    ] = None,
    as_json: Json = False,
) -> None:
    """De-identify a file. What cannot be judged is held back in OUT.quarantine.jsonl, with its reason.

    A run that is stopped goes on where it was when it is started again; with surrogates only at a site.

    Example: intraward-client deid run notes.jsonl --output clean.jsonl --spans spans.jsonl
    """
    from intraward_client.deid.files import deidentify_file, quarantine_path
    from intraward_client.progress import counter

    engine = _ephemeral(profile) if home is None else _of_site(home, profile)
    with counter("de-identifying", "notes", quiet=as_json) as tell:
        report = deidentify_file(
            source,
            output,
            engine,
            spans=spans,
            workers=workers,
            progress=tell,
            keep=home is not None or not engine.keyed,
        )
    text = f"{report.rows} rows: {report.released} in {output}, "
    text += f"{report.quarantined} held back in {quarantine_path(output)}"
    text += f"\n{report.resumed} rows were done by an earlier run" if report.resumed else ""
    text += "\nthe input holds no row: an export that was cut off?" if not report.rows else ""
    value = {**asdict(report), "profile": profile, "quarantine": str(quarantine_path(output))}
    show(value, as_json=as_json, text=text)


@app.command()
def evaluate(
    gold: Annotated[
        Path,
        typer.Argument(
            metavar="GOLD",
            help='JSONL of {"text", "spans": [{"start", "end", "entity", "role"?}], "known"?}.',
        ),
    ],
    no_known: Annotated[
        bool, typer.Option("--no-known", help="As if nothing were known of the patients.")
    ] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes.")] = 1,
    home: Annotated[Path | None, typer.Option("--home", help="A site, for its model.")] = None,
    as_json: Json = False,
) -> None:
    """Score the de-identifier on notes whose identifiers are known: what would leave, and what was lost.

    Runs every note as deid run does and compares what was replaced with the gold, whatever it was called.
    Shares come with Wilson 95 % bounds, by class and role too.

    Example: intraward-client deid evaluate gold.jsonl --workers 2
    """
    from intraward_client.deid.evaluate import evaluate as score
    from intraward_client.deid.gold import read_gold
    from intraward_client.deid.scorecard import write_card
    from intraward_client.progress import counter

    notes = read_gold(gold)
    engine = _ephemeral("safe-harbor") if home is None else _of_site(home, "safe-harbor")
    with counter("scoring", "notes", quiet=as_json) as tell:
        report = score(notes, engine, use_known=not no_known, workers=workers, progress=tell)
    digests = {"model_sha256": engine.model_sha256, "pack_sha256": engine.pack_sha256}
    show(report.as_dict() | {"known": not no_known} | digests, as_json=as_json, text=write_card(report))


@app.command()
def model(
    directory: Annotated[Path, typer.Argument(metavar="FOLDER", help="A token classifier or GLiNER model.")],
    as_json: Json = False,
) -> None:
    """What a stronger recognizer's folder holds, and the lines of policy.toml that pin it.

    Example: intraward-client deid model /srv/models/deidentifier
    """
    from intraward_client.deid.stronger import DEFAULT_LABELS, GLINER_LABELS, inspect

    found = inspect(directory)
    labels = {label: DEFAULT_LABELS.get(label.upper()) for label in found.labels} or dict(GLINER_LABELS)
    lines = [f"{label}: {entity or 'not mapped; say what it is'}" for label, entity in labels.items()]
    unknown = [f'{label} = "OTHER_ID"' for label, entity in labels.items() if entity is None]
    policy = [f'model = "{directory.resolve()}"', f'model_sha256 = "{found.sha256}"']
    policy += ["\n\\[deid.labels]", *unknown] if unknown else []
    text = "\n".join([found.kind, *lines, "\npolicy.toml:\n\\[deid]", *policy])
    value = {"kind": found.kind, "labels": labels, "sha256": found.sha256}
    show(value, as_json=as_json, text=text)


def _ephemeral(profile: Profile) -> Deidentifier:
    from intraward_client.deid.deidentifier import Deidentifier, DeidSettings

    err.print("no site: surrogates are keyed by a secret for this run only, and it is not kept")
    return Deidentifier(DeidSettings(profile=profile), secrets.token_bytes(32))


def _of_site(home: Path, profile: Profile) -> Deidentifier:
    from contextlib import closing

    from intraward_client.config import load_policy
    from intraward_client.home import SiteHome
    from intraward_client.importing import make_deidentifier
    from intraward_client.store.vault import Vault

    site = SiteHome(home)
    with closing(Vault.open(site.vault, site.vault_keys)) as vault:
        return make_deidentifier(site, vault, load_policy(site.policy), profile)
