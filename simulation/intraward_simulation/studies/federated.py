"""Federated against local-only against pooled, without and with privacy, over seeds.

A reward model's tail (``tail``) is trained by the product's own sampler, clipping, noise and aggregation:
by all sites in rounds, by each site alone, and by one site that has every patient. The three make the same
rounds of the same steps at the same sampling rate and noise. Variants change the terms of one thing each.

"off" leaves clipping and sampling as they are and next to no noise. ``label_epsilon`` is another promise,
with prompts and answers public: each label is turned with probability ``1 / (1 + e^(epsilon / k))`` at its
site, k comparisons of a patient at most (randomised response, Warner 1965; Ghazi et al., arXiv 2102.06062).
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from intraward_shared.aggregation_terms import AggregationTerms
from intraward_shared.config import Strict
from intraward_shared.protocol import Mechanism, Real, TrainingSpec
from intraward_simulation.attacks.claims import calibrated
from intraward_simulation.studies.dealing import (
    Dealt,
    Pair,
    Source,
    Texts,
    Units,
    deal_real,
    deal_synthetic,
)
from intraward_simulation.studies.kinds import Setting, StudyKind, seconds_of
from intraward_simulation.studies.seedpicture import draw_seeds
from intraward_simulation.studies.seedtable import Runs, as_text, seed_table
from intraward_simulation.studies.tail import Tail, first_state, states_of, tail_lora
from intraward_simulation.studies.tailtraining import RoundTerms, Trained, outcomes, train_rounds
from intraward_simulation.studies.terms import StudyScenario

Arm = Literal["federated", "local", "pooled"]
Privacy = Literal["off"] | Real
NO_NOISE = 1e-6
"""Noise multiplier of "off"."""


class VariantTerms(Strict):
    """What a variant of the study is; keys that it does not name are the study's."""

    sites: int | None = Field(default=None, ge=1, le=64)
    patients: int | None = Field(default=None, ge=1, le=20_000)
    rounds: int | None = Field(default=None, ge=1, le=100)
    steps: int | None = Field(default=None, ge=1, le=10_000)
    sample_rate: Real | None = Field(default=None, gt=0, le=1)
    privacy: tuple[Privacy, ...] | None = Field(default=None, min_length=1)
    arms: tuple[Arm, ...] | None = Field(default=None, min_length=1)
    parts: Literal["alternate", "both", "freeze_a"] | None = None
    exact_residual: bool = False
    label_epsilon: Real | None = Field(default=None, gt=0, le=100)
    aggregation: AggregationTerms = AggregationTerms()

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if self.exact_residual and (self.parts != "both" or self.aggregation != AggregationTerms()):
            raise ValueError('exact_residual goes with parts = "both" and the plain mean')
        if self.label_epsilon is not None and self.privacy != ("off",):
            raise ValueError(
                'label_epsilon goes with privacy = ["off"]: labels are turned, nothing is noised'
            )
        return self


class FederatedTerms(Strict):
    """The study: where comparisons come from, how they are dealt and trained on, and its variants."""

    kind: Literal["federated"]
    seeds: tuple[int, ...] = Field(min_length=1, max_length=32)
    source: Source
    depth: int = Field(ge=1, description="block after which the head reads; its MLP has LoRA")
    r: int = Field(default=4, ge=1, le=64)
    folds: int = Field(default=5, ge=2, le=20, description="of a real set, grouped by prompt")
    sites: int = Field(default=5, ge=1, le=64)
    patients: int = Field(default=1000, ge=1, le=20_000, description="of each synthetic hospital")
    rounds: int = Field(default=4, ge=1, le=100)
    steps: int = Field(default=10, ge=1, le=10_000, description="of a round")
    sample_rate: Real = Field(default=0.1, gt=0, le=1)
    max_grad_norm: Real = Field(default=1.0, ge=1e-6, le=1000)
    max_records_per_unit: int = Field(default=4, ge=1, le=64)
    delta: Real = Field(default=1e-5, gt=0, lt=1)
    privacy: tuple[Privacy, ...] = Field(default=("off", 8.0, 3.0), min_length=1)
    arms: tuple[Arm, ...] = Field(default=("federated", "local", "pooled"), min_length=1)
    parts: Literal["alternate", "both", "freeze_a"] = "alternate"
    variants: dict[str, VariantTerms] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds) or any(seed < 0 for seed in self.seeds):
            raise ValueError("seeds are 0 or more and differ")
        if self.source != "synthetic" and any(v.patients for v in self.variants.values()):
            raise ValueError("patients belongs to source synthetic")
        return self

    def of(self, variant: VariantTerms) -> FederatedTerms:
        """The study's own terms with those that a variant names."""
        named = {key: getattr(variant, key) for key in VariantTerms.model_fields if hasattr(self, key)}
        return self.model_copy(update={key: value for key, value in named.items() if value is not None})


