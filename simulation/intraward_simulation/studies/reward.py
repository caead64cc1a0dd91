"""Reward model by cross-validation grouped by prompt, beside three baselines on the same folds.

A warm start on general pairs is made once a seed; each fold then goes on from it with the rankings of its
own training prompts of both judged sets. A result is one outcome a pair (1 right, 0.5 tied, 0 wrong).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from intraward_shared.adapters import State
from intraward_shared.modeling import BaseModel, adapted, initial_state
from intraward_shared.protocol import TrainingSpec
from intraward_shared.stages import Stage
from intraward_simulation.studies import baselines, judged
from intraward_simulation.studies.baselines import Features
from intraward_simulation.studies.intervals import grouped_mean
from intraward_simulation.studies.judged import STEPS, Prompt, ranking, split
from intraward_simulation.studies.kinds import Setting, StudyKind, seconds_of
from intraward_simulation.studies.rounds import Progress, answer_states, train_public
from intraward_simulation.studies.terms import StudyScenario, StudyTerms

COLUMNS = ("reward_model", "longer_wins", "tfidf_length_overlap", "frozen_probe")
PROBE_STRENGTH = 1e-4
MATCHED_WITHIN = 0.2
"""A pair is length-matched if its lengths differ by at most this share of the longer one."""

Outcomes = dict[str, dict[str, list[float]]]
"""By column, then by prompt name: one outcome a pair."""


class RewardTerms(StudyTerms):
    """Folds, passes and warm start."""

    kind: Literal["reward"]
    folds: int = Field(default=5, ge=2, le=20, description="folds, grouped by prompt")
    epochs: int = Field(default=1, ge=1, le=20, description="passes over the training prompts")
    warm_pairs: int = Field(default=0, ge=0, le=10_000, description="general pairs to start on")


class RewardScenario(StudyScenario):
    """A study of the reward model."""

    study: RewardTerms
    training: TrainingSpec

    @model_validator(mode="after")
    def _one_place_for_steps(self) -> Self:
        if self.training.steps:
            raise ValueError("training.steps: a reward study counts study.epochs; leave it out")
        return self


def start_adapter(
    scenario: RewardScenario, base: BaseModel, general: Sequence[Any], seed: int, progress: Progress
) -> State:
    """A fresh reward adapter, trained on the general pairs where the study names some."""
    fresh = initial_state(base, scenario.study.lora, Stage.REWARD, seed)
    if not general:
        return fresh
    steps = max(1, len(general) // scenario.training.batch)
    training = scenario.training.model_copy(update={"steps": steps})
    return train_public(base, scenario.study.lora, Stage.REWARD, fresh, general, training, seed, progress)


def frozen_features(
    scenario: RewardScenario, base: BaseModel, prompts: Sequence[Prompt], progress: Progress
) -> dict[str, Features]:
    """Last hidden states of the base model ``(answers, width)`` by prompt name."""
    found: dict[str, Features] = {}
    with adapted(base, scenario.study.lora, ("reward",)) as model:
        model.autocast = scenario.training.bf16
        for done, prompt in enumerate(prompts, start=1):
            found[prompt.name] = answer_states(model, prompt.text, prompt.answers, scenario.training)[0]
            progress(done / len(prompts))
    return found


def run_fold(
    scenario: RewardScenario,
    base: BaseModel,
    prompts: Sequence[Prompt],
    start: State,
    features: Mapping[str, Features],
    seed: int,
    fold: int,
    progress: Progress,
) -> Outcomes:
    """Train on the fold's training prompts, judge its test prompts."""
    training, test = split(prompts, fold, scenario.study.folds, scenario.run.seed)
    rows = [ranking(prompt) for prompt in training]
    steps = math.ceil(scenario.study.epochs * len(rows) / scenario.training.batch)
    spec = scenario.training.model_copy(update={"steps": steps})
    adapter = train_public(base, scenario.study.lora, Stage.REWARD, start, rows, spec, seed, progress)
    outcomes: Outcomes = {name: {} for name in COLUMNS}
    with adapted(base, scenario.study.lora, ("reward",)) as model:
        model.load("reward", adapter)
        model.autocast = scenario.training.bf16
        for prompt in test:
            scores = answer_states(model, prompt.text, prompt.answers, scenario.training)[1]
            outcomes["reward_model"][prompt.name] = [
                float((np.sign(scores[a] - scores[b]) + 1) / 2) for a, b in prompt.pairs
            ]
    outcomes["longer_wins"] = {prompt.name: baselines.longer(prompt) for prompt in test}
    for source in STEPS:
        ours = [prompt for prompt in training if prompt.source == source]
        asked = [prompt for prompt in test if prompt.source == source]
        if ours and asked:
            outcomes["tfidf_length_overlap"] |= baselines.text_scores(ours, asked)
            outcomes["frozen_probe"] |= baselines.fit_and_judge(ours, asked, features, PROBE_STRENGTH)
    return outcomes


