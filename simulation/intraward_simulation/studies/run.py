"""Run a study: estimate first, then unit after unit, each on disk as soon as it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from intraward_shared.config import load_toml
from intraward_shared.errors import ConfigError
from intraward_shared.modeling import BaseModel, load_base
from intraward_shared.signing import digest
from intraward_simulation import models
from intraward_simulation.phases import Show
from intraward_simulation.studies import federated, federatedpolicy, policy, reward, sft
from intraward_simulation.studies.folder import open_folder
from intraward_simulation.studies.kinds import Setting, StudyKind
from intraward_simulation.studies.terms import StudyScenario, study_kind

KINDS: dict[str, StudyKind[Any]] = {
    "sft": sft.STUDY,
    "reward": reward.STUDY,
    "policy": policy.STUDY,
    "federated": federated.STUDY,
    "federated-policy": federatedpolicy.STUDY,
}

PICTURE = "study.png"


def load_study(path: Path) -> StudyScenario:
    """Read and check a study's file, by the keys of its kind.

    Raises:
        ConfigError: names file and key.
    """
    scenario: type[StudyScenario] = _kind(path).scenario
    return load_toml(path, scenario)


def run_study(
    path: Path,
    out: Path,
    *,
    model: str | None = None,
    data: Path | None = None,
    fresh: bool = False,
    show: Show | None = None,
    say: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Run a study's scenario, or go on with one that was interrupted in ``out``.

    Args:
        show: told the progress. say: told the estimate, before anything long begins.

    Returns:
        what ``study.json`` holds.

    Raises:
        ConfigError: the scenario is wrong, a data file is missing, or ``out`` holds another study.
    """
    scenario, kind = load_study(path), _kind(path)
    if model is not None:
        scenario = scenario.model_copy(update={"run": scenario.run.model_copy(update={"model": model})})
    files = kind.files(scenario)
    if data is None and files:
        raise ConfigError(
            "--data",
            "",
            "is missing: this study reads open data",
            remedy="name the folder of the open data sets",
        )
    root = data or Path()
    torch.set_num_threads(scenario.run.threads)
    base = _open_base(scenario)
    digests = {name: _digest(root / name) for name in files}
    key = {"scenario": scenario.model_dump(mode="json"), "data": digests, "model": base.digest}
    folder = open_folder(out, key, path, fresh=fresh)
    found = kind.work(
        scenario, Setting(base, root, folder, show or (lambda *_: None), say or (lambda _: None))
    )
    result = {"name": scenario.run.name, "kind": scenario.study.kind, "model": base.digest} | found
    folder.finish(result)
    if kind.picture is not None:
        kind.picture(result["sets"], out / PICTURE)
    return result


def study_text(path: Path, result: Mapping[str, Any]) -> str:
    """A study's table for the terminal."""
    return _kind(path).text(result["sets"])


def _kind(path: Path) -> StudyKind[Any]:
    kind = study_kind(path)
    if kind not in KINDS:
        raise ConfigError(
            path, "study.kind", "is no kind of study", remedy=f"put one of: {', '.join(sorted(KINDS))}"
        )
    return KINDS[kind]


def _open_base(scenario: StudyScenario) -> BaseModel:
    name = scenario.run.model
    if name == "smollm2":
        return load_base(models.load_smollm2(models.cache_dir()))
    return load_base(models.build_tiny(models.cache_dir(), scenario.run.seed) if name == "tiny" else name)


def _digest(path: Path) -> str:
    try:
        return digest(path.read_bytes())
    except OSError:
        raise ConfigError(
            path, "", "cannot be read", remedy="give the folder of the open data sets"
        ) from None
