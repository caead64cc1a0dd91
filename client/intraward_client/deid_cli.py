"""``intraward-client deid``: de-identify a file, or score the de-identifier on gold notes.

Thin: the work is in ``deid.files`` and ``deid.evaluate``. Neither command needs a site; both key their
surrogates with a secret that is forgotten at the end, so two runs give different surrogates.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from intraward_shared.command import err, show

if TYPE_CHECKING:
    from intraward_client.deid.deidentifier import Deidentifier
    from intraward_client.deid.evaluate import DeidReport, Share

app = typer.Typer(
    no_args_is_help=True,
    help="De-identify files, and measure how well it goes.\n\n"
    "Example: intraward-client deid run notes.jsonl --output clean.jsonl",
)

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
    as_json: Json = False,
) -> None:
    """De-identify a file. What cannot be judged is held back in OUT.quarantine.jsonl, with its reason.

    Example: intraward-client deid run notes.jsonl --output clean.jsonl --spans spans.jsonl
    """
    from intraward_client.deid.files import deidentify_file, quarantine_path
    from intraward_client.progress import bar

    engine = _ephemeral(profile)
    with bar("de-identifying", quiet=as_json) as tell:
        report = deidentify_file(
            source,
            output,
            engine,
            spans=spans,
            workers=workers,
            progress=lambda done, total: tell(done / max(1, total)),
        )
    show(
        {**asdict(report), "profile": profile, "quarantine": str(quarantine_path(output))},
        as_json=as_json,
        text=f"{report.rows} rows: {report.released} in {output}, "
        f"{report.quarantined} held back in {quarantine_path(output)}",
    )


@app.command()
def evaluate(
    gold: Annotated[
        Path, typer.Argument(help='JSONL of {"text", "spans": [{"start", "end", "entity"}], "known"?}.')
    ],
    as_json: Json = False,
) -> None:
    """Score the de-identifier on notes whose identifiers are known. Shares come with Wilson 95 % bounds.

    Example: intraward-client deid evaluate gold.jsonl --json
    """
    from intraward_client.deid.evaluate import evaluate as score
    from intraward_client.deid.files import read_gold
    from intraward_client.progress import bar

    rows = read_gold(gold)
    engine = _ephemeral("safe-harbor")
    with bar("scoring", quiet=as_json) as tell:
        report = score(rows, engine, progress=lambda done: tell(done / max(1, len(rows))))
    show(report.as_dict(), as_json=as_json, text=_table(report))


def _ephemeral(profile: Profile) -> Deidentifier:
    from intraward_client.deid.deidentifier import Deidentifier, DeidSettings

    err.print("no site: surrogates are keyed by a secret for this run only, and it is not kept")
    return Deidentifier(DeidSettings(profile=profile), secrets.token_bytes(32))


def _table(report: DeidReport) -> str:
    rows = [
        f"{report.notes} notes, {report.quarantined} held back, "
        f"{report.leaked_entities} identifiers and {report.leaked_tokens} tokens left in released ones "
        f"({report.leaks_per_thousand:.1f} per 1,000)",
        _line("entity recall", report.entity_recall),
        _line("token recall", report.token_recall),
        _line("token precision", report.token_precision),
        f"  {'F2':<18} {report.f2:.4f}",
        _line("clean notes", report.clean_notes),
        _line("over-redaction", report.over_redaction),
    ]
    for title, shares in (("by class", report.by_class), ("by role", report.by_role)):
        rows += [title, *(_line(name, share) for name, share in shares.items())] if shares else []
    return "\n".join(rows)


def _line(name: str, share: Share) -> str:
    low, high = share.bounds
    return f"  {name:<18} {share.value:.4f}  ({low:.4f} to {high:.4f}; {share.hits} of {share.total})"
