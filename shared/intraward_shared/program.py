"""ProgramConfig: what the consortium agreed to run, read strictly from ``program.toml``.

The coordinator runs it; a hospital reads the same file before it agrees (``intraward-client budget plan``).
A program is a list of stages in their natural order (sft > label > reward > ppo | rloo | dpo). Every
training stage is either free (``public`` records) or charged (a ``mechanism``), never both; the
charged ones form the signed schedule (DESIGN.md section 6, budget gate). With ``iterations`` above one
everything after sft is repeated: labels from the newest policy, a new version of the reward model, and
policy optimisation that goes on from the newest policy (online RLHF: Bai et al., arXiv 2204.05862,
section 4.5). How often is fixed beforehand and signed with the schedule. Real numbers are the
protocol's ``Real``. Relative paths stand beside the file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from intraward_shared.aggregation_terms import AggregationTerms
from intraward_shared.config import Strict, load_toml
from intraward_shared.errors import ConfigError
from intraward_shared.protocol import Digest, LoraSpec, Mechanism, Name, Real, Slot, TrainingSpec
from intraward_shared.release import HubTerms
from intraward_shared.scalars import unused
from intraward_shared.shaping import AnswerRule, ShapingTerms
from intraward_shared.signing import digest
from intraward_shared.stages import ON_POLICY, Part, Stage
from intraward_shared.suite_terms import SuiteTerms

PublicKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Instant = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
_ORDER = {Stage.SFT: 0, Stage.LABEL: 1, Stage.REWARD: 2, Stage.PPO: 3, Stage.DPO: 3, Stage.RLOO: 3}


MOST_SLOTS = 3
"""A plan's slot is up to two slots away from now, and late sites answer when the next one is over."""


class ProgramTerms(Strict):
    """Who runs when. ``slot_s`` is the length of a slot: replies belong to the slot's end.

    ``policy`` is the released adapter of an earlier program that this one begins with; without it the first
    stage trains a new one. ``seed`` fixes nonces, initial adapters and evaluation, for simulation only.
    """

    name: Name
    simulated: bool = False
    policy: Digest | None = Field(default=None, exclude_if=unused)
    seed: int | None = Field(default=None, ge=0, lt=2**31)
    iterations: int = Field(default=1, ge=1, le=100, description="how often what follows sft is done")
    quorum: int = Field(default=2, ge=1)
    round_deadline_s: Real = Field(default=6 * 3600.0, gt=0)
    join_deadline_s: Real = Field(default=120.0, gt=0, description="wait for nodes to come online")
    poll_s: Real = Field(default=1.0, gt=0)
    resends: int = Field(default=3, ge=0, description="pushes again after a node died in a round")
    resend_s: Real = Field(default=15.0, gt=0)
    slot_s: int = Field(default=3600, ge=1)
    starts_at: Instant

    @field_validator("policy", mode="before")
    @classmethod
    def _policy_in_full(cls, value: Any) -> Any:
        if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{6,63}", value):
            raise ValueError("is the beginning of a digest; intraward-server registry show has all 64 digits")
        return value

    @model_validator(mode="after")
    def _seed_is_simulation(self) -> Self:
        if self.seed is not None and not self.simulated:
            raise ValueError("a seed needs simulated = true")
        return self

    @model_validator(mode="after")
    def _deadline_outlasts_slots(self) -> Self:
        if not self.simulated and self.slot_s < 60:
            raise ValueError("slot_s must be at least 60: hospitals refuse shorter slots")
        if not self.simulated and self.round_deadline_s < MOST_SLOTS * self.slot_s:
            raise ValueError(
                f"round_deadline_s must be at least {MOST_SLOTS} slot_s: hospitals answer when a slot is over"
            )
        return self


class ModelPin(Strict):
    """Base model directory; ``sha256`` refuses any other, without it the found digest is pinned.

    ``device`` and ``dtype`` (of the frozen weights) are the coordinator's own, for evaluation.
    """

    path: str
    sha256: Digest | None = None
    device: str = "cpu"
    dtype: Literal["fp32", "bf16"] = "fp32"


