"""What may be said of a site's privacy, computed from its ledger alone: the privacy certificate.

Rule 7 and sections 6 ("Meaning") and 7 of DESIGN.md. The fields follow the public registry of DP
deployments (arXiv 2509.13509) and the questions of NIST SP 800-226: unit, flavour, epsilon and delta,
trust model, mechanism, accounting, budget renewal, parameters, and what the figure does not cover.
Every epsilon is recomputed by dp-accounting PLD from the entries; nothing is read off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version

from intraward_shared.attack_results import GATES, AttackResult
from intraward_shared.config import Strict
from intraward_shared.errors import LedgerError
from intraward_shared.gate import Gate, read_book
from intraward_shared.ledger_chain import charged, policy_entry, stage_charges, verify_chain
from intraward_shared.ledger_entry import Kind, LedgerEntry
from intraward_shared.privacy import TOLERANCE, events_to_epsilon, group_events

PROMISE = (
    "Raw notes, prompts, labels, rationales and per-example metrics never leave the hospital process. "
    "Everything that leaves is (epsilon, delta)-differentially private per patient within one hospital, "
    "noised by the hospital itself, so it holds even if the coordinator is malicious. Every release is "
    "charged beforehand to a signed ledger that anyone can recompute with another library. Attacks are "
    "part of the test suite, and their results are printed with privacy on and off."
)
"""DESIGN.md section 7, word for word."""

LIMITS = (
    "Epsilon is per patient within one hospital; a patient of m hospitals has the figure for m sites.",
    "It covers what training released, not the base model's own training, nor public data.",
    "It does not hide what is true of the population, nor protect the people who label.",
    "It assumes that the hospital's machine and its operating system are honest.",
    "The noise is computational: it comes from a cryptographic generator.",
)
SIMULATED = "SIMULATED, NOT PRIVATE: this ledger allows seeded noise; its figures show the arithmetic only."
MOST_SITES = 3


class Parameters(Strict):
    """Equal steps taken together; ``steps`` counts optimiser steps."""

    sample_rate: float
    noise_multiplier: float
    steps: int


class StageSpend(Strict):
    """One stage alone. Stages do not add up to the total, which composes all events together."""

    stage: str
    epsilon: float
    epsilon_replace_one: float
    events: tuple[Parameters, ...]


class SitesSpend(Strict):
    """Epsilon of a patient who is in the tables of ``sites`` hospitals that all spent like this one."""

    sites: int
    epsilon: float


class PrivacyCertificate(Strict):
    """One site's statement. ``epsilon`` is of all charges together, whether released or not.

    Where plans were chosen after results, ``epsilon`` is the gate's figure, which stays valid then;
    ``epsilon_if_fixed`` is what tight accounting would say had all of them been fixed beforehand, and so
    are those of single stages and ``epsilon_replace_one``, which never stands beside the gate's figure.
    """

    product: str = "intraward"
    site: str
    public_key: str
    policy: str
    entries: int
    head: str
    promise: str = PROMISE
    simulated: bool
    warning: str
    unit: str
    unit_meaning: str = "all records of one patient within one hospital"
    adjacency: str
    flavour: str = "approximate differential privacy (epsilon, delta)"
    epsilon: float
    epsilon_if_fixed: float
    epsilon_replace_one: float
    delta: float
    lifetime_epsilon: float
    within_cap: bool
    gate: Gate
    gate_epsilon: float
    several_hospitals: tuple[SitesSpend, ...]
    stages: tuple[StageSpend, ...]
    reserved_rounds: int
    released_rounds: int
    aborted_rounds: int
    trust_model: str = "local to the hospital: it adds the noise itself before anything leaves"
    mechanism: str = "Poisson-subsampled Gaussian over patients, per-patient clipping (DP-SGD)"
    accounting: str
    budget_renewal: str = "never: the cap is for the life of the site"
    policy_changes: int
    limits: tuple[str, ...] = LIMITS

    @property
    def chosen(self) -> bool:
        """Whether the gate's figure is above the tight one: something was chosen after results."""
        return self.epsilon > self.epsilon_if_fixed


class PrivacyReport(Strict):
    """Certificates of several sites, the patient who is in every one of their tables, and attacks.

    ``attacks`` are results of the attack suite on the program's code, with privacy on and off; they say
    nothing of one site's data. ``attacks_not_given`` names those that nobody handed in.
    """

    schema_version: int = 1
    certificates: tuple[PrivacyCertificate, ...]
    all_sites_epsilon: float
    delta: float
    attacks: tuple[AttackResult, ...] = ()
    attacks_not_given: tuple[str, ...] = tuple(GATES)


def gate_epsilon(entries: Sequence[LedgerEntry]) -> tuple[Gate, float]:
    """The figure that the site's gate had to keep under its cap, with PLD for the site's PRV.

    Returns:
        which gate rules the ledger for ever, and ``gate.Book.figure``.

    Raises:
        LedgerError: something was charged that its gate could not have let through.
    """
    book = read_book(entries)
    return book.gate, book.figure(events_to_epsilon)


