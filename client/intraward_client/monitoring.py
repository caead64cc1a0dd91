"""Whether a rate rises above what it should be: a CUSUM of flags, or of comparisons lost. Pure, local.

Page (1954); the log-likelihood form for events of Steiner et al. (2000), summed over batches, because
answers are counted in batches: S = max(0, S + k log(p1/p0) + (n - k) log((1 - p1)/(1 - p0))) with k events
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
    """Answers of one adapter that were given, and how many of them were flagged (or lost; a tie by half)."""

    time: str
    answers: int
    flagged: float


@dataclass(frozen=True)
class Rates:
    """Share of events that is expected, the one that should alarm, and how sure the alarm is."""

    expected: float
    alarming: float
    threshold: float


@dataclass(frozen=True)
class Course:
    """One adapter's batches so far; ``alarm_since`` is the batch at which the sum first passed."""

    answers: int
    flagged: float
    cusum: float
    alarm_since: str | None

    @property
    def per_100(self) -> float:
        """Events per 100 answers."""
        return 100 * self.flagged / self.answers if self.answers else 0.0


def flag_rates(terms: MonitoringTerms) -> Rates:
    """Of flags."""
    return Rates(terms.expected_flags / 100, terms.alarm_flags / 100, terms.threshold)


def loss_rates(terms: MonitoringTerms) -> Rates:
    """Of comparisons that a version lost against the one before."""
    return Rates(terms.expected_losses / 100, terms.alarm_losses / 100, terms.threshold)


def path_of(batches: Sequence[Batch], rates: Rates) -> tuple[float, ...]:
    """The sum after each batch, in their order."""
    event = math.log(rates.alarming / rates.expected)
    none = math.log((1 - rates.alarming) / (1 - rates.expected))
    total, found = 0.0, []
    for batch in batches:
        total = max(0.0, total + batch.flagged * event + (batch.answers - batch.flagged) * none)
        found.append(total)
    return tuple(found)


def follow(batches: Sequence[Batch], rates: Rates) -> Course:
    """Sum up an adapter's batches in their order. An alarm stays: another adapter starts anew."""
    path = path_of(batches, rates)
    since = next((b.time for b, total in zip(batches, path, strict=True) if total > rates.threshold), None)
    answers, flagged = sum(b.answers for b in batches), sum(b.flagged for b in batches)
    return Course(answers, flagged, path[-1] if path else 0.0, since)
