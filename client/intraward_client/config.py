"""SitePolicy: the hospital's own terms, the only source of parameters that could weaken privacy.

Rule 3 of DESIGN.md. Read strictly from ``policy.toml``; a plan is measured against it in
``plancheck`` before a row is read. Every bound is a bound on what a coordinator may ask for.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from intraward_client.labeling.terms import LabelingTerms
from intraward_shared.config import Strict, load_toml
from intraward_shared.ledger_entry import AbsolutePath
from intraward_shared.protocol import Digest, Name
from intraward_shared.stages import Stage

PublicKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class PrivacyTerms(Strict):
    """Privacy unit, lifetime budget and the weakest mechanism that the site accepts."""

    unit: Literal["patient"] = "patient"
    adjacency: Literal["add_remove"] = "add_remove"
    delta: float = Field(gt=0, le=1e-5)
    declared_max_patients: int = Field(ge=1, description="declared bound n_max, not the true count")
    lifetime_epsilon: float = Field(gt=0, le=100)
    weekly_epsilon: float | None = Field(
        default=None,
        gt=0,
        le=100,
        description="most that a week may charge; a schedule counts at once",
    )
    min_noise_multiplier: float = Field(ge=0.3)
    max_sample_rate: float = Field(gt=0, le=1)
    max_steps_per_round: int = Field(ge=1)
    max_records_per_patient: int = Field(ge=1, le=64)

    @model_validator(mode="after")
    def _delta_fits_patients(self) -> Self:
        if self.delta > 1 / (10 * self.declared_max_patients):
            raise ValueError("delta must be at most 1 / (10 * declared_max_patients)")
        return self


class ModelTerms(Strict):
    """The pinned base model, and the largest adapter, texts and forward pass that a plan may use.

    ``more_devices`` share the passes of a round with ``device``; each holds the whole model.
    """

    path: str
    sha256: Digest
    max_lora_r: int = Field(default=64, ge=1)
    max_tokens: int = Field(default=2048, ge=1)
    max_rows: int = Field(default=1024, ge=1, description="records of a forward pass, rloo's answers apiece")
    device: str = "cpu"
    more_devices: tuple[str, ...] = ()
    dtype: Literal["fp32", "bf16"] = "fp32"

    @model_validator(mode="after")
    def _devices_differ(self) -> Self:
        named = (self.device, *self.more_devices)
        if len(set(named)) < len(named):
            raise ValueError("model.more_devices names a device twice, or model.device again")
        return self


class CoordinatorTerms(Strict):
    """Whose plans are read at all."""

    public_key: PublicKey


class SmallModelException(Strict):
    """The officer's signed word that this site may use the small model alone; ``grade`` checks it."""

    until: Annotated[str, StringConstraints(pattern=r"^20\d\d-[01]\d-[0-3]\d$")]
    signature: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]

    @field_validator("until")
    @classmethod
    def _is_a_day(cls, value: str) -> str:
        date.fromisoformat(value)
        return value


class DeidTerms(Strict):
    """De-identification profile, number of processes, and the recognizer beside the small model.

    ``replacement`` puts surrogates instead of tags (profile ``research`` always does), ``date_order`` reads
    3/4 where the note does not tell. ``audit_share`` of the released rows is offered to a human reader;
    ``canaries`` is the number of planted patients.

    ``model`` is the folder of a transformers token classifier or a GLiNER model, pinned by ``model_sha256``;
    ``labels`` says of its labels which entity each is, or ``none``. ``production`` refuses to do without one.
    """

    profile: Literal["safe-harbor", "research"] = "safe-harbor"
    replacement: Literal["tags", "surrogates"] = "tags"
    date_order: Literal["month-first", "day-first"] = "month-first"
    workers: int = Field(default=1, ge=1, le=64)
    audit_share: float = Field(default=0.02, ge=0, le=1)
    canaries: int = Field(default=3, ge=0, le=100)
    grade: Literal["trial", "production"] = "trial"
    model: AbsolutePath | None = None
    model_sha256: Digest | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    small_model_exception: SmallModelException | None = None

    @model_validator(mode="after")
    def _model_is_pinned(self) -> Self:
        if (self.model is None) != (self.model_sha256 is None):
            raise ValueError("deid.model and deid.model_sha256 go together: a model is used only as pinned")
        if self.labels and self.model is None:
            raise ValueError("deid.labels are those of deid.model, and none is named")
        return self


