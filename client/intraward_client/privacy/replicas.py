"""Copies of the model on further devices of one site, which share the passes of a step.

A pass of one micro-batch is a function of the weights and of its own records, so it may be made by any
copy. What comes of it is folded, clipped and noised in one place and in the order of the batch
(``engine``): a patient whose records lie on two devices is still clipped once, and with devices of one
kind the update has the same bytes as with one. Threads, not processes: the ward keeps one process, one
key and no socket, and a device works while Python waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from opacus.grad_sample.grad_sample_module import GradSampleHooks
from torch import Tensor, nn

from intraward_shared.errors import TrainingAborted

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_turn(work: Sequence[Callable[[Item], Result]], items: Sequence[Item]) -> Iterator[Result]:
    """Results in the order of ``items``, item ``n`` made by ``work[n % len(work)]`` on a thread of its own.

    At most one item a device is under way. With one piece of work everything stays on this thread.
    """
    if len(work) == 1:
        yield from map(work[0], items)
        return
    with ThreadPoolExecutor(len(work)) as threads:
        for start in range(0, len(items), len(work)):
            group = items[start : start + len(work)]
            under_way = [threads.submit(one, item) for one, item in zip(work, group, strict=False)]
            yield from [one.result() for one in under_way]


class Replica:
    """The tensors of one copy of the model that train, and nothing else of it wanting gradients."""

    def __init__(self, model: nn.Module, parameters: Mapping[str, nn.Parameter]) -> None:
        self._model = model
        self.parameters = {name: parameters[name] for name in sorted(parameters)}
        model.requires_grad_(False)
        for parameter in self.parameters.values():
            parameter.requires_grad_(True)

    def check_armed(self, *, settled: bool) -> None:
        """The given tensors want gradients, and nothing else of the model does.

        Args:
            settled: a step was done already; walking the whole model costs as much as a small layer.

        Raises:
            TrainingAborted: another set; a gradient would be lost or a frozen weight would train.
        """
        armed = all(parameter.requires_grad for parameter in self.parameters.values())
        if armed and not settled:
            wanted = {id(parameter) for parameter in self.parameters.values()}
            armed = {id(p) for p in self._model.parameters() if p.requires_grad} == wanted
        if not armed:
            raise TrainingAborted("the tensors that want gradients are not the ones that the plan trains")

    @torch.no_grad()
    def follow(self, leader: Mapping[str, nn.Parameter]) -> None:
        """Take over the tensors that the leader has after its step."""
        for name, parameter in self.parameters.items():
            parameter.copy_(leader[name])

    def clear(self) -> None:
        """Forget raw gradients; under privacy they are patients' data."""
        for parameter in self.parameters.values():
            parameter.grad = None


class HookedReplica(Replica):
    """A copy whose layers give a gradient for each row of a forward pass, by Opacus' hooks."""

    def __init__(self, model: nn.Module, parameters: Mapping[str, nn.Parameter]) -> None:
        """Attach the hooks to the layers that hold ``parameters``; ``close`` takes them off."""
        super().__init__(model, parameters)
        wanted = {id(parameter) for parameter in self.parameters.values()}
        self._layers = [m for m in model.modules() if wanted & {id(p) for p in m.parameters(recurse=False)}]
        self._hooks: Any = GradSampleHooks(model, batch_first=True, loss_reduction="sum")
        for layer in self._layers:  # the hooks record training layers only; a linear layer has no other mode
            layer.train(True)

    def row_gradients(self, losses: Tensor, rows: int) -> dict[str, Tensor]:
        """fp32 gradients of each forward row, flattened ``(rows, size)``, taken off the parameters.

        Raises:
            TrainingAborted: a tensor has no gradient for each of ``rows``.
        """
        losses.sum().backward()  # type: ignore[no-untyped-call]
        gradients = {}
        for name, parameter in self.parameters.items():
            sample = parameter.grad_sample  # type: ignore[attr-defined]
            if not isinstance(sample, Tensor) or len(sample) != rows:
                raise TrainingAborted(f"tensor {name!r} has no gradient for each row of the forward pass")
            gradients[name] = sample.flatten(1).float()  # before any norm: bf16 norms would break the bound
            parameter.grad_sample = None  # type: ignore[attr-defined]
        self.clear()
        return gradients

    def close(self) -> None:
        """Remove hooks and every raw gradient."""
        self.clear()
        self._hooks.cleanup()
        for layer in self._layers:
            layer.train(False)
            for name in ("activations", "max_batch_len"):
                layer.__dict__.pop(name, None)
