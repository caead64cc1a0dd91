"""A whole run on one machine: hospitals, coordinator, program, audit, report.

The same wards, Flower app and coordinator as in the field, either in this process (own Grid) or as
real processes behind a real SuperLink (``processes``). Every step can be stopped and gone on with.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from intraward_client.home import SiteHome
from intraward_server import program
from intraward_server.home import ServerHome
from intraward_server.session import score_preferences
from intraward_shared.errors import ConfigError
from intraward_shared.signing import digest
from intraward_simulation import models
from intraward_simulation.auditing import audit_run
from intraward_simulation.federation import InProcessGrid, RecordingGrid
from intraward_simulation.findings import report_data
from intraward_simulation.phases import Phases, Show
from intraward_simulation.preflight import check_inputs
from intraward_simulation.report import write_report
from intraward_simulation.scenario import Scenario, load_scenario, scenario_text
from intraward_simulation.sites import (
    coordinator_key,
    fill_site,
    make_server,
    make_site,
    open_ward,
    site_policy,
)
from intraward_simulation.world import World, make_world

SCENARIO, PHASES = "scenario.toml", "phases.json"


class RunFolder:
    """Paths below a run's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def scenario(self) -> Path:
        """The scenario as it was started."""
        return self.root / SCENARIO

    @property
    def sites(self) -> Path:
        """One site folder per hospital."""
        return self.root / "sites"

    @property
    def server(self) -> ServerHome:
        """The coordinator's folder."""
        return ServerHome(self.root / "server")

    @property
    def recorded(self) -> Path:
        """Every Flower message of the run, decoded, for the identifier scan."""
        return self.root / "recorded"

    def site(self, name: str) -> SiteHome:
        """A hospital's folder."""
        return SiteHome(self.sites / name)


def run_scenario(
    path: Path,
    out: Path,
    *,
    model: str | None = None,
    data: Path | None = None,
    processes: bool = False,
    fresh: bool = False,
    show: Show | None = None,
) -> Path:
    """Run a scenario, or go on with one that was interrupted in ``out``.

    Args:
        path: scenario file.
        out: folder of the run.
        model: another model than the scenario names.
        data: folder of real files, for scenarios that read some.
        processes: real SuperLink, SuperNodes and wards instead of one process.
        fresh: throw away what an earlier run left in ``out``.
        show: told the progress.

    Returns:
        path of the report page.

    Raises:
        ConfigError: the scenario is wrong, or ``out`` holds another run.
    """
    folder = prepare(path, out, model=model, data=data, fresh=fresh)
    scenario = load_scenario(folder.scenario)
    torch.set_num_threads(scenario.run.threads)
    phases = Phases(out / PHASES, show)
    with phases.timed("model", "base model"):  # cached; made again if the cache was emptied meanwhile
        base = find_model(scenario, phases)
    with phases.timed("world", "hospitals and public texts"):
        world = make_world(scenario, data)
    keys = phases.once("sites", lambda: _make_sites(folder, scenario, world, base), "keys, vaults, policies")
    imports = {site.name: _fill(folder, scenario, phases, world, site.name) for site in world.sites}
    with phases.timed("program", "the program"):
        make_server(folder.server.root, scenario, world, base, keys)
        _run_program(folder, scenario, world, phases, processes=processes, data=data)
    if scenario.evaluation.preferences is not None:
        chosen = Path(scenario.evaluation.preferences)
        phases.once("score", lambda: score_preferences(folder.server.root, chosen), "score preferences")
    audit = phases.once("audit", lambda: audit_run(folder.root, world, phases.tell), "audit")
    scored = phases.result("score") if phases.done("score") else None
    findings = report_data(
        folder.root,
        scenario,
        world,
        imports,
        audit,
        phases.seconds,
        base=base,
        processes=processes,
        scored=scored,
    )
    return write_report(out, findings)[0]


def prepare(path: Path, out: Path, *, model: str | None, data: Path | None, fresh: bool) -> RunFolder:
    """The run's folder with its own copy of the scenario.

    Raises:
        ConfigError: ``out`` holds another run, or something that is not a run; or an input is wrong.
            Then nothing was written, and an earlier run is still there.
    """
    folder = RunFolder(out)
    text = scenario_text(path, model=model)
    held = folder.scenario.exists()
    if held and not fresh:
        if digest(folder.scenario.read_bytes()) != digest(text.encode()):
            raise ConfigError(
                out, "", "holds a run of another scenario", remedy="choose another --out, or --fresh"
            )
        return folder
    if not held and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(out, "", "is not empty and not a run", remedy="choose another --out")
    check_inputs(path, text, data)
    if held:
        shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    draft = folder.scenario.with_suffix(".part")
    draft.write_text(text, encoding="utf-8")
    draft.replace(folder.scenario)
    return folder


def find_model(scenario: Scenario, phases: Phases) -> Path:
    """Directory of the scenario's base model, made or converted if need be."""
    name = scenario.run.model

    def tell(done: int, total: int) -> None:
        phases.tell("model", f"base model {name}", done / max(1, total))

    if name == "tiny":
        return models.build_tiny(models.cache_dir(), scenario.run.seed, tell)
    if name == "smollm2":
        return models.load_smollm2(models.cache_dir(), tell)
    return Path(name)


def _make_sites(folder: RunFolder, scenario: Scenario, world: World, base: Path) -> dict[str, str]:
    coordinator = coordinator_key(scenario).public
    keys = {}
    for site in world.sites:
        home = make_site(
            folder.sites / site.name, site_policy(scenario, site.name, base, coordinator), scenario
        )
        ward = open_ward(scenario, home)
        keys[site.name] = ward.public_key
        ward.close()
    return keys


def _fill(
    folder: RunFolder, scenario: Scenario, phases: Phases, world: World, name: str
) -> Mapping[str, Any]:
    files = next(site for site in world.sites if site.name == name)
    home = folder.site(name)

    def work() -> dict[str, Any]:
        from intraward_client.config import load_policy

        return fill_site(
            home,
            load_policy(home.policy),
            files,
            lambda share: phases.tell("import", f"de-identify {name}", share),
        )

    report: Mapping[str, Any] = phases.once(f"import {name}", work, f"de-identify {name}", clock="import")
    return report


def _run_program(
    folder: RunFolder, scenario: Scenario, world: World, phases: Phases, *, processes: bool, data: Path | None
) -> None:
    def tell(what: str, share: float) -> None:
        phases.tell("program", what, share)

    def told(event: program.ProgramEvent) -> None:
        if event.stage or event.kind == "done":
            tell(*in_words(event))

    if processes:
        from intraward_simulation.processes import run_with_processes, ward_command

        run_with_processes(
            folder.root,
            sites={site.name: folder.sites / site.name for site in world.sites},
            server_home=folder.server.root,
            ward_command=ward_command(folder.root),
            record=folder.recorded,
            progress=told,
            values=world.values,
            threads=scenario.run.threads,
        )
        return
    wards = {site.name: open_ward(scenario, folder.site(site.name)) for site in world.sites}
    try:
        grid = RecordingGrid(InProcessGrid(wards), folder.recorded)
        program.run(grid, folder.server.root, gold=world.gold, progress=told)
    finally:
        for ward in wards.values():
            ward.close()


def in_words(event: program.ProgramEvent) -> tuple[str, float]:
    """What a program event says at a terminal, and the share of rounds that are finished."""
    done = event.rounds if event.kind == "done" else event.round - (event.kind != "finished")
    what = f"{event.stage} round {event.round} of {event.rounds}" if event.stage else event.kind
    return what, done / max(1, event.rounds)
