"""``[aggregation]`` of ``program.toml``: how a round's updates become one, and how far the adapter follows.

Terms only; the arithmetic is the coordinator's (``intraward_server.aggregation``, ``robust``,
``serveroptimizer``). Hospitals read them with the program that they agree to: part of what is agreed.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from intraward_shared.config import Strict
from intraward_shared.protocol import Real


class AggregationTerms(Strict):
    """``rule`` makes one change of the sites' updates, ``optimizer`` a step of that change.

    Every rule weighs sites alike. ``mean`` holds one sum, whatever their number; the robust rules hold
    every update. ``trim``: values cut off at each end of every coordinate by ``trimmed_mean``;
    ``hostile``: sites that ``krum`` allows to send anything. ``learning_rate`` and the rest belong to
    fedavgm and fedadam (Reddi et al., arXiv 2003.00295); the adapter takes the change as it is without them.
    """

    rule: Literal["mean", "median", "trimmed_mean", "krum"] = "mean"
    trim: int = Field(default=1, ge=1, le=100)
    hostile: int = Field(default=1, ge=1, le=100)
    optimizer: Literal["none", "fedavgm", "fedadam"] = "none"
    learning_rate: Real = Field(default=1.0, gt=0, le=100)
    momentum: Real = Field(default=0.9, ge=0, lt=1)
    second_momentum: Real = Field(default=0.99, ge=0, lt=1)
    tau: Real = Field(default=1e-3, gt=0, description="adaptivity of fedadam, in units of the update")

    @model_validator(mode="after")
    def _keys_that_are_used(self) -> Self:
        given = self.model_fields_set
        if "trim" in given and self.rule != "trimmed_mean":
            raise ValueError("trim belongs to rule trimmed_mean")
        if "hostile" in given and self.rule != "krum":
            raise ValueError("hostile belongs to rule krum")
        if self.optimizer == "none" and given & {"learning_rate", "momentum", "second_momentum", "tau"}:
            raise ValueError("learning_rate, momentum, second_momentum and tau belong to an optimizer")
        if self.optimizer == "fedavgm" and given & {"second_momentum", "tau"}:
            raise ValueError("second_momentum and tau belong to optimizer fedadam")
        return self

    @property
    def least_sites(self) -> int:
        """Updates that the rule needs for what it promises."""
        if self.rule == "trimmed_mean":
            return 2 * self.trim + 1
        if self.rule == "krum":
            return 2 * self.hostile + 3
        return 3 if self.rule == "median" else 1
