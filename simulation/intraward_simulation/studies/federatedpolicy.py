"""PPO and DPO on synthetic hospitals, without and with privacy, against the public SFT policy.

As in a program: SFT and PPO on public text; PPO climbs a reward model that the hospitals trained together on
their patients' comparisons, and they train DPO on these comparisons itself. What is private is noised
for the asked epsilon over all rounds, by the product's own engine. The judge is the known rule that simulated
clinicians follow, on prompts that nobody trained on; all policies answer with the same draws.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from intraward_client.store.datasets import PairRecord, PromptRecord, SftRecord
from intraward_client.training.inputs import PUBLIC_UNIT
from intraward_server.evaluation import Answers, Limits, reward_scores, sample_answers
from intraward_server.gathering import Gathering
from intraward_server.statistics import win_rate
from intraward_shared.adapters import Array, State, state_digest
from intraward_shared.aggregation_terms import AggregationTerms
from intraward_shared.config import Strict
from intraward_shared.modeling import adapted, initial_heads, initial_state
from intraward_shared.protocol import LoraSpec, Real, TrainingSpec
from intraward_shared.reward_heads import RewardHeads
from intraward_shared.stages import Part, Stage
from intraward_simulation import corpus
from intraward_simulation.clinicians import true_reward
from intraward_simulation.studies.dealing import Dealt, Units
from intraward_simulation.studies.federated import (
    Bench,
    FederatedScenario,
    FederatedTerms,
    Privacy,
    VariantTerms,
    mechanism_of,
    name_of,
    train_arm,
)
from intraward_simulation.studies.kinds import Setting, StudyKind, seconds_of
from intraward_simulation.studies.rounds import study_plan, train_public, update_of
from intraward_simulation.studies.seedtable import as_text, over_seeds

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP = ("gate_proj", "up_proj", "down_proj")
_CALIBRATION = 128


class FederatedPolicyTerms(FederatedTerms):
    """Of the reward model as in a federated study; and of the policies."""

    kind: Literal["federated-policy"]  # type: ignore[assignment]
    source: Literal["synthetic"] = "synthetic"
    prompts: int = Field(default=1000, ge=8, description="public prompts of ppo")
    examples: int = Field(default=4000, ge=8, description="public demonstrations of sft")
    held_out: int = Field(default=400, ge=8, description="prompts that decide")
    ppo_rounds: int = Field(default=4, ge=1, le=100)
    dpo_rounds: int = Field(default=4, ge=1, le=100)
    dpo_steps: int = Field(default=10, ge=1, le=10_000, description="of a round")
    dpo_max_grad_norm: Real = Field(default=0.1, ge=1e-6, le=1000)
    dpo_private_rate: Real | None = Field(default=None, gt=0, le=1, description="learning rate under noise")

    @model_validator(mode="after")
    def _no_variants(self) -> Self:
        if self.variants:
            raise ValueError("variants belong to a federated study")
        return self


class PolicyStages(Strict):
    """Training parameters of each stage; ``steps`` of sft and ppo are those of one round."""

    sft: TrainingSpec
    ppo: TrainingSpec
    dpo: TrainingSpec


class FederatedPolicyScenario(FederatedScenario):
    """A study of policies by hospitals together. ``training`` is the reward model's."""

    study: FederatedPolicyTerms
    stages: PolicyStages


