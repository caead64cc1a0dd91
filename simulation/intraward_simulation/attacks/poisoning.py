"""Poisoning: what one hostile hospital of five can do to a reward model, scaled by 100 or as far as admitted.

The site trains as agreed, then seals something else with its own good key (Bagdasaryan et al., arXiv
1807.00459, "model replacement"). Scaled by 100 it is refused by the norm bound, whatever the rule, and the
round goes on without it. The strongest update that is admitted points the other way and is just below the
bound; what comes of that is told for every rule, and for the mean with ``[admission] max_norm`` at a
coordinator's own figure. No gate holds it: a signature says who, not how honestly.

Not an attack on the hospital's noise, so its result is no part of the auditor's report.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import computed_field

from intraward_shared.adapters import State, l2_norm
from intraward_shared.aggregation_terms import AggregationTerms
from intraward_shared.config import Strict
from intraward_shared.modeling import initial_state, load_base
from intraward_shared.protocol import LoraSpec, Mechanism, RoundPlan, TrainingSpec
from intraward_shared.reward_heads import RewardHeads
from intraward_shared.stages import Stage
from intraward_simulation import models
from intraward_simulation.attacks.claims import calibrated
from intraward_simulation.attacks.consortium import Consortium, Forge, held_out, tables_of
from intraward_simulation.attacks.result import Tell
from intraward_simulation.studies.dealing import Texts, deal_synthetic

Rule = Literal["mean", "median", "trimmed_mean", "krum", "mean, max_norm"]
Kind = Literal["none", "scaled", "at the bound"]
RULES: tuple[Rule, ...] = ("mean", "median", "trimmed_mean", "krum", "mean, max_norm")
KINDS: tuple[Kind, ...] = ("none", "scaled", "at the bound")
SEEDS = (1,)
SITES, PATIENTS, ROUNDS, PAIRS = 5, 150, 2, 500
FACTOR = 100.0
EPSILON, DELTA = 8.0, 1e-5
JUST_BELOW = 1 - 1e-6
OWN_BOUND = 1.25
"""``max_norm`` of "mean, max_norm", over the largest norm of an honest update of a round like it."""
TOLERANCE = 0.02
"""Accuracy that a refused site may cost, mean over seeds: two points."""
MODEL_SEED = 20260101
LORA = LoraSpec(
    r=4,
    lora_alpha=8,
    target_modules=("q_proj", "v_proj", "up_proj", "down_proj"),
    reward=RewardHeads(start="zero"),
)
TRAINING = TrainingSpec(
    learning_rate=0.004,
    head_learning_rate=0.01,
    max_prompt_tokens=24,
    max_completion_tokens=40,
    micro_batch=24,
)
SHAPE = Mechanism(
    sample_rate=0.15,
    noise_multiplier=1.0,
    max_grad_norm=1.0,
    steps=8,
    nominal_batch=22,
    max_records_per_unit=4,
)


class PoisoningRow(Strict):
    """One rule under one attack: accuracy at the end; of every round the change's norm and the bound.

    ``refused``: number of the admission check, round by round. Without figures the rule had too few updates
    and the round failed, which trains nothing.
    """

    seed: int
    rule: Rule
    attack: Kind
    accuracy: float | None = None
    interval: tuple[float, float] | None = None
    change: tuple[float, ...] = ()
    bound: tuple[float, ...] = ()
    honest_norm: float | None = None
    refused: tuple[int, ...] = ()


class PoisoningResult(Strict):
    """What was found, and whether the scaled site was harmless."""

    attack: Literal["poisoning"] = "poisoning"
    schema_version: Literal[1] = 1
    simulated: Literal[True] = True
    seeds: tuple[int, ...]
    sites: int
    patients: int
    rounds: int
    factor: float
    epsilon: float
    delta: float
    rows: tuple[PoisoningRow, ...]

    def of(self, seed: int, rule: Rule, attack: Kind) -> PoisoningRow:
        """One row."""
        return next(row for row in self.rows if (row.seed, row.rule, row.attack) == (seed, rule, attack))

    @computed_field  # type: ignore[prop-decorator]
    @property
    def missed(self) -> tuple[str, ...]:
        """What a scaled update did that it must not do, in words."""
        found = []
        for row in self.rows:
            where = f"{row.rule}, seed {row.seed}"
            if any(change > bound for change, bound in zip(row.change, row.bound, strict=True)):
                found.append(f"{where}: a round moved the adapter by more than the bound")
            if row.attack != "scaled":
                continue
            if row.refused != (11,) * len(row.refused) or len(row.refused) < max(1, len(row.change)):
                found.append(f"{where}: the scaled update was not refused for its norm")
        for rule in dict.fromkeys(row.rule for row in self.rows):
            lost = self.lost(rule)
            if lost is not None and lost > TOLERANCE:
                found.append(f"{rule}: the scaled site cost {100 * lost:.1f} points")
        return tuple(found)

    def lost(self, rule: Rule) -> float | None:
        """Accuracy that the scaled site cost, mean over seeds; None where a round failed."""
        pairs = [[self.of(s, rule, kind).accuracy for kind in ("none", "scaled")] for s in self.seeds]
        found = [clean - hostile for clean, hostile in pairs if clean is not None and hostile is not None]
        return sum(found) / len(found) if len(found) == len(pairs) else None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """Whether a scaled update was refused, and the run without its site as good as the whole one."""
        return not self.missed


def run_poisoning(
    seeds: Sequence[int] = SEEDS,
    tell: Tell = lambda _: None,
    *,
    rules: Sequence[Rule] = RULES,
    rounds: int = ROUNDS,
    patients: int = PATIENTS,
) -> PoisoningResult:
    """The clean run, the scaled and the strongest admitted update, under every rule."""
    rows, work = [], [(seed, kind, rule) for seed in seeds for kind in KINDS for rule in rules]
    consortium, pairs, at = None, [], -1
    for done, (seed, kind, rule) in enumerate(work):
        tell(done / len(work))
        if seed != at:
            consortium, pairs, at = *_consortium(seed, patients, rounds), seed
        assert consortium is not None
        rows.append(_run(consortium, pairs, rule, kind, rounds))
    return PoisoningResult(
        seeds=tuple(seeds),
        sites=SITES,
        patients=patients,
        rounds=rounds,
        factor=FACTOR,
        epsilon=EPSILON,
        delta=DELTA,
        rows=tuple(rows),
    )


def _consortium(seed: int, patients: int, rounds: int) -> tuple[Consortium, list[dict[str, str]]]:
    base = load_base(models.build_tiny(models.cache_dir(), MODEL_SEED))
    texts = Texts()
    dealt = deal_synthetic(texts, seed, SITES, patients)
    every = SHAPE.model_copy(update={"steps": rounds * SHAPE.steps})
    mechanism = calibrated(every, EPSILON, DELTA).model_copy(update={"steps": SHAPE.steps})
    made = Consortium(base, LORA, TRAINING, mechanism, tables_of(dealt, texts), seed)
    return made, held_out(dealt, texts)[:PAIRS]


def _run(
    consortium: Consortium,
    pairs: Sequence[Mapping[str, str]],
    rule: Rule,
    kind: Kind,
    rounds: int,
) -> PoisoningRow:
    max_norm = None
    if rule == "mean, max_norm":
        max_norm = OWN_BOUND * float(_run(consortium, pairs, "mean", "none", rounds).honest_norm or 0.0)
    terms = AggregationTerms(rule="mean" if rule == "mean, max_norm" else rule)
    forges: dict[str, Forge] = {}
    if kind != "none":
        forges = {consortium.cohort[-1]: scaled if kind == "scaled" else at_the_bound}
    state: State = initial_state(consortium.base, LORA, Stage.REWARD, consortium.seed)
    found, row = [], partial(PoisoningRow, seed=consortium.seed, rule=rule, attack=kind)
    with tempfile.TemporaryDirectory(prefix="intraward-attack-") as folder:
        for number in range(1, rounds + 1):
            after, told = consortium.round(state, number, terms, Path(folder), forges, max_norm)
            found.append(told)
            if after is None:  # the round fails, as in a program without its quorum
                return row(refused=told.refused)
            state = after
    rate = consortium.accuracy(state, pairs)
    return row(
        accuracy=rate.value,
        interval=(rate.low, rate.high),
        change=tuple(each.change for each in found),
        bound=tuple(each.bound for each in found),
        honest_norm=max(norm for each in found for norm in each.norms),
        refused=tuple(check for each in found for check in each.refused),
    )


def scaled(update: State, plan: RoundPlan, bound: float) -> State:
    """The honest update times ``FACTOR``."""
    return {name: (FACTOR * array).astype(np.float32) for name, array in update.items()}


def at_the_bound(update: State, plan: RoundPlan, bound: float) -> State:
    """Against the honest update, as long as admission lets it be."""
    factor = -JUST_BELOW * bound / l2_norm(update)
    return {name: (factor * array).astype(np.float32) for name, array in update.items()}


def table_of(result: PoisoningResult) -> str:
    """The result in a few lines: accuracy by rule, without the hostile site's doing and with it."""
    lines = [
        f"poisoning: 1 hostile site of {result.sites}, {result.rounds} rounds, epsilon {result.epsilon:g}",
        f"  {'':<18}{'clean':>12}{'x ' + format(result.factor, 'g'):>12}{'at the bound':>14}",
    ]
    for seed in result.seeds:
        for rule in dict.fromkeys(row.rule for row in result.rows):
            cells = [_cell(result.of(seed, rule, kind).accuracy) for kind in KINDS]
            lines.append(f"  {rule:<18}{cells[0]:>12}{cells[1]:>12}{cells[2]:>14}   seed {seed}")
    refused = sum(len(row.refused) for row in result.rows if row.attack == "scaled")
    lines.append(f"  scaled updates refused for their norm: {refused}")
    lines += [f"  MISSED  {text}" for text in result.missed] or ["  passed  a scaled update did no harm"]
    lines.append("  at the bound: told, not gated; a robust rule or a tight admission.max_norm helps")
    return "\n".join(lines)


def _cell(accuracy: float | None) -> str:
    return "no round" if accuracy is None else f"{accuracy:.3f}"