class FederatedScenario(StudyScenario):
    """A study of federation."""

    study: FederatedTerms  # type: ignore[assignment]
    training: TrainingSpec


class Bench:
    """Base, texts' states and the tail, made once a study."""

    def __init__(self, scenario: FederatedScenario, setting: Setting) -> None:
        self.scenario, self.setting, self.texts = scenario, setting, Texts()
        study = scenario.study
        self.lora = tail_lora(study.depth, study.r)
        self.tail = Tail(setting.base, self.lora)
        self._states: Tensor | None = None

    def deal(self, terms: FederatedTerms, seed: int) -> list[Dealt]:
        """A seed's sites and test pairs: one of synthetic hospitals, one a fold of a real set."""
        if terms.source == "synthetic":
            return [deal_synthetic(self.texts, seed, terms.sites, terms.patients)]
        data = self.setting.data
        return deal_real(self.texts, data, terms.source, seed, terms.sites, terms.folds)

    @property
    def states(self) -> Tensor:
        """States of all texts that were dealt so far."""
        known = 0 if self._states is None else len(self._states)
        if known < len(self.texts.rows):
            spec = self.scenario.training
            more = states_of(
                self.setting.base,
                self.scenario.study.depth,
                self.texts.rows[known:],
                spec.max_prompt_tokens,
                spec.max_completion_tokens,
            )
            self._states = more if self._states is None else torch.cat([self._states, more])
        assert self._states is not None
        return self._states


def study_federated(scenario: FederatedScenario, setting: Setting) -> dict[str, Any]:
    """One unit a seed and variant."""
    study, bench = scenario.study, Bench(scenario, setting)
    variants = {"study": VariantTerms(), **study.variants}
    count = len(study.seeds) * len(variants)
    setting.estimate(_seconds(bench), count, "seeds of variants")
    found: dict[str, Runs] = {}
    for name, variant in variants.items():
        found[name] = [
            setting.folder.figures(
                f"{name}-seed-{seed}",
                partial(_run, bench, variant, seed, partial(setting.show, f"{name} seed {seed}")),
            )["found"]
            for seed in study.seeds
        ]
    return {
        "seeds": list(study.seeds),
        "source": study.source,
        "seconds": setting.folder.seconds(),
        "sets": {name: seed_table(runs) for name, runs in found.items()},
    }


def _run(
    bench: Bench, variant: VariantTerms, seed: int, tell: Callable[[str, float], None]
) -> dict[str, Any]:
    """Accuracy of every arm at every epsilon, over all folds of one seed."""
    terms = bench.scenario.study.of(variant)
    dealt = bench.deal(terms, seed)
    work = [(privacy, fold) for privacy in terms.privacy for fold in dealt]
    right: dict[str, dict[str, list[float]]] = {}
    gaps: list[float] = []
    for done, (privacy, fold) in enumerate(work):
        tell("arms", done / len(work))
        for name, values in _arms(bench, terms, variant, privacy, fold, seed, gaps).items():
            right.setdefault(name_of(privacy), {}).setdefault(name, []).extend(values)
    accuracy = {p: {name: float(np.mean(v)) for name, v in arms.items()} for p, arms in right.items()}
    noise = {name_of(p): mechanism_of(terms, p, 1).noise_multiplier for p in terms.privacy}
    return {
        "accuracy": accuracy,
        "noise_multiplier": noise,
        "test_pairs": sum(len(fold.test) for fold in dealt),
        "patients_a_site": [len(site) for site in dealt[0].sites],
        "product_gap": max(gaps) if gaps else None,
    }


def _arms(
    bench: Bench,
    terms: FederatedTerms,
    variant: VariantTerms,
    privacy: Privacy,
    dealt: Dealt,
    seed: int,
    gaps: list[float],
) -> dict[str, list[float]]:
    """Outcomes on the test pairs by arm; of local-only the mean over sites, and the worst site's."""
    sites = [_labelled(site, terms, variant, [seed, place]) for place, site in enumerate(dealt.sites)]

    def trained(own: Sequence[Units], scale: int = 1) -> Trained:
        return train_arm(bench, terms, variant, privacy, own, seed, scale)

    judged = partial(outcomes, bench.tail, bench.states, pairs=dealt.test)
    found: dict[str, list[float]] = {}
    if "federated" in terms.arms:
        made = trained(sites)
        found["federated"] = judged(made)
        gaps += [] if made.product_gap is None else [made.product_gap]
    if "local" in terms.arms:
        alone = [judged(trained([site])) for site in sites]
        found["local"] = np.mean(alone, axis=0).tolist()
        found["local_worst"] = min(alone, key=lambda values: float(np.mean(values)))
    if "pooled" in terms.arms:
        pooled = {name: pairs for site in sites for name, pairs in site.items()}
        found["pooled"] = judged(trained([pooled], len(sites)))
    return found


