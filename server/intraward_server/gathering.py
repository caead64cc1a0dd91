"""A round's updates, one at a time, to the adapter that comes of them, by the program's terms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from intraward_server.aggregation import StreamingMean, apply
from intraward_server.productgap import product_gap
from intraward_server.robust import Held
from intraward_server.serveroptimizer import drop_moments, read_moments, step, write_moments
from intraward_server.siteheads import divided, parted, whole
from intraward_shared.adapters import Array, State
from intraward_shared.aggregation_terms import AggregationTerms
from intraward_shared.reward_heads import RewardHeads
from intraward_shared.stages import Part

_SHARED = RewardHeads()


class Gathering:
    """Takes the updates of one round, in the order of site names.

    Plain averaging of both factors (``Part.BOTH``) keeps the updates until the end, to tell what it lost.

    Args:
        terms: ``[aggregation]`` of the program.
        trained: the adapter that the sites started from.
        part: which LoRA factors the round trained.
        heads, cohort: whose the rows of the score head are, where each site has its own.
    """

    def __init__(
        self,
        terms: AggregationTerms,
        trained: State,
        part: Part,
        heads: RewardHeads = _SHARED,
        cohort: Sequence[str] = (),
    ) -> None:
        self._terms, self._trained, self._heads, self._cohort = terms, trained, heads, tuple(cohort)
        self._own: dict[str, Array] = {}
        self._sum = StreamingMean() if terms.rule == "mean" else Held(terms)
        self._both: list[State] | None = [] if part is Part.BOTH and terms.rule == "mean" else None

    def add(self, site: str, update: State) -> None:
        """Add one admitted update; of the heads of sites, only the sender's own is taken."""
        member = self._heads.member_of(site, self._cohort)
        if member is not None:
            update, own = parted(update, self._heads, member)
            self._own |= own
        self._sum.add(update)
        if self._both is not None:
            self._both.append(update)

    def figures(self) -> dict[str, Any]:
        """What the round's line of the history says of the aggregation."""
        if not self._both:
            return {}
        return {"product_gap": product_gap(self._trained, self._both)}

    def adapter(self, folder: Path, started: str, *, fresh: bool) -> Made:
        """The new adapter.

        Args:
            folder: where the server optimizer's moments are.
            started: digest of ``trained``.
            fresh: whether this is the first round of a stage, which has no moments before it.

        Raises:
            ContractError: too few updates for the rule.
            ConfigError: the moments of the rounds before are missing or broken.
        """
        moments = {}
        if self._terms.optimizer != "none":
            moments = read_moments(folder, started, fresh=fresh)
        own = {name: array.astype(np.float64) for name, array in self._own.items()}
        change, moments = step({**self._sum.value(), **own}, moments, self._terms)
        made = whole(apply(divided(self._trained, self._heads), change), self._heads)
        return Made(made, folder, started, moments)


class Made:
    """A new adapter; `keep` writes the moments that led to it, under its digest."""

    def __init__(self, state: dict[str, Array], folder: Path, started: str, moments: dict[str, Any]) -> None:
        self.state = state
        self._folder, self._started, self._moments = folder, started, moments

    def keep(self, adapter: str) -> None:
        """Make the moments durable; those of the round before stay until this one is over."""
        if self._moments:
            write_moments(self._folder, adapter, self._moments)
            drop_moments(self._folder, {self._started, adapter})
