"""Everything that can be wrong with a run's inputs, found before its folder is made.

Rule 10 of DESIGN.md and "Bad input": a broken key of a stage, a missing model, data folder or preference
file is refused in seconds, naming file and key, and leaves nothing behind; not after an hour's import.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from intraward_server.publicdata import FIELDS, read_records
from intraward_shared.config import parse
from intraward_shared.errors import ConfigError
from intraward_shared.program import ProgramConfig
from intraward_shared.stages import Stage
from intraward_simulation.scenario import Scenario
from intraward_simulation.sites import STARTS_AT
from intraward_simulation.world import make_world

MADE_HERE = ("tiny", "smollm2")


def check_inputs(path: Path, text: str, data: Path | None) -> None:
    """Refuse what a run of this scenario could not finish.

    Args:
        path: scenario file, for messages.
        text: its text as the run would keep it, another model put in.
        data: folder of real files.

    Raises:
        ConfigError: names file and key. InputError: a line of a data file is wrong.
    """
    scenario = parse(tomllib.loads(text), Scenario, path)
    _check_program(path, scenario)
    model = scenario.run.model
    if model not in MADE_HERE and not (Path(model) / "config.json").is_file():
        raise ConfigError(
            path,
            "run.model",
            "no such model directory",
            remedy="give tiny, smollm2 or a Hub-format directory that holds config.json",
        )
    if scenario.evaluation.preferences is not None:
        read_records(Path(scenario.evaluation.preferences), FIELDS[Stage.REWARD])
    texts = make_world(_sketch(scenario), data).public
    for index, stage in enumerate(scenario.stages):
        if (named := stage.get("public")) is not None and named not in texts:
            names = ", ".join(sorted(texts))
            raise ConfigError(path, f"stages.{index}.public", "no such texts", remedy=f"one of: {names}")


def _sketch(scenario: Scenario) -> Scenario:
    """The same scenario with one patient and one canary where there are many, to be made in a moment."""
    terms = scenario.hospitals
    if terms is None:
        return scenario
    sites = tuple(site.model_copy(update={"patients": min(1, site.patients)}) for site in terms.sites)
    few = terms.model_copy(update={"sites": sites, "canaries": min(1, terms.canaries)})
    return scenario.model_copy(update={"hospitals": few})


def _check_program(path: Path, scenario: Scenario) -> None:
    """The coordinator's own reading of the stages, so that its refusal names the scenario's keys."""
    table = {
        "program": {"name": scenario.run.name, "starts_at": STARTS_AT},
        "model": {"path": scenario.run.model},
        "lora": scenario.lora.model_dump(mode="json"),
        "stages": [dict(stage) for stage in scenario.stages],
        "evaluation": {"prompts": "prompts"},
    }
    parse(table, ProgramConfig, path)
