"""One optimizer step over patients: clipped per patient, noised, and nothing else (DESIGN.md section 6).

``PrivateEngine.step`` is DP-SGD (Abadi et al., arXiv 1607.00133) at user level (Charles et al., arXiv
2407.07737): rows of a forward pass fold into records, records into their patient's mean gradient,
which is clipped once to C over every trained tensor together; the fp64 sum gets N(0, (sigma C)^2) and
is divided by a public nominal batch. So one patient changes the pre-noise sum by at most C, however
many records, rows or micro-batches there are (rule 5). A row whose gradient is not finite counts as
zero, and raises a flag for the site's own eyes; an empty batch still gets noise and a step. Every
forward pass has the plan's shape, filled up with a public record, so that no row's arithmetic depends
on how many there are; a step makes at least the plan's number of passes.

Departs from Opacus, whose hooks compute the per-row gradients here: its optimizer clips rows, not
patients (a pair stacked as two rows would count twice), takes norms in the gradients' own dtype, lets
one NaN through to the whole sum, and draws noise from torch's generator. ``PublicEngine`` is the same
step for free stages: mean gradient, fixed global clip, no noise.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import MappingProxyType
from typing import NamedTuple, Self, TypeVar

import torch
from torch import Tensor, nn

from intraward_client.privacy.noise import NoiseSource
from intraward_client.privacy.optimizer import AdapterOptimizer, OptimizerSettings
from intraward_client.privacy.replicas import HookedReplica, Replica, in_turn
from intraward_shared.errors import TrainingAborted
from intraward_shared.protocol import Mechanism

PUBLIC_GRAD_NORM = 1.0
GRID_BITS = 20

Record = TypeVar("Record")


class RowLosses(NamedTuple):
    """Losses of some records.

    losses: any shape, summed for the backward pass; the term of a record depends on its own rows only.
    record: ``(rows,)`` index of the record that each row of the forward pass belongs to.
    figures: ``(records,)`` by name, for curves that stay in the ward; the engine never reads them.
    """

    losses: Tensor
    record: Tensor
    figures: Mapping[str, Tensor] = MappingProxyType({})


LossRows = Callable[[Sequence[Record]], RowLosses]
LossesByDevice = LossRows[Record] | Sequence[LossRows[Record]]
"""Losses under the model, or under the model and under each of its copies on further devices."""
Copies = Sequence[tuple[nn.Module, Mapping[str, nn.Parameter]]]
"""Models on further devices with the tensors that train there, equal to the engine's own."""


