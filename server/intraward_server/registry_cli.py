"""``intraward-server registry``: the run's signed adapters, which one is released, revoke and roll back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from intraward_server.checkpoint import load_state
from intraward_server.decisions import decisions
from intraward_server.home import ServerHome
from intraward_server.registry import Registry, open_registry
from intraward_server.revocations import in_force, revocations
from intraward_server.revocations import revoke as take_back
from intraward_server.revocations import rollback as go_back
from intraward_shared.command import show
from intraward_shared.signing import SigningKey

app = typer.Typer(
    no_args_is_help=True,
    help="Signed adapters: list, show, revoke, and go back to an earlier release.\n\n"
    "Example: intraward-server registry list --home /srv/coordinator",
)
Home = Annotated[Path, typer.Option("--home", help="The coordinator's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
Adapter = Annotated[str, typer.Argument(help="Digest of an adapter, or its first six digits or more.")]
_DEFAULT = Path("coordinator")


@app.command(name="list")
def list_adapters(home: Home = _DEFAULT, as_json: Json = False) -> None:
    """Every adapter of the run, its signature verified; a star marks the released one.

    Example: intraward-server registry list --home /srv/coordinator
    """
    made, key, registry = _open(home)
    rows = [_row(made, key, registry, name) for name in registry.names()]
    text = "\n".join(_line(row) for row in rows)
    show({"adapters": rows}, as_json=as_json, text=text or "no adapter yet")


@app.command(name="show")
def show_adapter(adapter: Adapter, home: Home = _DEFAULT, as_json: Json = False) -> None:
    """One adapter, every file verified: where it comes from, and its card's place.

    Example: intraward-server registry show 3fa2b1c09d77 --home /srv/coordinator
    """
    made, key, registry = _open(home)
    name = registry.find(adapter)
    manifest, state = registry.read(name)
    row = _row(made, key, registry, name)
    value = (
        row | manifest.model_dump(mode="json") | {"tensors": len(state), "folder": str(registry.path(name))}
    )
    parents = ", ".join(each[:16] for each in manifest.parents) or "none"
    heads = ", ".join(f"{site} {head[0]}" for site, head in sorted(manifest.ledger_heads.items())) or "none"
    card = registry.path(name) / "README.md"
    text = f"{_line(row)}\n  digest: {name}\n  parents: {parents}\n  ledger entries: {heads}\n  card: {card}"
    show(value, as_json=as_json, text=text)


@app.command()
def revoke(
    adapter: Adapter,
    reason: Annotated[str, typer.Option(help="One line, for the hospitals.")],
    home: Home = _DEFAULT,
    as_json: Json = False,
) -> None:
    """Take an adapter back for good: it is released no more, and hospitals with the list refuse it.

    Example: intraward-server registry revoke 3fa2b1c09d77 --reason "unsafe doses" --home /srv/coordinator
    """
    made, key, registry = _open(home)
    name = take_back(made, key, registry, adapter, reason, datetime.now(UTC))
    current = in_force(made, key)
    value = {
        "revoked": name,
        "list": str(made.revoked),
        "released": current is not None and current.adapter == name,
    }
    text = f"revoked {name[:16]}; give {made.revoked} to every hospital (intraward-client adapter revoked)"
    text += "\nit is the released one: intraward-server registry rollback" if value["released"] else ""
    show(value, as_json=as_json, text=text)


@app.command()
def rollback(home: Home = _DEFAULT, as_json: Json = False) -> None:
    """Put the release before the present one in force again, the newest that is not revoked.

    Example: intraward-server registry rollback --home /srv/coordinator
    """
    made, key, _ = _open(home)
    before = go_back(made, key)
    value: dict[str, Any] = {
        "released": before.adapter if before else None,
        "number": before.number if before else None,
    }
    text = (
        f"in force again: release {before.number}, {before.adapter[:16]}"
        if before
        else "nothing is released now"
    )
    show(value, as_json=as_json, text=text)


def _open(home: Path) -> tuple[ServerHome, SigningKey, Registry]:
    made = ServerHome(home)
    return made, *open_registry(made)


def _row(home: ServerHome, key: SigningKey, registry: Registry, name: str) -> dict[str, Any]:
    manifest, state, current = registry.manifest(name), load_state(home.state), in_force(home, key)
    taken = {each.adapter: each.reason for each in revocations(home, key).revoked}
    roles = {"policy": state.policy, "reward": state.reward, "reference": state.reference} if state else {}
    return {
        "adapter": name,
        "stage": manifest.stage.value,
        "round": manifest.round,
        "iteration": manifest.iteration,
        "simulated": manifest.simulated,
        "roles": sorted(role for role, each in roles.items() if each == name),
        "released": current.number if current is not None and current.adapter == name else None,
        "revoked": taken.get(name),
        "decisions": {
            each.site: each.verdict.value for each in decisions(home, key.public) if each.adapter == name
        },
    }


def _line(row: dict[str, Any]) -> str:
    mark = "*" if row["released"] else " "
    said = [f"release {row['released']}"] if row["released"] else []
    said += row["roles"] + ([f"[red]revoked[/]: {row['revoked']}"] if row["revoked"] else [])
    said += [f"{site}: {verdict}" for site, verdict in sorted(row["decisions"].items())]
    name = f"{mark} {row['adapter'][:16]}  round {row['round']:>3} {row['stage']:<7}"
    return f"{name}  {', '.join(said)}".rstrip()