class EnrolledSite(Strict):
    """A hospital and the public key that signs its updates."""

    name: Name
    public_key: PublicKey


class StageConfig(Strict):
    """One stage. ``alternate`` trains B, A, B, A ... (RoLoRA), ``freeze_a`` B alone (FFA-LoRA, arXiv
    2403.12313): both average exactly; ``both`` is plain averaging of the two factors.

    ``initial`` (reward stage): start from fresh LoRA tensors, from the policy's, or in later iterations
    from the reward model before. ``reference`` (ppo, rloo, dpo): in later iterations the sft policy still,
    or the policy that the iteration starts from.
    """

    stage: Stage
    rounds: int = Field(default=1, ge=1, le=1000)
    parts: Literal["alternate", "both", "freeze_a"] = "alternate"
    public: str | None = Field(default=None, min_length=1)
    training: TrainingSpec
    mechanism: Mechanism | None = None
    initial: Literal["fresh", "policy", "previous"] = "fresh"
    reference: Literal["sft", "previous"] = "sft"

    @model_validator(mode="after")
    def _free_or_charged(self) -> Self:
        if self.stage is Stage.LABEL:
            if self.public is not None or self.mechanism is not None or self.rounds != 1:
                raise ValueError("stage label has one round, no public data and no mechanism")
        elif (self.public is None) == (self.mechanism is None):
            raise ValueError("a training stage has either public (free) or mechanism (charged)")
        if self.public is not None and self.training.steps < 1:
            raise ValueError("a free stage needs training.steps of at least 1")
        if self.mechanism is not None and self.training.stops:
            raise ValueError("target_kl and max_ratio stop by what the rows show: a charged stage has none")
        if self.stage not in ON_POLICY and self.training.shaping != ShapingTerms():
            raise ValueError("training.shaping shapes rewards of answers: only stages ppo and rloo have it")
        return self

    @model_validator(mode="after")
    def _starts_that_it_has(self) -> Self:
        if self.initial != "fresh" and self.stage is not Stage.REWARD:
            raise ValueError("initial is where stage reward starts; no other stage has it")
        if self.reference != "sft" and _ORDER[self.stage] < _ORDER[Stage.PPO]:
            raise ValueError(f"stage {self.stage.value} has no reference")
        return self

    def part(self, number: int) -> Part:
        """Which LoRA factor round ``number`` (from 1) of an iteration trains: B first, as a fresh B is 0."""
        if self.parts == "both" or self.stage is Stage.LABEL:
            return Part.BOTH
        return Part.B if self.parts == "freeze_a" or number % 2 else Part.A


@dataclass(frozen=True)
class Turn:
    """One round of a program. ``number`` counts from 1 within its iteration, ``stage_round`` over the run."""

    stage: StageConfig
    iteration: int
    number: int
    stage_round: int


class AdmissionTerms(Strict):
    """``max_norm`` may tighten the bound that follows from the plan (``admission.norm_bound``)."""

    max_norm: Real | None = Field(default=None, gt=0)


class GoldTerms(Strict):
    """Who judges answers beside the reward model, to tell over-optimisation: nothing that training sees.

    Either ``adapter``, the folder of a signed reward adapter of another run on the same base model
    (``public_key`` of who signed it, if that was another coordinator), or ``shaping``: rules and critique.
    """

    adapter: str | None = Field(default=None, min_length=1)
    public_key: PublicKey | None = None
    shaping: ShapingTerms | None = None

    @model_validator(mode="after")
    def _one_judge(self) -> Self:
        if (self.adapter is None) == (self.shaping is None):
            raise ValueError("gold is either an adapter or shaping (rules, critique)")
        if self.public_key is not None and self.adapter is None:
            raise ValueError("public_key is of an adapter")
        if self.shaping is not None and not (self.shaping.rules or self.shaping.critique):
            raise ValueError("gold.shaping needs rules or critique")
        if self.shaping is not None and self.shaping.overlong_tokens:
            raise ValueError("gold.shaping reads texts and counts no tokens: it has no length penalty")
        return self

    def check(self, stages: Sequence[StageConfig]) -> None:
        """Refuse a judge that a stage trains with.

        Raises:
            ValueError: a rule or a principle shapes the rewards of a stage, too.
        """
        if self.shaping is None:
            return
        for stage in stages:
            used = stage.training.shaping
            if {_test(rule) for rule in used.rules} & {_test(rule) for rule in self.shaping.rules}:
                raise ValueError(f"a rule of evaluation.gold shapes the rewards of stage {stage.stage.value}")
            if {each.name for each in used.critique} & {each.name for each in self.shaping.critique}:
                raise ValueError(f"a principle of evaluation.gold is one of stage {stage.stage.value}")


