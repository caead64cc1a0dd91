"""Supervised fine-tuning on both demonstration sets: loss of held-out documents before and after.

The split is by document or dialogue, by a keyed hash, so no text of one document is on both sides. The
interval is a paired bootstrap over documents: each record's own change of loss.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from intraward_client.store.datasets import SftRecord
from intraward_client.training.inputs import PUBLIC_UNIT
from intraward_shared.intervals import grouped_mean
from intraward_shared.modeling import BaseModel, adapted, initial_state
from intraward_shared.protocol import TrainingSpec
from intraward_shared.stages import Stage
from intraward_simulation.data import read_rows
from intraward_simulation.studies.kinds import Setting, StudyKind, seconds_of
from intraward_simulation.studies.rounds import Progress, held_out_losses, train_public
from intraward_simulation.studies.terms import StudyScenario, StudyTerms

SETS = {"mts_dialog": "id", "medquad_sft": "doc"}
"""The sets, and the key that names a row's dialogue or document."""
HELD_OUT_OF = 10
"""One document in this many is held out."""

Losses = dict[str, dict[str, list[float]]]
"""By set: ``before`` and ``after``, one loss a record, in the order of ``Demonstrations.held_out``."""


class SftTerms(StudyTerms):
    """How much is held out."""

    kind: Literal["sft"]
    held_out: int = Field(default=64, ge=2, description="held-out records of each set")


class SftScenario(StudyScenario):
    """A study of supervised fine-tuning."""

    study: SftTerms
    training: TrainingSpec

    @model_validator(mode="after")
    def _has_steps(self) -> Self:
        if not self.training.steps:
            raise ValueError("training.steps: an sft study needs the number of steps")
        return self


class Demonstrations:
    """Training rows of both sets, and held-out rows of each with their documents."""

    def __init__(self, folder: Path, held_out: int, seed: int) -> None:
        self.training: list[SftRecord] = []
        self.held_out: dict[str, list[SftRecord]] = {}
        self.documents: dict[str, list[str]] = {}
        for name, key in SETS.items():
            rows = read_rows(folder / name / "sft.jsonl", key, "prompt", "response")
            rows.sort(key=lambda row: _hash(seed, "order", f"{row['prompt']}|{row['response']}"))
            kept = [(row[key], _record(row)) for row in rows]
            outside = [(unit, record) for unit, record in kept if _is_held_out(seed, name, unit)]
            self.training += [record for unit, record in kept if not _is_held_out(seed, name, unit)]
            self.held_out[name] = [record for _, record in outside[:held_out]]
            self.documents[name] = [f"{name}/{unit}" for unit, _ in outside[:held_out]]


def measure_losses(
    scenario: SftScenario, base: BaseModel, data: Demonstrations, adapter: Mapping[str, Any]
) -> dict[str, list[float]]:
    """Loss of each held-out record under ``adapter``, by set."""
    with adapted(base, scenario.study.lora, ("policy",)) as model:
        model.load("policy", dict(adapter))
        model.autocast = scenario.training.bf16
        return {name: held_out_losses(model, rows, scenario.training) for name, rows in data.held_out.items()}


def run_seed(
    scenario: SftScenario, base: BaseModel, data: Demonstrations, seed: int, progress: Progress
) -> Losses:
    """Train one adapter on both sets; losses before and after."""
    lora, training = scenario.study.lora, scenario.training
    fresh = initial_state(base, lora, Stage.SFT, seed)
    before = measure_losses(scenario, base, data, fresh)
    trained = train_public(base, lora, Stage.SFT, fresh, data.training, training, seed, progress)
    after = measure_losses(scenario, base, data, trained)
    return {name: {"before": before[name], "after": after[name]} for name in SETS}


def loss_table(data: Demonstrations, runs: Sequence[Losses], seed: int) -> dict[str, dict[str, Any]]:
    """By set: mean loss a token before and after, change with 95 % interval, and the change by seed."""
    table: dict[str, dict[str, Any]] = {}
    for name in SETS:
        before = np.mean([run[name]["before"] for run in runs], axis=0)
        after = np.mean([run[name]["after"] for run in runs], axis=0)
        change, interval = grouped_mean((after - before).tolist(), data.documents[name], seed)
        table[name] = {
            "records": len(before),
            "before": float(before.mean()),
            "after": float(after.mean()),
            "change": change,
            "interval": list(interval),
            "change_by_seed": [
                float(np.mean(np.subtract(run[name]["after"], run[name]["before"]))) for run in runs
            ],
        }
    return table


def study_sft(scenario: SftScenario, setting: Setting) -> dict[str, Any]:
    """One unit a seed: losses before and after."""
    study, base = scenario.study, setting.base
    rows = Demonstrations(setting.data, study.held_out, scenario.run.seed)
    spec = scenario.training.model_copy(update={"steps": 2})
    fresh = initial_state(base, study.lora, Stage.SFT, study.seeds[0])
    timing = seconds_of(lambda: train_public(base, study.lora, Stage.SFT, fresh, rows.training, spec, 0))
    passes = 2 * sum(map(len, rows.held_out.values())) / scenario.training.batch / 3
    steps = scenario.training.steps + passes
    setting.estimate(len(study.seeds) * timing / spec.steps * steps, len(study.seeds), "seeds")
    runs = []
    for seed in study.seeds:
        told = partial(setting.show, f"seed {seed}", "sft")
        work = partial(run_seed, scenario, base, rows, seed, told)
        runs.append(setting.folder.figures(f"seed-{seed}", work))
    table = loss_table(rows, [run["found"] for run in runs], scenario.run.seed)
    return {"seeds": list(study.seeds), "seconds": sum(run["seconds"] for run in runs), "sets": table}


STUDY = StudyKind(SftScenario, lambda _: tuple(f"{name}/sft.jsonl" for name in SETS), study_sft)


def _record(row: Mapping[str, str]) -> SftRecord:
    return SftRecord(PUBLIC_UNIT, row["prompt"], row["response"])


def _is_held_out(seed: int, source: str, unit: str) -> bool:
    return int(_hash(seed, "hold out", f"{source}/{unit}")[:8], 16) % HELD_OUT_OF == 0


def _hash(seed: int, purpose: str, text: str) -> str:
    return hashlib.sha256(f"{seed}|{purpose}|{text}".encode()).hexdigest()
