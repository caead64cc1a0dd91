"""How adapters pass from stage to stage.

sft's adapter becomes the frozen reference and, with a zero value head, the start of ppo (not the bare
base: facts on PPO, A.3); dpo starts from it as it is. A reward model starts fresh or from the policy
with a new score head, and what ppo uses is the last reward round's, released and signed like any
other. Entering a stage is deterministic, so a coordinator killed in between does it again with the
same bytes (rule 10 of DESIGN.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intraward_server.checkpoint import LedgerHead, ProgramState
from intraward_server.plans import Position
from intraward_server.registry import Lineage
from intraward_server.session import Session
from intraward_shared.adapters import State
from intraward_shared.errors import RoundFailed
from intraward_shared.modeling import Role, initial_heads, initial_state
from intraward_shared.stages import ON_POLICY, Stage

ROLES: tuple[Role, ...] = ("policy", "reference", "reward")
INPUTS: dict[Stage, tuple[Role, ...]] = {
    Stage.SFT: ("policy",),
    Stage.LABEL: ("policy",),
    Stage.REWARD: ("reward",),
    Stage.PPO: ("policy", "reference", "reward"),
    Stage.RLOO: ("policy", "reference", "reward"),
    Stage.DPO: ("policy", "reference"),
}


class Succession:
    """Input adapters of each stage, by the state of a session."""

    def __init__(self, session: Session) -> None:
        self._s = session

    def inputs(self, stage: Stage) -> dict[str, str]:
        """Digest of each adapter that a plan of ``stage`` names, by role."""
        names = self._names(self._s.state)
        return {role: names[role] for role in INPUTS[stage]}

    def adapters(self, roles: tuple[Role, ...], state: ProgramState | None = None) -> dict[Role, State]:
        """Tensors of those of the roles that exist by now, verified as they are read."""
        names = self._names(state or self._s.state)
        return {role: self._s.registry.load(names[role]) for role in roles if role in names}

    def lineage(
        self,
        at: Position,
        parents: tuple[str, ...] = (),
        plan: str | None = None,
        heads: Mapping[str, LedgerHead] | None = None,
    ) -> Lineage:
        """Where an adapter of this position comes from; without a plan it is an initial one (round 0)."""
        return Lineage(
            run_id=self._s.state.run_id,
            stage=at.stage.stage,
            round=at.round if plan else 0,
            base_model=self._s.state.base_model,
            simulated=self._s.config.program.simulated,
            parents=tuple(sorted(set(parents))),
            plans=(plan,) if plan else (),
            heads=heads,
        )

    def enter(self, at: Position) -> ProgramState:
        """The state with the stage's input adapters set, all of them in the registry.

        Raises:
            ModelError: score constants cannot be fixed.
            RoundFailed: ppo or rloo is due but every reward round was given up.
        """
        state, stage = self._s.state, at.stage.stage
        if state.entered is stage:
            return state
        policy = state.policy or self._fresh(at, Stage.SFT)
        update: dict[str, Any] = {"policy": policy, "entered": stage}
        if stage is Stage.REWARD:
            start = at.stage.initial
            update["reward"] = self._fresh(at, stage) if start == "fresh" else self._headed(at, stage, policy)
        if stage in (*ON_POLICY, Stage.DPO):
            update["reference"] = policy
        if stage is Stage.PPO:
            update["policy"] = self._headed(at, stage, policy)
        if stage in ON_POLICY:
            update["score"] = self._calibrated(at, policy)
        return state.model_copy(update=update)

    def _fresh(self, at: Position, stage: Stage) -> str:
        """A new adapter: public random A, zero B, and the stage's head."""
        start = initial_state(self._s.base, self._s.config.lora, stage, self._s.state.public_seed)
        return self._s.registry.put(start, self.lineage(at))

    def _headed(self, at: Position, stage: Stage, parent: str) -> str:
        """The parent's LoRA tensors with the stage's own new head."""
        heads = initial_heads(self._s.base, self._s.config.lora, stage, self._s.state.public_seed)
        return self._s.registry.put(
            dict(self._s.registry.load(parent)) | heads, self.lineage(at, parents=(parent,))
        )

    def _calibrated(self, at: Position, reference: str) -> tuple[float, float]:
        reward = self._s.state.reward
        if reward is None or all(done.stage is not Stage.REWARD for done in self._s.state.rounds):
            raise RoundFailed(
                "the policy stage has no reward model: its rounds were given up", remedy="start a new run"
            )
        load, prompts = self._s.registry.load, self._s.calibration_prompts(at.stage)
        return self._s.scorecard.calibrate(
            prompts, load(reference), load(reward), at.stage.training.heads.criteria
        )

    @staticmethod
    def _names(state: ProgramState) -> dict[Role, str]:
        named: dict[Role, str | None] = {
            "policy": state.policy,
            "reference": state.reference,
            "reward": state.reward,
        }
        return {role: name for role, name in named.items() if name is not None}
