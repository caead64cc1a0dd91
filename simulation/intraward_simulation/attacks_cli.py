"""``intraward-simulate attack``: published attacks on the hospital's own code, with privacy off and on.

DESIGN.md sections 7 and 8. Each command runs one attack on synthetic patients, prints what it found, and
leaves with 1 when a gate is missed: an attack that works in spite of the noise, or one that does not work
without it and so shows nothing. ``--out`` writes the result for ``intraward-audit report --attacks``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from intraward_shared.attack_results import AttackFigure, AttackResult
from intraward_shared.command import err, finite, show
from intraward_shared.errors import ConfigError
from intraward_simulation.progress import show_progress

app = typer.Typer(
    no_args_is_help=True,
    help="Attack what a hospital releases, with privacy off and on; exit 1 on a leak.\n\n"
    "Example: intraward-simulate attack gauge --out attacks/gauge.json",
)

Epsilon = Annotated[
    list[float] | None,
    typer.Option("--epsilon", min=0.1, max=8.0, callback=finite, help="Claim to attack; repeat for several."),
]
Seed = Annotated[
    list[int] | None, typer.Option("--seed", min=0, max=2**32 - 1, help="Of one run; repeat for several.")
]
Out = Annotated[Path | None, typer.Option("--out", help="JSON file for intraward-audit report --attacks.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
COLUMNS = {"off": "privacy off", "cut": "noise cut", "on": "privacy on"}


@app.command()
def gauge(epsilon: Epsilon = None, seed: Seed = None, out: Out = None, as_json: Json = False) -> None:
    """Does the noised gradient have the epsilon that is claimed, within 5 %? (10 seconds)

    Example: intraward-simulate attack gauge --epsilon 8 --out attacks/gauge.json
    """
    from intraward_simulation.attacks.gauge import run_gauge

    _attack("gauge", run_gauge, epsilon, seed, out, as_json)


@app.command()
def membership(epsilon: Epsilon = None, seed: Seed = None, out: Out = None, as_json: Json = False) -> None:
    """Can a released update tell who was in the training table? (20 seconds)

    Example: intraward-simulate attack membership --epsilon 8 --seed 1 --out attacks/membership.json
    """
    from intraward_simulation.attacks.membership import run_membership

    _attack("membership", run_membership, epsilon, seed, out, as_json)


@app.command()
def inversion(epsilon: Epsilon = None, seed: Seed = None, out: Out = None, as_json: Json = False) -> None:
    """Can the words of a note be read off one released LoRA update? (a few seconds)

    Example: intraward-simulate attack inversion --out attacks/inversion.json
    """
    from intraward_simulation.attacks.inversion import run_inversion

    _attack("inversion", run_inversion, epsilon, seed, out, as_json)


@app.command()
def canary(epsilon: Epsilon = None, seed: Seed = None, out: Out = None, as_json: Json = False) -> None:
    """Do planted secrets come out of the text of a trained model? (20 seconds)

    Example: intraward-simulate attack canary --out attacks/canary.json
    """
    from intraward_simulation.attacks.canary import run_canary

    _attack("canary", run_canary, epsilon, seed, out, as_json)


@app.command(name="one-run")
def one_run(epsilon: Epsilon = None, seed: Seed = None, out: Out = None, as_json: Json = False) -> None:
    """Lower bounds on epsilon from single runs: none may be above the claim. (30 seconds)

    Example: intraward-simulate attack one-run --epsilon 1 --seed 1 --seed 2 --out attacks/one-run.json
    """
    from intraward_simulation.attacks.one_run import run_one_run

    _attack("one-run", run_one_run, epsilon, seed, out, as_json)


@app.command()
def poisoning(seed: Seed = None, out: Out = None, as_json: Json = False) -> None:
    """What can one hostile hospital of five do, scaled by 100 or just below the norm bound? (3 minutes)

    Its result is of another form than the others' and no part of the auditor's report.

    Example: intraward-simulate attack poisoning --seed 1 --out poisoning.json
    """
    import torch

    from intraward_simulation.attacks.poisoning import SEEDS, run_poisoning, table_of
    from intraward_simulation.attacks.result import write_result

    if out is not None:
        _check_out(out)
    torch.set_num_threads(1)
    with show_progress(quiet=as_json) as tell:
        result = run_poisoning(
            tuple(dict.fromkeys(seed)) if seed else SEEDS,
            lambda share: tell("attack", "poisoning", share),
        )
    if out is not None:
        write_result(out, result)
    show(result.model_dump(mode="json"), as_json=as_json, text=table_of(result))
    if not result.passed:
        err.print(
            "a scaled update did harm: do not run a program with this installation until it is explained"
        )
        raise typer.Exit(1)


def _attack(
    name: str,
    run: Callable[..., AttackResult],
    epsilon: list[float] | None,
    seed: list[int] | None,
    out: Path | None,
    as_json: bool,
) -> None:
    import torch

    from intraward_simulation.attacks.result import write_result

    if out is not None:
        _check_out(out)
    chosen: dict[str, Any] = {}
    if epsilon:
        chosen["epsilons"] = tuple(dict.fromkeys(epsilon))
    if seed:
        chosen["seeds"] = tuple(dict.fromkeys(seed))
    torch.set_num_threads(1)  # the models are tiny, and sums in another order would be other figures
    with show_progress(quiet=as_json) as tell:
        result = run(**chosen, tell=lambda share: tell("attack", name, share))
    if out is not None:
        write_result(out, result)
    show(result.model_dump(mode="json"), as_json=as_json, text=table(result))
    if not result.passed:
        err.print("a gate was missed: do not rely on the noise of this installation until it is explained")
        raise typer.Exit(1)


def _check_out(out: Path) -> None:
    """Before the work: the result can be written there. Its folder is made, a whole path of them is not."""
    if out.is_dir():
        raise ConfigError("--out", "", f"{out} is a folder", remedy="name a JSON file in it")
    if not out.parent.parent.is_dir():
        raise ConfigError(
            "--out", "", f"{out.parent.parent}: no such folder", remedy="make it, or name another file"
        )
    try:
        out.parent.mkdir(exist_ok=True)
    except OSError:
        raise ConfigError("--out", "", f"{out.parent} cannot be made", remedy="name another file") from None
    if not os.access(out.parent, os.W_OK):
        raise ConfigError("--out", "", f"{out.parent} cannot be written", remedy="check permissions")


def table(result: AttackResult) -> str:
    """The result in a few lines: each figure by claim, privacy off beside on, then the gates."""
    kinds = [kind for kind in COLUMNS if any(figure.privacy == kind for figure in result.figures)]
    lines = [f"{result.attack}: {len(result.seeds)} seed{'s' * (len(result.seeds) > 1)}"]
    for claim in result.claims:
        lines.append(
            f"\nepsilon {claim.epsilon:g} at delta {claim.delta:g} (rate {claim.sample_rate:g}, noise "
            f"{claim.noise_multiplier:g}, steps {claim.steps})"
        )
        lines.append(f"  {'':<28}" + "".join(f"{COLUMNS[kind]:>22}" for kind in kinds))
        mine = [figure for figure in result.figures if figure.epsilon == claim.epsilon]
        for name in dict.fromkeys(figure.name for figure in mine):
            cells = [_cell([f for f in mine if (f.name, f.privacy) == (name, kind)]) for kind in kinds]
            lines.append(f"  {name:<28}" + "".join(f"{cell:>22}" for cell in cells))
    gates = [f"  {'passed' if gate.passed else 'MISSED'}  {gate.text}" for gate in result.gates]
    return "\n".join([*lines, "", *gates])


def _cell(figures: list[AttackFigure]) -> str:
    """One value, or the range over seeds."""
    if not figures:
        return "-"
    least, most = min(f.value for f in figures), max(f.value for f in figures)
    return f"{least:.4g}" if least == most else f"{least:.4g} to {most:.4g}"
