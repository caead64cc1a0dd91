"""Reward models by cross-validation grouped by prompt, beside two baselines on the same folds.

Each judged set has a reward model of its own, as its learnt baseline has. A start is made once a seed:
rankings by rule (``synthetic``), then general pairs. Each fold goes on from it with the rankings of its own
training prompts: graded margins, and heads for the grade and for manual fact counts. What is kept of a prompt
are its answers' scores; an outcome is 1 where a pair is ordered rightly, 0.5 where it is tied. With several
seeds their mean, each on its own scale, is a column more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from intraward_server import baselines
from intraward_shared.adapters import State
from intraward_shared.modeling import BaseModel, adapted, initial_state
from intraward_shared.protocol import LoraSpec, TrainingSpec
from intraward_shared.reward_heads import RewardHeads
from intraward_shared.stages import Stage
from intraward_simulation.studies import judged, synthetic
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
    depth: int | None = Field(default=None, ge=1, description="block after which the heads read; all blocks")

    @property
    def lora(self) -> LoraSpec:
        """With a head for each criterion of the judged sets, all from zero."""
        heads = RewardHeads(criteria=CRITERIA, depth=self.depth, start="zero")
        return super().lora.model_copy(update={"reward": heads})


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
class JudgedSet:
    """A set's prompts, and the records of its start in their order."""

    source: str
    prompts: Sequence[Prompt]
    start: Sequence[Any]


def read_sets(scenario: RewardScenario, setting: Setting) -> list[JudgedSet]:
    """What the study learns from and judges.

    Raises:
        ConfigError, InputError: a file is missing or a line is not what it should be.
    """
    study, seed = scenario.study, scenario.run.seed
    prompts = judged.read_judged(setting.data)
    known = [prompt.text for prompt in prompts]
    made = {
        "medquad_judged": partial(synthetic.article_rankings, setting.data, study.warm_rankings, seed),
        "mts_summary_ratings": partial(
            synthetic.dialogue_rankings, setting.data, study.warm_rankings, known, seed
        ),
    }
    general = judged.read_general(setting.data, study.warm_pairs, seed) if study.warm_pairs else []
    return [
        JudgedSet(
            source,
            [prompt for prompt in prompts if prompt.source == source],
            [*(made[source]() if study.warm_rankings else ()), *general],
        )
        for source in STEPS
    ]


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


def baseline_outcomes(scenario: RewardScenario, sets: Sequence[JudgedSet]) -> dict[str, Outcomes]:
    """Both baselines on every prompt; the learnt one fitted on each fold's training prompts of its set."""
    text: Outcomes = {}
    for chosen in sets:
        for fold in range(scenario.study.folds):
            training, test = split(chosen.prompts, fold, scenario.study.folds, scenario.run.seed)
            if training and test:
                text |= baselines.text_scores(training, test)
    return {
        "longer_wins": {p.name: baselines.longer(p) for chosen in sets for p in chosen.prompts},
        "tfidf_length_overlap": text,
    }


def study_reward(scenario: RewardScenario, setting: Setting) -> dict[str, Any]:
    """One unit a fold of a set and seed, and two for its start."""
    study = scenario.study
    sets = read_sets(scenario, setting)
    prompts = [prompt for chosen in sets for prompt in chosen.prompts]
    folds = study.folds * len(study.seeds) * len(sets)
    setting.estimate(_seconds(scenario, setting.base, sets), folds, "folds")
    runs = [[_run_set(scenario, setting, chosen, seed) for chosen in sets] for seed in study.seeds]
    started: list[Scores] = [merge(*(found[0] for found in run)) for run in runs]
    trained: list[Scores] = [merge(*(found[1] for found in run)) for run in runs]
    columns = {
        "reward_model": [outcomes_of(prompts, scores) for scores in trained],
        "start_alone": [outcomes_of(prompts, scores) for scores in started],
    }
    if len(trained) > 1:
        columns["reward_model_mean"] = [outcomes_of(prompts, mean_scores(trained))]
    columns |= {name: [found] for name, found in baseline_outcomes(scenario, sets).items()}
    return {
        "seeds": list(study.seeds),
        "folds": study.folds,
        "seconds": setting.folder.seconds(),
        "sets": accuracy_table(prompts, columns, scenario.run.seed),
    }


def _run_set(
    scenario: RewardScenario, setting: Setting, chosen: JudgedSet, seed: int
) -> tuple[Scores, Scores]:
    """Scores of a set's prompts by its start, and by the folds that leave them out."""
    folder, name = setting.folder, f"{chosen.source}-seed-{seed}"
    tell = partial(setting.show, f"{chosen.source} seed {seed}")
    made = partial(start_adapter, scenario, setting.base, chosen.start, seed, partial(tell, "start"))
    start = folder.adapter(f"{name}-start", made)
    alone = partial(judge, scenario, setting.base, start, chosen.prompts)
    started: Scores = folder.figures(f"{name}-start-scores", alone)["found"]
    trained: Scores = {}
    for fold in range(scenario.study.folds):
        told = partial(tell, f"fold {fold + 1} of {scenario.study.folds}")
        work = partial(run_fold, scenario, setting.base, chosen.prompts, start, seed, fold, told)
        trained |= folder.figures(f"{name}-fold-{fold}", work)["found"]
    return started, trained


def merge(*parts: Scores) -> Scores:
    """Scores of different prompts, put together."""
    return {name: scores for part in parts for name, scores in part.items()}


def mean_scores(runs: Sequence[Scores]) -> Scores:
    """Mean over seeds; a seed's scores of one prompt are first brought to spread 1, whatever its scale."""

    def scaled(scores: Sequence[float]) -> Any:
        values = np.asarray(scores)
        return values / (values.std() or 1.0)

    return {name: np.mean([scaled(run[name]) for run in runs], axis=0).tolist() for name in runs[0]}


_FILES = tuple(f"{name}/{file}.jsonl" for name in STEPS for file in ("pairs", "ranked"))
_START = ("hh_harmless_filtered/pairs.jsonl", synthetic.ARTICLES, synthetic.DIALOGUES)
STUDY = StudyKind(RewardScenario, lambda _: (*_FILES, *_START), study_reward)


def _steps(training: TrainingSpec, rows: Sequence[Any], epochs: int) -> TrainingSpec:
    return training.model_copy(update={"steps": math.ceil(epochs * len(rows) / training.batch)})


def _seconds(scenario: RewardScenario, base: BaseModel, sets: Sequence[JudgedSet]) -> float:
    """From two steps of each kind and one judged prompt in sixteen."""
    study, training = scenario.study, scenario.training
    fresh = initial_state(base, study.lora, Stage.REWARD, study.seeds[0])

    def of(records: Sequence[Any], tokens: int) -> float:
        spec = training.model_copy(update={"steps": 2, "max_completion_tokens": tokens})
        work = partial(train_public, base, study.lora, Stage.REWARD, fresh, records, spec, 0)
        return seconds_of(work) / 2

    seconds = 0.0
    for chosen in sets:
        rankings = [ranking(prompt) for prompt in chosen.prompts]
        step = of(rankings, training.max_completion_tokens)
        seconds += step * study.epochs * (study.folds - 1) * len(rankings) / training.batch
        if chosen.start:
            seconds += of(chosen.start, study.warm_tokens) * len(chosen.start) / training.batch
        some = chosen.prompts[::16]
        judging = partial(judge, scenario, base, fresh, some)
        seconds += 2 * seconds_of(judging) * len(rankings) / len(some)
    return len(study.seeds) * seconds
