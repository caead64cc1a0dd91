"""``intraward-client flags``: clinicians' flags on a released model's answers, and whether they grow."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from intraward_client.config import load_policy
from intraward_client.home import SiteHome
from intraward_shared.command import show

app = typer.Typer(
    no_args_is_help=True,
    help="Clinicians' flags on answers: kept in the vault, watched here, never sent.\n\n"
    "Example: intraward-client flags report --home /srv/intraward",
)

Home = Annotated[Path, typer.Option("--home", help="The site's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
BASE = "base"
"""Stands for the base model without an adapter."""


@app.command()
def add(
    answers: Annotated[int, typer.Option(min=1, help="How many answers were given, flagged or not.")],
    file: Annotated[
        Path | None, typer.Argument(help='JSONL of {"answer", "reason", "prompt"?, "comment"?, "patient"?}.')
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(help="Installed adapter that gave them; without it, the one in use.")
    ] = None,
    home: Home = Path("site"),
    as_json: Json = False,
) -> None:
    """Add a batch: the flags of a day or week, and how many answers there were. No file: none was flagged.

    Texts pass the de-identifier; what it holds back is not kept, and the flag counts all the same.

    Example: intraward-client flags add flags.jsonl --answers 120 --home /srv/intraward
    """
    from intraward_client.importing import make_deidentifier
    from intraward_client.store.flags import add_batch, read_flags
    from intraward_client.store.vault import Vault

    site = SiteHome(home)
    policy = load_policy(site.policy)
    name = _adapter(site, adapter)
    if file is not None:
        read_flags(file)  # before anything slow is opened
    with closing(Vault.open(site.vault, site.vault_keys)) as vault:
        cleaner = make_deidentifier(site, vault, policy)
        added = add_batch(vault, cleaner, file, answers, name, policy.deid.workers)
    value = {"adapter": name, "answers": added.answers, "flagged": added.flagged, "withheld": added.withheld}
    text = f"{added.flagged} of {added.answers} answers flagged, of adapter {name[:16]}"
    text += f"; the text of {added.withheld} was held back and is not kept" if added.withheld else ""
    show(value, as_json=as_json, text=text)


@app.command()
def report(
    show_text: Annotated[bool, typer.Option("--show-text", help="The flagged answers too, to read.")] = False,
    home: Home = Path("site"),
    as_json: Json = False,
) -> None:
    """Flags per 100 answers of each adapter, and the alarm; exit code 1 if the one in use has alarmed.

    Figures of private data: they stay here, and what follows from them is your decision.

    Example: intraward-client flags report --home /srv/intraward
    """
    from intraward_client.monitoring import flag_rates, follow
    from intraward_client.store.flags import batches, kept_flags, reasons
    from intraward_client.store.vault import Vault

    site = SiteHome(home)
    terms, now = load_policy(site.policy).monitoring, _adapter(site, None)
    rows: list[dict[str, Any]] = []
    with closing(Vault.open(site.vault, site.vault_keys)) as vault:
        for name, found in batches(vault).items():
            course = follow(found, flag_rates(terms))
            figures = {"answers": course.answers, "flagged": course.flagged, "per_100": course.per_100}
            alarm = {"cusum": course.cusum, "threshold": terms.threshold, "alarm_since": course.alarm_since}
            by_reason = dict(reasons(vault, name))
            rows.append({"adapter": name, "in_use": name == now, **figures, **alarm, "by_reason": by_reason})
        texts = [
            {"adapter": kept.adapter, "time": kept.time, "reason": kept.reason, **kept.texts}
            for kept in (kept_flags(vault) if show_text else ())
        ]
    value = {"adapters": rows, **({"flags": texts} if show_text else {})}
    show(value, as_json=as_json, text="\n".join(map(_line, rows)) or "no batch was added")
    if show_text and not as_json:
        for kept_text in texts:  # as they are: rich would take brackets for a style
            sys.stdout.write("\n" + "".join(f"{key}: {item}\n" for key, item in kept_text.items()))
    raise typer.Exit(1 if any(row["in_use"] and row["alarm_since"] for row in rows) else 0)


def _adapter(site: SiteHome, name: str | None) -> str:
    """Full digest of an installed adapter, of the one in use, or ``base``."""
    from intraward_client.installed import find, in_use
    from intraward_client.trail import read_trail
    from intraward_shared.signing import SigningKey

    if name is None:
        return in_use(read_trail(site, SigningKey.load(site.signing_key).public)) or BASE
    return BASE if name == BASE else find(site, load_policy(site.policy), name)[0].digest


def _line(row: dict[str, Any]) -> str:
    mark = "*" if row["in_use"] else " "
    reasons = ", ".join(f"{reason} {count}" for reason, count in row["by_reason"].items())
    text = (
        f"{mark} {row['adapter'][:16]:<16}  {row['per_100']:5.2f} flags per 100 of {row['answers']} answers"
    )
    text += f"  cusum {row['cusum']:.2f} of {row['threshold']:g}  {reasons}"
    if row["alarm_since"]:
        text += f"\n  [red]ALARM[/] since {row['alarm_since']}: look at the answers (--show-text)"
        text += "; intraward-client adapter rollback puts the one before in use"
    return text
