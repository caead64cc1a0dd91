"""How adapters pass from stage to stage.

sft's adapter becomes the frozen reference and, with a zero value head, the start of ppo (not the bare
base: facts on PPO, A.3); dpo and rloo start from it as it is. A reward model starts fresh or from the
policy with a new score head, and what ppo and rloo use is the last reward round's, released and signed
like any other. A later iteration goes on: its policy stage trains the newest policy, value head included
(score constants are fixed anew, so returns keep their scale), against the sft policy or the one that it
starts from; its reward model starts as ``initial`` says. Entering a stage is deterministic, so a
coordinator killed in between does it again with the same bytes (rule 10 of DESIGN.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intraward_server.checkpoint import LedgerHead, ProgramState
from intraward_server.following import check_start
from intraward_server.modelcard import Lineage
from intraward_server.plans import Position
from intraward_server.session import Session
from intraward_shared.adapters import State
from intraward_shared.errors import RoundFailed
from intraward_shared.modeling import Role, initial_state
from intraward_shared.stages import ON_POLICY, Stage, heads

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

    def beside_sft(self, state: ProgramState | None = None) -> dict[Role, State]:
        """As ``adapters(ROLES)``, with the policy before the first iteration as the reference."""
        state = state or self._s.state
        if state.reference is not None:
            state = state.model_copy(update={"reference": state.sft})
        return self.adapters(ROLES, state)

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
            iteration=at.iteration,
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
            ReleaseRefused: the policy to begin with is no release in good standing.
        """
        state, stage = self._s.state, at.stage.stage
        if (state.iteration, state.entered) == (at.iteration, stage):
            return state
        policy = state.policy or self._begun_with() or self._fresh(at, Stage.SFT)
        update: dict[str, Any] = {"policy": policy, "entered": stage, "iteration": at.iteration}
        if stage is not Stage.SFT and state.sft is None:
            update["sft"] = policy
        if stage is Stage.REWARD:
            update["reward"] = self._reward(at, policy)
        if stage in (*ON_POLICY, Stage.DPO):
            kept = state.sft if state.sft is not None and at.stage.reference == "sft" else policy
            update["reference"] = kept
        if stage is Stage.PPO:
            update["policy"] = self._headed(at, stage, policy)
        if stage in ON_POLICY:
            update["score"] = self._calibrated(at, kept)
        return state.model_copy(update=update)

    def _begun_with(self) -> str | None:
        """The released policy that the program names as its beginning."""
        named = self._s.config.program.policy
        if named is not None:
            check_start(self._s.home, self._s.key, self._s.registry, named)
        return named

    def _reward(self, at: Position, policy: str) -> str:
        """Where the iteration's reward model starts; the first one has none before it."""
        if at.stage.initial == "policy":
            return self._headed(at, Stage.REWARD, policy)
        if at.stage.initial == "previous" and self._s.state.reward is not None:
            return self._s.state.reward
        return self._fresh(at, Stage.REWARD)

    def _fresh(self, at: Position, stage: Stage) -> str:
        """A new adapter: public random A, zero B, and the stage's head."""
        start = initial_state(self._s.base, self._s.config.lora, stage, self._s.state.public_seed)
        return self._s.registry.put(start, self.lineage(at))

    def _headed(self, at: Position, stage: Stage, parent: str) -> str:
        """The parent's LoRA tensors with the stage's own new head; the parent itself if it has that head."""
        state, lora = self._s.registry.load(parent), self._s.config.lora
        if set(heads(stage)) <= set(state):
            return parent
        fresh = initial_state(self._s.base, lora, stage, self._s.state.public_seed)
        start = {name: state[name] if ".lora_" in name else array for name, array in fresh.items()}
        return self._s.registry.put(start, self.lineage(at, parents=(parent,)))

    def _calibrated(self, at: Position, reference: str) -> tuple[float, float]:
        reward = self._s.state.reward
        if reward is None or self._s.registry.read(reward)[0].round == 0:
            raise RoundFailed(
                "the policy stage has no reward model: its rounds were given up", remedy="start a new run"
            )
        load, prompts = self._s.registry.load, self._s.calibration_prompts(at.stage)
        return self._s.scorecard.calibrate(prompts, load(reference), load(reward), at.stage.training.heads)

    @staticmethod
    def _names(state: ProgramState) -> dict[Role, str]:
        named: dict[Role, str | None] = {
            "policy": state.policy,
            "reference": state.reference,
            "reward": state.reward,
        }
        return {role: name for role, name in named.items() if name is not None}
