"""Reward model by cross-validation grouped by prompt, beside two baselines on the same folds.

A start is made once a seed: rankings by rule (``synthetic``), then general pairs. Each fold goes on from it
with the rankings of its own training prompts of both judged sets: graded margins, and heads for the grade and
for manual fact counts. What is kept of a prompt are its answers' scores; an outcome is 1 where a pair is
ordered rightly, 0.5 where it is tied. With several seeds their mean, each on its own scale, is a column more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from intraward_shared.adapters import State
from intraward_shared.modeling import BaseModel, adapted, initial_state
from intraward_shared.protocol import LoraSpec, TrainingSpec
from intraward_shared.reward_heads import RewardHeads
from intraward_shared.stages import Stage
from intraward_simulation.studies import baselines, judged, synthetic
from intraward_simulation.studies.accuracy import Outcomes, accuracy_table, outcomes_of
from intraward_simulation.studies.judged import CRITERIA, STEPS, Prompt, ranking, split
from intraward_simulation.studies.kinds import Setting, StudyKind, seconds_of
from intraward_simulation.studies.rounds import Progress, answer_scores, train_public
from intraward_simulation.studies.terms import StudyScenario, StudyTerms

Scores = dict[str, list[float]]
"""By prompt name: one score an answer."""


class RewardTerms(StudyTerms):
    """Folds, passes and the start."""

    kind: Literal["reward"]
    folds: int = Field(default=5, ge=2, le=20, description="folds, grouped by prompt")
    epochs: int = Field(default=1, ge=1, le=20, description="passes over the training prompts")
    warm_rankings: int = Field(default=0, ge=0, le=10_000, description="synthetic rankings to start on")
    warm_pairs: int = Field(default=0, ge=0, le=10_000, description="general pairs to start on, after those")
    warm_tokens: int = Field(default=128, ge=8, description="longest answer of the start")
    judged_tokens: int = Field(default=1024, ge=8, description="longest answer that is judged")

    @property
    def lora(self) -> LoraSpec:
        """With a head for each criterion of the judged sets."""
        return super().lora.model_copy(update={"reward": RewardHeads(criteria=CRITERIA)})


class RewardScenario(StudyScenario):
    """A study of the reward model."""

    study: RewardTerms
    training: TrainingSpec

    @model_validator(mode="after")
    def _one_place_for_steps(self) -> Self:
        if self.training.steps:
            raise ValueError("training.steps: a reward study counts study.epochs; leave it out")
        self.training.heads.check(self.study.lora.reward)
        return self


@dataclass(frozen=True, repr=False)
class Rows:
    """Judged prompts, and the records of the start in their order."""

    prompts: Sequence[Prompt]
    start: Sequence[Any]


def read_rows(scenario: RewardScenario, setting: Setting) -> Rows:
    """What the study learns from and judges.

    Raises:
        ConfigError, InputError: a file is missing or a line is not what it should be.
    """
    study, seed = scenario.study, scenario.run.seed
    prompts = judged.read_judged(setting.data)
    start: list[Any] = []
    if study.warm_rankings:
        known = [prompt.text for prompt in prompts]
        start += synthetic.synthetic_rankings(setting.data, study.warm_rankings, known, seed)
    if study.warm_pairs:
        start += judged.read_general(setting.data, study.warm_pairs, seed)
    return Rows(prompts, start)


def start_adapter(
    scenario: RewardScenario, base: BaseModel, rows: Sequence[Any], seed: int, progress: Progress
) -> State:
    """A fresh reward adapter, trained on the records of the start where the study names some."""
    study = scenario.study
    fresh = initial_state(base, study.lora, Stage.REWARD, seed)
    if not rows:
        return fresh
    training = _steps(scenario.training, rows, 1).model_copy(
        update={"max_completion_tokens": study.warm_tokens}
    )
    return train_public(base, study.lora, Stage.REWARD, fresh, rows, training, seed, progress)


def judge(scenario: RewardScenario, base: BaseModel, adapter: State, prompts: Sequence[Prompt]) -> Scores:
    """What an adapter says of every answer, each read to its end or to ``judged_tokens``."""
    spec = scenario.training.model_copy(update={"max_completion_tokens": scenario.study.judged_tokens})
    with adapted(base, scenario.study.lora, ("reward",)) as model:
        model.load("reward", adapter)
        model.autocast = spec.bf16
        return {p.name: answer_scores(model, p.text, p.answers, spec) for p in prompts}


def run_fold(
    scenario: RewardScenario,
    base: BaseModel,
    prompts: Sequence[Prompt],
    start: State,
    seed: int,
    fold: int,
    progress: Progress,
) -> Scores:
    """Train on the fold's training prompts, judge its test prompts."""
    training, test = split(prompts, fold, scenario.study.folds, scenario.run.seed)
    rows = [ranking(prompt) for prompt in training]
    spec = _steps(scenario.training, rows, scenario.study.epochs)
    adapter = train_public(base, scenario.study.lora, Stage.REWARD, start, rows, spec, seed, progress)
    return judge(scenario, base, adapter, test)


