"""PPO, DPO and RLOO against the SFT policy that they start from, on held-out questions.

All public: SFT on short answers, a **proxy** reward model that the policies train against, and a **gold** one
of other topics, other judged prompts and another seed that no training sees (Gao et al., arXiv 2210.10760);
unigram F1 with the reference answer is a judge without a model. Every stage is the product's own, and the
reference is the SFT adapter. A policy is measured after each of several rounds of training, so that proxy and
gold can be drawn over KL. A unit is an adapter or the figures of one; sampled text is never written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from intraward_client.store.datasets import PairRecord, PromptRecord
from intraward_client.training.inputs import PUBLIC_UNIT
from intraward_shared.adapters import State
from intraward_shared.modeling import Role, initial_heads, initial_state
from intraward_shared.protocol import TrainingSpec
from intraward_shared.stages import Stage
from intraward_simulation.studies import judges
from intraward_simulation.studies.answers import AnswerFigures, Judges, measure, sample_answers, score
from intraward_simulation.studies.judges import JUDGES, Judge
from intraward_simulation.studies.kinds import Setting, StudyKind, seconds_of
from intraward_simulation.studies.policytable import policy_table
from intraward_simulation.studies.policyterms import STAGES, Method, PolicyScenario
from intraward_simulation.studies.questions import FILE, Question, constructed_pairs, read_questions
from intraward_simulation.studies.rounds import train_public

_PAIRS_SEED = 50
"""Added to the run's seed for the answers that dpo's pairs are made of."""


@dataclass(frozen=True, repr=False)
class Ground:
    """What every policy starts from and is judged by."""

    sft: State
    judges: Judges
    constants: dict[str, float]


class Work:
    """The units of one scenario."""

    def __init__(self, scenario: PolicyScenario, setting: Setting) -> None:
        self.terms, self.stages, self.setting = scenario.study, scenario.stages, setting
        self.base, self.lora, self.seed = setting.base, scenario.study.lora, scenario.run.seed
        sides = read_questions(setting.data, self.terms.answer_words, self.seed)
        count = self.terms.judge_questions
        self.demonstrations = [question.demonstration for question in sides["training"]]
        self.judged: dict[Judge, list[Question]] = {
            "proxy": sides["training"][:count],
            "gold": sides["gold"][:count],
        }
        self.prompts = sides["training"][count:][: self.terms.prompts]
        self.held_out = sides["held out"][: self.terms.held_out]
        self._drawn: list[PairRecord] | None = None

    def lay_ground(self) -> Ground:
        """SFT policy, both judges, and the constants of the score."""
        sft = self.setting.folder.adapter("sft", self._train_sft)
        made = {
            judge: self.setting.folder.adapter(judge, partial(self._train_judge, judge, sft))
            for judge in JUDGES
        }
        both = Judges(made["proxy"], made["gold"])
        constants = self.setting.folder.figures("constants", partial(self._constants, sft, made["proxy"]))
        return Ground(sft, both, constants["found"])

    def policy(self, ground: Ground, method: Method, seed: int) -> list[AnswerFigures]:
        """Figures of a method's policy after each round."""
        found, adapter = [], self._start(ground, STAGES[method], seed)
        for number in range(1, self.terms.rounds + 1):
            name = f"{method}-seed-{seed}-round-{number}"
            told = f"{method}, seed {seed}", f"round {number} of {self.terms.rounds}"
            work = partial(self._train_policy, ground, method, adapter, seed, number, told)
            adapter = self.setting.folder.adapter(name, work)
            found.append(self.measure(name, ground, adapter))
        return found

    def measure(self, name: str, ground: Ground, adapter: State) -> AnswerFigures:
        """Figures of a policy's answers to the held-out questions."""
        made = self.setting.folder.figures(
            name,
            lambda: measure(
                *(self.base, self.lora, adapter, ground.sft, ground.judges),
                *(self.held_out, self.stages.ppo, self.seed),
            ).as_dict(),
        )
        return AnswerFigures(**{key: tuple(values) for key, values in made["found"].items()})

    def judge_figures(self, ground: Ground, sft: AnswerFigures) -> dict[str, Any]:
        """What each judge says of reference answers, worse ones and the SFT policy's."""
        return dict(self.setting.folder.figures("judges", partial(self._judge_figures, ground, sft))["found"])

    def _train_sft(self) -> State:
        fresh = initial_state(self.base, self.lora, Stage.SFT, self.seed)
        return self._train(
            Stage.SFT, fresh, self.demonstrations, self.stages.sft, self.seed, ("start", "sft")
        )

    def _train_judge(self, judge: Judge, sft: State) -> State:
        seed = self.seed + 1 + JUDGES.index(judge)
        asked = self.judged[judge]
        said = self._sample(sft, [*asked, *asked], seed)
        rows = [
            *judges.judged_half(self.setting.data, judge, self.seed),
            *judges.comparisons(asked, list(zip(said, said[len(asked) :], strict=False)), seed),
        ]
        fresh = initial_state(self.base, self.lora, Stage.REWARD, seed)
        return self._train(Stage.REWARD, fresh, rows, self.stages.reward, seed, ("start", f"{judge} judge"))

    def _constants(self, sft: State, proxy: State) -> dict[str, float]:
        said = zip(self.prompts, self._sample(sft, self.prompts, self.seed), strict=True)
        texts = [(question.text, text) for question, text in said]
        return judges.score_constants(score(self.base, self.lora, proxy, texts, self.stages.reward))

    def _judge_figures(self, ground: Ground, sft: AnswerFigures) -> dict[str, Any]:
        worse = [constructed_pairs(question, self.held_out, self.seed) for question in self.held_out]
        found: dict[str, Any] = {}
        for judge in JUDGES:
            adapter, said = getattr(ground.judges, judge), getattr(sft, judge)
            of = partial(score, self.base, self.lora, adapter, spec=self.stages.reward)
            reference = of([(question.text, question.answer) for question in self.held_out])
            others = [of([(pairs[at].prompt, pairs[at].rejected) for pairs in worse]) for at in range(2)]
            found[judge] = judges.judge_quality(reference, others[0], others[1], said, sft.words, sft.rule)
        return found | {"correlation": judges.correlation(sft.proxy, sft.gold)}

    def _start(self, ground: Ground, stage: Stage, seed: int) -> State:
        """The SFT adapter; for ppo with a fresh value head."""
        if stage is Stage.PPO:
            return {**ground.sft, **initial_heads(self.base, self.lora, stage, seed)}
        return ground.sft

    def _train_policy(
        self, ground: Ground, method: Method, adapter: State, seed: int, number: int, told: tuple[str, str]
    ) -> State:
        stage, spec = STAGES[method], getattr(self.stages, method)
        beside: dict[Role, State] = {"reference": ground.sft}
        rows: Sequence[Any]
        if stage is Stage.DPO:
            rows = self._pairs(ground)
        else:
            spec = spec.model_copy(update=ground.constants)
            beside["reward"] = ground.judges.proxy
            rows = [PromptRecord(PUBLIC_UNIT, str(n), q.text) for n, q in enumerate(self.prompts)]
        return self._train(stage, adapter, rows, spec, 100 * seed + number, told, beside)

    def _pairs(self, ground: Ground) -> list[PairRecord]:
        """Best and worst by the proxy of each training question's reference and several SFT answers."""
        if self._drawn is None:
            count = self.stages.dpo.candidates
            asked = [question for question in self.prompts for _ in range(count)]
            said = self._sample(ground.sft, asked, self.seed + _PAIRS_SEED)
            texts: list[tuple[str, str]] = []
            for place, question in enumerate(self.prompts):
                own = [question.answer, *said[place * count : (place + 1) * count]]
                texts += [(question.text, text) for text in own]
            scores = score(self.base, self.lora, ground.judges.proxy, texts, self.stages.reward)
            groups = (slice(at, at + count + 1) for at in range(0, len(texts), count + 1))
            self._drawn = [
                pair for group in groups for pair in judges.best_and_worst(texts[group], scores[group])
            ]
        return self._drawn

    def _sample(self, policy: State, asked: Sequence[Question], seed: int) -> list[str]:
        texts = [question.text for question in asked]
        return sample_answers(self.base, self.lora, policy, texts, self.stages.ppo, seed)

    def _train(
        self,
        stage: Stage,
        start: State,
        rows: Sequence[Any],
        spec: TrainingSpec,
        seed: int,
        told: tuple[str, str],
        beside: Mapping[Role, State] | None = None,
    ) -> State:
        progress = partial(self.setting.show, *told)
        return train_public(self.base, self.lora, stage, start, rows, spec, seed, progress, beside)

    def estimate(self) -> None:
        """Time a step of sft and of ppo, and say what all steps and measurements come to.

        In units of a step of sft's batch: a comparison is two rows, a rollout about four passes.
        """
        rows = self.demonstrations
        spec = self.stages.sft.model_copy(update={"steps": 2})
        fresh = initial_state(self.base, self.lora, Stage.SFT, 0)
        quiet = partial(train_public, self.base, self.lora, Stage.SFT, fresh, rows, spec, 0)
        row = seconds_of(quiet) / 2 / spec.batch
        asked = self.prompts[: self.stages.ppo.micro_batch]
        answer = seconds_of(lambda: self._sample(fresh, asked, 0)) / len(asked)
        seconds = row * self.stages.sft.steps * self.stages.sft.batch
        seconds += 2 * (2 * row * self.stages.reward.steps * self.stages.reward.batch)
        seconds += answer * (
            2 * self.terms.judge_questions + len(self.prompts) * (1 + self.stages.dpo.candidates)
        )
        policies = 1
        for method in STAGES:
            spec, count = getattr(self.stages, method), self.terms.rounds * len(self.terms.seeds_of(method))
            policies += count
            batch = spec.batch * (spec.group if method == "rloo" else 1)
            step = 2.7 * row if method == "dpo" else answer + row * (1.2 + spec.epochs)
            seconds += count * spec.steps * batch * step
        seconds += policies * len(self.held_out) * (answer + 1.6 * row)
        runs = sum(len(self.terms.seeds_of(method)) for method in STAGES)
        self.setting.estimate(seconds, runs, "policies")


def study_policy(scenario: PolicyScenario, setting: Setting) -> dict[str, Any]:
    """SFT and both judges once, then every method's seeds, each measured after every round."""
    work = Work(scenario, setting)
    work.estimate()
    ground = work.lay_ground()
    sft = work.measure("sft-figures", ground, ground.sft)
    quality = work.judge_figures(ground, sft)
    runs = {
        method: [work.policy(ground, method, seed) for seed in scenario.study.seeds_of(method)]
        for method in STAGES
    }
    table = policy_table({name: found for name, found in runs.items() if found}, sft, scenario.run.seed)
    return {"seeds": list(scenario.study.seeds), "judges": quality, "sets": table} | {
        "constants": ground.constants,
        "seconds": setting.folder.seconds(),
    }


STUDY = StudyKind(PolicyScenario, lambda _: (FILE, *judges.FILES), study_policy)
