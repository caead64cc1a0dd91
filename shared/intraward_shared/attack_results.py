"""Results of the attack suite as an auditor reads them: figures, and the gates that they must pass.

DESIGN.md section 7: attacks are run, and their results printed with privacy on and off. The simulation
writes them (``intraward-simulate attack``), ``intraward-audit report`` takes them into its page. What must
be reached stands here in ``GATES``, not in the file: a result that names other gates, states a bound of its
own, or a worst case or verdict that does not follow from its own figures is refused, and so is one whose
epsilon is not that of the mechanism it names (rule 7: recomputed, not remembered). What cannot be seen
from a file is that the figures were measured: settings, seeds and the digest of the attacked code are there
so that anyone can repeat the run and compare.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pydantic import Field, ValidationError, model_validator

from intraward_shared.brought import read_brought
from intraward_shared.config import Strict
from intraward_shared.errors import ConfigError
from intraward_shared.privacy import TOLERANCE, events_to_epsilon
from intraward_shared.protocol import Digest, Mechanism
from intraward_shared.scalars import Version

Attack = Literal["gauge", "membership", "inversion", "canary", "one-run"]
Privacy = Literal["on", "off", "cut"]
"""``cut``: the noise that the claim asks for, made too small on purpose; the attack must notice."""
Worst = Literal["largest", "smallest"]
Sense = Literal["at most", "at least", "above"]
Label = Version

MAX_BYTES = 1_000_000
LARGEST_CLAIM = 8.0
"""The gates speak of claims up to this epsilon."""
SLACK = 0.01
"""Share of a claim that its mechanism may leave unspent: more noise than claimed flatters the gates."""


class GateRule(NamedTuple):
    """What the worst of one figure's values must reach."""

    figure: str
    privacy: Privacy
    worst: Worst
    sense: Sense
    bound: float


GATES: dict[str, tuple[GateRule, ...]] = {
    "gauge": (
        GateRule("claim_error", "on", "largest", "at most", 0.05),
        GateRule("claim_error", "cut", "smallest", "above", 0.05),
    ),
    "one-run": (
        GateRule("excess", "on", "largest", "at most", 0.0),
        GateRule("excess", "cut", "smallest", "above", 0.0),
    ),
    "membership": (
        GateRule("auc", "off", "smallest", "at least", 0.90),
        GateRule("auc", "on", "largest", "at most", 0.75),
        GateRule("rate_excess", "on", "largest", "at most", 0.0),
    ),
    "inversion": (
        GateRule("tokens_recovered", "off", "smallest", "at least", 0.80),
        GateRule("tokens_recovered", "on", "largest", "at most", 0.05),
    ),
    "canary": (
        GateRule("secrets_generated", "off", "smallest", "above", 0.0),
        GateRule("secrets_generated", "on", "largest", "at most", 0.0),
    ),
}
"""The figures of the project's own promise; with privacy off an attack must work, or it shows nothing."""


class AttackClaim(Strict):
    """What the attacked mechanism claims; the figures with this epsilon belong to it."""

    epsilon: float = Field(gt=0, le=LARGEST_CLAIM)
    delta: float = Field(gt=0, lt=1)
    unit: Literal["patient"] = "patient"
    adjacency: Literal["add_remove"] = "add_remove"
    sample_rate: float = Field(gt=0, le=1)
    noise_multiplier: float = Field(gt=0, le=1000)
    steps: int = Field(ge=1, le=100_000)

    @property
    def mechanism(self) -> Mechanism:
        """The event that was claimed; clip norm and batch do not count in it."""
        return Mechanism(
            sample_rate=self.sample_rate,
            noise_multiplier=self.noise_multiplier,
            steps=self.steps,
            max_grad_norm=1.0,
            nominal_batch=1,
            max_records_per_unit=1,
        )


class AttackFigure(Strict):
    """One measured value; ``epsilon`` is the claim attacked, or the one that too little noise undercuts."""

    name: Label
    privacy: Privacy
    epsilon: float
    seed: int
    value: float


class AttackGate(Strict):
    """A rule of ``GATES`` with the value that was reached."""

    figure: Label
    privacy: Privacy
    worst: Worst
    sense: Sense
    bound: float
    value: float
    passed: bool

    @property
    def text(self) -> str:
        """The gate in words."""
        setting = "the noise cut" if self.privacy == "cut" else f"privacy {self.privacy}"
        return f"{self.figure} with {setting}: {self.value:.4g}, {self.sense} {self.bound:g}"


