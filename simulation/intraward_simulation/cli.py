"""``intraward-simulate``: the whole system on one machine, for researchers and newcomers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from intraward_shared.command import err, out, run, show
from intraward_shared.errors import ConfigError
from intraward_simulation import attacks_cli
from intraward_simulation.progress import show_progress

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Run the whole federation on one machine.\n\nExample: intraward-simulate demo --out runs/demo",
)
app.add_typer(attacks_cli.app, name="attack")

Out = Annotated[Path, typer.Option("--out", help="Folder of the run.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
Model = Annotated[str | None, typer.Option("--model", help="tiny, smollm2 or a Hub-format directory.")]
Processes = Annotated[
    bool, typer.Option("--processes", help="Real SuperLink, SuperNodes and wards on loopback.")
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Throw away an earlier run in the same folder.")]

PHASE_NAMES = ("model", "world", "sites", "import", "program", "audit")


@app.command()
def demo(
    out_: Out = Path("runs/demo"), model: Model = None, processes: Processes = False, as_json: Json = False
) -> None:
    """The main job: three synthetic hospitals train one model; ends with figures and a report.

    Example: intraward-simulate demo --out runs/demo
    """
    from intraward_simulation.scenario import scenario_path

    name = "demo-smollm2" if model == "smollm2" else "demo"
    _announce(model, as_json)
    finished = (out_ / "report.json").exists()  # a finished demo starts anew; an interrupted one goes on
    _run(
        scenario_path(name),
        out_,
        model=model,
        data=None,
        processes=processes,
        fresh=finished,
        as_json=as_json,
    )


@app.command(name="run")
def run_command(
    scenario: Annotated[str, typer.Argument(help="Scenario file, or the name of a shipped one.")],
    out_: Out = Path("runs/scenario"),
    data: Annotated[Path | None, typer.Option(help="Folder of real files.")] = None,
    model: Model = None,
    processes: Processes = False,
    fresh: Fresh = False,
    as_json: Json = False,
) -> None:
    """Run a scenario, or go on with an interrupted one in the same folder.

    A file with a \\[study] table is a study of the training stages on open data.

    Example: intraward-simulate run clinical --data DIR --out runs/clinical
    """
    from intraward_simulation.scenario import scenario_path
    from intraward_simulation.studies.terms import is_study

    path = scenario_path(scenario)
    study = is_study(path)
    _check_run(study=study, data=data, processes=processes)
    if study:
        _run_study(path, out_, model=model, data=data, fresh=fresh, as_json=as_json)
        return
    _run(
        path,
        out_,
        model=model,
        data=data,
        processes=processes,
        fresh=fresh,
        as_json=as_json,
    )


@app.command()
def report(folder: Annotated[Path, typer.Argument(help="Folder of a finished run.")]) -> None:
    """Draw the page again from ``report.json``.

    Example: intraward-simulate report runs/demo
    """
    from intraward_simulation.report import load_report, write_report

    page, _ = write_report(folder, load_report(folder))
    out.print(f"report: {page}")


@app.command()
def score(
    folder: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    preferences: Annotated[Path, typer.Argument(help="JSONL of prompt, chosen, rejected.")],
) -> None:
    """Score the run's reward model on any preferences; prints accuracy and "longer wins" as JSON.

    Example: intraward-simulate score runs/demo my-preferences.jsonl
    """
    if not (folder / "server").is_dir():
        raise ConfigError(folder, "", "no such run", remedy="give the folder (--out) of a finished run")
    from intraward_server.session import score_preferences

    show(score_preferences(folder / "server", preferences), as_json=True, text="")


@app.command(name="critique")
def critique_command(
    answers: Annotated[Path, typer.Argument(help="JSONL of prompt, answer.")],
    shaping: Annotated[
        Path | None, typer.Option(help="TOML with the keys of \\[stages.training.shaping] at its top.")
    ] = None,
) -> None:
    """Ask the critique's questions, and a program's rules, of any answers; prints scores as JSON, no text.

    Phrases are looked for, not meaning: an answer can say the right words and be wrong.

    Example: intraward-simulate critique answers.jsonl --shaping shaping.toml
    """
    from intraward_simulation.critique import critique_file

    show(critique_file(answers, shaping), as_json=True, text="")


@app.command(name="faithfulness")
def faithfulness_command(
    rated: Annotated[Path, typer.Argument(help="ranked.jsonl of mts_summary_ratings.")],
) -> None:
    """Hold the metrics of suite faithfulness against people who counted facts; prints figures as JSON.

    Example: intraward-simulate faithfulness DIR/mts_summary_ratings/ranked.jsonl
    """
    from intraward_simulation.faithfulness import validate

    show(validate(rated), as_json=True, text="")


@app.command(name="notes")
def notes_command(
    output: Annotated[Path, typer.Option("--output", help="Where the gold rows go (JSONL).")],
    kind: Annotated[
        Literal["notes", "queries", "clean", "lines"],
        typer.Option(help="Notes with a header, queries without; text, or single lines, that name nobody."),
    ] = "notes",
    half: Annotated[
        Literal["dev", "held-out"],
        typer.Option(help="dev to write rules by; held-out to measure with, and not to look at."),
    ] = "dev",
    count: Annotated[int, typer.Option(min=1, max=1_000_000, help="Rows.")] = 400,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The same seed gives the same rows.")] = 1,
    as_json: Json = False,
) -> None:
    """Write invented notes whose identifiers are marked, to measure a de-identifier with.

    Example: intraward-simulate notes --kind queries --half dev --count 500 --output queries.jsonl
    """
    from intraward_simulation.deid_corpus.rows import write_gold

    made = write_gold(output, kind, half, count, seed)
    told = ", ".join(f"{name} {number}" for name, number in made["entities"].items())
    show(made, as_json=as_json, text=f"{made['rows']} rows in {output}; marked: {told or 'nothing'}")


@app.command(hidden=True)
def ward(
    home: Annotated[Path, typer.Option(help="A simulated site's folder.")],
    run_folder: Annotated[Path, typer.Option("--run", help="The run that it belongs to.")],
) -> None:
    """A simulated hospital's ward as a process of its own.

    Example: intraward-simulate ward --run runs/demo --home runs/demo/sites/riverside
    """
    import torch

    from intraward_client.home import SiteHome
    from intraward_client.wardsocket import serve
    from intraward_simulation.scenario import load_scenario
    from intraward_simulation.sites import open_ward

    scenario = load_scenario(run_folder / "scenario.toml")
    torch.set_num_threads(scenario.run.threads)
    serve(open_ward(scenario, SiteHome(home)))


def _check_run(*, study: bool, data: Path | None, processes: bool) -> None:
    """The command line by itself, before anything slow is imported."""
    if study and processes:
        raise ConfigError("--processes", "", "a study has no hospitals", remedy="leave it out")
    if data is not None and not data.is_dir():
        raise ConfigError("--data", "", f"{data}: no such folder", remedy="name the folder of the data sets")


def _announce(model: str | None, quiet: bool) -> None:
    if not quiet:
        estimate = "about 25 to 40 minutes" if model == "smollm2" else "2 to 4 minutes"
        err.print(f"three synthetic hospitals, {model or 'tiny'} model: {estimate} on 2 cores")


def _run(
    path: Path,
    folder: Path,
    *,
    model: str | None,
    data: Path | None,
    processes: bool,
    fresh: bool,
    as_json: bool,
) -> None:
    from intraward_simulation.run import run_scenario

    with show_progress(quiet=as_json) as tell:
        page = run_scenario(
            path,
            folder,
            model=model,
            data=data,
            processes=processes,
            fresh=fresh,
            show=tell,
        )
    figures = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    show(figures, as_json=as_json, text=summary(figures, page))
    scored = {k: v for k, v in figures["evaluation"].items() if k.startswith("preferences_")}
    if scored and not as_json:
        show(scored, as_json=True, text="")


def _run_study(
    path: Path,
    folder: Path,
    *,
    model: str | None,
    data: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    from intraward_simulation.studies.run import run_study, study_text

    with show_progress(quiet=as_json) as tell:
        result = run_study(
            path, folder, model=model, data=data, fresh=fresh, show=tell, say=lambda text: err.print(text)
        )
    show(result, as_json=as_json, text=study_text(path, result))


def summary(figures: dict[str, Any], page: Path) -> str:
    """The figures of a run in a few lines for the terminal."""
    from intraward_shared.pages import numerals

    reward, policy, privacy = figures["reward_model"], figures["policy"], figures["privacy"]
    egress, ledger = figures["egress"], figures["ledger"]
    caps = [site["cap"] for site in privacy["sites"]]

    def number(value: float | None, digits: int = 3) -> str:
        return "not measured" if value is None else f"{value:.{digits}f}"

    wins, of = number(policy["win_rate"], 2), number(max(caps, default=None), 2)
    differ, searched = (
        number(privacy["accountants_differ_by"], 4),
        f"{egress['scanned_bytes'] or 0:,} bytes searched",
    )
    found = f"{egress['identifiers_found']} of {egress['identifiers_planted']} planted identifiers found"
    longer, total = number(reward["length_baseline"]), numerals.epsilon(privacy["max_epsilon"])
    before, after = number(policy["reward_sft"], 2), number(policy["reward_rl"], 2)
    gold = figures["evaluation"].get("policy_judge") == "gold"
    judged = "true reward" if gold else "reward by the released reward model"
    rows = {
        "reward model": f"accuracy {number(reward['accuracy'])} (longer wins: {longer})",
        "policy": f"{judged} {before} after SFT, {after} after RL; wins {wins} over SFT",
        "privacy": f"epsilon {total} per patient, cap {of}; accountants differ by {differ}",
        "egress": found + f" in {searched}" if egress["identifiers_planted"] else searched,
        "ledgers": f"{'all verified' if ledger['verified'] else 'NOT VERIFIED'}, {ledger['entries']} entries",
        "time": f"{figures['seconds']:.0f} s",
        "report": str(page),
    }
    return "\n" + "\n".join(f"  {name:<14} {text}" for name, text in rows.items())


def main() -> None:
    """Entry point."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
    run(app)
