"""Everything that can be wrong with a run's inputs, found before its folder is made.

Rule 10 of DESIGN.md and "Bad input": a broken key of a stage, a missing model, data folder or preference
file, a mechanism or a schedule that its own hospitals would refuse: said in seconds, naming file and key,
with nothing left behind; not after an hour's import.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from intraward_client.config import SitePolicy
from intraward_client.plancheck import check_mechanism
from intraward_client.privacy.planning import program_cost
from intraward_server.publicdata import FIELDS, read_records
from intraward_shared.config import parse
from intraward_shared.errors import ConfigError, PlanRefused
from intraward_shared.program import ProgramConfig
from intraward_shared.stages import Stage
from intraward_simulation.scenario import Scenario
from intraward_simulation.sites import STARTS_AT
from intraward_simulation.world import make_world

MADE_HERE = ("tiny", "smollm2")
_SITE = {
    "site": "any",
    "model": {"path": "model", "sha256": "0" * 64},
    "coordinator": {"public_key": "0" * 64},
}
"""What a policy needs beside its privacy terms; not looked at here."""


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
    _check_terms(path, scenario, _check_program(path, scenario))
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


def _check_terms(path: Path, scenario: Scenario, program: ProgramConfig) -> None:
    """The hospitals' own answer to the program, asked of the very code that would refuse it."""
    terms = scenario.privacy
    if terms.delta > 1 / (10 * terms.declared_max_patients):
        raise ConfigError(
            path, "privacy.delta", "is above 1 / (10 * declared_max_patients)", remedy="lower delta"
        )
    bounds = parse({"privacy": terms.model_dump(), **_SITE}, SitePolicy, path)
    for index, stage in enumerate(program.stages):
        if stage.mechanism is None:
            continue
        try:
            check_mechanism(stage.mechanism, bounds)
        except PlanRefused as refusal:
            key = f"stages.{index}.mechanism"
            raise ConfigError(
                path, key, refusal.message, remedy="correct it, or the terms in [privacy]"
            ) from None
    cost = program_cost(program, path, terms.delta)
    if cost.total.epsilon > terms.lifetime_epsilon:
        raise ConfigError(
            path,
            "privacy.lifetime_epsilon",
            f"is {terms.lifetime_epsilon:g}, and the charged stages cost {cost.total.epsilon:.3f}",
            remedy="raise noise_multiplier, ask for fewer steps, or raise the cap",
        )


def _check_program(path: Path, scenario: Scenario) -> ProgramConfig:
    """The coordinator's own reading of the stages, so that its refusal names the scenario's keys."""
    table = {
        "program": {
            "name": scenario.run.name,
            "starts_at": STARTS_AT,
            "iterations": scenario.run.iterations,
        },
        "model": {"path": scenario.run.model},
        "lora": scenario.lora.model_dump(mode="json", exclude_none=True),
        "stages": [dict(stage) for stage in scenario.stages],
        "aggregation": scenario.aggregation.model_dump(mode="json", exclude_unset=True),
        "evaluation": {"prompts": "prompts"},
    }
    return parse(table, ProgramConfig, path)
