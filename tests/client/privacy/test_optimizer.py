"""The optimiser's learning rates: constant, or falling linearly to 0 over the round."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from intraward_client.privacy.optimizer import AdapterOptimizer, OptimizerSettings
from intraward_shared.errors import TrainingAborted
from intraward_shared.protocol import TrainingSpec


def movements(settings: OptimizerSettings, steps: int) -> list[float]:
    """How far a weight moves in each step under a gradient that never changes."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    optimizer = AdapterOptimizer(model, dict(model.named_parameters()), settings)
    moved = []
    for _ in range(steps):
        before = float(model.weight.detach())
        optimizer.apply({"weight": torch.ones(1, 1)})
        moved.append(before - float(model.weight.detach()))
    return moved


def test_a_constant_rate_moves_as_far_in_every_step() -> None:
    settings = OptimizerSettings.of(TrainingSpec(learning_rate=0.1), 4)
    torch.testing.assert_close(movements(settings, 4), [0.1] * 4, rtol=1e-5, atol=1e-6)


def test_a_linear_rate_falls_to_nothing_over_the_round() -> None:
    settings = OptimizerSettings.of(TrainingSpec(learning_rate=0.1, lr_schedule="linear"), 4)
    torch.testing.assert_close(
        movements(settings, 6), [0.1, 0.075, 0.05, 0.025, 0.0, 0.0], rtol=1e-5, atol=1e-6
    )


def test_a_step_without_a_gradient_is_a_step_and_a_round_of_them_is_none() -> None:
    model = nn.Linear(1, 1, bias=False)
    optimizer = AdapterOptimizer(model, dict(model.named_parameters()), OptimizerSettings(0.1, 0.1))
    optimizer.apply({"weight": torch.zeros(1, 1)})
    with pytest.raises(TrainingAborted, match="no trained weight moved"):
        optimizer.check_moved()
    optimizer.apply({"weight": torch.ones(1, 1)})
    optimizer.check_moved()
