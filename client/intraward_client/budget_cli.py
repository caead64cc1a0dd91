"""``intraward-client budget``: what is spent, what still fits, and what a program would cost beforehand."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from intraward_client.config import load_policy
from intraward_client.drawing import check_format
from intraward_client.home import SiteHome
from intraward_client.progress import bar
from intraward_client.site_ledger import read_site
from intraward_shared.command import finite, show
from intraward_shared.config import load_toml
from intraward_shared.errors import ConfigError, IntrawardError, LedgerError
from intraward_shared.ledger_chain import VerifiedLedger, policy_entry
from intraward_shared.program import ProgramConfig

if TYPE_CHECKING:
    from intraward_client.privacy.planning import ProgramCost, SiteAnswer

app = typer.Typer()

Home = Annotated[Path, typer.Option("--home", help="The site's folder.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
DELTA = 1e-5
"""The largest lifetime delta that a site may have."""


@app.callback(invoke_without_command=True)
def budget(
    context: typer.Context,
    home: Home = Path("site"),
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw the spending as .svg or .png.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What of the lifetime epsilon is spent, by stage, what is left, and how many more rounds fit.

    A locked site, one whose ward would not start, is called so first, and the exit code is 1.

    Example: intraward-client budget --home /srv/intraward --plot budget.svg
    """
    if context.invoked_subcommand is not None:
        return
    from intraward_client.privacy.picture import draw
    from intraward_client.privacy.statement import statement
    from intraward_client.privacy.week import week_of

    if plot is not None:
        check_format(plot)
    entries, cap, refused = _ledger(SiteHome(home))
    with bar("accounting", quiet=as_json) as tell:
        value = statement(entries, cap)
        terms = load_policy(SiteHome(home).policy).privacy
        weekly = terms.weekly_epsilon
        value["week"] = week_of(entries, weekly, terms.delta, datetime.now(UTC)) if weekly else None
        value |= {"locked": refused is not None, "locked_because": refused.message if refused else None}
        tell(0.6)
        if plot is not None:
            value["plot"] = str(plot)
            draw(entries, cap, plot)
    show(value, as_json=as_json, text="\n".join([*_lock_lines(refused), _statement_text(value)]))
    raise typer.Exit(1 if refused else 0)


@app.command()
def plan(
    program: Annotated[Path, typer.Argument(help="program.toml, as a coordinator proposes it.")],
    epsilon: Annotated[
        float | None,
        typer.Option(callback=finite, help="Find the least noise at which all charged stages cost so much."),
    ] = None,
    delta: Annotated[
        float, typer.Option(callback=finite, help="Lifetime delta; with --home the site's own.")
    ] = DELTA,
    home: Annotated[
        Path | None, typer.Option("--home", help="A site's folder: would it take this program?")
    ] = None,
    as_json: Json = False,
) -> None:
    """What a program would cost, before anyone agrees to it. Reads a site if one is named, changes nothing.

    The exit code is 1 when a site is named and would refuse the program.

    Example: intraward-client budget plan program.toml --epsilon 4 --home /srv/intraward
    """
    from intraward_client.privacy.planning import answer_of, calibrate, program_cost
    from intraward_client.privacy.week import charged_lately
    from intraward_shared.gate import read_book

    config = load_toml(program, ProgramConfig)
    site = SiteHome(home) if home is not None else None
    policy = load_policy(site.policy) if site is not None else None
    entries, cap, refused = _ledger(site) if site is not None else (None, 0.0, None)
    delta = policy_entry(entries).delta if entries is not None else _delta(delta)
    with bar("accounting", quiet=as_json) as tell:
        if epsilon is not None:
            config = calibrate(
                config, program, delta, epsilon, lambda share: tell(0.7 * share, "finding the noise")
            )
        cost = program_cost(config, program, delta, lambda share: tell(0.7 + 0.2 * share, "accounting"))
        answer = None
        if policy is not None and entries is not None:
            lately = charged_lately(entries, datetime.now(UTC))
            answer = answer_of(policy, read_book(entries), cap, config, lately)
        if answer is not None and refused is not None:
            reasons = (f"the site is locked: {refused.message}", *answer.reasons)
            answer = replace(answer, admitted=False, reasons=reasons)
    value: dict[str, Any] = {"program": str(program), "calibrated": epsilon is not None, **asdict(cost)}
    if answer is not None:
        value["answer"] = asdict(answer)
    show(value, as_json=as_json, text=_plan_text(cost, answer, epsilon))
    raise typer.Exit(1 if answer is not None and not answer.admitted else 0)


def _ledger(site: SiteHome) -> tuple[VerifiedLedger, float, IntrawardError | None]:
    """Verified entries, the lower of the caps of ledger and policy file, and why the site is locked."""
    policy = load_policy(site.policy)
    entries, refused = read_site(site, policy)
    cap = min(policy.privacy.lifetime_epsilon, policy_entry(entries).lifetime_epsilon)
    return entries, cap, refused


def _lock_lines(refused: IntrawardError | None) -> list[str]:
    if refused is None:
        return []
    lines = [f"[bold red]LOCKED[/]: {refused.message}", f"  do: {refused.remedy}"]
    if isinstance(refused, LedgerError):
        lines.append("  what is lost is not counted below: spent is a lower bound, and nothing can be used")
    return lines


