"""``intraward-client``: what hospital IT runs. Thin: each command opens things, calls, and prints."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from intraward_client import (
    adapters_cli,
    budget_cli,
    consent_cli,
    deciding_cli,
    deid_cli,
    doctor_cli,
    evaluate_cli,
    flags_cli,
    import_cli,
    joining_cli,
    keys_cli,
    officer_cli,
    outbox_cli,
    participation_cli,
)
from intraward_client.config import SitePolicy, load_policy
from intraward_client.home import SiteHome
from intraward_client.labeling import cli as label_cli
from intraward_client.memory import keep_memory_private
from intraward_shared.command import out, run, show
from intraward_shared.errors import IntrawardError, LabelError
from intraward_shared.expiry import warnings
from intraward_shared.signing import SigningKey, key_id

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="A hospital's node: data in, sealed updates out.\n\n"
    "Example: intraward-client doctor --home /srv/intraward",
)
app.add_typer(budget_cli.app, name="budget")
app.add_typer(deid_cli.app, name="deid")
app.add_typer(adapters_cli.app, name="adapter")
app.add_typer(officer_cli.app, name="officer")
app.add_typer(consent_cli.app, name="consent")
app.add_typer(keys_cli.app, name="keys")
app.add_typer(flags_cli.app, name="flags")
app.add_typer(label_cli.app, name="label")
app.add_typer(import_cli.app)
app.add_typer(outbox_cli.app)
app.add_typer(participation_cli.app)
app.add_typer(joining_cli.app)
app.add_typer(doctor_cli.app)
app.add_typer(deciding_cli.app)
app.add_typer(evaluate_cli.app)

Home = Annotated[Path, typer.Option("--home", help="The site's folder.")]
Passed = Annotated[Path, typer.Option("--home", readable=False, help="The site's folder.")]
"""As ``Home``, for a user that may pass through the folder and not look into it."""
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]


@app.command()
def init(
    policy: Annotated[Path, typer.Argument(help="Policy file; see client/README.md for every key.")],
    home: Home = Path("site"),
    as_json: Json = False,
) -> None:
    """Make a new site: folder, keys, encrypted vault, ledger.

    Example: intraward-client init policy.toml --home /srv/intraward
    """
    from intraward_client.initialise import initialise

    terms = load_policy(policy)
    made = initialise(home, terms, time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    value: dict[str, Any] = {"site": terms.site, "home": str(home), "public_key": _public_key(made)}
    value["warnings"] = [str(error) for error in _model_problems(terms)]
    text = f"site [bold]{terms.site}[/] made in {home}"
    value |= {"key_id": key_id(value["public_key"]), "enrolment": str(made.enrolment)}
    text += f"\nsend the coordinator {made.enrolment}, and this key id by telephone: {value['key_id']}"
    text += "".join(f"\n[yellow]warning[/] {warning}" for warning in value["warnings"])
    show(value, as_json=as_json, text=text)


@app.command()
def forget(
    patient: Annotated[str, typer.Argument(help="Patient id as in the imported files.")],
    home: Home = Path("site"),
) -> None:
    """Destroy a patient's key and rows, what clinicians said of them, and every training curve.

    Adapters already released stay; their epsilon bounds the dependence.

    Example: intraward-client forget P-1002 --home /srv/intraward
    """
    from intraward_client.labeling.exports import forget_exports
    from intraward_client.store.vault import Vault

    site = SiteHome(home)
    with closing(Vault.open(site.vault, site.vault_keys)) as vault:
        known = vault.forget(patient)
    forget_exports(site)
    _forget_at_station(site)
    shutil.rmtree(site.curves, ignore_errors=True)  # figures of batches that the patient was in
    note = "" if known else "; nothing was known of this patient, and later imports will leave them out"
    out.print(f"forgotten: the patient's key is destroyed, the site key rotated, every row gone{note}")


@app.command()
def status(home: Home = Path("site"), as_json: Json = False) -> None:
    """Last request and its outcome, whether the site takes part, and what ends soon; nothing of its patients.

    Example: intraward-client status --home /srv/intraward
    """
    from intraward_client.participation import participation
    from intraward_client.reach import endings
    from intraward_client.slot import instant
    from intraward_client.ward import site_status

    site = SiteHome(home)
    value: dict[str, Any] = dict(site_status(site))
    value["participation"] = participation(site, _public_key(site)).state.value
    lines = [f"{key}: {item or 'no request yet'}" for key, item in value.items()]
    if value["last_time"] and instant(value["last_time"]) > datetime.now(UTC):
        lines.append("the last answer is ready and leaves at that time, its slot")
    value |= {"warnings": warnings(endings(site, load_policy(site.policy)), datetime.now(UTC))}
    lines += [f"[yellow]warning[/] {told}" for told in value["warnings"]]
    show(value, as_json=as_json, text="\n".join(lines))


@app.command()
def curves(
    home: Home = Path("site"),
    last: Annotated[int, typer.Option(min=1, help="How many of the newest rounds.")] = 1,
    plot: Annotated[Path | None, typer.Option(help="Draw them, as .svg or .png.")] = None,
    as_json: Json = False,
) -> None:
    """Training curves kept in the ward, as lines of bars. Private data: look, and do not pass them on.

    Example: intraward-client curves --home /srv/intraward --last 2 --plot curves.png
    """
    from intraward_client.drawing import check_format
    from intraward_client.training.curve_picture import draw_curves
    from intraward_client.training.tracking import read_curves, sparkline

    if plot is not None:
        check_format(plot)
    site = SiteHome(home)
    policy = load_policy(site.policy)
    found = read_curves(site.curves, last, policy.tracking.store)
    if plot is not None:
        draw_curves(found, policy.site, plot)
    lines = [
        f"{c.round}  {c.name:<18} {c.values[0]:>9.4g} {sparkline(c.values)} {c.values[-1]:.4g}" for c in found
    ]
    rows = [{"round": c.round, "name": c.name, "values": list(c.values)} for c in found]
    show({"curves": rows}, as_json=as_json, text="\n".join(lines))


@app.command()
def ward(home: Home = Path("site")) -> None:
    """Run the data-side process on its Unix-domain sockets until stopped.

    One is the gateway's (run/), one the hospital's own (desk/), for label prepare.

    Example: intraward-client ward --home /srv/intraward
    """
    from intraward_client.desksocket import desk
    from intraward_client.progress import RoundView, bar
    from intraward_client.ward import Ward
    from intraward_client.wardsocket import serve

    with bar("ward", quiet=not sys.stderr.isatty()) as tell:
        view = RoundView(tell)
        made = Ward(SiteHome(home), progress=view.progress, watch=view.watch)
        with desk(made):
            serve(made)


@app.command()
def gateway(
    home: Passed = Path("site"),
    superlink: Annotated[str | None, typer.Option(help="SuperLink's host:port, if not the kit's.")] = None,
    root_certificates: Annotated[Path | None, typer.Option(help="CA certificate, if not the kit's.")] = None,
    node_key: Annotated[
        Path | None, typer.Option(help="ECDSA private key (OpenSSH format), if not the site's own.")
    ] = None,
    insecure: Annotated[bool, typer.Option(help="No TLS; loopback only.")] = False,
    runtime_port: Annotated[int, typer.Option(help="A free loopback port for Flower's own runtime.")] = 9094,
) -> None:
    """Run the network-side process: a Flower SuperNode that hands plans to the ward.

    Where it goes, whom it trusts and who it is come with the kit (join); options say otherwise.

    Example: intraward-client gateway --home /srv/intraward
    """
    from intraward_client.gateway import gateway_environment, supernode_command
    from intraward_client.joining import connection_of

    site = SiteHome(home)
    joined = connection_of(site, superlink, root_certificates, node_key, insecure=insecure)
    command = supernode_command(
        superlink=joined.superlink,
        root_certificates=joined.authority,
        key=joined.node_key,
        socket=site.socket.resolve(),
        runtime_port=runtime_port,
    )
    command[0] = str(Path(sys.executable).parent / command[0])
    os.execve(command[0], command, gateway_environment())  # one process: stopping it leaves no SuperNode


def _forget_at_station(site: SiteHome) -> None:
    """Delete the patient's rows of the label station; without their key they are unreadable already."""
    from intraward_client.labeling.opening import forget_in_book

    try:
        forget_in_book(site, load_policy(site.policy))
    except LabelError as error:
        remedy = "the key is destroyed; the rows go when the label station starts next, or with forget again"
        raise LabelError(error.message, remedy=remedy) from None


def _model_problems(policy: SitePolicy) -> list[IntrawardError]:
    """A site may be made before its model is there, but not without a word."""
    from intraward_client.checkup import check_model

    try:
        check_model(policy)
    except IntrawardError as error:
        return [error]
    return []


def _public_key(home: SiteHome) -> str:
    return SigningKey.load(home.signing_key).public


def policy_of(home: Path) -> SitePolicy:
    """Policy of a site's folder."""
    return load_policy(SiteHome(home).policy)


def main() -> None:
    """Entry point; any command may hold notes or keys."""
    keep_memory_private()
    run(app)
