"""Whether clinicians flag a model's answers more often than they should: a CUSUM of the rate. Pure, local.

Page (1954); the log-likelihood form for events of Steiner et al. (2000), summed over batches, because
answers are counted in batches: S = max(0, S + k log(p1/p0) + (n - k) log((1 - p1)/(1 - p0))) with k flags
among n answers, alarm once S passes the threshold. It never leaves the hospital: a drift alarm is a figure
of private data (section 6 of DESIGN.md), and what follows from it is a person's decision.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from intraward_client.config import MonitoringTerms


@dataclass(frozen=True)
class Batch:
    """Answers of one adapter that were given, and how many of them were flagged."""

    time: str
    answers: int
    flagged: int


@dataclass(frozen=True)
class Course:
    """One adapter's batches so far; ``alarm_since`` is the batch at which the sum first passed."""

    answers: int
    flagged: int
    cusum: float
    alarm_since: str | None

    @property
    def per_100(self) -> float:
        """Flags per 100 answers."""
        return 100 * self.flagged / self.answers if self.answers else 0.0


def follow(batches: Sequence[Batch], terms: MonitoringTerms) -> Course:
    """Sum up an adapter's batches in their order. An alarm stays: another adapter starts anew."""
    expected, alarming = terms.expected_flags / 100, terms.alarm_flags / 100
    flag, none = math.log(alarming / expected), math.log((1 - alarming) / (1 - expected))
    total, since = 0.0, None
    for batch in batches:
        total = max(0.0, total + batch.flagged * flag + (batch.answers - batch.flagged) * none)
        if total > terms.threshold and since is None:
            since = batch.time
    answers, flagged = (sum(getattr(b, name) for b in batches) for name in ("answers", "flagged"))
    return Course(answers, flagged, total, since)
