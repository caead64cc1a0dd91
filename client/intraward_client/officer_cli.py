"""``intraward-client officer``: the privacy officer's key, recorded changes of the terms, burns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from intraward_client.home import SiteHome
from intraward_shared.command import show
from intraward_shared.ledger_entry import LedgerEntry
from intraward_shared.protocol import Mechanism

app = typer.Typer(
    no_args_is_help=True,
    help="The privacy officer: key, recorded terms, lost ledger entries.\n\n"
    "Example: intraward-client officer key officer.key",
)

Home = Annotated[Path, typer.Option("--home", help="The site's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]


@app.command()
def key(
    file: Annotated[Path, typer.Argument(help="File to make; keep it off the site, as the officer's own.")],
    as_json: Json = False,
) -> None:
    """Make the officer's key pair, and print the public key for policy.toml, officer.public_key.

    Example: intraward-client officer key officer.key
    """
    from intraward_client.officer import make_officer_key

    public = make_officer_key(file)
    text = f'key in {file} (mode 0600)\npolicy.toml:\n\\[officer]\npublic_key = "{public}"'
    show({"file": str(file), "public_key": public}, as_json=as_json, text=text)


@app.command()
def amend(
    home: Home = Path("site"),
    key: Annotated[
        Path | None, typer.Option("--key", help="The officer's key file; not needed to lower the cap.")
    ] = None,
    head_lost: Annotated[
        bool,
        typer.Option("--head-lost", help="The second head's file is lost, and this ledger is the newest."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Record changed terms of policy.toml in the ledger: cap, bounds, second path. Stop the ward first.

    Raising the cap and moving the second path need the officer's key; officer and delta never change.

    Example: intraward-client officer amend --key officer.key --home /srv/intraward
    """
    from intraward_client.officer import amend as record

    entry = record(SiteHome(home), key, head_lost=head_lost, time=_now())
    if entry is None or entry.terms is None:
        show({"recorded": False}, as_json=as_json, text="nothing to record: the ledger holds these terms")
        return
    value: dict[str, Any] = {"recorded": True, "sequence": entry.sequence, "entry": entry.hash}
    value |= entry.terms.model_dump(mode="json", include={"lifetime_epsilon", "second_path"})
    value["countersigned"] = entry.countersignature is not None
    by = "site and officer" if value["countersigned"] else "the site"
    text = f"recorded as entry {entry.sequence}, signed by {by}: lifetime epsilon {value['lifetime_epsilon']}"
    if entry.terms.second_path is not None:
        text += f", second head in {entry.terms.second_path}"
    show(value, as_json=as_json, text=text)


@app.command(name="allow-small-model")
def allow_small_model(
    key: Annotated[Path, typer.Option("--key", help="The officer's key file.")],
    until: Annotated[str, typer.Option("--until", help="Last day, YYYY-MM-DD; within a year.")],
    home: Home = Path("site"),
    as_json: Json = False,
) -> None:
    """Sign that this site may call the small model production grade, and print it for policy.toml.

    Example: intraward-client officer allow-small-model --key officer.key --until 2027-06-30
    """
    from intraward_client.grade import sign_exception
    from intraward_shared.errors import ConfigError

    try:
        last = date.fromisoformat(until)
    except ValueError:
        raise ConfigError("--until", "", "not a day", remedy="write YYYY-MM-DD") from None
    signed = sign_exception(SiteHome(home), key, last, datetime.now(UTC).date())
    text = f'policy.toml:\n\\[deid.small_model_exception]\nuntil = "{signed.until}"\n'
    show(signed.model_dump(), as_json=as_json, text=text + f'signature = "{signed.signature}"')


@app.command()
def burn(
    key: Annotated[Path, typer.Option("--key", help="The officer's key file.")],
    home: Home = Path("site"),
    receipt: Annotated[
        Path | None, typer.Option("--receipt", help="The coordinator's newest receipt for this site.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be charged; sign nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """After a restored backup: charge for the ledger entries that are lost, and unlock the site.

    It cannot be undone. Restore the newest ledger instead wherever there is one. Stop the ward first.

    Example: intraward-client officer burn --key officer.key --home /srv/intraward --dry-run
    """
    from intraward_client.officer import burn as sign
    from intraward_shared.ledger_burn import burn_charges
    from intraward_shared.ledger_chain import policy_entry, read_ledger
    from intraward_shared.privacy import events_to_epsilon

    site = SiteHome(home)
    said, last, entry = sign(site, key, receipt, dry_run=dry_run, time=_now())
    entries = read_ledger(site.ledger)
    terms, charges = policy_entry(entries), tuple(slot.mechanism for slot in burn_charges(said))
    epsilon = events_to_epsilon(charges, terms.delta)
    gated, cap = _gated(entries, charges if entry is None else ()), terms.lifetime_epsilon
    value: dict[str, Any] = {"burned": entry is not None, "evidence": said.evidence, "rounds": said.rounds}
    value |= {"lost_from": min(last, said.sequence - 1) + 1, "lost_to": said.sequence, "epsilon": epsilon}
    verb = f"burned by entry {entry.sequence}" if entry is not None else "would be burned"
    gap = (
        f"entries {last + 1} to {said.sequence}"
        if said.sequence > last
        else f"entries up to {said.sequence} of another copy"
    )
    value |= {"gate_epsilon": gated, "cap": cap, "cap_must_be_raised": gated >= cap}
    lifetime = said.mechanism.sample_rate == 1 and said.rounds == 1
    what = "a whole lifetime" if lifetime else f"{said.rounds} rounds of the policy's weakest mechanism"
    text = (
        f"{gap} are lost, as the {said.evidence.replace('_', ' ')} shows; {verb}: {what}, "
        f"epsilon {epsilon:.3f} alone\nafter this the gate counts {gated:.3f} of cap {cap:g}"
    )
    if gated >= cap:
        text += f": nothing is trained until officer amend raises the cap above {gated:.3f}"
    show(value, as_json=as_json, text=text)


def _gated(entries: Sequence[LedgerEntry], burned: tuple[Mechanism, ...]) -> float:
    """What the gate holds under the cap once these charges are burned as well."""
    from intraward_client.privacy.budget import prv_epsilon
    from intraward_shared.gate import read_book

    book = read_book(entries)
    first = book.first or (burned[0] if burned else None)
    return replace(book, first=first, burned=(*book.burned, *burned)).figure(prv_epsilon)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
