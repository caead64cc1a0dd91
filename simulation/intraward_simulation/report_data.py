"""The figures of one run, as one frozen tree: what ``report.json`` holds and the page is drawn from.

Keeps rule 5 of DESIGN.md at the last step: a run on private records may carry no count of patients
and no sample text, and figures that contradict each other are refused instead of printed. A figure
that nobody measured is ``None`` and is shown as such; it never becomes a zero. Intervals are 95 %.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from intraward_shared.config import Strict
from intraward_simulation.site_results import Count, Share, ShareInterval, SiteResults

Spent = Annotated[float, Field(ge=0)]
Interval = tuple[float, float]

ROUNDING = 1e-9
"""Slack when a stated maximum is compared with the rows it was taken from."""


class SiteFacts(Strict):
    """One hospital. Counts are allowed because simulated hospitals are synthetic or made of public files."""

    name: str
    patients: Count | None = None
    notes: Count | None = None
    released: Count | None = None
    quarantined: Count | None = None


class BaseModelFacts(Strict):
    """The base model that every site pins by digest."""

    name: str
    digest: str
    parameters: Count | None = None


class RunFacts(Strict):
    """What was run. ``simulated`` means that noise came from a seed, so adapters carry no privacy."""

    name: str
    model: BaseModelFacts
    simulated: bool
    seed: int | None = None
    sites: tuple[SiteFacts, ...] = Field(min_length=1)
    rounds: Count
    origin: Literal["synthetic", "public", "private"] = "synthetic"
    processes: bool = False
    version: str = ""
    finished: str = ""


class RewardModelFacts(SiteResults):
    """Accuracy on held-out pairs beside the rule "the longer answer wins", and calibration.

    ``length_matched``: accuracy on the pairs whose answers are of about the same length. ``brier`` and
    ``calibration_error`` are those of the sigmoid of the score difference. ``disagreement``: standard
    deviation over the ensemble's members, also where they are right and wrong.
    """

    accuracy: Share | None = None
    accuracy_interval: ShareInterval | None = None
    length_baseline: Share | None = None
    length_baseline_interval: ShareInterval | None = None
    pairs: Count | None = None
    length_matched: Share | None = None
    length_matched_interval: ShareInterval | None = None
    length_matched_pairs: Count | None = None
    brier: Share | None = None
    calibration_error: Share | None = None
    members: Count | None = None
    lowest_member_accuracy: Share | None = None
    lowest_member_accuracy_interval: ShareInterval | None = None
    disagreement: Spent | None = None
    disagreement_right: Spent | None = None
    disagreement_wrong: Spent | None = None
    unanimous: Share | None = None


class PolicyFacts(Strict):
    """Mean true reward before and after RL, and how often the RL answer wins against SFT's."""

    reward_sft: float | None = None
    reward_rl: float | None = None
    reward_gain_interval: Interval | None = None
    win_rate: Share | None = None
    win_rate_interval: ShareInterval | None = None
    kl: float | None = None
    prompts: Count | None = None


class StageSpend(Strict):
    """Epsilon of one stage alone, by both accountants; ``note`` says why a stage is free."""

    stage: str
    epsilon_pld: Spent | None = None
    epsilon_prv: Spent | None = None
    note: str = ""


class SiteSpend(Strict):
    """What one hospital has spent. Totals compose all stages, so they are less than their sum."""

    site: str
    stages: tuple[StageSpend, ...] = ()
    total_pld: Spent | None = None
    total_prv: Spent | None = None
    total_replace_one: Spent | None = None
    cap: Spent
    delta: Annotated[float, Field(gt=0, lt=1)]

    @property
    def total(self) -> float | None:
        """The larger of both accountants' totals."""
        return max((x for x in (self.total_pld, self.total_prv) if x is not None), default=None)


class PrivacyFacts(Strict):
    """Per-patient privacy loss of every site. Build it with ``of``; a page may not contradict its table."""

    max_epsilon: Spent | None
    accountants_differ_by: Spent | None
    sites: tuple[SiteSpend, ...]
    unit: str = "patient"
    adjacency: str = "add/remove one patient"
    all_sites_epsilon: Spent | None = None
    """Composed epsilon (PLD) of a patient who attends every hospital."""

    @classmethod
    def of(cls, sites: tuple[SiteSpend, ...], *, all_sites_epsilon: float | None = None) -> Self:
        """Derive both headline figures from the rows."""
        return cls(
            max_epsilon=_largest(sites),
            accountants_differ_by=_difference(sites),
            sites=sites,
            all_sites_epsilon=all_sites_epsilon,
        )

    @model_validator(mode="after")
    def _agree_with_rows(self) -> Self:
        if not _same(self.max_epsilon, _largest(self.sites)):
            raise ValueError("max_epsilon is not the largest total of the sites")
        if not _same(self.accountants_differ_by, _difference(self.sites)):
            raise ValueError("accountants_differ_by is not the largest difference in the table")
        return self


class ScannedPlace(Strict):
    """One place that was searched for planted identifiers."""

    place: str
    items: Count | None = None
    bytes: Count | None = None
    found: Count


class EgressFacts(Strict):
    """What crossed the wall. ``bytes_per_round`` is one site's sealed update in one round."""

    identifiers_planted: Count | None = None
    identifiers_found: Count | None = None
    bytes_per_round: Count | None = None
    messages: Count | None = None
    bytes_out: Count | None = None
    scanned_bytes: Count | None = None
    places: tuple[ScannedPlace, ...] = ()
    control_found: Count | None = None
    """Positive control: how many planted identifiers the same scan finds in the raw notes."""

    @model_validator(mode="after")
    def _found_among_planted(self) -> Self:
        if (self.identifiers_found is None) != (self.identifiers_planted is None):
            raise ValueError("identifiers_found and identifiers_planted are measured together or not at all")
        planted, found = self.identifiers_planted or 0, self.identifiers_found or 0
        worst = max((place.found for place in self.places), default=0)
        if found > planted or worst > found:
            raise ValueError("more identifiers were found in one place than were found or planted in all")
        return self


