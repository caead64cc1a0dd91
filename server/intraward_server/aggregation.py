"""Pure arithmetic on adapters: a streaming fp64 mean, and one rounding when it is applied.

Every site weighs the same (patient counts never cross the boundary, and a self-reported weight is an
open door). The order of addition is the caller's, always by site name, so the same updates give the
same bytes in one process and over Flower. A mean of A's (or B's) alone is exact for the product BA
when the other factor was frozen and equal at all sites (RoLoRA, arXiv 2409.02346); with part
``both`` it is FedAvg's approximation.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from intraward_shared.adapters import Array, State
from intraward_shared.errors import ContractError

Mean = Mapping[str, NDArray[np.float64]]


class StreamingMean:
    """Equal-weight mean of states that arrive one at a time; holds one fp64 sum, whatever their number.

    Example::

        mean = StreamingMean()
        for update in updates:
            mean.add(update)
        adapter = apply(adapter, mean.value())
    """

    def __init__(self) -> None:
        self._sum: dict[str, NDArray[np.float64]] = {}
        self._wide = np.empty(0)
        self.count = 0

    def add(self, state: State) -> None:
        """Add one update.

        Raises:
            ContractError: names or shapes differ from the first update's.
        """
        if self.count == 0:
            self._sum = {name: np.zeros(array.shape, np.float64) for name, array in state.items()}
            self._wide = np.empty(max((array.size for array in state.values()), default=0))
        if {n: a.shape for n, a in state.items()} != {n: a.shape for n, a in self._sum.items()}:
            raise ContractError("updates of one round have different tensors")
        for name, array in state.items():
            wide = self._wide[: array.size].reshape(array.shape)
            np.copyto(wide, array)  # quicker than to add across types, and no new memory each time
            self._sum[name] += wide
        self.count += 1

    def value(self) -> dict[str, NDArray[np.float64]]:
        """The mean, in fp64.

        Raises:
            ContractError: nothing was added.
        """
        if self.count == 0:
            raise ContractError("no update to average")
        return {name: total / self.count for name, total in self._sum.items()}


def apply(state: State, mean: Mean) -> dict[str, Array]:
    """``state + mean`` on the names of ``mean``, in fp64 and rounded once to fp32.

    Raises:
        ContractError: the mean names a tensor that the adapter does not have.
    """
    if set(mean) - set(state):
        raise ContractError("an update names a tensor that the adapter does not have")
    out = {name: np.array(array, dtype=np.float32) for name, array in state.items()}
    for name, change in mean.items():
        out[name] = (state[name].astype(np.float64) + change).astype(np.float32)
    return out
