"""Is this plan within the hospital's own terms? Pure: plan and policy in, nothing or a refusal out.

Rules 3 and 8 of DESIGN.md. Runs after the coordinator's signature was verified and before the ledger
is touched or a row is read. Each check names its rule:

 ``cohort``      the site is named in the plan
 ``model``       the base model is the pinned one
 ``simulation``  seeded or simulated plans only at a site whose policy says it is a simulation, and
                 only such plans there
 ``expiry``      the plan's slot is still to come, not further off than plans are made, and no shorter
                 than a minute
 ``stage``       the policy takes part in this stage
 ``payment``     a training stage is either charged (mechanism, no public data) or free (public data
                 named by digest, no mechanism); labelling is neither
 ``mechanism``   noise, rate, steps and records are within the policy's bounds
 ``schedule``    a charged plan that names a schedule equals its slot in it
 ``adapter``     rank and text lengths are within the policy's bounds
 ``inputs``      exactly the adapters that the stage needs
 ``outputs``     exactly the tensors that the stage may send, with their shapes

``lineage`` adds the rule of that name: where the inputs come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from intraward_client.config import SitePolicy
from intraward_client.slot import SHORTEST_SLOT, instant
from intraward_shared.adapters import State, shapes
from intraward_shared.errors import PlanRefused
from intraward_shared.modeling import BaseModel
from intraward_shared.protocol import (
    LoraSpec,
    Mechanism,
    OutputSpec,
    ProgramSchedule,
    RoundPlan,
    TrainingSpec,
)
from intraward_shared.signing import digest
from intraward_shared.stages import Stage, trained_names

_NEEDED: dict[Stage, frozenset[str]] = {
    Stage.SFT: frozenset({"policy"}),
    Stage.LABEL: frozenset({"policy"}),
    Stage.REWARD: frozenset({"reward"}),
    Stage.PPO: frozenset({"policy", "reference", "reward"}),
    Stage.DPO: frozenset({"policy", "reference"}),
    Stage.RLOO: frozenset({"policy", "reference", "reward"}),
}
MOST_SLOTS_AHEAD = 3
"""A coordinator plans at most two slots ahead; the third is for clocks that differ."""
_ASK = "ask the coordinator for a plan within your policy; weaken the policy only by your own decision"


def check_plan(
    plan: RoundPlan,
    policy: SitePolicy,
    schedule: tuple[bytes, ProgramSchedule] | None,
    inputs: Mapping[str, State],
    now: datetime,
) -> None:
    """Refuse a plan that is outside the policy.

    Args:
        plan: already verified to be signed by the pinned coordinator.
        policy: this hospital's terms.
        schedule: canonical bytes and value of the signed schedule that came with the plan.
        inputs: adapters that came with the plan, by role.
        now: the site's clock (the slot time in simulation).

    Raises:
        PlanRefused: names the rule.
    """
    _check_identity(plan, policy, now)
    _check_payment(plan)
    if plan.mechanism is not None:
        check_mechanism(plan.mechanism, policy)
        _check_schedule(plan, schedule)
    check_size(plan.stage, plan.lora, plan.training, policy)
    _check_tensors(plan, inputs)


def _refuse(rule: str, message: str, remedy: str = _ASK) -> PlanRefused:
    return PlanRefused(rule, message, remedy=remedy)


def _check_identity(plan: RoundPlan, policy: SitePolicy, now: datetime) -> None:
    if policy.site not in plan.cohort:
        raise _refuse("cohort", "this site is not in the plan's cohort")
    if plan.base_model != policy.model.sha256:
        raise _refuse("model", "base model is not the one pinned in policy.toml, model.sha256")
    if plan.simulated != policy.simulation.allowed or (plan.seed is not None and not plan.simulated):
        raise _refuse("simulation", "simulated plans are for simulated sites, and real plans carry no seed")
    slot, expires = instant(plan.slot_time), instant(plan.expires)
    if now > slot:  # what cannot be done in time is not begun, so that a delay costs nothing
        raise _refuse(
            "expiry", "the plan's slot is over", "ask for a new plan, and check this machine's clock"
        )
    if expires - slot < SHORTEST_SLOT:
        raise _refuse("expiry", "the plan's slots are shorter than a minute", "ask for longer slots")
    if now < slot - MOST_SLOTS_AHEAD * (expires - slot):
        raise _refuse("expiry", "the plan's slot is too far in the future", "check this machine's clock")
    if plan.stage not in policy.stages:
        raise _refuse("stage", f"stage {plan.stage.value} is not in policy.toml, stages")


def _check_payment(plan: RoundPlan) -> None:
    charged, free = plan.mechanism is not None, plan.public_data is not None
    if plan.stage is Stage.LABEL:
        if charged or free:
            raise _refuse("payment", "a labelling plan has neither mechanism nor public data")
    elif charged == free:
        raise _refuse("payment", "a training plan has either a mechanism or public data")


def check_mechanism(mechanism: Mechanism, policy: SitePolicy) -> None:
    """Refuse a mechanism weaker than the policy's bounds; also asked before a program is agreed to."""
    terms = policy.privacy
    bounds = (
        (
            mechanism.noise_multiplier >= terms.min_noise_multiplier,
            "noise_multiplier",
            "min_noise_multiplier",
        ),
        (mechanism.sample_rate <= terms.max_sample_rate, "sample_rate", "max_sample_rate"),
        (mechanism.steps <= terms.max_steps_per_round, "steps", "max_steps_per_round"),
        (
            mechanism.max_records_per_unit <= terms.max_records_per_patient,
            "max_records_per_unit",
            "max_records_per_patient",
        ),
        (mechanism.unit == terms.unit, "unit", "unit"),
        (mechanism.adjacency == terms.adjacency, "adjacency", "adjacency"),
    )
    for within, asked, bound in bounds:
        if not within:
            raise _refuse("mechanism", f"mechanism.{asked} is weaker than policy.toml, privacy.{bound}")


