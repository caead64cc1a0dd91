"""Making the simulated hospitals and their coordinator with the very functions that real ones use."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from intraward_client.config import SitePolicy
from intraward_client.home import SiteHome
from intraward_client.importing import import_file
from intraward_client.initialise import initialise
from intraward_client.ward import Ward
from intraward_server.home import ServerHome
from intraward_shared.config import parse
from intraward_shared.modeling import model_digest
from intraward_shared.program import ProgramConfig
from intraward_shared.signing import SigningKey
from intraward_simulation.scenario import Scenario
from intraward_simulation.world import SiteFiles, World, jsonl, labeller_of, site_secret, write_rows

STARTS_AT = "2026-01-01T00:00:00Z"
"""The virtual clock's zero."""


def site_policy(scenario: Scenario, site: str, model: Path, coordinator: str) -> SitePolicy:
    """A simulated hospital's own policy, from the scenario's privacy terms."""
    raw = {
        "site": site,
        "privacy": scenario.privacy.model_dump(),
        "model": {"path": str(model), "sha256": model_digest(model), "max_tokens": scenario.run.max_tokens},
        "coordinator": {"public_key": coordinator},
        "deid": {"workers": scenario.deid_workers},
        "tracking": scenario.tracking.model_dump(),
        "simulation": {"allowed": True},
    }
    return parse(raw, SitePolicy, f"policy of {site}")


def make_site(root: Path, policy: SitePolicy, scenario: Scenario) -> SiteHome:
    """Initialise a site, or take the one that an interrupted run left."""
    home = SiteHome(root)
    if home.policy.exists():
        return home
    secret = site_secret(scenario, policy.site, "vault")
    key = SigningKey.from_seed(site_secret(scenario, policy.site, "signing"))
    return initialise(root, policy, key=key, root_key=secret, time=STARTS_AT)


def fill_site(
    home: SiteHome, policy: SitePolicy, files: SiteFiles, progress: Callable[[float], None]
) -> dict[str, Any]:
    """Import a hospital's files. They never touch the disk: each lies in an unnamed file in memory (memfd),
    which is gone with this process, however it ends.
    """
    totals: dict[str, Any] = {"rows": 0, "released": 0, "quarantined": 0, "by_class": {}, "by_reason": {}}
    for kind, rows in files.rows.items():
        handle = os.memfd_create(f"{policy.site}-{kind}", os.MFD_CLOEXEC)
        with os.fdopen(handle, "wb") as memory:
            memory.write(jsonl(rows))
            memory.flush()
            path = Path(f"/proc/self/fd/{handle}")
            _add(totals, import_file(home, policy, path, kind, lambda done, n: progress(done / max(1, n))))
    return totals


def _add(totals: dict[str, Any], report: Mapping[str, Any]) -> None:
    for key in ("rows", "released", "quarantined"):
        totals[key] += report[key]
    for key in ("by_class", "by_reason"):
        for name, count in report[key].items():
            totals[key][name] = totals[key].get(name, 0) + count


def make_server(
    root: Path, scenario: Scenario, world: World, model: Path, keys: Mapping[str, str]
) -> ServerHome:
    """The coordinator's folder: key, public texts, evaluation files and program, all from the scenario.

    Raises:
        ConfigError: a stage of the scenario is not one that the coordinator can run; names its key.
    """
    home = ServerHome(root)
    home.make()
    if not home.key.exists():
        coordinator_key(scenario).save(home.key)
    program = program_table(scenario, world, model, keys)
    parse(program, ProgramConfig, "scenario")
    for name, rows in {**world.public, **{f"evaluation-{n}": r for n, r in world.evaluation.items()}}.items():
        write_rows(tuple(rows), root / f"{name}.jsonl")
    home.program.write_text(tomli_w.dumps(program), encoding="utf-8")
    return home


def coordinator_key(scenario: Scenario) -> SigningKey:
    """The simulated coordinator's key."""
    return SigningKey.from_seed(site_secret(scenario, "coordinator", "signing"))


def program_table(scenario: Scenario, world: World, model: Path, keys: Mapping[str, str]) -> dict[str, Any]:
    """``program.toml`` of a scenario, as a table."""
    stages = [dict(stage) for stage in scenario.stages]
    for stage in stages:
        if stage.get("public") in world.public:
            stage["public"] = f"{stage['public']}.jsonl"
    limits = [stage.get("training", {}) for stage in stages]
    evaluation: dict[str, Any] = {name: f"evaluation-{name}.jsonl" for name in world.evaluation}
    if (gold := scenario.evaluation.gold) is not None:
        evaluation["gold"] = gold.model_dump(mode="json", exclude_none=True)
        if gold.adapter is not None:
            evaluation["gold"]["adapter"] = str(Path(gold.adapter).resolve())
    evaluation |= {
        "samples": scenario.evaluation.samples,
        "max_prompt_tokens": max(int(t.get("max_prompt_tokens", 64)) for t in limits),
        "max_completion_tokens": max(int(t.get("max_completion_tokens", 32)) for t in limits),
        **scenario.evaluation.model_dump(
            include={"quick_prompts", "quick_pairs", "limit", "calibration_prompts"}, exclude_none=True
        ),
    }
    return {
        "program": {
            "name": scenario.run.name,
            "simulated": True,
            "seed": scenario.run.seed,
            "iterations": scenario.run.iterations,
            "quorum": len(keys),
            "starts_at": STARTS_AT,
        },
        "model": {"path": str(model), "sha256": model_digest(model)},
        "lora": scenario.lora.model_dump(mode="json", exclude_none=True),
        "sites": [{"name": name, "public_key": keys[name]} for name in sorted(keys)],
        "stages": stages,
        "aggregation": scenario.aggregation.model_dump(mode="json", exclude_unset=True),
        "evaluation": evaluation,
        "release": {} if scenario.gates is None else {"gates": str(Path(scenario.gates).resolve())},
    }


def open_ward(
    scenario: Scenario, home: SiteHome, progress: Callable[[str, float], None] | None = None
) -> Ward:
    """The ward of a simulated site, with its simulated clinician."""
    return Ward(home, labeller=labeller_of(scenario, home.root.name), progress=progress)
