"""What a program would cost, before anyone agrees to it: figures, noise for a target, a site's answer.

Section 6 of DESIGN.md, "Budget gate" and "Meaning". Every figure comes from the accountants that will gate
and audit the program: Opacus PRV decides, PLD stands beside it. Calibration is the usual bisection on one
noise multiplier for all charged stages (as in Opacus' ``get_noise_multiplier``); it departs from it in
that PLD does the searching, ten times faster, and the real gate has the last word on the result.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from intraward_client.config import SitePolicy
from intraward_client.plancheck import check_mechanism, check_size
from intraward_client.privacy.budget import EPS_ERROR, HOPELESS, fits, tight_epsilon
from intraward_client.privacy.week import fits_week
from intraward_shared.certificates import MOST_SITES
from intraward_shared.errors import ConfigError, LedgerError, PlanRefused
from intraward_shared.gate import Book, Gate, worst_of
from intraward_shared.privacy import events_to_epsilon, rdp_epsilon
from intraward_shared.program import ProgramConfig
from intraward_shared.protocol import Mechanism, Slot

LEAST_SENSIBLE_NOISE = 0.3
"""No site policy may accept less (``config.PrivacyTerms``)."""
MOST_NOISE = 1000.0
MOST_RETRIES = 1000
_DIGITS = 4
"""Decimals of a calibrated noise multiplier, rounded up: what is printed is what was gated."""

Told = Callable[[float], None]
"""Called with the share that is done."""


@dataclass(frozen=True)
class Cost:
    """Epsilon of some events: by PRV (``epsilon``), by PLD, and by PLD under replace-one."""

    epsilon: float
    epsilon_pld: float
    epsilon_replace_one: float


@dataclass(frozen=True)
class StageCost:
    """One stage alone, its rounds of all iterations; stages do not add up to the total, which composes
    all events together.
    """

    stage: str
    key: str
    rounds: int
    sample_rate: float
    noise_multiplier: float
    steps: int
    cost: Cost


@dataclass(frozen=True)
class ProgramCost:
    """A program at one hospital. ``sites``: epsilon (PLD) of a patient of 1, 2 and 3 hospitals like it."""

    delta: float
    total: Cost
    stages: tuple[StageCost, ...]
    sites: tuple[float, ...]
    iterations: int = 1


@dataclass(frozen=True)
class SiteAnswer:
    """Whether one site would take the program, why not, and what would be left of its budget.

    ``retries``: how many crashed attempts of the costliest round would still fit afterwards. ``gate``
    says what may follow the program: ``program`` means nothing but such retries.
    """

    site: str
    admitted: bool
    reasons: tuple[str, ...]
    cap: float
    spent: float
    gate: Gate
    retries: int


def cost_of(mechanisms: Sequence[Mechanism], delta: float) -> Cost:
    """Epsilon of events together.

    Raises:
        LedgerError: they cannot be accounted for.
    """
    return Cost(
        epsilon=tight_epsilon(mechanisms, delta),
        epsilon_pld=events_to_epsilon(mechanisms, delta),
        epsilon_replace_one=events_to_epsilon(mechanisms, delta, "replace_one"),
    )


def program_cost(
    program: ProgramConfig, source: Path, delta: float, told: Told = lambda share: None
) -> ProgramCost:
    """Epsilon of each charged stage and of the whole.

    Args:
        program: validated.
        source: its file, for messages.
        delta: the sites' lifetime delta.
        told: progress.

    Raises:
        ConfigError: a stage, or all together, cannot be accounted for; names file and key.
    """
    slots, stages = program.charged_slots, []
    for index, stage in enumerate(program.stages):
        told(index / (len(program.stages) + 1))
        if stage.mechanism is None:
            continue
        key = f"stages.{index}.mechanism"
        rounds = sum(slot.stage is stage.stage for slot in slots)
        cost = _named(source, key, [stage.mechanism] * rounds, delta)
        each = stage.mechanism
        stages.append(
            StageCost(
                stage=stage.stage.value,
                key=key,
                rounds=rounds,
                sample_rate=each.sample_rate,
                noise_multiplier=each.noise_multiplier,
                steps=each.steps,
                cost=cost,
            )
        )
    every = [slot.mechanism for slot in slots]
    total = _named(source, "stages", every, delta)
    sites = tuple(events_to_epsilon(every * count, delta) for count in range(1, MOST_SITES + 1))
    told(1.0)
    return ProgramCost(delta, total, tuple(stages), sites, program.program.iterations)


def calibrate(
    program: ProgramConfig, source: Path, delta: float, epsilon: float, told: Told = lambda share: None
) -> ProgramConfig:
    """The program with the least noise, one multiplier for all charged stages, that the gate takes.

    Args:
        program: validated; its own noise multipliers are not looked at.
        source: its file, for messages.
        delta: the sites' lifetime delta.
        epsilon: what all charged stages together may cost.
        told: progress.

    Raises:
        ConfigError: there is nothing to calibrate, or no noise multiplier up to 1000 is enough.
    """
    slots = program.charged_slots
    if not slots:
        raise ConfigError(source, "stages", "no stage is charged", remedy="there is nothing to calibrate")
    if not 0 < epsilon <= 1000:
        raise ConfigError("--epsilon", "", "is not between 0 and 1000", remedy="give the epsilon to reach")
    low, high = LEAST_SENSIBLE_NOISE, MOST_NOISE
    if _meets(slots, low, delta, epsilon):
        high = low
    elif not _meets(slots, high, delta, epsilon):
        raise ConfigError(
            source,
            "stages",
            "no noise multiplier up to 1000 reaches this epsilon",
            remedy="ask for fewer steps",
        )
    width = math.log(high / low) if high > low else 1.0
    while high - low > 10**-_DIGITS:
        told(0.8 * (1 - math.log(high / low) / width))
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _meets(slots, middle, delta, epsilon) else (middle, high)
    noise = math.ceil(high * 10**_DIGITS) / 10**_DIGITS
    while not _gated(slots, noise, delta, epsilon, source):
        noise = round(max(noise * 1.0002, noise + 10**-_DIGITS), _DIGITS)
    told(1.0)
    return _with_noise(program, noise)


def answer_of(
    policy: SitePolicy, book: Book, cap: float, program: ProgramConfig, lately: Sequence[Mechanism] = ()
) -> SiteAnswer:
    """Whether a site's policy and what is left of its budget admit a program.

    Args:
        policy: the site's terms.
        book: what its ledger has charged.
        cap: the lower of the policy's and the ledger's.
        program: validated.
        lately: what the last seven days charged (``week.charged_lately``).
    """
    reasons = _refusals(policy, program)
    mechanisms = [slot.mechanism for slot in program.charged_slots]
    after = book.with_schedule(mechanisms)
    try:
        within = fits(after, cap) if mechanisms else True
    except LedgerError as error:
        within, reasons = False, [*reasons, error.message]
    if mechanisms and not within:
        reasons.append(f"the schedule would pass the site's lifetime epsilon, {_whose_cap(policy, cap)}")
    weekly, week = policy.privacy.weekly_epsilon, (*lately, *mechanisms)
    if mechanisms and within and weekly is not None and not fits_week(week, weekly, book.delta):
        reasons.append("the schedule would pass the weekly epsilon: policy.toml, privacy.weekly_epsilon")
    retries = retries_that_fit(after, cap, mechanisms) if mechanisms and not reasons else 0
    return SiteAnswer(
        site=policy.site,
        admitted=not reasons,
        reasons=tuple(reasons),
        cap=cap,
        spent=tight_epsilon(book.spent, book.delta),
        gate=after.gate,
        retries=retries,
    )


def _whose_cap(policy: SitePolicy, cap: float) -> str:
    if cap < policy.privacy.lifetime_epsilon:
        return (
            f"{cap:g} as the ledger records it; policy.toml says more, which counts once it is recorded: "
            "intraward-client officer amend --key FILE"
        )
    return f"{cap:g}: policy.toml, privacy.lifetime_epsilon"


def retries_that_fit(book: Book, cap: float, slots: Sequence[Mechanism]) -> int:
    """How many more charges of the costliest slot the gate would take; 1000 means at least so many."""
    worst = worst_of(slots)

    def taken(count: int) -> bool:
        first = tuple(slots) == book.schedule
        again = [worst] * count
        return fits(book.with_retry(*again) if first else book.with_plan(*again), cap)

    return most_that_fit(taken, MOST_RETRIES)


def most_that_fit(taken: Callable[[int], bool], most: int) -> int:
    """The largest count up to ``most`` that is taken, of a gate that takes every smaller one too."""
    low, high = 0, 1
    while high <= most and taken(high):
        low, high = high, 2 * high
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if taken(middle) else (low, middle)
    return low


def _named(source: Path, key: str, mechanisms: Sequence[Mechanism], delta: float) -> Cost:
    try:
        return cost_of(mechanisms, delta)
    except LedgerError as error:
        raise ConfigError(source, key, error.message, remedy=error.remedy) from None


def _refusals(policy: SitePolicy, program: ProgramConfig) -> list[str]:
    """What of the site's bounds the program would break, by its own keys; values are public terms."""
    found = []
    if program.model.sha256 is not None and program.model.sha256 != policy.model.sha256:
        found.append("model.sha256: base model is not the one pinned in policy.toml, model.sha256")
    if program.program.simulated != policy.simulation.allowed:
        found.append("program.simulated: simulated programs are for simulated sites, and only they")
    for index, stage in enumerate(program.stages):
        key = f"stages.{index}"
        if stage.stage not in policy.stages:
            found.append(f"{key}: stage {stage.stage.value} is not in policy.toml, stages")
        try:
            check_size(stage.stage, program.lora, stage.training, policy)
            if stage.mechanism is not None:
                check_mechanism(stage.mechanism, policy)
        except PlanRefused as refusal:
            found.append(f"{key}: {refusal.message}")
    return found


