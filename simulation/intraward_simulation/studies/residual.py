"""FedEx-LoRA's residual (arXiv 2410.09432, eq. 9): what plain averaging of factors loses, added to the base.

``W + s mean(B_i A_i)`` is what sites' adapters average to, ``W + s mean(B) mean(A)`` what averaged factors
say; the difference goes into the frozen matrix, at the server and at every site before its next round. For
studies: in the product the base model is pinned by digest and the same for all programs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from intraward_shared.adapters import State
from intraward_simulation.studies.tail import Tail

Matrix = NDArray[np.float64]
_A, _B = ".lora_A.weight", ".lora_B.weight"


class Residual:
    """The residuals of all rounds so far, by module; nothing before the first."""

    def __init__(self, tail: Tail) -> None:
        self._tail, self._scaling = tail, tail.lora.lora_alpha / tail.lora.r
        self.sums: dict[str, Matrix] = {}

    def take(self, before: State, updates: Sequence[State]) -> None:
        """Add a round's residual, in fp64.

        Args:
            before: the adapter that the sites started from. updates: each site's change of both factors.
        """
        for name in self._tail.frozen():
            downs = [before[name + _A].astype(np.float64) + one.get(name + _A, 0.0) for one in updates]
            ups = [before[name + _B].astype(np.float64) + one.get(name + _B, 0.0) for one in updates]
            exact = np.mean([up @ down for up, down in zip(ups, downs, strict=True)], axis=0)
            lost = self._scaling * (exact - np.mean(ups, axis=0) @ np.mean(downs, axis=0))
            self.sums[name] = self.sums[name] + lost if name in self.sums else lost

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The tail's frozen matrices with the residuals in them, for a while."""
        matrices = self._tail.frozen()
        kept = {name: matrices[name].detach().clone() for name in self.sums}
        with torch.no_grad():
            for name, lost in self.sums.items():
                matrices[name].add_(torch.from_numpy(lost).to(matrices[name].dtype))
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in kept.items():
                    matrices[name].copy_(value)
