"""Robust rules: one change of several updates, whatever a few of the sites send.

Pure functions of a list of updates in the order of site names: coordinate-wise median and trimmed mean
(Yin et al., arXiv 1803.01498), Krum (Blanchard et al., NeurIPS 2017). They hold every update of the round
in memory, where the mean holds one sum.

What they can do under differential privacy has a floor. Each honest update of ``d`` numbers carries noise of
standard deviation ``sigma``, so two honest ones lie ``sigma * sqrt(2 d)`` apart whatever they learnt, and a
hostile one that keeps within that distance of them cannot be told by it. Admission's norm bound, which
follows from the plan, is what bounds how far it can pull (``admission.norm_bound``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from intraward_shared.adapters import State
from intraward_shared.aggregation_terms import AggregationTerms
from intraward_shared.errors import ContractError

Change = dict[str, NDArray[np.float64]]


def median(updates: Sequence[State]) -> Change:
    """Median of every coordinate."""
    return {name: np.median(stack, axis=0) for name, stack in _stacks(updates)}


def trimmed_mean(updates: Sequence[State], trim: int) -> Change:
    """Mean of every coordinate without its ``trim`` smallest and ``trim`` largest values.

    Raises:
        ContractError: nothing would be left.
    """
    if len(updates) <= 2 * trim:
        raise ContractError(
            "too few updates for aggregation.trim", remedy="lower trim, or raise program.quorum"
        )
    kept = slice(trim, len(updates) - trim)
    return {name: np.sort(stack, axis=0)[kept].mean(axis=0) for name, stack in _stacks(updates)}


def krum(updates: Sequence[State], hostile: int) -> Change:
    """The update whose ``n - hostile - 2`` nearest others lie nearest, by squared Euclidean distance.

    Raises:
        ContractError: fewer than ``2 * hostile + 3`` updates.
    """
    count = len(updates)
    if count < 2 * hostile + 3:
        raise ContractError(
            "too few updates for aggregation.hostile", remedy="lower hostile, or raise program.quorum"
        )
    apart = np.zeros((count, count))
    for _, stack in _stacks(updates):
        flat = stack.reshape(count, -1)
        for one in range(count):
            apart[one] += ((flat - flat[one]) ** 2).sum(axis=1)
    nearest = np.sort(apart, axis=1)[:, 1 : count - hostile - 1]
    chosen = updates[int(nearest.sum(axis=1).argmin())]
    return {name: array.astype(np.float64) for name, array in chosen.items()}


class Held:
    """Every update of a round until they are made into one; the streaming mean's place for robust rules."""

    def __init__(self, terms: AggregationTerms) -> None:
        self._terms = terms
        self._updates: list[State] = []

    def add(self, state: State) -> None:
        """Add one update."""
        self._updates.append(state)

    def value(self) -> Change:
        """The rule's change.

        Raises:
            ContractError: no update, updates of different tensors, or too few for the rule.
        """
        if not self._updates:
            raise ContractError("no update to aggregate")
        if self._terms.rule == "median":
            return median(self._updates)
        if self._terms.rule == "trimmed_mean":
            return trimmed_mean(self._updates, self._terms.trim)
        return krum(self._updates, self._terms.hostile)


def _stacks(updates: Sequence[State]) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Each tensor of all updates, one above the other, by name; one tensor at a time."""
    shape = {name: array.shape for name, array in updates[0].items()}
    if any({name: array.shape for name, array in one.items()} != shape for one in updates):
        raise ContractError("updates of one round have different tensors")
    for name in sorted(shape):
        yield name, np.stack([one[name] for one in updates]).astype(np.float64)