def _check_schedule(plan: RoundPlan, schedule: tuple[bytes, ProgramSchedule] | None) -> None:
    if plan.schedule is None:
        return
    if schedule is None or digest(schedule[0]) != plan.schedule or schedule[1].run_id != plan.run_id:
        raise _refuse("schedule", "the signed schedule that the plan names did not come with it")
    slots = [s for s in schedule[1].slots if (s.stage, s.round) == (plan.stage, plan.stage_round)]
    if len(slots) != 1 or slots[0].mechanism != plan.mechanism:
        raise _refuse("schedule", "the plan's mechanism is not the one its schedule fixed for this round")


def check_size(stage: Stage, lora: LoraSpec, training: TrainingSpec, policy: SitePolicy) -> None:
    """Refuse an adapter, texts or a forward pass that are larger than the policy's bounds."""
    if lora.r > policy.model.max_lora_r:
        raise _refuse("adapter", "lora.r is larger than policy.toml, model.max_lora_r")
    if training.max_prompt_tokens + training.max_completion_tokens > policy.model.max_tokens:
        raise _refuse("adapter", "texts are longer than policy.toml, model.max_tokens")
    if training.micro_batch * (training.group if stage is Stage.RLOO else 1) > policy.model.max_rows:
        raise _refuse("adapter", "training.micro_batch is larger than policy.toml, model.max_rows")


def check_context(plan: RoundPlan, base: BaseModel) -> None:
    """Refuse texts that are longer than the base model can read, whatever the rows are.

    Raises:
        PlanRefused: rule ``adapter``.
    """
    longest = plan.training.max_prompt_tokens + plan.training.max_completion_tokens + 1
    if longest > base.context:
        raise _refuse("adapter", "texts and their end token are longer than the base model's context")


def _check_tensors(plan: RoundPlan, inputs: Mapping[str, State]) -> None:
    if set(plan.inputs) != _NEEDED[plan.stage] or set(inputs) != _NEEDED[plan.stage]:
        raise _refuse("inputs", f"stage {plan.stage.value} needs exactly its own input adapters")
    state = inputs[plan.trained_input]
    shape = shapes(state)
    wanted = tuple(
        OutputSpec(name=n, shape=shape[n]) for n in trained_names(plan.stage, plan.part, tuple(state))
    )
    if plan.outputs != wanted:
        raise _refuse("outputs", "the plan asks for other tensors than its stage may send")
