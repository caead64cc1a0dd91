"""``intraward-server``: what the coordinator runs. Thin: each command opens things, calls, and prints."""

from __future__ import annotations

import shlex
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from intraward_server import (
    dashboard_cli,
    evaluate_cli,
    following_cli,
    handed_in_cli,
    members_cli,
    registry_cli,
    superlink_cli,
)
from intraward_server.checkpoint import ProgramState, load_state, read_history, save_state
from intraward_server.datafiles import beside
from intraward_server.decisions import decisions
from intraward_server.home import ServerHome
from intraward_server.members import excluded, read_members
from intraward_server.plans import positions
from intraward_server.sole import sole_coordinator
from intraward_shared.attacked_code import release_lines
from intraward_shared.command import err, run, show
from intraward_shared.config import load_toml
from intraward_shared.durable import write_durably
from intraward_shared.errors import ConfigError, RoundFailed
from intraward_shared.expiry import Expiry, end_of, warnings
from intraward_shared.program import ProgramConfig, load_program
from intraward_shared.protocol import PLAN_DOMAIN, RoundPlan, open_signed
from intraward_shared.release_gates import GateResult
from intraward_shared.signing import SigningKey

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="The coordinator of a federated program.\n\n"
    "Example: intraward-server status --home /srv/coordinator",
)
app.add_typer(members_cli.app)
app.add_typer(superlink_cli.app)
app.add_typer(dashboard_cli.app)
app.add_typer(evaluate_cli.app)
app.add_typer(handed_in_cli.app)
app.add_typer(following_cli.app)
app.add_typer(registry_cli.app, name="registry")
Home = Annotated[Path, typer.Option("--home", help="The coordinator's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
_DEFAULT = Path("coordinator")


@app.command()
def init(
    program: Annotated[Path, typer.Argument(help="Program file; see server/README.md for every key.")],
    home: Home = _DEFAULT,
    host: Annotated[
        list[str] | None,
        typer.Option("--host", help="A name or address at which hospitals reach it; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a coordinator: folder, key, certificate authority, copies of program and data files beside it.

    Example: intraward-server init program.toml --host fl.example.org --home /srv/coordinator
    """
    from intraward_server.authority import Authority, check_host
    from intraward_server.gates import agreed_gates

    now = datetime.now(UTC)
    config = load_toml(program, ProgramConfig)
    made = ServerHome(home)
    if made.key.exists() or made.program.exists():
        raise ConfigError(
            home, "", "is a coordinator already", remedy="choose another --home; keys are never overwritten"
        )
    if not Path(config.model.path).is_absolute():
        raise ConfigError(program, "model.path", "is not absolute", remedy="give the model's full path")
    files = beside(program, config)
    agreed_gates(config, program.parent)
    for name in host or ():
        check_host(name)
    made.make()
    for name in files:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(program.parent / name, home / name)
    key = SigningKey.generate()
    key.save(made.key)
    authority = Authority(made.authority, made.authority_key)
    authority.make(config.program.name, now)
    names = authority.issue(made.server_certificate, made.server_key, host or (), now)
    write_durably(made.program, program.read_bytes())
    show(
        {"home": str(home), "public_key": key.public, "names": names},
        as_json=as_json,
        text=f"coordinator made in {home}, its server's certificate covers {', '.join(names)}\n"
        f"give every hospital this public key: {key.public}",
    )


@app.command()
def start(
    home: Home = _DEFAULT,
    superlink: Annotated[str | None, typer.Option(help="Connection in Flower's configuration.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a program that has begun; never begin one.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the flwr command only.")] = False,
    as_json: Json = False,
) -> None:
    """Start or continue the program on a running SuperLink, and follow it to its end.

    Example: intraward-server start --home /srv/coordinator --superlink consortium --resume
    """
    from intraward_server.deployment import flwr_command, stop_earlier_runs, submit

    made = ServerHome(home)
    if resume and load_state(made.state) is None:
        raise ConfigError(
            made.state, "--resume", "no program has begun here", remedy="run start without --resume"
        )
    excluded(made, load_program(made.program), SigningKey.load(made.key).public)
    command = flwr_command(made, superlink)
    if dry_run:
        show({"command": command}, as_json=as_json, text=shlex.join(command).replace("[", "\\["))
        return
    for number in stop_earlier_runs(made, superlink):
        err.print(f"run {number} of an earlier start was stopped; this one goes on after its last round")
    code = submit(made, command)
    state = load_state(made.state)
    if code != 0 or state is None or state.status != "finished":
        raise RoundFailed(
            "the program is not finished",
            remedy="read the log above, then run start again: it goes on from the last finished round",
        )
    status(home, as_json)


@app.command()
def status(home: Home = _DEFAULT, as_json: Json = False) -> None:
    """Which round, which sites, which adapters.

    Example: intraward-server status --home /srv/coordinator --json
    """
    value = describe(home)
    lines = [
        f"run [bold]{value['run_id']}[/]: {value['status']}, "
        f"{value['rounds_done']} of {value['rounds']} rounds"
    ]
    lines += [f"next: {value['next']}"] if value["next"] else []
    lines += [
        f"  v{number}: " + ", ".join(f"{role} {name[:16]}" for role, name in sorted(made.items()))
        for number, made in value["versions"].items()
    ]
    lines += [
        f"  {line['stage']} {line['stage_round']}: {', '.join(line['sites'])}"
        + "".join(f"; {site} {code}" for site, code in line["missing"].items())
        for line in value["history"]
    ]
    lines += [f"revoked: {', '.join(value['revoked'])}"] if value["revoked"] else []
    lines += [
        f"decided: {each['site']} {each['verdict']}, adapter {each['adapter'][:16]} ({each['reason']})"
        for each in value["decisions"]
    ]
    lines += [f"[yellow]warning[/] {warning}" for warning in value["warnings"]]
    show(value, as_json=as_json, text="\n".join(lines))


def describe(home: Path) -> dict[str, Any]:
    """What ``status`` tells."""
    made = ServerHome(home)
    config = load_toml(made.program, ProgramConfig)
    every, state = positions(config), load_state(made.state)
    public = SigningKey.load(made.key).public
    done = state.next_round - 1 if state else 0
    coming = every[done] if done < len(every) else None
    return {
        "run_id": state.run_id if state else "not begun",
        "status": state.status if state else "not begun",
        "rounds": len(every),
        "rounds_done": done,
        "skipped": list(state.skipped) if state else [],
        "next": f"{coming.stage.stage.value} {coming.stage_round}" if coming else "",
        "sites": list(config.cohort),
        "iteration": coming.iteration if coming else config.program.iterations,
        "iterations": config.program.iterations,
        "versions": state.versions() if state else {},
        "policy": state.policy if state else None,
        "reward": state.reward if state else None,
        "history": [
            {k: line[k] for k in ("round", "stage", "stage_round", "sites", "missing", "adapter")}
            for line in read_history(made.history)
        ],
        "revoked": sorted(read_members(made, public).revoked),
        "decisions": [each.model_dump(mode="json") for each in decisions(made, public)],
        "warnings": warnings(_endings(made, state), datetime.now(UTC)),
    }


def _endings(home: ServerHome, state: ProgramState | None) -> list[Expiry]:
    """When the certificates end, and the pending plan if it has; a simulated coordinator has neither."""
    from intraward_server.authority import expiries

    found = list(expiries(home.authority, home.server_certificate)) if home.authority.exists() else []
    path = home.plan(state.next_round) if state else home.plan(1)
    if path.exists():
        plan = open_signed(path.read_bytes(), PLAN_DOMAIN, RoundPlan, SigningKey.load(home.key).public)
        ended = end_of(plan.expires) <= datetime.now(UTC) and not plan.simulated
        remedy = "sites that have not answered refuse it; intraward-server skip gives the round up"
        found += [Expiry(f"the plan of round {plan.round}", end_of(plan.expires), remedy)] if ended else []
    return found


@app.command()
def skip(
    home: Home = _DEFAULT,
    yes: Annotated[bool, typer.Option("--yes", help="Really give the round up.")] = False,
    as_json: Json = False,
) -> None:
    """Give up the pending round of a stopped program; what sites were charged for it stays charged.

    Example: intraward-server skip --yes --home /srv/coordinator
    """
    made = ServerHome(home)
    with sole_coordinator(made, wait_s=0):
        state, every = load_state(made.state), positions(load_toml(made.program, ProgramConfig))
        if state is None or state.next_round > len(every):
            raise ConfigError(made.state, "", "no round is pending", remedy="see intraward-server status")
        if not yes:
            raise ConfigError("skip", "--yes", "is missing", remedy="add --yes to give the round up for good")
        number = state.next_round
        save_state(made.state, state.model_copy(update={"skipped": (*state.skipped, number)}))
    show({"skipped": number}, as_json=as_json, text=f"round {number} was given up; start goes on after it")


@app.command()
def release(
    ledgers: Annotated[
        list[Path] | None,
        typer.Argument(metavar="LEDGER...", help="ledger.jsonl of every hospital behind the policy."),
    ] = None,
    attacks: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="Result of intraward-simulate attack, or a folder of them; repeat."
        ),
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(help="An earlier policy of the run, measured before; without it, the last.")
    ] = None,
    home: Home = _DEFAULT,
    as_json: Json = False,
) -> None:
    """Judge the finished run's policy by its gates, and sign the release bundle, or say why not.

    Example: intraward-server release ledgers/*.jsonl --attacks attacks/ --home /srv/coordinator
    """
    from intraward_server.release import GatesFailed
    from intraward_server.release import release as sign_release

    try:
        made = sign_release(home, ledgers or [], attacks or [], datetime.now(UTC), adapter)
    except GatesFailed as refused:
        if as_json:
            told = {"gates": [_gate(result) for result in refused.gates], "stopped": list(refused.stopped)}
            show({"release": None, **told}, as_json=True, text="")
        raise
    value: dict[str, Any] = {"release": made.release.number, "adapter": made.release.adapter}
    value |= {"folder": str(made.folder), "gates": [_gate(result) for result in made.gates]}
    value |= {"attacked_code": dict(made.attacked_code)}
    lines = [f"  {result.status:<12} {result.name}: {result.asked}" for result in made.gates]
    lines += [f"  {line}" for line in release_lines(made.attacked_code)]
    text = f"release {made.release.number}: {made.release.adapter[:16]} in {made.folder}"
    show(value, as_json=as_json, text="\n".join([text, *lines]))


def _gate(result: GateResult) -> dict[str, Any]:
    return result.model_dump(mode="json") | {"passed": result.passed}


def main() -> None:
    """Entry point."""
    run(app)
