"""Run a study: estimate first, then unit after unit, each on disk as soon as it is done.

A unit is a warm start, a fold of a seed or a seed; a rerun in the same folder skips what is there, and an
interrupted unit is done again. Nothing that is written holds text of a record: outcomes and losses only.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from intraward_shared.adapters import State, decode, encode
from intraward_shared.errors import ConfigError
from intraward_shared.modeling import BaseModel, initial_state, load_base
from intraward_shared.signing import digest
from intraward_shared.stages import Stage
from intraward_simulation import models
from intraward_simulation.phases import Show
from intraward_simulation.studies import judged, reward, sft
from intraward_simulation.studies.baselines import Features
from intraward_simulation.studies.rounds import train_public
from intraward_simulation.studies.terms import StudyScenario, load_study

RESULT, STUDY, UNITS = "study.json", "study-key.json", "units"
_DATA_FILES = {
    "sft": ("mts_dialog/sft.jsonl", "medquad_sft/sft.jsonl"),
    "reward": (
        *(f"{name}/{file}.jsonl" for name in judged.STEPS for file in ("pairs", "ranked")),
        "hh_harmless_filtered/pairs.jsonl",
    ),
}


class StudyFolder:
    """Finished units below a run's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def has(self, name: str) -> bool:
        """Whether the figures of a unit are there."""
        return (self.root / UNITS / f"{name}.json").exists()

    def figures(self, name: str, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, or what an earlier run wrote under ``name``; with the seconds it took."""
        path = self.root / UNITS / f"{name}.json"
        if not path.exists():
            began = time.monotonic()
            found = make()
            _write(path, json.dumps({"seconds": time.monotonic() - began, "found": found}).encode())
        return json.loads(path.read_text(encoding="utf-8"))

    def adapter(self, name: str, make: Callable[[], State]) -> State:
        """As ``figures``, for an adapter."""
        path = self.root / UNITS / f"{name}.safetensors"
        if not path.exists():
            _write(path, encode(make()))
        return decode(path.read_bytes())


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
    scenario = load_study(path)
    if model is not None:
        scenario = scenario.model_copy(update={"run": scenario.run.model_copy(update={"model": model})})
    if data is None:
        raise ConfigError(path, "study", "reads open data", remedy="name their folder with --data")
    torch.set_num_threads(scenario.run.threads)
    base = _open_base(scenario)
    folder = _open_folder(scenario, out, path, data, base, fresh)
    tell, speak = show or (lambda *_: None), say or (lambda _: None)
    result = (_run_sft if scenario.study.kind == "sft" else _run_reward)(
        scenario, base, data, folder, tell, speak
    )
    result = {"name": scenario.run.name, "kind": scenario.study.kind, "model": base.digest} | result
    _write(out / RESULT, json.dumps(result, indent=1, sort_keys=True).encode())
    return result


def _open_base(scenario: StudyScenario) -> BaseModel:
    name = scenario.run.model
    if name == "smollm2":
        return load_base(models.load_smollm2(models.cache_dir()))
    return load_base(models.build_tiny(models.cache_dir(), scenario.run.seed) if name == "tiny" else name)


def _open_folder(
    scenario: StudyScenario, out: Path, path: Path, data: Path, base: BaseModel, fresh: bool
) -> StudyFolder:
    """The folder, marked with what is studied, so that units of another study are never mixed in."""
    digests = {}
    for name in _DATA_FILES[scenario.study.kind]:
        try:
            digests[name] = digest((data / name).read_bytes())
        except OSError:
            raise ConfigError(
                data / name, "", "cannot be read", remedy="give the folder of the open data sets"
            ) from None
    settings = scenario.model_dump(mode="json")
    text = json.dumps({"scenario": settings, "data": digests, "model": base.digest}, sort_keys=True)
    mark = out / STUDY
    if fresh and mark.exists():
        shutil.rmtree(out / UNITS, ignore_errors=True)
        mark.unlink()
    if mark.exists() and mark.read_text(encoding="utf-8") != text:
        raise ConfigError(
            path,
            "",
            "the folder holds a study of other settings, data or model",
            remedy="name another folder with --out, or start again with --fresh",
        )
    if not mark.exists() and out.exists() and any(out.iterdir()):
        raise ConfigError(
            path, "", "the folder holds something else", remedy="name another folder with --out"
        )
    _write(mark, text.encode())
    return StudyFolder(out)


def _run_sft(
    scenario: StudyScenario,
    base: BaseModel,
    data: Path,
    folder: StudyFolder,
    show: Show,
    say: Callable[[str], None],
) -> dict[str, Any]:
    study = scenario.study
    rows = sft.Demonstrations(data, study.held_out, scenario.run.seed)
    spec = scenario.training.model_copy(update={"steps": 2})
    fresh = initial_state(base, study.lora, Stage.SFT, study.seeds[0])
    timing = _time(lambda: train_public(base, study.lora, Stage.SFT, fresh, rows.training, spec, 0))
    passes = 2 * sum(map(len, rows.held_out.values())) / scenario.training.batch / 3
    minutes = len(study.seeds) * timing / spec.steps * (scenario.training.steps + passes) / 60
    say(_estimate(minutes, len(study.seeds), "seeds"))
    runs = []
    for seed in study.seeds:
        told = partial(show, f"seed {seed}", "sft")
        runs.append(folder.figures(f"seed-{seed}", partial(sft.run_seed, scenario, base, rows, seed, told)))
    table = sft.loss_table(rows, [run["found"] for run in runs], scenario.run.seed)
    return {"seeds": list(study.seeds), "seconds": sum(run["seconds"] for run in runs), "sets": table}


def _run_reward(
    scenario: StudyScenario,
    base: BaseModel,
    data: Path,
    folder: StudyFolder,
    show: Show,
    say: Callable[[str], None],
) -> dict[str, Any]:
    study, size = scenario.study, scenario.training.batch
    prompts = judged.read_judged(data)
    general = judged.read_general(data, study.warm_pairs, scenario.run.seed) if study.warm_pairs else []
    rows = [judged.ranking(prompt) for prompt in prompts]
    spec = scenario.training.model_copy(update={"steps": 2})
    fresh = initial_state(base, study.lora, Stage.REWARD, study.seeds[0])
    timing = _time(lambda: train_public(base, study.lora, Stage.REWARD, fresh, rows, spec, 0)) / spec.steps
    steps = (
        study.epochs * (study.folds - 1) * len(rows) / size + len(general) / size / 2 + len(rows) / size / 2
    )
    say(_estimate(len(study.seeds) * timing * steps / 60, study.folds * len(study.seeds), "folds"))
    features: dict[str, Features] = {}
    runs: list[reward.Outcomes] = []
    seconds = 0.0
    for seed in study.seeds:
        names = [f"seed-{seed}-fold-{fold}" for fold in range(study.folds)]
        start: State = {}
        if not all(map(folder.has, names)):
            told = partial(show, "start", "frozen features")
            features = features or reward.frozen_features(scenario, base, prompts, told)
            told = partial(show, "start", "general pairs")
            made = partial(reward.start_adapter, scenario, base, general, seed, told)
            start = folder.adapter(f"seed-{seed}-start", made)
        whole: reward.Outcomes = {name: {} for name in reward.COLUMNS}
        for fold, name in enumerate(names):
            told = partial(show, f"seed {seed}", f"fold {fold + 1} of {study.folds}")
            work = partial(reward.run_fold, scenario, base, prompts, start, features, seed, fold, told)
            done = folder.figures(name, work)
            seconds += done["seconds"]
            for column in reward.COLUMNS:
                whole[column] |= done["found"][column]
        runs.append(whole)
    table = reward.accuracy_table(prompts, runs, scenario.run.seed)
    return {"seeds": list(study.seeds), "folds": study.folds, "seconds": seconds, "sets": table}


def _estimate(minutes: float, units: int, what: str) -> str:
    return f"estimate: {max(1, round(minutes))} minutes on this machine for {units} {what}, less what is done"


def _time(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, so that an interrupted run leaves no half unit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(path.suffix + ".part")
    unfinished.write_bytes(content)
    unfinished.replace(path)