def train_arm(
    bench: Bench,
    terms: FederatedTerms,
    variant: VariantTerms,
    privacy: Privacy,
    sites: Sequence[Units],
    seed: int,
    scale: int = 1,
) -> Trained:
    """The tail after all rounds over ``sites``; ``scale`` is of how many sites each has the patients."""
    rounds = _rounds(bench, terms, variant, privacy, sites[0], scale)
    start = first_state(bench.setting.base, bench.lora, seed)
    with tempfile.TemporaryDirectory(prefix="intraward-study-") as folder:
        return train_rounds(bench.tail, bench.states, start, sites, rounds, seed, Path(folder))


def _rounds(
    bench: Bench, terms: FederatedTerms, variant: VariantTerms, privacy: Privacy, site: Units, scale: int
) -> RoundTerms:
    flips = _flips(terms, variant)
    nominal = max(1, round(terms.sample_rate * len(site) / (scale if scale > 1 else 1))) * scale
    mechanism = mechanism_of(terms, privacy, nominal)
    aggregation = variant.aggregation if scale == 1 else AggregationTerms()
    return RoundTerms(
        terms.rounds,
        terms.parts,
        mechanism,
        bench.scenario.training,
        aggregation,
        flips,
        variant.exact_residual,
    )


def mechanism_of(terms: FederatedTerms, privacy: Privacy, nominal: int) -> Mechanism:
    """One round's event; its noise is that at which all rounds together cost the asked epsilon."""
    every = Mechanism(
        sample_rate=terms.sample_rate,
        noise_multiplier=NO_NOISE,
        max_grad_norm=terms.max_grad_norm,
        steps=terms.rounds * terms.steps,
        nominal_batch=nominal,
        max_records_per_unit=terms.max_records_per_unit,
    )
    if privacy != "off":
        every = calibrated(every, float(privacy), terms.delta)
    return every.model_copy(update={"steps": terms.steps})


def _labelled(site: Units, terms: FederatedTerms, variant: VariantTerms, seed: Sequence[int]) -> Units:
    """A site's comparisons, some of them turned where only labels are hidden."""
    share = _flips(terms, variant)
    if not share:
        return site
    draw = np.random.default_rng([*seed, 77])
    most = terms.max_records_per_unit
    return {
        name: [Pair(*reversed(pair)) if draw.random() < share else pair for pair in pairs[:most]]
        for name, pairs in site.items()
    }


def _flips(terms: FederatedTerms, variant: VariantTerms) -> float:
    if variant.label_epsilon is None:
        return 0.0
    return 1 / (1 + math.exp(variant.label_epsilon / terms.max_records_per_unit))


def name_of(privacy: Privacy) -> str:
    return "off" if privacy == "off" else f"epsilon {float(privacy):g}"


def _seconds(bench: Bench) -> float:
    """From the first seed's federated arm of one step a round, and the states of its first texts."""
    study = bench.scenario.study
    dealt = bench.deal(study, study.seeds[0])[0]
    reading = seconds_of(lambda: bench.states) * len(study.seeds)
    short = study.model_copy(update={"steps": 1, "rounds": 1, "privacy": ("off",), "arms": ("federated",)})
    site = seconds_of(lambda: _arms(bench, short, VariantTerms(), "off", dealt, study.seeds[0], []))
    total = 0.0
    for variant in (VariantTerms(), *study.variants.values()):
        terms = study.of(variant)
        folds = 1 if study.source == "synthetic" else study.folds
        size = terms.sites * terms.patients / (study.sites * study.patients)
        steps = terms.rounds * terms.steps * terms.sample_rate / study.sample_rate
        total += site * size * steps * folds * len(terms.arms) * len(terms.privacy)
    return reading + total * len(study.seeds)


def _files(scenario: FederatedScenario) -> tuple[str, ...]:
    source = scenario.study.source
    return () if source == "synthetic" else (f"{source}/pairs.jsonl",)


STUDY = StudyKind(FederatedScenario, _files, study_federated, as_text, draw_seeds)