class PrivateEngine:
    """Per-patient clipping and noise for the named parameters of a model."""

    def __init__(
        self,
        model: nn.Module,
        parameters: Mapping[str, nn.Parameter],
        mechanism: Mechanism,
        noise: NoiseSource,
        settings: OptimizerSettings,
        micro_batch: int,
        *,
        passes: int = 1,
        copies: Copies = (),
    ) -> None:
        """Attach Opacus' hooks to the layers that hold ``parameters``; ``close`` takes them off.

        Args:
            model: all on its device already; only ``parameters`` will want gradients.
            micro_batch: records per forward pass.
            passes: fewest forward passes of a step that has a filler.
            copies: share the passes (``replicas``); they follow ``model`` after every step.

        Raises:
            ContractError: a parameter is not the model's.
        """
        self._mechanism, self._noise = mechanism, noise
        self._micro_batch, self._passes, self._step = micro_batch, passes, 0
        self.flagged = False
        """Whether any row's gradient was not finite so far; a patient's data, for the site alone."""
        self._optimizer = AdapterOptimizer(model, parameters, settings)
        self._replicas = [HookedReplica(*each) for each in [(model, parameters), *copies]]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove hooks and every raw gradient from the model."""
        for replica in self._replicas:
            replica.close()

    def step(
        self,
        units: Sequence[Sequence[Record]],
        loss_rows: LossesByDevice[Record],
        filler: Record | None = None,
    ) -> None:
        """One noised step; counts although ``units`` is empty.

        Args:
            units: records of each patient of the Poisson batch.
            loss_rows: losses of some records and the record of each forward row; one for each device.
            filler: a public record that fills every pass up to the plan's shape; it adds nothing to the
                sum. Without one the shapes follow the batch (audits of the engine itself).

        Raises:
            TrainingAborted: a trained tensor took no part in the loss, or noise was drawn before.
        """
        noised = self._add_noise(self.clipped_sum(units, loss_rows, filler))
        nominal = self._mechanism.nominal_batch
        self._optimizer.apply({name: value / nominal for name, value in noised.items()})
        for replica in self._replicas[1:]:
            replica.follow(self._optimizer.parameters)
        self._step += 1

    def clipped_sum(
        self,
        units: Sequence[Sequence[Record]],
        loss_rows: LossesByDevice[Record],
        filler: Record | None = None,
    ) -> dict[str, Tensor]:
        """Sum over patients of the clipped mean gradient, fp64: private, for ``step`` and tests only."""
        total = {
            n: torch.zeros(p.shape, dtype=torch.float64, device=p.device)
            for n, p in self._optimizer.parameters.items()
        }
        records = [record for unit in units for record in unit]
        owner = torch.tensor([index for index, unit in enumerate(units) for _ in unit], dtype=torch.long)
        weight = torch.tensor([1.0 / len(unit) for unit in units for _ in unit])
        open_unit: _Folded | None = None
        size = self._micro_batch
        starts = range(0, padded(records, size, self._passes, filler), size)
        given = [_filled(records[start : start + size], size, filler) for start in starts]
        work = [
            partial(self._pass, replica, losses)
            for replica, losses in zip(self._replicas, by_device(loss_rows), strict=True)
        ]
        with _quiet_hooks():
            for start, (record, rows) in zip(starts, in_turn(work, given), strict=True):
                mine = (record < len(records[start : start + size])).nonzero().squeeze(1)
                if not len(mine):
                    continue
                if len(mine) < len(record):
                    rows = {name: value[mine.to(value.device)] for name, value in rows.items()}
                place = start + record[mine]
                folded = _fold(self._finite(rows), owner[place], weight[place])
                open_unit = self._settle(total, folded, open_unit, start + size >= len(records))
        return total

    def _pass(
        self, replica: HookedReplica, loss_rows: LossRows[Record], records: Sequence[Record]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Record of each forward row of one micro-batch, and their gradients on the engine's own device."""
        replica.check_armed(settled=self._optimizer.settled)
        losses, record = loss_rows(records)[:2]
        rows = replica.row_gradients(losses, len(record))
        own = self._optimizer.parameters
        return record.cpu(), {name: value.to(own[name].device) for name, value in rows.items()}

    def _finite(self, rows: dict[str, Tensor]) -> dict[str, Tensor]:
        """``rows`` with every row that is not finite in all its tensors set to zero in all of them."""
        good = torch.stack([value.isfinite().all(1) for value in rows.values()]).all(0)
        if bool(good.all()):
            return rows
        self.flagged = True
        return {name: value.masked_fill(~good[:, None], 0.0) for name, value in rows.items()}

    def _settle(
        self, total: dict[str, Tensor], folded: _Folded, before: _Folded | None, last: bool
    ) -> _Folded | None:
        """Add whole patients to ``total``; a patient that the next micro-batch may go on with stays open."""
        if before is not None:
            if before.units[0] == folded.units[0]:
                for name, value in before.gradients.items():
                    folded.gradients[name][:1] += value
            else:
                self._add_clipped(total, before.gradients)
        if last:
            self._add_clipped(total, folded.gradients)
            return None
        self._add_clipped(total, {name: value[:-1] for name, value in folded.gradients.items()})
        return _Folded(folded.units[-1:], {n: value[-1:].clone() for n, value in folded.gradients.items()})

    def _add_clipped(self, total: dict[str, Tensor], gradients: Mapping[str, Tensor]) -> None:
        """Clip each patient's gradient ``(units, size)`` to C over all tensors, and add them up in fp64."""
        squares = [value.double().square().sum(1) for value in gradients.values()]
        norm = torch.stack(squares).sum(0).sqrt()
        finite = norm.isfinite()  # finite rows can still add up to a mean beyond fp32
        bound = self._mechanism.max_grad_norm
        scale = (bound / norm.clamp(min=bound)).masked_fill(~finite, 0.0)
        for name, value in gradients.items():
            safe = value if bool(finite.all()) else value.masked_fill(~finite[:, None], 0.0)
            total[name] += (scale @ safe.double()).view_as(total[name])

    def _add_noise(self, total: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """``total + N(0, (sigma C)^2)``, each value rounded once to the grid (post-processing).

        The grid, a power of two near C / 2^20, drops the low-order bits through which floating-point
        noise can speak (Mironov, CCS 2012).
        """
        mechanism = self._mechanism
        deviation = mechanism.noise_multiplier * mechanism.max_grad_norm
        grid = 2.0 ** (math.floor(math.log2(mechanism.max_grad_norm)) - GRID_BITS)
        noised = {}
        for name, value in total.items():
            drawn = self._noise.gaussian(self._step, name, value.shape, value.device)
            noised[name] = ((value + deviation * drawn) / grid).round() * grid
        return noised


class PublicEngine:
    """The step of a free stage: mean gradient of public records, clipped to a fixed global norm."""

    def __init__(
        self,
        model: nn.Module,
        parameters: Mapping[str, nn.Parameter],
        settings: OptimizerSettings,
        micro_batch: int,
        *,
        copies: Copies = (),
    ) -> None:
        """As ``PrivateEngine``, without mechanism and noise."""
        self._micro_batch, self.flagged = micro_batch, False
        self._optimizer = AdapterOptimizer(model, parameters, settings)
        self._replicas = [Replica(*each) for each in [(model, parameters), *copies]]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Raises ``TrainingAborted`` where every step's gradient was zero."""
        for replica in self._replicas:
            replica.clear()
        if kind is None:
            self._optimizer.check_moved()

    def step(
        self,
        units: Sequence[Sequence[Record]],
        loss_rows: LossesByDevice[Record],
        filler: Record | None = None,
    ) -> None:
        """One step on the mean loss of the records; nothing needs filling up here.

        Raises:
            TrainingAborted: no records, none with a finite loss, a gradient that is not finite, or a tensor
                outside the loss.
        """
        records = [record for unit in units for record in unit]
        if not records:
            raise TrainingAborted("a public step has no records", remedy="give public data with rows")
        parts = [records[at : at + self._micro_batch] for at in range(0, len(records), self._micro_batch)]
        work = [
            partial(self._pass, replica, losses, len(records))
            for replica, losses in zip(self._replicas, by_device(loss_rows), strict=True)
        ]
        if not any(list(in_turn(work, parts))):
            raise TrainingAborted(
                "no record of a public step has a finite loss",
                remedy="lower the learning rate, check the data",
            )
        self._optimizer.apply(self._clipped())
        for replica in self._replicas:
            replica.clear()
            if replica is not self._replicas[0]:
                replica.follow(self._optimizer.parameters)

    def _pass(
        self, replica: Replica, loss_rows: LossRows[Record], total: int, records: Sequence[Record]
    ) -> bool:
        """Add the gradients of one micro-batch to those of its device; whether any loss was finite."""
        losses = self._usable(records, loss_rows)
        replica.check_armed(settled=self._optimizer.settled)
        if losses is not None:
            (losses.sum() / total).backward()  # type: ignore[no-untyped-call]
        return losses is not None

    def _usable(self, records: Sequence[Record], loss_rows: LossRows[Record]) -> Tensor | None:
        """Losses of those records whose loss is finite; the others count as zero and raise the flag."""
        losses = loss_rows(records).losses
        finite = losses.isfinite()
        if bool(finite.all()):
            return losses
        self.flagged = True
        kept = [record for record, usable in zip(records, finite.tolist(), strict=True) if usable]
        return loss_rows(kept).losses if kept else None

    def _clipped(self) -> dict[str, Tensor]:
        gradients = {}
        for name, parameter in self._optimizer.parameters.items():
            found = [replica.parameters[name].grad for replica in self._replicas]
            parts = [part.to(parameter.device) for part in found if part is not None]
            if not parts:
                raise TrainingAborted(f"tensor {name!r} took no part in the loss")
            gradients[name] = sum(parts[1:], start=parts[0])
        norm = torch.stack([value.double().square().sum() for value in gradients.values()]).sum().sqrt()
        if not bool(norm.isfinite()):
            raise TrainingAborted(
                "the public gradient is not finite", remedy="lower the learning rate, check the data"
            )
        scale = float(PUBLIC_GRAD_NORM / norm.clamp(min=PUBLIC_GRAD_NORM))
        return {name: value * scale for name, value in gradients.items()}


class _Folded(NamedTuple):
    """Gradients ``(units, size)`` of the patients of one micro-batch, in batch order."""

    units: list[int]
    gradients: dict[str, Tensor]


def padded(records: Sequence[object], micro_batch: int, passes: int, filler: object | None) -> int:
    """Records of a step after filling up: whole micro-batches, at least ``passes`` of them."""
    if filler is None:
        return len(records)
    return max(passes, math.ceil(len(records) / micro_batch)) * micro_batch


def _filled(own: Sequence[Record], micro_batch: int, filler: Record | None) -> Sequence[Record]:
    return own if filler is None else [*own, *[filler] * (micro_batch - len(own))]


def _fold(rows: Mapping[str, Tensor], owner: Tensor, weight: Tensor) -> _Folded:
    """Sum weighted rows ``(rows, size)`` by owning unit; index_add keeps a NaN within its own unit."""
    units, position = torch.unique(owner, return_inverse=True)  # sorted, which is batch order
    folded = {}
    for name, value in rows.items():
        weighted = value * weight.to(value.device)[:, None]
        empty = torch.zeros(len(units), value.shape[1], device=value.device)
        folded[name] = empty.index_add_(0, position.to(value.device), weighted)
    return _Folded(units.tolist(), folded)


def by_device(loss_rows: LossesByDevice[Record]) -> Sequence[LossRows[Record]]:
    """The losses of each device."""
    return (loss_rows,) if callable(loss_rows) else loss_rows


@contextmanager
def _quiet_hooks() -> Iterator[None]:
    """Without torch's remark that a layer's input wants no gradient, which is so by design here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        yield