def accuracy_table(
    prompts: Sequence[Prompt], runs: Sequence[Outcomes], seed: int
) -> dict[str, dict[str, Any]]:
    """By set and column: accuracy, 95 % interval over prompts, accuracy on length-matched pairs.

    Outcomes of several seeds are averaged pair by pair before prompts are drawn again.

    Args:
        runs: all folds of one seed each, put together.
    """
    table: dict[str, dict[str, Any]] = {}
    for source in STEPS:
        asked = [p for p in prompts if p.source == source and all(p.name in r["reward_model"] for r in runs)]
        names = [prompt.name for prompt in asked for _ in prompt.pairs]
        close = [_matched(prompt, pair) for prompt in asked for pair in prompt.pairs]
        table[source] = {"prompts": len(asked), "pairs": len(names), "length_matched_pairs": sum(close)}
        if not names:
            continue
        for column in COLUMNS:
            values = np.mean([[v for p in asked for v in run[column][p.name]] for run in runs], axis=0)
            mean, interval = grouped_mean(values.tolist(), names, seed)
            matched = values[np.array(close)]
            table[source][column] = {
                "accuracy": mean,
                "interval": list(interval),
                "length_matched": float(matched.mean()) if len(matched) else None,
            }
        gain = np.mean([_gains(run, asked) for run in runs], axis=0)
        mean, interval = grouped_mean(gain.tolist(), names, seed)
        table[source]["gain_over_longer_wins"] = {"mean": mean, "interval": list(interval)}
    return table


def study_reward(scenario: RewardScenario, setting: Setting) -> dict[str, Any]:
    """One unit a fold of a seed, and one a seed's start."""
    study, size = scenario.study, scenario.training.batch
    base, folder = setting.base, setting.folder
    prompts = judged.read_judged(setting.data)
    general = (
        judged.read_general(setting.data, study.warm_pairs, scenario.run.seed) if study.warm_pairs else []
    )
    rows = [ranking(prompt) for prompt in prompts]
    spec = scenario.training.model_copy(update={"steps": 2})
    fresh = initial_state(base, study.lora, Stage.REWARD, study.seeds[0])
    timing = (
        seconds_of(lambda: train_public(base, study.lora, Stage.REWARD, fresh, rows, spec, 0)) / spec.steps
    )
    steps = (
        study.epochs * (study.folds - 1) * len(rows) / size + len(general) / size / 2 + len(rows) / size / 2
    )
    setting.estimate(len(study.seeds) * timing * steps, study.folds * len(study.seeds), "folds")
    features: dict[str, Features] = {}
    runs: list[Outcomes] = []
    seconds = 0.0
    for seed in study.seeds:
        names = [f"seed-{seed}-fold-{fold}" for fold in range(study.folds)]
        start: State = {}
        if not all(map(folder.has, names)):
            told = partial(setting.show, "start", "frozen features")
            features = features or frozen_features(scenario, base, prompts, told)
            told = partial(setting.show, "start", "general pairs")
            made = partial(start_adapter, scenario, base, general, seed, told)
            start = folder.adapter(f"seed-{seed}-start", made)
        whole: Outcomes = {name: {} for name in COLUMNS}
        for fold, name in enumerate(names):
            told = partial(setting.show, f"seed {seed}", f"fold {fold + 1} of {study.folds}")
            work = partial(run_fold, scenario, base, prompts, start, features, seed, fold, told)
            done = folder.figures(name, work)
            seconds += done["seconds"]
            for column in COLUMNS:
                whole[column] |= done["found"][column]
        runs.append(whole)
    table = accuracy_table(prompts, runs, scenario.run.seed)
    return {"seeds": list(study.seeds), "folds": study.folds, "seconds": seconds, "sets": table}


_FILES = tuple(f"{name}/{file}.jsonl" for name in STEPS for file in ("pairs", "ranked"))
STUDY = StudyKind(RewardScenario, (*_FILES, "hh_harmless_filtered/pairs.jsonl"), study_reward)


def _gains(run: Outcomes, prompts: Sequence[Prompt]) -> list[float]:
    pairs = [zip(run["reward_model"][p.name], run["longer_wins"][p.name], strict=True) for p in prompts]
    return [ours - theirs for prompt in pairs for ours, theirs in prompt]


def _matched(prompt: Prompt, pair: tuple[int, int]) -> bool:
    one, two = (len(prompt.answers[place]) for place in pair)
    return abs(one - two) <= MATCHED_WITHIN * max(one, two)