def kept_caps(entries: Sequence[LedgerEntry]) -> bool:
    """Whether every charge was within the cap of its own time; a cap raised afterwards covers nothing.

    A burn is an officer's entry and not admitted by the gate: it counts for what is charged after it.

    Raises:
        LedgerError: as ``gate_epsilon``.
    """
    caps = [(at, entry.terms.lifetime_epsilon) for at, entry in enumerate(entries) if entry.terms is not None]
    ends = [at for at, _ in caps[1:]] + [len(entries)]
    for (start, cap), end in zip(caps, ends, strict=True):
        gated = (at for at in range(start, end) if entries[at].charges and entries[at].kind is Kind.RESERVE)
        last = max(gated, default=None)
        if last is None:
            continue
        _, figure = gate_epsilon(entries[: last + 1])
        if figure > cap + TOLERANCE:
            return False
    return True


def certify(entries: Sequence[LedgerEntry]) -> PrivacyCertificate:
    """Verify a ledger and state what it spent.

    Raises:
        LedgerError: chain, signature or a rule is broken.
    """
    history = verify_chain(entries)
    terms, charges = policy_entry(entries), charged(entries)
    fixed = events_to_epsilon(charges, terms.delta)
    gate, gated = gate_epsilon(entries)
    last = [entry.kind for entry in history.plans.values()]
    return PrivacyCertificate(
        site=terms.site,
        public_key=terms.public,
        policy=terms.policy,
        entries=len(entries),
        head=entries[-1].hash,
        simulated=terms.simulated,
        warning=SIMULATED if terms.simulated else "",
        unit=terms.unit,
        adjacency=terms.adjacency,
        epsilon=max(fixed, gated),
        epsilon_if_fixed=fixed,
        epsilon_replace_one=events_to_epsilon(charges, terms.delta, "replace_one"),
        delta=terms.delta,
        lifetime_epsilon=terms.lifetime_epsilon,
        within_cap=max(fixed, gated) <= terms.lifetime_epsilon + TOLERANCE and kept_caps(entries),
        gate=gate,
        gate_epsilon=gated,
        several_hospitals=tuple(
            SitesSpend(sites=count, epsilon=_at_sites(entries, count)) for count in range(1, MOST_SITES + 1)
        ),
        stages=_stages(entries, terms.delta),
        reserved_rounds=last.count(Kind.RESERVE),
        released_rounds=last.count(Kind.RELEASE),
        aborted_rounds=last.count(Kind.ABORT),
        accounting=f"dp-accounting {version('dp-accounting')}, privacy loss distribution",
        policy_changes=sum(entry.kind is Kind.POLICY for entry in entries) - 1,
    )


def privacy_report(
    ledgers: Sequence[Sequence[LedgerEntry]], attacks: Sequence[AttackResult] = ()
) -> PrivacyReport:
    """Certificates of several ledgers, at the smallest of their deltas for the patient of all of them.

    Raises:
        LedgerError: a ledger is broken, or two are of one site.
    """
    certificates = tuple(certify(entries) for entries in ledgers)
    if len({item.site for item in certificates}) != len(certificates) or not certificates:
        raise LedgerError("a report needs the ledgers of different sites", remedy="give each ledger once")
    delta = min(item.delta for item in certificates)
    return PrivacyReport(
        certificates=certificates,
        all_sites_epsilon=_everywhere(ledgers, delta),
        delta=delta,
        attacks=tuple(attacks),
        attacks_not_given=tuple(name for name in GATES if name not in {item.attack for item in attacks}),
    )


def _at_sites(entries: Sequence[LedgerEntry], sites: int) -> float:
    """Epsilon of a patient at ``sites`` hospitals whose ledgers all say the same."""
    repeated = events_to_epsilon(charged(entries) * sites, policy_entry(entries).delta)
    return max(repeated, read_book(entries).figure(events_to_epsilon, sites))


def _everywhere(ledgers: Sequence[Sequence[LedgerEntry]], delta: float) -> float:
    """Epsilon of a patient of all these hospitals; at one fixed order if a plan was chosen after results."""
    charges = [item for entries in ledgers for item in charged(entries)]
    books = [replace(read_book(entries), delta=delta) for entries in ledgers]
    fixed = events_to_epsilon(charges, delta)
    if not any(book.chosen for book in books):
        return fixed
    return max(fixed, next(book for book in books if book.first is not None).filtered(charges))


def _stages(entries: Sequence[LedgerEntry], delta: float) -> tuple[StageSpend, ...]:
    return tuple(
        StageSpend(
            stage=stage,
            epsilon=events_to_epsilon(charges, delta),
            epsilon_replace_one=events_to_epsilon(charges, delta, "replace_one"),
            events=tuple(Parameters(**group._asdict()) for group in group_events(charges)),
        )
        for stage, charges in stage_charges(entries).items()
    )