def _delta(delta: float) -> float:
    if not 0 < delta <= DELTA:
        raise ConfigError(
            "--delta", "", "is not between 0 and 1e-5", remedy="give a delta that a site's policy may have"
        )
    return delta


def _statement_text(value: dict[str, Any]) -> str:
    lines = ["  [bold]SIMULATED, NOT PRIVATE[/]"] if value["simulated"] else []
    lines += [
        f"  {s['stage']:<8} epsilon {s['epsilon']:7.3f}   replace-one {s['epsilon_replace_one']:7.3f}"
        for s in value["stages"]
    ]
    meaning = f"delta {value['delta']:g}, per patient within this hospital, add/remove"
    total = f"epsilon {value['spent']:7.3f}   replace-one {value['spent_replace_one']:7.3f}"
    lines += [f"  [bold]total[/]    {total}", f"  cap              {value['cap']:7.3f}   ({meaning})"]
    held = "" if value["gated"] == value["spent"] else f"   (the gate counts {value['gated']:.3f}, see below)"
    lines.append(f"  [bold]left[/]             {value['left']:7.3f}{held}")
    if week := value["week"]:
        lines.append(f"  this week        {week['spent']:7.3f} of {week['cap']:g}   (privacy.weekly_epsilon)")
    return "\n".join([*lines, *_forecast_lines(value["forecast"], burned=bool(value["stages"]))])


def _forecast_lines(value: dict[str, Any], *, burned: bool) -> list[str]:
    hint = "intraward-client budget plan says what a program would cost"
    if not value["stages"] and not burned:
        return [f"  nothing is charged yet: {hint}"]
    lines = ["  [bold]what still fits[/], each line by itself, at the stage's last setting"]
    if not value["stages"]:
        lines = [f"  only a burn is charged: {hint}"]
    for stage in value["stages"]:
        setting = (
            f"rate {stage['sample_rate']:g}, noise {stage['noise_multiplier']:g}, {stage['steps']} steps"
        )
        paid = f"{_rounds(stage['paid'])} paid and not yet run; " if stage["paid"] else ""
        more = "at least 10,000" if stage["more"] >= 10_000 else str(stage["more"])
        lines.append(f"    {stage['stage']:<8} {paid}{more} more {stage['stage']} rounds  ({setting})")
    if value["gate"] == "filter":
        lines.append(
            "  gate: filter. What comes now is chosen by someone who has seen results, so a Renyi filter over"
            "\n  everything charged so far rules it; it counts more than the tight total above."
        )
    else:
        lines.append(
            "  gate: program. The first schedule fits only tightly: nothing but retries of its own rounds may"
            f"\n  follow, each counted as the costliest; {value['retries']} would still fit."
        )
    return lines


def _rounds(count: int) -> str:
    return f"{count} round" if count == 1 else f"{count} rounds"


def _plan_text(cost: ProgramCost, answer: SiteAnswer | None, epsilon: float | None) -> str:
    if not cost.stages:
        lines = ["no stage is charged: this program costs a hospital nothing"]
        return "\n".join(lines + (_answer_lines(answer) if answer is not None else []))
    lines = ["  stage     rounds x steps    rate   noise   epsilon      PLD   replace-one"]
    for stage in cost.stages:
        lines.append(
            f"  {stage.stage:<9} {stage.rounds:>6} x {stage.steps:<6}{stage.sample_rate:>7g}"
            f"{stage.noise_multiplier:>8g}{stage.cost.epsilon:>10.4f}{stage.cost.epsilon_pld:>9.4f}"
            f"{stage.cost.epsilon_replace_one:>14.4f}"
        )
    if cost.iterations > 1:
        lines.append(f"  the rounds are those of all {cost.iterations} iterations of the program")
    total = cost.total
    figures = f"{total.epsilon:>10.4f}{total.epsilon_pld:>9.4f}{total.epsilon_replace_one:>14.4f}"
    lines += [
        f"  [bold]total[/]{'':<33}{figures}",
        f"  delta {cost.delta:g}, per patient within one hospital, add/remove; epsilon is Opacus PRV",
        "  a patient of so many hospitals that all take part: "
        + ", ".join(f"{count}: {figure:.2f}" for count, figure in enumerate(cost.sites, start=1)),
    ]
    if epsilon is not None:
        lines.append(f"  for epsilon {epsilon:g}, put into program.toml:")
        for stage in cost.stages:
            lines.append(f"    noise_multiplier = {stage.noise_multiplier:g}   # {stage.key}, {stage.stage}")
    return "\n".join(lines + (_answer_lines(answer) if answer is not None else []))


def _answer_lines(answer: SiteAnswer) -> list[str]:
    head = f"  [bold]{answer.site}[/] (cap {answer.cap:g}, {answer.spent:.3f} spent): "
    if not answer.admitted:
        return [head + "[red]would refuse it[/]", *[f"    {reason}" for reason in answer.reasons]]
    after = (
        "other programs may follow, as far as the filter lets them"
        if answer.gate == "filter"
        else "then nothing but retries of its own rounds may ever follow"
    )
    many = "at least 1000" if answer.retries >= 1000 else str(answer.retries)
    fit = f"    retries after a crash that would still fit: {many}; {after}"
    return [head + "[green]would take it[/]", fit]
