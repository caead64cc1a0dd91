"""``intraward-server enroll``, ``provision`` and ``revoke``: who belongs to the consortium."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from intraward_server.checkpoint import load_state
from intraward_server.home import ServerHome
from intraward_server.members import MemberList, enrolled, left, read_members, revoked, save_members
from intraward_shared.brought import read_brought
from intraward_shared.command import show
from intraward_shared.config import load_toml, parse
from intraward_shared.durable import write_durably
from intraward_shared.enrolment import MAX_REQUEST_BYTES, SiteKeys, open_request
from intraward_shared.errors import ConfigError
from intraward_shared.program import ProgramConfig
from intraward_shared.signing import SigningKey, key_id

app = typer.Typer()
Home = Annotated[Path, typer.Option("--home", help="The coordinator's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
SuperLink = Annotated[
    str | None,
    typer.Option("--superlink", help="Connection in Flower's configuration: also tell the SuperLink."),
]
_DEFAULT = Path("coordinator")


@app.command()
def enroll(
    request: Annotated[Path, typer.Argument(help="enrolment.json, as intraward-client init wrote it.")],
    home: Home = _DEFAULT,
    superlink: SuperLink = None,
    as_json: Json = False,
) -> None:
    """Check a hospital's request and add it to members and cohort, before the run begins.

    With --superlink its node key is registered as well; run it again if the SuperLink was not there yet.

    Example: intraward-server enroll enrolment.json --superlink consortium --home /srv/coordinator
    """
    made = ServerHome(home)
    key = SigningKey.load(made.key)
    asked = open_request(_read(request), request)
    before = read_members(made, key.public)
    members = enrolled(before, asked, _now())
    program = _with_site(made, asked.keys)
    if members is not before:
        save_members(made, members, key)
    if program is not None:
        write_durably(made.program, program.encode())
    node = _register(made, members, asked.keys, superlink, key) if superlink else None
    cohort = load_toml(made.program, ProgramConfig).cohort
    value = {"site": asked.keys.site, "key_id": key_id(asked.keys.public_key), "node": node}
    text = (
        f"[bold]{asked.keys.site}[/] enrolled; sites: {', '.join(cohort)}\n"
        f"compare its key id by telephone: {value['key_id']}\n"
    )
    text += f"registered as node {node}" if node else "its node is not registered: name --superlink"
    show({**value, "sites": list(cohort)}, as_json=as_json, text=text)


@app.command()
def provision(
    site: Annotated[str, typer.Argument(help="The hospital's name.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to make.")],
    address: Annotated[str, typer.Option("--address", help="host:port at which the proxy answers.")],
    home: Home = _DEFAULT,
    as_json: Json = False,
) -> None:
    """Write a hospital's kit: everything public that it needs, with checksums that you sign.

    Example: intraward-server provision st-mary --out kit --address fl.example.org:443 --home /srv/coordinator
    """
    from intraward_server.provisioning import provision as write

    kit = write(ServerHome(home), site, out, address, _now())
    text = f"kit for [bold]{site}[/] in {out}; the hospital takes it with: intraward-client join {out.name}"
    show({"kit": str(out), **kit.model_dump(mode="json")}, as_json=as_json, text=text)


@app.command()
def revoke(
    site: Annotated[str, typer.Argument(help="The hospital's name.")],
    reason: Annotated[str | None, typer.Option("--reason", help="One line for the record.")] = None,
    leave: Annotated[
        Path | None, typer.Option("--leave", help="Instead: leave.json, which a hospital that left signed.")
    ] = None,
    home: Home = _DEFAULT,
    superlink: SuperLink = None,
    as_json: Json = False,
) -> None:
    """Refuse a hospital's updates from now on, in a running round too; it cannot be undone.

    With --superlink its node is shut out as well; run it again if the SuperLink was not there.

    Example: intraward-server revoke st-mary --reason "left" --superlink consortium --home /srv/coordinator
    """
    from intraward_server.deployment import unregister_node

    made = ServerHome(home)
    key = SigningKey.load(made.key)
    before = read_members(made, key.public)
    if (reason is None) == (leave is None):
        raise typer.BadParameter("give either --reason or --leave")
    if leave is not None:
        statement = _read(leave)
        reason = left(before, site, statement)
        write_durably(made.leave_statement(site), statement)
    members = revoked(before, site, reason or "", _now())
    if members is not before:
        save_members(made, members, key)
    member = members.find(site)
    assert member is not None and member.revoked is not None
    if load_state(made.state) is None:
        _without_site(made, member.keys)
    shut = member.node is None
    if superlink and member.node is not None:
        unregister_node(made, superlink, member.node)
        save_members(made, members.put(member.model_copy(update={"node": None})), key)
        shut = True
    text = f"[bold]{site}[/] is revoked since {member.revoked.time}: its updates are refused"
    text += "" if shut else "\nits node is still registered: run this again with --superlink"
    value = {"site": site, "revoked": member.revoked.model_dump(mode="json"), "node_shut_out": shut}
    show(value, as_json=as_json, text=text)


def _read(path: Path) -> bytes:
    try:
        return read_brought(path, MAX_REQUEST_BYTES)
    except OSError:
        raise ConfigError(path, "", "cannot be read", remedy="check the path") from None


def _block(keys: SiteKeys) -> str:
    return f'\n[[sites]]\nname = "{keys.site}"\npublic_key = "{keys.public_key}"\n'


def _with_site(home: ServerHome, keys: SiteKeys) -> str | None:
    """The program's text with the site in its cohort; None if it is there.

    Raises:
        ConfigError: the run has begun without it, or the name is taken.
    """
    import tomllib

    config = load_toml(home.program, ProgramConfig)
    if config.site_keys.get(keys.site) == keys.public_key:
        return None
    if load_state(home.state) is not None:
        raise ConfigError(
            home.program, "sites", "the run has begun; its cohort is fixed", remedy="start a new run"
        )
    text = home.program.read_text(encoding="utf-8").rstrip("\n") + "\n" + _block(keys)
    parse(tomllib.loads(text), ProgramConfig, home.program)
    return text


def _without_site(home: ServerHome, keys: SiteKeys) -> None:
    """Take a revoked site out of the cohort of a run that has not begun; it may be enrolled anew."""
    text = home.program.read_text(encoding="utf-8")
    if _block(keys) in text:
        write_durably(home.program, text.replace(_block(keys), "").encode())


def _register(
    home: ServerHome, members: MemberList, keys: SiteKeys, superlink: str, key: SigningKey
) -> str | None:
    from intraward_server.deployment import register_node

    member = members.find(keys.site)
    assert member is not None
    node = register_node(home, superlink, keys.site, keys.node_key, member.node)
    if node != member.node:
        save_members(home, members.put(member.model_copy(update={"node": node})), key)
    return node


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
