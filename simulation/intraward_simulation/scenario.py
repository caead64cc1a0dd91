"""A scenario: hospitals, model, privacy terms and program of one simulated run, in one TOML file.

Read strictly; ``stages`` are passed on to the coordinator's own program file and checked there.
Shipped scenarios lie in ``scenarios/`` and are found by name (``demo``, ``clinical``).
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from intraward_client.config import TrackingTerms
from intraward_shared.aggregation_terms import AggregationTerms
from intraward_shared.config import Strict, load_toml
from intraward_shared.errors import ConfigError
from intraward_shared.program import GoldTerms
from intraward_shared.protocol import LoraSpec, Name
from intraward_simulation.ratings import CRITERIA, FLAGS, unknown_heads
from intraward_simulation.values import ValuesName


class RunTerms(Strict):
    """Name, seed and model. ``model`` is ``tiny``, ``smollm2`` or a Hub-format directory."""

    name: Name
    seed: int = Field(ge=0)
    iterations: int = Field(default=1, ge=1, le=100, description="how often what follows sft is done")
    model: str = "tiny"
    threads: int = Field(default=1, ge=1, le=64)
    max_tokens: int = Field(default=2048, ge=1)


class SyntheticSite(Strict):
    """One synthetic hospital: size, mix of complaints, and what its clinicians value."""

    name: Name
    patients: int = Field(ge=0, le=20_000)
    case_mix: str = "general"
    values: ValuesName = "usual"


class Synthetic(Strict):
    """Synthetic hospitals with planted identifiers and clinicians who slip at a known rate."""

    canaries: int = Field(default=200, ge=0)
    clinician_noise: float = Field(default=0.05, ge=0, lt=0.5)
    sites: tuple[SyntheticSite, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [site.name for site in self.sites]
        if len(set(names)) < len(names):
            raise ValueError("two sites have the same name")
        return self


class Files(Strict):
    """Real files: a reader of ``data`` module by name, and how much of each set to take."""

    reader: Literal["clinical"]
    sites: int = Field(default=3, ge=1, le=9)
    demonstrations: int = Field(default=10_000, ge=0, description="most demonstrations per site")
    preferences: int = Field(default=10_000, ge=0, description="most preference pairs per site")
    prompts: int = Field(default=686, ge=1, description="most public prompts")
    closed_questions: int = Field(default=60, ge=0, description="most yes/no/maybe questions")
    max_characters: int = Field(default=1200, ge=40, description="longer texts are left out")


class SitePrivacy(Strict):
    """Privacy terms that each simulated hospital writes into its own policy."""

    lifetime_epsilon: float = Field(gt=0)
    delta: float = Field(gt=0, le=1e-5)
    declared_max_patients: int = Field(ge=1)
    min_noise_multiplier: float = Field(ge=0.3)
    max_sample_rate: float = Field(gt=0, le=1)
    max_steps_per_round: int = Field(ge=1)
    max_records_per_patient: int = Field(ge=1)


class EvaluationTerms(Strict):
    """What the coordinator measures on its own data."""

    prompts: int = Field(default=200, ge=1)
    pairs: int = Field(default=400, ge=1)
    samples: int = Field(default=6, ge=0)
    quick_prompts: int = Field(default=64, ge=1)
    quick_pairs: int = Field(default=256, ge=1)
    limit: int = Field(default=512, ge=1)
    calibration_prompts: int = Field(default=256, ge=8)
    preferences: str | None = Field(default=None, description="JSONL of prompt, chosen, rejected")
    gold: GoldTerms | None = Field(default=None, description="judge of policies beside the reward model")


class Scenario(Strict):
    """One scenario file."""

    run: RunTerms
    hospitals: Synthetic | None = None
    files: Files | None = None
    privacy: SitePrivacy
    lora: LoraSpec
    stages: tuple[dict[str, Any], ...] = Field(min_length=1)
    aggregation: AggregationTerms = AggregationTerms()
    evaluation: EvaluationTerms = EvaluationTerms()
    tracking: TrackingTerms = TrackingTerms()
    gates: str | None = Field(default=None, description="release gates; the shipped ones if left out")
    deid_workers: int = Field(default=2, ge=1, le=64)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.hospitals is None) == (self.files is None):
            raise ValueError("give either [hospitals] (synthetic) or [files] (real data)")
        return self

    @model_validator(mode="after")
    def _a_head_for_each_site(self) -> Self:
        if self.hospitals is not None:
            self.lora.reward.check_cohort([site.name for site in self.hospitals.sites])
        elif self.files is not None:
            self.lora.reward.check_cohort([""] * self.files.sites)
        return self

    @model_validator(mode="after")
    def _heads_are_known(self) -> Self:
        if self.hospitals is not None and (unknown := unknown_heads(self.lora.reward)):
            known = ", ".join((*CRITERIA, *FLAGS))
            raise ValueError(f"simulated clinicians give {known}, and nothing called {unknown[0]!r}")
        return self


def scenario_path(name_or_path: str) -> Path:
    """A path as it is, or the shipped scenario of that name.

    Raises:
        ConfigError: neither exists.
    """
    path = Path(name_or_path)
    if path.exists():
        return path
    shipped = Path(str(resources.files("intraward_simulation"))) / "scenarios" / f"{name_or_path}.toml"
    if shipped.exists():
        return shipped
    names = ", ".join(sorted(p.stem for p in shipped.parent.glob("*.toml")))
    raise ConfigError(name_or_path, "", "no such scenario file", remedy=f"give a path, or one of: {names}")


def load_scenario(path: Path) -> Scenario:
    """Read and check a scenario file, lists as TOML gives them.

    Raises:
        ConfigError: names file and key.
    """
    return load_toml(path, Scenario)


def scenario_text(path: Path, *, model: str | None) -> str:
    """The scenario's text with another model put in, for the copy that a run keeps.

    Raises:
        ConfigError: the file cannot be read.
    """
    import tomli_w

    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        load_scenario(path)  # says what is wrong
        raise
    if model is not None:
        raw.setdefault("run", {})["model"] = model
    return tomli_w.dumps(raw)
