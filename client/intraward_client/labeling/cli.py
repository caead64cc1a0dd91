"""``intraward-client label``: serve the station, keep its accounts, verify its events."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.markup import escape

from intraward_client.home import SiteHome
from intraward_client.labeling import data_cli, intake_cli, unblind_cli
from intraward_client.labeling.terms import Role
from intraward_shared.command import out, show
from intraward_shared.errors import LabelError

app = typer.Typer(
    no_args_is_help=True,
    help="The label station: clinicians judge answers on your own network.\n\n"
    "Example: intraward-client label serve --home /srv/intraward",
)
user = typer.Typer(
    no_args_is_help=True,
    help="Accounts of the label station.\n\nExample: intraward-client label user list --home /srv/intraward",
)
app.add_typer(user, name="user")
app.add_typer(data_cli.app)
app.add_typer(intake_cli.app)
app.add_typer(unblind_cli.app)

Home = Annotated[Path, typer.Option("--home", help="The site's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
Name = Annotated[str, typer.Argument(help="The account's name.")]


@app.command()
def serve(
    home: Home = Path("site"),
    listen: Annotated[
        str | None, typer.Option(help="host:port on your network, with TLS; else a socket for your proxy.")
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate (PEM), with --listen.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key (PEM), with --listen.")] = None,
) -> None:
    """Run the label station until stopped: on label/station.sock, or on a network address with TLS.

    Example: intraward-client label serve --home /srv/intraward
    """
    from intraward_client.labeling.opening import open_station
    from intraward_client.labeling.serve import lan_of, serve

    site = SiteHome(home)
    lan = lan_of(listen, certificate, key) if listen is not None else None
    with open_station(site) as station:
        out.print("loading the de-identifier, which tests itself; a minute or two on a small machine")
        station.free_text.ready()
        out.print(f"label station of {station.site}: {f'https://{listen}' if lan else site.label_socket}")
        serve(station, site, lan)


@app.command()
def verify(
    head: Annotated[
        str | None, typer.Option(help="Hash of an event noted before; must still be there.")
    ] = None,
    home: Home = Path("site"),
    as_json: Json = False,
) -> None:
    """Verify the chain of what people did at the station, and hold votes, accounts and items against it.

    Exit code 1 names the first bad event, or every row that is not as the events have it.

    Example: intraward-client label verify --home /srv/intraward
    """
    from intraward_client.labeling.events import check
    from intraward_client.labeling.opening import open_book
    from intraward_client.labeling.verification import wrong_rows

    with open_book(SiteHome(home)) as book, book.reading() as connection:
        verdict = check(connection, book.key, head)
        wrong = list(wrong_rows(connection))
    value = {"events": verdict.count, "head": verdict.head, "whole": not wrong, "wrong": wrong}
    told = "".join(f"\n[red]{escape(row)}[/]" for row in wrong)
    rows = "the rows are not as the events have them:" if wrong else "the rows are as the events have them"
    show(value, as_json=as_json, text=f"{verdict.count} events, whole; {rows}{told}\nhead {verdict.head}")
    if wrong:
        raise typer.Exit(1)


@user.command("add")
def add_user(
    name: Name,
    role: Annotated[str, typer.Option(help=f"One of {', '.join(get_args(Role))}.")] = "labeller",
    specialty: Annotated[
        list[str] | None,
        typer.Option(help="Their field; repeat for more. Items of a field go to nobody else."),
    ] = None,
    home: Home = Path("site"),
) -> None:
    """Make an account; the password is asked for, or read as one line from standard input.

    Example: intraward-client label user add dr.lee --role senior --specialty cardiology --home /srv/intraward
    """
    from intraward_client.labeling import accounts
    from intraward_client.labeling.actor import command_actor
    from intraward_client.labeling.opening import open_book

    if role not in get_args(Role):
        raise LabelError("--role is not known", remedy=f"use one of {', '.join(get_args(Role))}")
    hashed = accounts.hash_password(_password())
    with open_book(SiteHome(home)) as book, book.writing() as connection:
        made = accounts.add(connection, name, role, hashed, tuple(specialty or ()), time.time())  # type: ignore[arg-type]
        book.tell(connection, command_actor(), "user-added", made.name, role=role)
    out.print(
        f"account [bold]{made.name}[/] made"
        + ("; its first page is the course" if role in ("labeller", "senior") else "")
    )


@user.command("list")
def list_users(home: Home = Path("site"), as_json: Json = False) -> None:
    """Every account: role, specialties, state.

    Example: intraward-client label user list --home /srv/intraward
    """
    from intraward_client.labeling import accounts
    from intraward_client.labeling.opening import open_book

    with open_book(SiteHome(home)) as book, book.reading() as connection:
        found = accounts.listing(connection)
    rows: list[dict[str, Any]] = [
        {
            "name": account.name,
            "role": account.role,
            "specialties": list(account.specialties),
            "disabled": account.disabled,
            "qualified": _day(account.qualified),
        }
        for account in found
    ]
    lines = [
        f"{row['name']:<24} {row['role']:<9} {'disabled' if row['disabled'] else 'active':<9} "
        f"{', '.join(row['specialties']) or 'no specialty'}"
        for row in rows
    ]
    show({"users": rows}, as_json=as_json, text="\n".join(lines) or "no account yet: label user add")


@user.command()
def disable(
    name: Name,
    enable: Annotated[bool, typer.Option("--enable", help="Let the account in again.")] = False,
    home: Home = Path("site"),
) -> None:
    """Lock an account out, and end its sessions at once; its judgments stay.

    Example: intraward-client label user disable dr.lee --home /srv/intraward
    """
    from intraward_client.labeling import accounts
    from intraward_client.labeling.actor import command_actor
    from intraward_client.labeling.opening import open_book

    with open_book(SiteHome(home)) as book, book.writing() as connection:
        account = _found(accounts.find(connection, name))
        accounts.set_disabled(connection, account, not enable, time.time())
        book.tell(connection, command_actor(), "user-enable" if enable else "user-disable", account.name)
    out.print(f"account {'enabled' if enable else 'disabled; its sessions are over'}")


@user.command()
def reset(name: Name, home: Home = Path("site")) -> None:
    """Give an account a new password, asked for or read from standard input; its sessions end.

    Example: intraward-client label user reset dr.lee --home /srv/intraward
    """
    from intraward_client.labeling import accounts
    from intraward_client.labeling.actor import command_actor
    from intraward_client.labeling.opening import open_book

    hashed = accounts.hash_password(_password())
    with open_book(SiteHome(home)) as book, book.writing() as connection:
        account = _found(accounts.find(connection, name))
        accounts.reset(connection, account, hashed, time.time())
        book.tell(connection, command_actor(), "user-reset", account.name)
    out.print("password changed; its sessions are over")


def _found(account: Any) -> Any:
    if account is None:
        raise LabelError("there is no account of this name", remedy="see label user list")
    return account


def _password() -> str:
    """From the terminal, twice and unseen; else the first line of standard input. Never an argument."""
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def _day(moment: float | None) -> str | None:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d") if moment is not None else None
