"""Rounds of a reward model's tail: the product's sampler, per-patient clipping, noise and aggregation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from intraward_client.privacy.engine import PrivateEngine, RowLosses
from intraward_client.privacy.noise import NoiseSource
from intraward_client.privacy.optimizer import OptimizerSettings
from intraward_client.privacy.sampler import PatientSampler
from intraward_client.training.losses.preference import bradley_terry_loss
from intraward_server.gathering import Gathering
from intraward_shared.adapters import Array, State, difference, state_digest
from intraward_shared.aggregation_terms import AggregationTerms
from intraward_shared.protocol import Mechanism, TrainingSpec
from intraward_shared.stages import Part, Stage, trained_names
from intraward_simulation.studies.dealing import Pair, Units
from intraward_simulation.studies.residual import Residual
from intraward_simulation.studies.tail import Tail

AT_ONCE = 256
"""Comparisons of a forward pass."""


@dataclass(frozen=True)
class RoundTerms:
    """How rounds are made: their number, the part of the factors, what a step is and what is made of updates.

    smoothing: share of labels that are known to be wrong; exact: whether the base takes the residual.
    """

    rounds: int
    parts: str
    mechanism: Mechanism
    training: TrainingSpec
    aggregation: AggregationTerms
    smoothing: float = 0.0
    exact: bool = False

    def part(self, number: int) -> Part:
        """Which factors round ``number`` (from 1) trains, as a program's stage has it."""
        if self.parts == "both":
            return Part.BOTH
        return Part.B if self.parts == "freeze_a" or number % 2 else Part.A


@dataclass(frozen=True, repr=False)
class Trained:
    """The adapter, what the base took up besides it, and the largest gap of plain averaging over rounds."""

    state: dict[str, Array]
    residual: Residual
    product_gap: float | None


def train_rounds(
    tail: Tail,
    states: Tensor,
    start: State,
    sites: Sequence[Units],
    terms: RoundTerms,
    seed: int,
    folder: Path,
) -> Trained:
    """All rounds over ``sites``; a single one is local or pooled training in the same rounds.

    Args:
        states: ``(texts, width)``. start: the first adapter. folder: for the server optimiser's moments.
    """
    state: dict[str, Array] = {name: np.array(value) for name, value in start.items()}
    residual, gap = Residual(tail), None
    for number in range(1, terms.rounds + 1):
        part = terms.part(number)
        gathering = Gathering(terms.aggregation, state, part)
        updates = []
        for place, units in enumerate(sites):
            noise = NoiseSource.seeded(seed, f"site-{place}", f"round-{number}", 1)
            with residual.applied():
                update = site_update(tail, states, state, units, terms, part, noise)
            gathering.add(f"site-{place}", update)
            updates.append(update)
        gap = max(gap or 0.0, gathering.figures().get("product_gap", 0.0)) if part is Part.BOTH else gap
        if terms.exact:
            residual.take(state, updates)
        made = gathering.adapter(folder, state_digest(state), fresh=number == 1)
        state = made.state
        made.keep(state_digest(state))
    return Trained(state, residual, gap)


def site_update(
    tail: Tail, states: Tensor, state: State, units: Units, terms: RoundTerms, part: Part, noise: NoiseSource
) -> dict[str, Array]:
    """One site's update of one round, noised."""
    names = trained_names(Stage.REWARD, part, tuple(state))
    tail.load(state)
    before = tail.state(names)
    parameters = {name: tail.tensors()[name] for name in names}
    mechanism = terms.mechanism
    settings = OptimizerSettings.of(terms.training, mechanism.steps)
    sampler = PatientSampler(noise, mechanism)

    def losses(records: Sequence[Pair]) -> RowLosses:
        rows = torch.tensor([place for pair in records for place in pair])
        scores = tail(states[rows])
        margin = scores.new_zeros(len(records))
        center = terms.training.center_rewards
        found = bradley_terry_loss(scores[::2], scores[1::2], margin, terms.smoothing, center)
        return RowLosses(found, torch.arange(len(records)).repeat_interleave(2))

    with PrivateEngine(tail, parameters, mechanism, noise, settings, AT_ONCE) as engine:
        for step in range(mechanism.steps):
            engine.step(sampler.draw(step, units), losses)
    return difference(tail.state(names), before)


@torch.no_grad()
def outcomes(tail: Tail, states: Tensor, trained: Trained, pairs: Sequence[Pair]) -> list[float]:
    """Of each pair 1 if the better answer scores higher, 0.5 for a tie, else 0."""
    tail.load(trained.state)
    with trained.residual.applied():
        scores = tail(states[torch.tensor([place for pair in pairs for place in pair])])
    found: list[float] = ((scores[::2] - scores[1::2]).sign() + 1).div(2).tolist()
    return found