def _test(rule: AnswerRule) -> str:
    """What a rule looks for, whatever it is called and costs."""
    return json.dumps(rule.model_dump(mode="json", exclude={"name", "penalty", "veto"}), sort_keys=True)


class EvaluationConfig(Strict):
    """Data of the coordinator only, JSONL each.

    prompts: ``{"prompt"}``; preferences: ``{"prompt", "chosen", "rejected"}``; records: ``{"prompt",
    "completion"}`` for the held-out loss; closed: ``{"prompt", "label"}`` with yes, no or maybe.
    ``quick_*`` bound the evaluation after each round, ``limit`` the final one; ``gold`` judges policies.
    """

    prompts: str | None = None
    preferences: str | None = None
    records: str | None = None
    closed: str | None = None
    calibration: str | None = None
    quick_prompts: int = Field(default=64, ge=1)
    quick_pairs: int = Field(default=256, ge=1)
    limit: int = Field(default=512, ge=1)
    samples: int = Field(default=6, ge=0, le=100)
    calibration_prompts: int = Field(default=256, ge=8)
    max_prompt_tokens: int = Field(default=64, ge=1, le=32_768)
    max_completion_tokens: int = Field(default=32, ge=1, le=32_768)
    closed_prompt_tokens: int = Field(default=512, ge=1, le=32_768)
    temperature: Real = Field(default=1.0, ge=0, le=10)
    batch: int = Field(default=128, ge=1, le=65_536)
    gold: GoldTerms | None = None
    suites: SuiteTerms = SuiteTerms()


class ReleaseTerms(HubTerms):
    """What a release asks and says: ``gates`` is a TOML file of rules (the shipped ones if left out)."""

    gates: str | None = None


