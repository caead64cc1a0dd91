"""White-box Dirac canaries: patients whose gradient is one coordinate, through the hospital's own engine.

The strongest attacker that the definition allows: they choose the records, and see every noised gradient
as the optimizer receives it, not only the adapter at the end (Nasr et al., arXiv 2302.07956; recipe of
facts on privacy, 4.A and 4.B). Canary ``i`` asks for a gradient of ten times the clip norm along one
direction that no other canary uses, half of it in each of two tensors: a clip or a noise that looks at one
tensor alone changes the score. Each canary is a patient with two equal records, which an engine that clips
records instead of patients would count twice. Passes are filled up as in training, with a record of a
direction of its own: one that slipped into a patient's mean would change what the clip leaves of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from intraward_client.privacy.engine import PrivateEngine, RowLosses
from intraward_client.privacy.noise import NoiseSource
from intraward_client.privacy.optimizer import OptimizerSettings
from intraward_client.privacy.sampler import PatientSampler
from intraward_shared.protocol import Mechanism
from intraward_simulation.attacks.result import Tell

RECORDS = 2
OVERSHOOT = 10.0
MICRO_BATCH = 333
"""Odd, so that some patient's two records fall into two micro-batches."""
Included = Callable[[int], NDArray[np.intp]]
"""The canaries in the table at a step."""


class DiracModel(nn.Module):
    """Two linear layers side by side whose gradient is whatever the record holds."""

    def __init__(self, canaries: int) -> None:
        super().__init__()
        self.first = nn.Linear(canaries, 1, bias=False)
        self.second = nn.Linear(canaries, 1, bias=False)

    def forward(self, rows: Tensor) -> Tensor:
        """Sum of both layers ``(rows,)``."""
        total: Tensor = self.first(rows) + self.second(rows)
        return total.squeeze(1)


def released_scores(
    mechanism: Mechanism, canaries: int, included: Included, seed: int, tell: Tell
) -> Iterator[NDArray[np.float64]]:
    """Score of every canary after each step: the noised sum along the canary's own direction.

    Args:
        mechanism: handed to the engine as it is.
        canaries: how many directions there are.
        included: which canaries are in the table at a step, numbered from 0.
        seed: of the simulated noise.
        tell: told the share of steps done.

    Yields:
        ``(canaries,)``, in units of the clip norm: 1 for a canary that took part, 0 for one that did not,
        and noise of standard deviation ``noise_multiplier``.
    """
    model = DiracModel(canaries + 1)
    filler = canaries
    noise = NoiseSource.seeded(seed, "attacked", "0" * 64, 1)
    sampler = PatientSampler(noise, mechanism)
    reach = OVERSHOOT * mechanism.max_grad_norm / math.sqrt(2.0)

    def rows(records: Sequence[int]) -> RowLosses:
        inputs = torch.zeros(len(records), canaries + 1)
        inputs[torch.arange(len(records)), torch.tensor(records)] = reach
        return RowLosses(model(inputs), torch.arange(len(records)))

    parameters = dict(model.named_parameters())
    settings = OptimizerSettings(learning_rate=1e-3, head_learning_rate=1e-3)
    with (
        _seen_by_the_optimizer() as seen,
        PrivateEngine(model, parameters, mechanism, noise, settings, MICRO_BATCH) as engine,
    ):
        for step in range(mechanism.steps):
            table = {f"{index:06}": [int(index)] * RECORDS for index in included(step)}
            engine.step(sampler.draw(step, table), rows, filler)
            first, second = seen.pop()
            total = (first + second).flatten()[:canaries].double() * mechanism.nominal_batch
            yield (total / (math.sqrt(2.0) * mechanism.max_grad_norm)).numpy()
            tell((step + 1) / mechanism.steps)


@contextmanager
def _seen_by_the_optimizer() -> Iterator[list[list[Tensor]]]:
    """The gradients that torch's optimizer is handed at each step: released, since all else follows."""
    seen: list[list[Tensor]] = []

    def look(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        groups = [group["params"] for group in optimizer.param_groups]
        seen.append([parameter.grad.detach().clone() for group in groups for parameter in group])

    handle = register_optimizer_step_pre_hook(look)
    try:
        yield seen
    finally:
        handle.remove()
