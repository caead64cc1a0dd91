"""AdamW over exactly the tensors that a round trains, and the check that they really train.

Guards against a silent failure seen with Opacus and LoRA (opacus #820): the optimizer holds other
tensors than the model, the loss falls, checkpoints save, epsilon is spent, and no weight ever moves.
Everything here works on gradients that are already noised or public (post-processing).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LinearLR

from intraward_shared.errors import ContractError, TrainingAborted
from intraward_shared.protocol import TrainingSpec
from intraward_shared.stages import SCORE_HEAD, VALUE_HEAD


@dataclass(frozen=True)
class OptimizerSettings:
    """AdamW's settings; heads learn at their own rate since they start far from their scale.

    With ``anneal_over`` both rates fall linearly and are 0 after that many steps.
    """

    learning_rate: float
    head_learning_rate: float
    weight_decay: float = 0.0
    anneal_over: int | None = None

    @classmethod
    def of(cls, spec: TrainingSpec, steps: int) -> OptimizerSettings:
        """The settings that a plan's training parameters name, for a round of ``steps`` optimiser steps."""
        anneal_over = steps if spec.lr_schedule == "linear" else None
        return cls(spec.learning_rate, spec.head_learning_rate, spec.weight_decay, anneal_over)


class AdapterOptimizer:
    """The trained tensors of a model, their gradients and AdamW."""

    def __init__(
        self, model: nn.Module, parameters: Mapping[str, nn.Parameter], settings: OptimizerSettings
    ) -> None:
        """Step ``parameters`` of ``model``; a ``Replica`` makes exactly them want gradients.

        Raises:
            ContractError: there are none, or one is not a tensor of ``model``.
        """
        self.parameters = {name: parameters[name] for name in sorted(parameters)}
        own = {id(parameter) for parameter in model.parameters()}
        if not self.parameters or any(id(p) not in own for p in self.parameters.values()):
            raise ContractError("the optimizer needs at least one tensor, all of them the model's own")
        heads = [p for name, p in self.parameters.items() if name in SCORE_HEAD + VALUE_HEAD]
        lora = [p for name, p in self.parameters.items() if name not in SCORE_HEAD + VALUE_HEAD]
        groups = [
            {"params": params, "lr": rate}
            for params, rate in ((lora, settings.learning_rate), (heads, settings.head_learning_rate))
            if params
        ]
        self._adamw = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
        self._schedule = None
        if settings.anneal_over is not None:
            self._schedule = LinearLR(self._adamw, 1.0, 0.0, settings.anneal_over)
        self._checked = self._applied = False

    @property
    def settled(self) -> bool:
        """Whether a step has moved a weight, so that what trains is what the plan names."""
        return self._checked

    def clear(self) -> None:
        """Forget raw gradients; under privacy they are patients' data."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def apply(self, gradients: Mapping[str, Tensor]) -> None:
        """One AdamW step with ``gradients`` (any float dtype), which must be noised or public.

        Raises:
            TrainingAborted: the first step that had a gradient moved no weight.
        """
        self._applied = True
        checking = not self._checked and any(bool(gradient.any()) for gradient in gradients.values())
        before = [p.detach().clone() for p in self.parameters.values()] if checking else None
        for name, parameter in self.parameters.items():
            parameter.grad = gradients[name].to(parameter.dtype).to(parameter.device)
        self._adamw.step()
        if self._schedule is not None:
            self._schedule.step()
        self.clear()
        if before is not None:
            self._check_moved(before)

    def check_moved(self) -> None:
        """At the end of a round that had steps: some step moved the weights.

        Raises:
            TrainingAborted: all gradients were zero, as of part A while B is zero, or of equal rewards.
        """
        if self._applied and not self._checked:
            raise _unmoved()

    def _check_moved(self, before: list[Tensor]) -> None:
        after = self.parameters.values()
        if all(torch.equal(old, new.detach()) for old, new in zip(before, after, strict=True)):
            raise _unmoved()
        self._checked = True


def _unmoved() -> TrainingAborted:
    return TrainingAborted(
        "no trained weight moved",
        remedy="train part B before part A, and see that the rows differ in what they teach",
    )