class _Seed:
    """The work of one seed."""

    def __init__(self, bench: Bench, scenario: FederatedPolicyScenario, seed: int) -> None:
        self.bench, self.terms, self.stages, self.seed = bench, scenario.study, scenario.stages, seed
        self.base, self.folder = bench.setting.base, bench.setting.folder
        depth = self.terms.depth
        self.lora = LoraSpec(
            r=self.terms.r,
            lora_alpha=2 * self.terms.r,
            target_modules=(*ATTENTION, *MLP),
            reward=RewardHeads(depth=depth, start="zero"),
        )
        self.prompts = corpus.public_prompts(seed + 2, self.terms.prompts)
        self.held_out = list(dict.fromkeys(corpus.heldout_prompts(seed + 3, self.terms.held_out)))
        spec = self.stages.ppo
        self.limits = Limits(spec.max_prompt_tokens, spec.max_completion_tokens, spec.temperature)
        self.dealt: Dealt = bench.deal(self.terms, seed)[0]

    def sft(self) -> State:
        """The public start of every policy."""
        rows = [
            SftRecord(PUBLIC_UNIT, one.prompt, one.completion)
            for one in corpus.public_corpus(self.seed + 1, self.terms.examples)
        ]
        start = initial_state(self.base, self.lora, Stage.SFT, self.seed)
        return train_public(self.base, self.lora, Stage.SFT, start, rows, self.stages.sft, self.seed)

    def reward(self, privacy: Privacy) -> State:
        """The hospitals' reward model in the policies' shape; LoRA that it has not stays zero."""
        made = train_arm(self.bench, self.terms, VariantTerms(), privacy, list(self.dealt.sites), self.seed)
        whole = initial_state(self.base, self.lora, Stage.REWARD, self.seed)
        return {**whole, **made.state}

    def ppo(self, sft: State, reward: State) -> State:
        """PPO on public prompts against a released reward model; costs nothing."""
        beside = {"reference": sft, "reward": reward}
        spec = self.stages.ppo.model_copy(update=self._constants(sft, reward))
        rows = [PromptRecord(PUBLIC_UNIT, str(n), prompt) for n, prompt in enumerate(self.prompts)]
        adapter: State = {**sft, **initial_heads(self.base, self.lora, Stage.PPO, self.seed)}
        for number in range(self.terms.ppo_rounds):
            seed = 100 * self.seed + number
            adapter = train_public(
                self.base,
                self.lora,
                Stage.PPO,
                adapter,
                rows,
                spec,
                seed,
                beside=beside,  # type: ignore[arg-type]
            )
        return adapter

    def dpo(self, sft: State, privacy: Privacy) -> State:
        """DPO by all hospitals on their patients' comparisons, both factors in turn, plain mean."""
        asked = self.terms
        changed = {
            "rounds": asked.dpo_rounds,
            "steps": asked.dpo_steps,
            "max_grad_norm": asked.dpo_max_grad_norm,
        }
        terms = asked.model_copy(update=changed)
        spec = self.stages.dpo
        if privacy != "off" and asked.dpo_private_rate is not None:
            spec = spec.model_copy(update={"learning_rate": asked.dpo_private_rate})
        state: dict[str, Array] = {name: np.array(value) for name, value in sft.items()}
        sites = [self._pairs(site) for site in self.dealt.sites]
        for number in range(1, terms.rounds + 1):
            part = Part.B if number % 2 else Part.A
            nominal = max(1, round(terms.sample_rate * len(self.dealt.sites[0])))
            plan = study_plan(
                self.base,
                self.lora,
                Stage.DPO,
                part,
                {"policy": state, "reference": sft},
                spec,
                100 * self.seed + number,
                mechanism_of(terms, privacy, nominal),
            )
            gathering = Gathering(AggregationTerms(), state, part)
            for place, rows in enumerate(sites):
                update = update_of(plan, self.base, state, rows, {"reference": sft}, f"site-{place}")
                gathering.add(f"site-{place}", update)
            with tempfile.TemporaryDirectory(prefix="intraward-study-") as folder:
                state = gathering.adapter(Path(folder), state_digest(state), fresh=True).state
        return state

    def figures(self, policy: State, sft: State) -> dict[str, Any]:
        """Win rate over SFT by the known rule, rewards, KL and lengths on held-out prompts."""
        mine, theirs = self._answers(policy, sft), self._answers(sft, sft)
        ours, base = (
            [true_reward(prompt, text) for prompt, text in zip(self.held_out, said.texts, strict=True)]
            for said in (mine, theirs)
        )
        return {
            "win_rate": win_rate(ours, base).value,
            "reward": float(np.mean(ours)),
            "reward_sft": float(np.mean(base)),
            "kl": float(np.mean(mine.kl)),
            "words": float(np.mean([len(text.split()) for text in mine.texts])),
            "words_sft": float(np.mean([len(text.split()) for text in theirs.texts])),
        }

    def _answers(self, policy: State, sft: State) -> Answers:
        with adapted(self.base, self.lora, ("policy", "reference")) as model:
            model.load("policy", {name: policy[name] for name in model.lora("policy")})
            model.load("reference", {name: sft[name] for name in model.lora("reference")})
            return sample_answers(model, "policy", self.held_out, self.limits, self.seed, "reference")

    def _constants(self, sft: State, reward: State) -> dict[str, float]:
        """Mean and spread of the reward model on SFT answers to public prompts."""
        asked = self.prompts[:_CALIBRATION]
        with adapted(self.base, self.lora, ("policy", "reward")) as model:
            model.load("policy", {name: sft[name] for name in model.lora("policy")})
            model.load("reward", reward)
            said = sample_answers(model, "policy", asked, self.limits, self.seed).texts
            scores = reward_scores(model, list(zip(asked, said, strict=True)), self.limits)
        return {"score_mean": float(np.mean(scores)), "score_std": max(1e-4, float(np.std(scores)))}

    def _pairs(self, site: Units) -> list[PairRecord]:
        text = self.bench.texts.rows
        return [
            PairRecord(name, text[pair.chosen][0], text[pair.chosen][1], text[pair.rejected][1])
            for name, pairs in site.items()
            for pair in pairs
        ]