def baseline_outcomes(scenario: RewardScenario, prompts: Sequence[Prompt]) -> dict[str, Outcomes]:
    """Both baselines on every prompt; the learnt one fitted on each fold's training prompts of its set."""
    text: Outcomes = {}
    for fold in range(scenario.study.folds):
        training, test = split(prompts, fold, scenario.study.folds, scenario.run.seed)
        for source in STEPS:
            ours = [prompt for prompt in training if prompt.source == source]
            asked = [prompt for prompt in test if prompt.source == source]
            if ours and asked:
                text |= baselines.text_scores(ours, asked)
    return {
        "longer_wins": {prompt.name: baselines.longer(prompt) for prompt in prompts},
        "tfidf_length_overlap": text,
    }


def study_reward(scenario: RewardScenario, setting: Setting) -> dict[str, Any]:
    """One unit a fold of a seed, and two for a seed's start."""
    study, folder = scenario.study, setting.folder
    rows = read_rows(scenario, setting)
    setting.estimate(_seconds(scenario, setting.base, rows), study.folds * len(study.seeds), "folds")
    started: list[Scores] = []
    trained: list[Scores] = []
    for seed in study.seeds:
        told = partial(setting.show, f"seed {seed}", "start")
        made = partial(start_adapter, scenario, setting.base, rows.start, seed, told)
        start = folder.adapter(f"seed-{seed}-start", made)
        whole: Scores = {}
        for fold in range(study.folds):
            told = partial(setting.show, f"seed {seed}", f"fold {fold + 1} of {study.folds}")
            work = partial(run_fold, scenario, setting.base, rows.prompts, start, seed, fold, told)
            whole |= folder.figures(f"seed-{seed}-fold-{fold}", work)["found"]
        trained.append(whole)
        judged_by_start = partial(judge, scenario, setting.base, start, rows.prompts)
        started.append(folder.figures(f"seed-{seed}-start-scores", judged_by_start)["found"])
    columns = {
        "reward_model": [outcomes_of(rows.prompts, scores) for scores in trained],
        "start_alone": [outcomes_of(rows.prompts, scores) for scores in started],
    }
    if len(trained) > 1:
        columns["reward_model_mean"] = [outcomes_of(rows.prompts, mean_scores(trained))]
    columns |= {name: [found] for name, found in baseline_outcomes(scenario, rows.prompts).items()}
    return {
        "seeds": list(study.seeds),
        "folds": study.folds,
        "seconds": folder.seconds(),
        "sets": accuracy_table(rows.prompts, columns, scenario.run.seed),
    }


def mean_scores(runs: Sequence[Scores]) -> Scores:
    """Mean over seeds; a seed's scores of one prompt are first brought to spread 1, whatever its scale."""

    def scaled(scores: Sequence[float]) -> Any:
        values = np.asarray(scores)
        return values / (values.std() or 1.0)

    return {name: np.mean([scaled(run[name]) for run in runs], axis=0).tolist() for name in runs[0]}


_FILES = tuple(f"{name}/{file}.jsonl" for name in STEPS for file in ("pairs", "ranked"))
_START = ("hh_harmless_filtered/pairs.jsonl", synthetic.ARTICLES, synthetic.DIALOGUES)
STUDY = StudyKind(RewardScenario, (*_FILES, *_START), study_reward)


def _steps(training: TrainingSpec, rows: Sequence[Any], epochs: int) -> TrainingSpec:
    return training.model_copy(update={"steps": math.ceil(epochs * len(rows) / training.batch)})


def _seconds(scenario: RewardScenario, base: BaseModel, rows: Rows) -> float:
    """From two steps of each kind and one judged prompt in sixteen."""
    study, training = scenario.study, scenario.training
    fresh = initial_state(base, study.lora, Stage.REWARD, study.seeds[0])

    def of(records: Sequence[Any], tokens: int) -> float:
        spec = training.model_copy(update={"steps": 2, "max_completion_tokens": tokens})
        work = partial(train_public, base, study.lora, Stage.REWARD, fresh, records, spec, 0)
        return seconds_of(work) / 2

    fold = of([ranking(prompt) for prompt in rows.prompts], training.max_completion_tokens)
    seconds = fold * study.epochs * (study.folds - 1) * len(rows.prompts) / training.batch
    if rows.start:
        seconds += of(rows.start, study.warm_tokens) * len(rows.start) / training.batch
    some: Sequence[Prompt] = rows.prompts[::16]
    seconds += 2 * seconds_of(lambda: judge(scenario, base, fresh, some)) * len(rows.prompts) / len(some)
    return len(study.seeds) * seconds