class AttackResult(Strict):
    """One attack on synthetic patients, through the hospital's own code."""

    schema_version: Literal[1] = 1
    attack: Attack
    simulated: Literal[True] = True
    code_version: Label
    client_code: Digest = Field(description="SHA-256 over the attacked package's source files")
    seeds: tuple[int, ...] = Field(min_length=1)
    settings: dict[Label, int | float | Label]
    claims: tuple[AttackClaim, ...] = Field(min_length=1)
    figures: tuple[AttackFigure, ...] = Field(min_length=1)
    gates: tuple[AttackGate, ...]
    passed: bool

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if {figure.seed for figure in self.figures} != set(self.seeds):
            raise ValueError("the figures are not of the seeds named")
        if {figure.epsilon for figure in self.figures} != {claim.epsilon for claim in self.claims}:
            raise ValueError("the figures are not of the claims named")
        if self.gates != judge(self.attack, self.figures):
            raise ValueError("the gates do not follow from the figures")
        if self.passed != all(gate.passed for gate in self.gates):
            raise ValueError("the verdict does not follow from the gates")
        return self


def judge(attack: Attack, figures: Sequence[AttackFigure]) -> tuple[AttackGate, ...]:
    """The gates of ``attack`` with the worst of the figures that each of them names.

    Raises:
        ValueError: a gate finds no figure.
    """
    return tuple(_judge(rule, figures) for rule in GATES[attack])


def read_attacks(paths: Sequence[Path]) -> tuple[AttackResult, ...]:
    """Results of different attacks, from files of ``intraward-simulate attack --out`` or folders of them.

    Every claimed epsilon is recomputed by PLD.

    Raises:
        ConfigError: a file is missing or not such a result, a folder has none, or two are of one attack.
    """
    files = [file for path in paths for file in _files(path)]
    results = tuple(_read(file) for file in files)
    kinds = [result.attack for result in results]
    for path, kind in zip(files, kinds, strict=True):
        if kinds.count(kind) > 1:
            raise ConfigError(path, "attack", "given twice", remedy="give one result of each attack")
    return results


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.json"))
    if not found:
        raise ConfigError(path, "", "holds no result of an attack", remedy="name the folder of --out")
    return found


def _judge(rule: GateRule, figures: Sequence[AttackFigure]) -> AttackGate:
    values = [f.value for f in figures if f.name == rule.figure and f.privacy == rule.privacy]
    if not values:
        raise ValueError(f"no figure {rule.figure} with privacy {rule.privacy}")
    value = max(values) if rule.worst == "largest" else min(values)
    passed = {
        "at most": value <= rule.bound,
        "at least": value >= rule.bound,
        "above": value > rule.bound,
    }[rule.sense]
    return AttackGate(**rule._asdict(), value=value, passed=passed)


def _read(path: Path) -> AttackResult:
    try:
        raw = read_brought(path, MAX_BYTES)
    except OSError:
        raise ConfigError(path, "", "cannot be read", remedy="check the path") from None
    return open_attack(raw, path)


def open_attack(raw: bytes, path: object) -> AttackResult:
    """A result from its bytes, every claimed epsilon recomputed; ``path`` names them in errors.

    Raises:
        ConfigError: not such a result.
    """
    remedy = "write it anew with intraward-simulate attack NAME --out FILE"
    if len(raw) > MAX_BYTES:
        raise ConfigError(path, "", "too large for an attack's result", remedy=remedy)
    try:
        result = AttackResult.model_validate(json.loads(raw))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(path, key, first["msg"], remedy=remedy) from None
    except (ValueError, RecursionError):
        raise ConfigError(path, "", "not a JSON object", remedy=remedy) from None
    for claim in result.claims:
        if not (1 - SLACK) * claim.epsilon <= _recomputed(claim) <= claim.epsilon + TOLERANCE:
            raise ConfigError(path, "claims", "an epsilon is not its mechanism's", remedy=remedy)
    return result


def _recomputed(claim: AttackClaim) -> float:
    return events_to_epsilon([claim.mechanism], claim.delta)