def _with_noise(program: ProgramConfig, noise: float) -> ProgramConfig:
    stages = tuple(
        stage
        if stage.mechanism is None
        else stage.model_copy(
            update={"mechanism": stage.mechanism.model_copy(update={"noise_multiplier": noise})}
        )
        for stage in program.stages
    )
    return program.model_copy(update={"stages": stages})


def _noised(slots: Sequence[Slot], noise: float) -> list[Mechanism]:
    return [slot.mechanism.model_copy(update={"noise_multiplier": noise}) for slot in slots]


def _meets(slots: Sequence[Slot], noise: float, delta: float, epsilon: float) -> bool:
    """By PLD, with room for PRV's error; what is hopeless by RDP is spared a grid, as in the gate."""
    events = _noised(slots, noise)
    if rdp_epsilon(events, delta) > HOPELESS * epsilon + 1:
        return False
    return events_to_epsilon(events, delta) <= epsilon - EPS_ERROR


def _gated(slots: Sequence[Slot], noise: float, delta: float, epsilon: float, source: Path) -> bool:
    book = Book(cap=epsilon, delta=delta).with_schedule(_noised(slots, noise))
    try:
        return fits(book, epsilon)
    except LedgerError as error:
        raise ConfigError(source, "stages", error.message, remedy=error.remedy) from None