class LedgerTerms(Strict):
    """``second_path``: file on another volume that repeats the ledger's head; None keeps none."""

    second_path: AbsolutePath | None = None


class OfficerTerms(Strict):
    """The privacy officer, who alone can raise the cap, move the second path or burn a gap."""

    public_key: PublicKey


class TrackingTerms(Strict):
    """Where training curves are kept inside the ward; the hospital's own choice, never a plan's."""

    store: Literal["none", "tensorboard", "mlflow"] = "none"


class MonitoringTerms(Strict):
    """Clinicians' flags per 100 answers: what is expected, what should alarm, and how sure the alarm is.

    At the defaults a false alarm comes every 10,000 answers or more, and a doubled rate is noticed within
    some 500. ``*_losses`` are the same of comparisons that a version lost against the one before, per 100.
    Read by ``flags report`` and ``drift`` alone.
    """

    expected_flags: float = Field(default=2.0, gt=0, lt=50)
    alarm_flags: float = Field(default=4.0, gt=0, lt=100)
    expected_losses: float = Field(default=50.0, gt=0, lt=100)
    alarm_losses: float = Field(default=60.0, gt=0, lt=100)
    threshold: float = Field(default=4.0, gt=0, le=100)

    @model_validator(mode="after")
    def _alarms_above_expected(self) -> Self:
        if self.alarm_flags <= self.expected_flags:
            raise ValueError("monitoring.alarm_flags must be above monitoring.expected_flags")
        if self.alarm_losses <= self.expected_losses:
            raise ValueError("monitoring.alarm_losses must be above monitoring.expected_losses")
        return self


class EvaluationTerms(Strict):
    """``holdout``: share of patients who are kept out of training, so that models can be measured on them.

    By a keyed hash of the patient, so nobody chooses them and nobody knows them without the site's key.
    """

    holdout: float = Field(default=0.0, ge=0, le=0.5)


class FiguresTerms(Strict):
    """``epsilon``: what all noised figures that are ever released may cost together; 0 releases none."""

    epsilon: float = Field(default=0.0, ge=0, le=100)


class SimulationTerms(Strict):
    """``allowed`` admits seeded noise. Everything the site then signs says that it is simulated."""

    allowed: bool = False


class SitePolicy(Strict):
    """One hospital's policy file."""

    site: Name
    stages: tuple[Stage, ...] = (Stage.SFT, Stage.LABEL, Stage.REWARD, Stage.PPO, Stage.DPO, Stage.RLOO)
    privacy: PrivacyTerms
    model: ModelTerms
    coordinator: CoordinatorTerms
    deid: DeidTerms = DeidTerms()
    ledger: LedgerTerms = LedgerTerms()
    officer: OfficerTerms | None = None
    tracking: TrackingTerms = TrackingTerms()
    monitoring: MonitoringTerms = MonitoringTerms()
    labeling: LabelingTerms = LabelingTerms()
    evaluation: EvaluationTerms = EvaluationTerms()
    figures: FiguresTerms = FiguresTerms()
    simulation: SimulationTerms = SimulationTerms()

    @model_validator(mode="after")
    def _someone_can_unlock(self) -> Self:
        if self.ledger.second_path is not None and self.officer is None:
            raise ValueError(
                "ledger.second_path needs officer.public_key: only an officer can unlock the site"
            )
        return self

    @property
    def officer_key(self) -> str | None:
        """Public key of the privacy officer."""
        return self.officer.public_key if self.officer is not None else None

    @property
    def second_path(self) -> Path | None:
        """Where the ledger's head is repeated."""
        return Path(self.ledger.second_path) if self.ledger.second_path is not None else None


def load_policy(path: Path) -> SitePolicy:
    """Read and validate a policy file.

    Raises:
        ConfigError: names the file and the key.
    """
    return load_toml(path, SitePolicy)