def study_federated_policy(scenario: FederatedPolicyScenario, setting: Setting) -> dict[str, Any]:
    """A unit an adapter, and one for the figures of each policy."""
    terms, bench = scenario.study, Bench(scenario, setting)
    setting.estimate(_seconds(bench, scenario), len(terms.seeds), "seeds")
    rows: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for seed in terms.seeds:
        work, folder = _Seed(bench, scenario, seed), setting.folder
        setting.show(f"seed {seed}", "sft", 0.0)
        sft = folder.adapter(f"sft-seed-{seed}", work.sft)
        for privacy in terms.privacy:
            name = f"{name_of(privacy).replace(' ', '-')}-seed-{seed}"
            setting.show(f"seed {seed}", f"{name_of(privacy)}: reward model", 0.0)
            reward = folder.adapter(f"reward-{name}", partial(work.reward, privacy))
            setting.show(f"seed {seed}", f"{name_of(privacy)}: ppo", 0.0)
            ppo = folder.adapter(f"ppo-{name}", partial(work.ppo, sft, reward))
            setting.show(f"seed {seed}", f"{name_of(privacy)}: dpo", 0.0)
            dpo = folder.adapter(f"dpo-{name}", partial(work.dpo, sft, privacy))
            for method, adapter in (("ppo", ppo), ("dpo", dpo)):
                found = folder.figures(f"{method}-figures-{name}", partial(work.figures, adapter, sft))
                rows.setdefault(method, {}).setdefault(name_of(privacy), []).append(found["found"])
    return {
        "seeds": list(terms.seeds),
        "seconds": setting.folder.seconds(),
        "sets": {
            method: {privacy: _table(found) for privacy, found in by_privacy.items()}
            for method, by_privacy in rows.items()
        },
    }


def _table(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {key: over_seeds([one[key] for one in found]) for key in found[0]}


def _seconds(bench: Bench, scenario: FederatedPolicyScenario) -> float:
    """From two steps of sft; a ppo step is about five of them, a private dpo step about three a site."""
    work = _Seed(bench, scenario, scenario.study.seeds[0])
    terms, stages = scenario.study, scenario.stages
    short = stages.sft.model_copy(update={"steps": 2})
    rows = [SftRecord(PUBLIC_UNIT, one.prompt, one.completion) for one in corpus.public_corpus(1, 64)]
    start = initial_state(work.base, work.lora, Stage.SFT, 0)
    step = seconds_of(partial(train_public, work.base, work.lora, Stage.SFT, start, rows, short, 0)) / 2
    row = step / min(stages.sft.batch, len(rows))
    batch = terms.sample_rate * terms.patients * 2
    policies = terms.ppo_rounds * stages.ppo.steps * stages.ppo.batch * 5 * row
    policies += terms.dpo_rounds * terms.dpo_steps * terms.sites * batch * 6 * row
    return len(terms.seeds) * (stages.sft.steps * step + len(terms.privacy) * policies)


STUDY = StudyKind(FederatedPolicyScenario, lambda _: (), study_federated_policy, as_text)