class ProgramConfig(Strict):
    """The whole of ``program.toml``."""

    program: ProgramTerms
    model: ModelPin
    lora: LoraSpec
    sites: tuple[EnrolledSite, ...] = ()
    stages: tuple[StageConfig, ...] = Field(min_length=1)
    aggregation: AggregationTerms = AggregationTerms()
    admission: AdmissionTerms = AdmissionTerms()
    evaluation: EvaluationConfig = EvaluationConfig()
    release: ReleaseTerms = ReleaseTerms()

    @model_validator(mode="after")
    def _stages_follow_each_other(self) -> Self:
        ranks = [_ORDER[stage.stage] for stage in self.stages]
        if ranks != sorted(set(ranks)):
            raise ValueError("stages come once each, in the order sft, label, reward, ppo, rloo or dpo")
        kinds = {stage.stage for stage in self.stages}
        if kinds & set(ON_POLICY) and Stage.REWARD not in kinds:
            raise ValueError("stages ppo and rloo need a reward stage before them")
        for stage in self.stages:
            if stage.stage in ON_POLICY and not (stage.public or self._calibration_source):
                raise ValueError(
                    f"a charged {stage.stage.value} stage needs evaluation.calibration or evaluation.prompts"
                )
        for stage in self.stages:
            stage.training.heads.check(self.lora.reward)
        if self.evaluation.gold is not None:
            self.evaluation.gold.check(self.stages)
        self._check_iterations()
        if self.lora.reward.per_site:
            self._check_site_heads()
        if self.program.quorum < self.aggregation.least_sites:
            raise ValueError(
                f"aggregation.rule {self.aggregation.rule} needs a program.quorum of at least "
                f"{self.aggregation.least_sites}"
            )
        names = [site.name for site in self.sites]
        keys = [site.public_key for site in self.sites]
        if len(set(names)) < len(names) or len(set(keys)) < len(keys):
            raise ValueError("two sites have the same name or the same key")
        return self

    def _check_iterations(self) -> None:
        if self.program.iterations > 1:
            if all(stage.stage is Stage.SFT for stage in self.stages):
                raise ValueError("program.iterations repeats the stages after sft, and there are none")
        elif any("previous" in (stage.initial, stage.reference) for stage in self.stages):
            raise ValueError('"previous" is of the iteration before: set program.iterations above 1')

    def _check_site_heads(self) -> None:
        if any(stage.stage is Stage.REWARD and stage.public is not None for stage in self.stages):
            raise ValueError(
                'lora.reward.head "per_site" learns from each site\'s own patients: no public stage'
            )
        if self.aggregation.rule == "krum":
            raise ValueError(
                "aggregation.rule krum takes the shared tensors of one site, and with lora.reward.head "
                '"per_site" all other heads were learnt beside tensors that it throws away: take another rule'
            )

    @property
    def policy_stage(self) -> StageConfig | None:
        """The stage that optimises a policy against preferences, if the program has one."""
        return next((stage for stage in self.stages if stage.stage in (*ON_POLICY, Stage.DPO)), None)

    @property
    def _calibration_source(self) -> str | None:
        return self.evaluation.calibration or self.evaluation.prompts

    @property
    def charged_slots(self) -> tuple[Slot, ...]:
        """Every charged round of the program, in order: what its signed schedule will hold."""
        return tuple(
            Slot(stage=turn.stage.stage, round=turn.stage_round, mechanism=turn.stage.mechanism)
            for turn in self.turns
            if turn.stage.mechanism is not None
        )

    @property
    def turns(self) -> tuple[Turn, ...]:
        """Every round of the program in order: sft once, then the other stages once each iteration."""
        return tuple(
            Turn(stage, iteration, number, (iteration - 1) * stage.rounds + number)
            for iteration in range(1, self.program.iterations + 1)
            for stage in self.stages
            if iteration == 1 or stage.stage is not Stage.SFT
            for number in range(1, stage.rounds + 1)
        )

    @property
    def cohort(self) -> tuple[str, ...]:
        """Site names, sorted: the fixed order of every sum."""
        return tuple(sorted(site.name for site in self.sites))

    @property
    def site_keys(self) -> dict[str, str]:
        """Public key of each site."""
        return {site.name: site.public_key for site in self.sites}

    def calibration_file(self, stage: StageConfig) -> str:
        """Public prompts on which the reward model is calibrated before ``stage``."""
        chosen = self.evaluation.calibration or stage.public or self.evaluation.prompts
        if chosen is None:  # excluded by the validator
            raise ConfigError("program.toml", "evaluation.calibration", "is missing", remedy="add the key")
        return chosen

    @property
    def agreed_digest(self) -> str:
        """Digest of all that the run depends on; evaluation, file paths and waiting times may change."""
        agreed = self.model_dump(mode="json", exclude={"evaluation", "model", "release"})
        if self.aggregation == AggregationTerms():
            del agreed["aggregation"]  # a run that began before there was a choice goes on
        for stage in agreed["stages"]:
            stage["public"] = stage["public"] is not None  # the records themselves are pinned by digest
        for key in ("round_deadline_s", "join_deadline_s", "poll_s", "resends", "resend_s"):
            agreed["program"].pop(key)
        return digest(json.dumps(agreed, sort_keys=True).encode())


def load_program(path: Path) -> ProgramConfig:
    """Read and validate a program that is to be run.

    Raises:
        ConfigError: names the file and the key; also when fewer sites than the quorum are enrolled.
    """
    config = load_toml(path, ProgramConfig)
    if len(config.sites) < config.program.quorum:
        raise ConfigError(
            path,
            "program.quorum",
            "is larger than the number of enrolled sites",
            remedy="enroll the sites: intraward-server enroll enrolment.json",
        )
    try:
        config.lora.reward.check_cohort(config.cohort)
    except ValueError as error:
        raise ConfigError(path, "lora.reward.members", str(error), remedy="set it to that number") from None
    return config
