"""Releasing one noised figure of this site's own data: asked, charged, computed, signed. An operator's act.

DESIGN.md rules 3 to 6 and section 6 ("Spending", "What else could speak"). In the order that it must happen:
the policy allows it, the budget gate lets it through, RESERVE (fsync), rows are read, noise is drawn, the
signed file is on disk (fsync), RELEASE (fsync), and a person carries it out. A crash in between wastes the
charge: the terms hold a nonce, so a second try is another figure with another charge and other noise. What a
patient adds is bounded in ``intraward_shared.figure``. The gateway cannot ask for any of it: no plan names a
figure.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from intraward_client.config import SitePolicy, load_policy
from intraward_client.home import SiteHome
from intraward_client.participation import check_member
from intraward_client.privacy.budget import Budget, prv_epsilon
from intraward_client.privacy.noise import NoiseSource
from intraward_client.privacy.week import check_week
from intraward_client.site_ledger import open_ledger
from intraward_client.trail import Action, record
from intraward_shared.durable import write_durably
from intraward_shared.errors import BudgetExhausted, ConfigError, IntrawardError, TrainingAborted
from intraward_shared.figure import (
    BOUND,
    FIGURE_DOMAIN,
    Figure,
    FigureTerms,
    fewest_patients,
    figure_mechanism,
    figure_value,
)
from intraward_shared.gate import read_book
from intraward_shared.ledger import Ledger, LedgerEntry
from intraward_shared.ledger_entry import FigureName, Kind
from intraward_shared.privacy import events_to_epsilon
from intraward_shared.protocol import open_signed, sign_value
from intraward_shared.signing import SigningKey, digest

Shares = Mapping[str, Sequence[float]]
"""Of each patient, shares in [0, 1], one a record, in the order of record names."""
_GRID = 1000.0
"""Noise multipliers are whole thousandths."""
_MOST_NOISE = 1000.0


@dataclass(frozen=True)
class Price:
    """What a person should know before a figure is charged; nothing of it depends on a row.

    Attributes:
        epsilon: of this figure by itself.
        left: under the lifetime cap, as the gate counts, before and after.
        turns: it is the first charge by somebody who may have seen results, so that from now on the gate
            counts by its filter, everything so far included.
        figures: what all figures may cost together, and what those before have cost.
        patients: from about so many on a value can be told.
    """

    epsilon: float
    left: tuple[float, float]
    turns: bool
    figures: tuple[float, float]
    patients: int


def patient_sums(shares: Shares, records: int) -> tuple[float, float]:
    """Sums over patients of ``(share - 1/2, 1/2)`` before noise.

    Args:
        records: at most so many of a patient are read, the first ones; a patient without any adds nothing.
    """
    vectors = [_vector(told[:records]) for _, told in sorted(shares.items()) if told]
    return math.fsum(one for one, _ in vectors), math.fsum(other for _, other in vectors)


def _vector(told: Sequence[float]) -> tuple[float, float]:
    """What one patient adds: never longer than ``BOUND``; a record that is not finite says one half."""
    own = [min(1.0, max(0.0, each)) if math.isfinite(each) else 0.5 for each in told]
    return math.fsum(own) / len(own) - 0.5, 0.5


def noise_for(epsilon: float, delta: float) -> float:
    """Least noise multiplier, rounded up, at which one figure costs at most ``epsilon``.

    Raises:
        ConfigError: no noise that a ledger holds is enough.
    """
    low, high = 0.3, _MOST_NOISE
    if events_to_epsilon([figure_mechanism(high, 1)], delta) > epsilon:
        raise ConfigError("--epsilon", "", "is too small for any figure", remedy="ask for more, or for none")
    while high - low > 0.5 / _GRID:
        middle = (low + high) / 2
        enough = events_to_epsilon([figure_mechanism(middle, 1)], delta) <= epsilon
        low, high = (low, middle) if enough else (middle, high)
    return math.ceil(high * _GRID) / _GRID


def figures_spent(entries: Sequence[LedgerEntry], delta: float) -> float:
    """Sum of what each figure of a ledger cost by itself: what ``figures.epsilon`` of the policy bounds.

    A plain sum, because figures are chosen by somebody who has seen the ones before.
    """
    return math.fsum(
        events_to_epsilon([entry.mechanism], delta)
        for entry in entries
        if entry.figure is not None and entry.charges and entry.mechanism is not None
    )


def make_terms(
    policy: SitePolicy,
    public: str,
    name: FigureName,
    adapter: str,
    against: str | None,
    epsilon: float,
    max_error: float,
    now: datetime,
) -> FigureTerms:
    """The terms of a new figure, at the site's own delta.

    Raises:
        ConfigError: the policy allows no figure, or weaker noise than this would be.
    """
    if policy.figures.epsilon <= 0:
        raise ConfigError(
            "policy.toml",
            "figures.epsilon",
            "is not set: this site releases no figure",
            remedy="the hospital decides how much all its figures together may cost, and sets it",
        )
    noise = max(noise_for(epsilon, policy.privacy.delta), policy.privacy.min_noise_multiplier)
    return FigureTerms(
        site=policy.site,
        public=public,
        name=name,
        adapter=adapter,
        against=against,
        mechanism=figure_mechanism(noise, policy.privacy.max_records_per_patient),
        max_error=max_error,
        simulated=policy.simulation.allowed,
        time=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        nonce=secrets.token_hex(16),
    )


def release_figure(
    home: SiteHome,
    terms: FigureTerms,
    read: Callable[[], Shares],
    *,
    agree: Callable[[Price], None],
    first: bool = False,
) -> tuple[Figure, Path]:
    """Charge a figure, compute it, and leave the signed file in the site's folder.

    Args:
        home: the site; its ward must be stopped, because the ledger has one writer.
        terms: as ``make_terms``.
        read: reads the patients' shares; called once, after the charge is on disk.
        agree: told what it costs once everything allows it; raises where a person does not want it.
        first: let it be the first charge of the ledger, which fixes how the gate counts for ever
            (``intraward_shared.gate``): a program that comes later then fits less often.

    Raises:
        PlanRefused, ConfigError, LedgerError, or what ``agree`` raises: nothing was charged, nothing read.
        TrainingAborted: something failed after the charge, which stays.
    """
    policy, key = load_policy(home.policy), SigningKey.load(home.signing_key)
    check_member(home, key.public)
    with closing(open_ledger(home, policy, key)) as ledger:
        _settle(home, ledger, key)
        if not (first or ledger.charges()):
            raise ConfigError(
                "--first",
                "",
                "is missing: nothing was charged yet, and what is charged first fixes how the budget gate "
                "counts for ever",
                remedy="let the first program's schedule be charged before, or add --first knowingly",
            )
        _check_allowance(policy, ledger, terms)
        Budget(ledger, policy.privacy.lifetime_epsilon, policy.privacy.delta).admit(terms)
        agree(_price(policy, ledger, terms))
        entry = ledger.reserve(terms)
        try:
            figure = Figure(terms=terms, entry=entry, value=_noised(entry, terms, read()))
            envelope = sign_value(figure, FIGURE_DOMAIN, key)
            path = home.figure(terms.digest)
            write_durably(path, envelope)
            ledger.release(terms.digest, digest(envelope))
        except Exception as error:
            with suppress(IntrawardError, OSError):
                home.figure(terms.digest).unlink(missing_ok=True)
                ledger.abort(terms.digest)
            name = error.code if isinstance(error, IntrawardError) else type(error).__name__
            raise TrainingAborted(
                f"the figure failed after it was charged ({name}); the charge stays",
                remedy="mend what is wrong; another try is another figure, and charged again",
            ) from None
        record(home, key, Action.FIGURE, terms.digest, terms.name.value)
    return figure, path


def _settle(home: SiteHome, ledger: Ledger, key: SigningKey) -> None:
    """End what a process that died left open: a signed file is released, anything else given up."""
    for entry in ledger.entries:
        plan = str(entry.plan)
        if entry.figure is None or ledger.state_of(plan) is not Kind.RESERVE:
            continue
        path = home.figure(plan)
        if path.exists():
            envelope = path.read_bytes()
            if open_signed(envelope, FIGURE_DOMAIN, Figure, key.public).terms.digest == plan:
                ledger.release(plan, digest(envelope))
                record(home, key, Action.FIGURE, plan, entry.figure.value)
                continue
        ledger.abort_dead_attempt(plan)


def _price(policy: SitePolicy, ledger: Ledger, terms: FigureTerms) -> Price:
    delta, cap = policy.privacy.delta, policy.privacy.lifetime_epsilon
    book = read_book(ledger.entries)
    after = book.with_plan(*ledger.pending_charges(terms))
    return Price(
        epsilon=events_to_epsilon([terms.mechanism], delta),
        left=(cap - book.figure(prv_epsilon), cap - after.figure(prv_epsilon)),
        turns=not book.chosen,
        figures=(policy.figures.epsilon, figures_spent(ledger.entries, delta)),
        patients=fewest_patients(terms.mechanism.noise_multiplier, terms.max_error),
    )


def _check_allowance(policy: SitePolicy, ledger: Ledger, terms: FigureTerms) -> None:
    delta, now = policy.privacy.delta, datetime.strptime(terms.time + "+0000", "%Y-%m-%dT%H:%M:%SZ%z")
    spent, cost = figures_spent(ledger.entries, delta), events_to_epsilon([terms.mechanism], delta)
    if spent + cost > policy.figures.epsilon:
        left = max(0.0, policy.figures.epsilon - spent)
        raise BudgetExhausted(
            f"the figure costs epsilon {cost:.3f} and would pass what all figures may cost: of "
            f"figures.epsilon = {policy.figures.epsilon:g} in policy.toml {spent:.3f} is spent, "
            f"{left:.3f} left",
            remedy="ask with a smaller --epsilon, or have the hospital raise figures.epsilon",
        )
    new = ledger.pending_charges(terms)
    check_week(ledger.entries, new, policy.privacy.weekly_epsilon, delta, now)


def _noised(entry: LedgerEntry, terms: FigureTerms, shares: Shares) -> float | None:
    event = terms.mechanism
    noise = NoiseSource.fresh(entry.hash, 1).gaussian(0, "figure", (2,)).numpy()
    sums = np.asarray(patient_sums(shares, event.max_records_per_unit))
    excess, halves = sums + event.noise_multiplier * BOUND * noise
    return figure_value(float(excess), float(halves), event.noise_multiplier, terms.max_error)