class DeidFacts(Strict):
    """De-identification over all sites: counts only."""

    notes: Count | None = None
    released: Count | None = None
    quarantined: Count | None = None
    by_class: dict[str, Count] = Field(default={})
    by_reason: dict[str, Count] = Field(default={})
    identifiers_left: Count | None = None
    recall: dict[str, Share] = Field(default={})

    @model_validator(mode="after")
    def _parts_fit_whole(self) -> Self:
        if self.notes is not None and (self.released or 0) + (self.quarantined or 0) > self.notes:
            raise ValueError("more notes were released and quarantined than came in")
        return self


class SiteLedger(Strict):
    """One hospital's ledger as ``intraward-audit verify`` saw it."""

    site: str
    verified: bool
    entries: Count
    head: str = ""


class LedgerFacts(Strict):
    """All ledgers; ``verified`` only when every single one is."""

    verified: bool
    entries: Count
    sites: tuple[SiteLedger, ...] = ()

    @model_validator(mode="after")
    def _all_verify(self) -> Self:
        if self.verified and not all(site.verified for site in self.sites):
            raise ValueError("the ledgers are called verified, but one of them is not")
        return self


class SftFacts(Strict):
    """Where the SFT texts came from, and one sentence on what they cost."""

    data: Literal["public", "private"]
    note: str


class RewardPoint(Strict):
    """Accuracy of the reward model on held-out pairs after a round."""

    round: Count
    accuracy: Share | None = None


class PolicyPoint(Strict):
    """The policy on public prompts after a round of policy optimisation."""

    round: Count
    gold_reward: float | None = None
    proxy_reward: float | None = None
    kl: float | None = None


class IterationPoint(Strict):
    """What an iteration ended with; wins and gain are over the SFT policy, on quick prompts."""

    iteration: int
    reward_model: str = ""
    policy: str = ""
    accuracy: Share | None = None
    reward_rl: float | None = None
    reward_gain: float | None = None
    win_rate: Share | None = None
    win_rate_interval: ShareInterval | None = None
    kl: float | None = None


class Curves(Strict):
    """Learning over rounds; empty when a stage was not run."""

    reward: tuple[RewardPoint, ...] = ()
    ppo: tuple[PolicyPoint, ...] = ()
    iterations: tuple[IterationPoint, ...] = ()


class GoldPoint(Strict):
    """A policy judged by the reward model (``proxy``) and by the gold judge; round 0 is the SFT policy."""

    iteration: int
    round: Count
    kl: float
    proxy: float
    gold: float
    gold_std_error: Annotated[float, Field(ge=0)]


class GoldVerdict(Strict):
    """Whether the policy of an iteration games its reward model, in words."""

    iteration: int
    outcome: Literal["over-optimised", "uncertain", "not seen", "proxy did not rise"]
    words: str
    best_round: Count


class OverOptimisationFacts(Strict):
    """Proxy against gold over KL (Gao et al., arXiv 2210.10760), and who the gold judge was."""

    judge: str = ""
    points: tuple[GoldPoint, ...] = ()
    verdicts: tuple[GoldVerdict, ...] = ()


class Sample(Strict):
    """One public or synthetic prompt with the answers of both models."""

    prompt: str = Field(repr=False)
    before: str = Field(repr=False)
    after: str = Field(repr=False)


class LineageStep(Strict):
    """One signed adapter, named by the digest of its tensors."""

    stage: str
    round: Count
    digest: str


class ReportData(Strict):
    """Everything a report says; ``report.json`` is this tree."""

    run: RunFacts
    reward_model: RewardModelFacts
    policy: PolicyFacts
    privacy: PrivacyFacts
    egress: EgressFacts
    deid: DeidFacts
    ledger: LedgerFacts
    sft: SftFacts
    curves: Curves = Curves()
    over_optimisation: OverOptimisationFacts = OverOptimisationFacts()
    samples: tuple[Sample, ...] = Field(default=(), repr=False)
    evaluation: dict[str, JsonValue] = Field(default={})
    lineage: tuple[LineageStep, ...] = ()
    seconds: Spent
    seconds_by_phase: dict[str, Spent] = Field(default={})

    @model_validator(mode="after")
    def _private_records_stay(self) -> Self:
        if self.run.origin == "private" and self.samples:
            raise ValueError("a run on private records may not show sample texts")
        if self.run.origin == "private" and any(_counts_records(site) for site in self.run.sites):
            raise ValueError("a run on private records may not name counts of patients or notes of a site")
        return self


def _counts_records(site: SiteFacts) -> bool:
    return any(n is not None for n in (site.patients, site.notes, site.released, site.quarantined))


def _largest(sites: tuple[SiteSpend, ...]) -> float | None:
    return max((site.total for site in sites if site.total is not None), default=None)


def _difference(sites: tuple[SiteSpend, ...]) -> float | None:
    pairs = [(s.epsilon_pld, s.epsilon_prv) for site in sites for s in site.stages]
    pairs += [(site.total_pld, site.total_prv) for site in sites]
    return max((abs(a - b) for a, b in pairs if a is not None and b is not None), default=None)


def _same(stated: float | None, derived: float | None) -> bool:
    if stated is None or derived is None:
        return stated is derived
    return abs(stated - derived) <= ROUNDING
