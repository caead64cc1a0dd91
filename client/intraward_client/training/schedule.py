"""Which records each step sees, and the engine that steps: private by Poisson, public by shuffling."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

from intraward_client.privacy.engine import PrivateEngine, PublicEngine, RowLosses
from intraward_client.privacy.noise import NoiseSource
from intraward_client.privacy.optimizer import OptimizerSettings
from intraward_client.privacy.sampler import PatientSampler
from intraward_client.training.buckets import bucketed
from intraward_client.training.inputs import FILLERS, TrainingInputs
from intraward_shared.modeling import AdaptedModel
from intraward_shared.stages import ON_POLICY

Row = TypeVar("Row")
Progress = Callable[[float], None] | None
"""Told the share of steps done; for the operator's terminal only."""
StageLosses = Callable[[TrainingInputs, AdaptedModel, Sequence[Any]], RowLosses]
"""Losses of a stage's records, a function of them alone."""


def step_count(inputs: TrainingInputs) -> int:
    """Steps of the round: the charged mechanism's own, or the plan's for a free stage."""
    mechanism = inputs.plan.mechanism
    return inputs.plan.training.steps if mechanism is None else mechanism.steps


def optimizer_steps(inputs: TrainingInputs) -> int:
    """Steps of the optimiser at most: a public batch of rollouts is passed over several times."""
    passes = inputs.plan.training.epochs if inputs.plan.stage in ON_POLICY and not inputs.private else 1
    return step_count(inputs) * passes


def draw_batches(inputs: TrainingInputs, noise: NoiseSource) -> Iterator[list[list[Any]]]:
    """Records of each step, one list per unit; exactly ``step_count`` of them."""
    mechanism, steps = inputs.plan.mechanism, step_count(inputs)
    if mechanism is not None:
        sampler = PatientSampler(noise, mechanism)
        for step in range(steps):
            yield sampler.draw(step, inputs.fitting.by_unit)
    else:
        generator = noise.generator("batches")
        yield from shuffled_batches(inputs.fitting.rows, inputs.plan.training.batch, steps, generator)


def shuffled_batches(
    rows: Sequence[Row], size: int, steps: int, generator: torch.Generator
) -> Iterator[list[list[Row]]]:
    """Batches of public rows, reshuffled whenever too few are left; every row is a unit of its own."""
    order: list[int] = []
    for _ in range(steps):
        if len(order) < min(size, len(rows)):
            order = torch.randperm(len(rows), generator=generator).tolist()
        taken, order = order[:size], order[size:]
        yield [[rows[index]] for index in taken]


def open_engine(
    inputs: TrainingInputs, model: AdaptedModel, noise: NoiseSource
) -> PrivateEngine | PublicEngine:
    """The engine of the round over the tensors that the plan trains.

    Raises:
        ContractError: a tensor that the model does not have.
    """
    plan = inputs.plan
    parameters = model.parameters_of(plan.trained_input, inputs.trained)
    copies = [(each, each.parameters_of(plan.trained_input, inputs.trained)) for _, each in inputs.copies]
    settings = OptimizerSettings.of(plan.training, optimizer_steps(inputs))
    micro_batch = plan.training.micro_batch
    if plan.mechanism is None:
        return PublicEngine(model, parameters, settings, micro_batch, copies=copies)
    passes = plan.training.micro_batches
    return PrivateEngine(
        model, parameters, plan.mechanism, noise, settings, micro_batch, passes=passes, copies=copies
    )


class _StepFigures:
    """Losses of a step's forward passes, and their means over its own records for the ward's curves.

    In a pass the step's own records stand first and the filler behind them. What is noted here goes to
    ``TrainingInputs.track`` alone.
    """

    def __init__(self, inputs: TrainingInputs, losses: StageLosses) -> None:
        self._inputs, self._losses = inputs, losses
        self._noted: dict[str, list[Tensor]] = {}

    def losses_of(self, inputs: TrainingInputs, model: AdaptedModel, records: Sequence[Any]) -> RowLosses:
        """The stage's losses on one device, in time."""
        inputs.in_time()
        found = self._losses(inputs, model, records)
        filler = FILLERS[inputs.plan.stage]
        own = sum(record is not filler for record in records)
        for name, values in {"loss": found.losses, **found.figures}.items():
            noted = values.detach()[:own].float().to(self._inputs.base.device)
            self._noted.setdefault(name, []).append(noted)
        return found

    def means(self) -> dict[str, float]:
        """Means by name over what is finite; nothing for a step that drew nobody."""
        joined = {name: torch.cat(parts) for name, parts in self._noted.items()}
        finite = {name: values[values.isfinite()] for name, values in joined.items()}
        return {name: float(values.mean()) for name, values in finite.items() if len(values)}


def run_steps(
    inputs: TrainingInputs, model: AdaptedModel, noise: NoiseSource, losses: StageLosses, progress: Progress
) -> bool:
    """All steps of a round whose loss is a function of records alone (every stage but PPO).

    Returns:
        whether some row's gradient was not finite; not to leave the ward.
    """

    with open_engine(inputs, model, noise) as engine:
        for done, drawn in enumerate(draw_batches(inputs, noise), start=1):
            batch = bucketed(inputs, drawn)
            figures = _StepFigures(inputs, losses)
            by_device = [partial(figures.losses_of, *device) for device in inputs.on_devices(model)]
            engine.step(batch, by_device, FILLERS[inputs.plan.stage])
            inputs.track(done - 1, figures.means())
            if progress is not None:
                progress(done / step_count(inputs))
        return engine.flagged
