"""What a hospital releases for a given table and plan, by its own code: the material of every attack.

``release`` trains with ``train`` and seals with ``egress.seal``; the attacker then opens the sealed bytes as
the coordinator does (``open_update``, ``decode``) and has nothing else. Privacy is switched off without a
switch: the mechanism asks for next to no noise, and for a clip norm that nothing reaches. Keys and noise
come from a seed, so everything here is stamped as simulated (rule 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from intraward_client.egress import seal
from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import SftRecord, TrainingTable
from intraward_client.training.inputs import TrainingInputs
from intraward_client.training.train import train
from intraward_shared.adapters import State, apply_update, decode, shapes, state_digest
from intraward_shared.modeling import BaseModel, initial_state
from intraward_shared.protocol import (
    LoraSpec,
    Mechanism,
    OutputSpec,
    RoundPlan,
    TrainingSpec,
    open_update,
)
from intraward_shared.signing import SigningKey
from intraward_shared.stages import Part, Stage, trained_names
from intraward_simulation.attacks.result import Tell

SITE = "attacked"
NO_NOISE = 1e-7
"""Noise multiplier of privacy off; the policy of a real site refuses it."""
HUGE_NORM = 100.0
"""Clip norm of privacy off: above the norm of every gradient met here."""


def without_privacy(mechanism: Mechanism) -> Mechanism:
    """The same steps with next to no noise and a clip norm that nothing reaches."""
    return mechanism.model_copy(update={"noise_multiplier": NO_NOISE, "max_grad_norm": HUGE_NORM})


@dataclass(frozen=True)
class Target:
    """A public base model and the plan's public part: what everybody knows before the round."""

    base: BaseModel = field(repr=False)
    lora: LoraSpec
    training: TrainingSpec
    part: Part = Part.BOTH
    seed: int = 0

    @cached_property
    def initial(self) -> dict[str, State]:
        """The public adapter that the round starts from, by role; made once."""
        return {"policy": initial_state(self.base, self.lora, Stage.SFT, self.seed)}


def release(target: Target, rows: Sequence[SftRecord], mechanism: Mechanism, tell: Tell) -> State:
    """The update of one supervised round over ``rows``, as read from the sealed bytes.

    Raises:
        TrainingAborted: training failed.
        EgressRefused: the update is not what the plan allows.
    """
    adapters = target.initial
    plan = _plan(target, adapters["policy"], mechanism)
    inputs = TrainingInputs(plan, target.base, adapters, TrainingTable.freeze(rows))
    update = train(inputs, NoiseSource.seeded(target.seed, SITE, plan.digest, 1), tell)
    key = SigningKey.from_seed(bytes(32))
    _, tensors = open_update(seal(update, plan, SITE, (1, "0" * 64), key), key.public)
    return decode(tensors)


def released_adapter(target: Target, update: State) -> State:
    """The adapter that anyone has who applies the update."""
    return apply_update(target.initial["policy"], update)


def _plan(target: Target, policy: State, mechanism: Mechanism) -> RoundPlan:
    shape = shapes(policy)
    names = trained_names(Stage.SFT, target.part, tuple(policy))
    return RoundPlan(
        run_id="attack",
        round=1,
        stage=Stage.SFT,
        stage_round=1,
        part=target.part,
        cohort=(SITE,),
        base_model=target.base.digest,
        lora=target.lora,
        inputs={"policy": state_digest(policy)},
        training=target.training,
        mechanism=mechanism,
        outputs=tuple(OutputSpec(name=name, shape=shape[name]) for name in names),
        slot_time="2030-01-01T00:00:00Z",
        expires="2030-01-02T00:00:00Z",
        nonce="0" * 32,
        simulated=True,
        seed=target.seed,
    )
