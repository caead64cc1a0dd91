"""Plans and schedule as pure functions of the program: the same program and seed, the same bytes.

Rule 9 of DESIGN.md and its budget gate: every charged slot of the run stands in one
``ProgramSchedule``, signed before the first row is read, and each plan's mechanism is its slot's.
Slot time is the program's clock: ``starts_at`` plus whole slots. A simulated program counts one slot
a round; a real one takes the next slot that is at least one slot's length away.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from intraward_server.checkpoint import ProgramState
from intraward_shared.adapters import State, shapes
from intraward_shared.program import ProgramConfig, StageConfig
from intraward_shared.protocol import OutputSpec, ProgramSchedule, RoundPlan, TrainingSpec, to_bytes
from intraward_shared.signing import canonical_json, digest
from intraward_shared.stages import ON_POLICY, trained_names

_UNCLIPPED = 1e9
"""No raw score of a reward model is as large."""
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Position:
    """Where a round stands: number over the run, stage, number within the stage over all iterations.

    ``number`` counts within the stage and its iteration, and is ``last`` at its end.
    """

    round: int
    stage: StageConfig
    stage_round: int
    iteration: int
    number: int

    @property
    def last(self) -> bool:
        """Whether the stage's adapter is complete for this iteration."""
        return self.number == self.stage.rounds


def positions(config: ProgramConfig) -> tuple[Position, ...]:
    """Every round of the program, in order."""
    return tuple(
        Position(index, turn.stage, turn.stage_round, turn.iteration, turn.number)
        for index, turn in enumerate(config.turns, start=1)
    )


def name_run(config: ProgramConfig) -> str:
    """Run id: the program's name and eight hex digits, derived from the seed if there is one."""
    seed = config.program.seed
    tail = secrets.token_hex(4) if seed is None else _derived("run", seed, config.program.name)[:8]
    return f"{config.program.name[:48]}-{tail}"


def public_seed(config: ProgramConfig) -> int:
    """Seed of what is public anyway: initial adapters, calibration and evaluation samples."""
    seed = config.program.seed
    return secrets.randbits(31) if seed is None else int(_derived("public", seed)[:7], 16)


def _derived(*parts: object) -> str:
    return digest(canonical_json([str(part) for part in parts]))


def build_schedule(config: ProgramConfig, run_id: str) -> ProgramSchedule | None:
    """All charged slots of the run; None when every stage is free."""
    slots = config.charged_slots
    return ProgramSchedule(run_id=run_id, slots=slots) if slots else None


def build_plan(
    config: ProgramConfig,
    state: ProgramState,
    at: Position,
    inputs: Mapping[str, str],
    trained: State,
    schedule: ProgramSchedule | None,
    now: datetime | None = None,
) -> RoundPlan:
    """The round's plan.

    Args:
        config: the program.
        state: run id, base model, score constants, last slot, public records.
        at: which round.
        inputs: digest of each input adapter by role.
        trained: the adapter that the stage changes; gives the outputs' names and shapes.
        schedule: the run's schedule, if any stage is charged.
        now: the coordinator's clock, for real programs.
    """
    stage = at.stage.stage
    part = at.stage.part(at.number)
    shape = shapes(trained)
    slot = next_slot(config, state.last_slot, now)
    charged = at.stage.mechanism is not None
    return RoundPlan.model_validate(
        {
            "run_id": state.run_id,
            "round": at.round,
            "stage": stage,
            "stage_round": at.stage_round,
            "part": part,
            "cohort": config.cohort,
            "base_model": state.base_model,
            "lora": config.lora,
            "inputs": dict(inputs),
            "public_data": state.public.get(stage.value),
            "training": training_of(at.stage, state),
            "mechanism": at.stage.mechanism,
            "schedule": digest(to_bytes(schedule)) if charged and schedule is not None else None,
            "outputs": tuple(
                OutputSpec(name=name, shape=shape[name]) for name in trained_names(stage, part, tuple(shape))
            ),
            "slot_time": slot_time(config, slot),
            "expires": slot_time(config, slot + 1),
            "nonce": _nonce(config, state.run_id, at.round),
            "simulated": config.program.simulated,
            "seed": config.program.seed,
            "gates": state.gates,
        }
    )


def training_of(stage: StageConfig, state: ProgramState) -> TrainingSpec:
    """A stage's training parameters, on-policy ones with the score constants that were fixed for them."""
    if stage.stage not in ON_POLICY or state.score is None:
        return stage.training
    mean, std = state.score
    return stage.training.model_copy(update={"score_mean": mean, "score_std": std})


def proxy_terms(config: ProgramConfig, state: ProgramState) -> TrainingSpec | None:
    """Under which terms the reward model scores answers in evaluation: those that the policy stage optimises.

    Of dpo, which scores nothing, the heads' terms on the raw scale. None without a policy stage or reward
    model.
    """
    stage = config.policy_stage
    if stage is None or state.reward is None:
        return None
    if stage.stage in ON_POLICY:
        return training_of(stage, state)
    return stage.training.model_copy(update={"score_clip": _UNCLIPPED, "missing_eos_penalty": 0.0})


def _nonce(config: ProgramConfig, run_id: str, number: int) -> str:
    seed = config.program.seed
    return secrets.token_hex(16) if seed is None else _derived("nonce", seed, run_id, number)[:32]


def slot_time(config: ProgramConfig, slot: int) -> str:
    """Start time plus ``slot`` whole slots."""
    start = datetime.strptime(config.program.starts_at, _TIME)
    return (start + timedelta(seconds=slot * config.program.slot_s)).strftime(_TIME)


def slot_of(config: ProgramConfig, time: str) -> int:
    """Inverse of ``slot_time``."""
    passed = datetime.strptime(time, _TIME) - datetime.strptime(config.program.starts_at, _TIME)
    return round(passed.total_seconds() / config.program.slot_s)


def next_slot(config: ProgramConfig, last: int, now: datetime | None) -> int:
    """The slot of the coming round: the one after ``last`` and, for a real program, a whole slot away.

    Hospitals answer at the slot's time and give up what is not done by then, so they get at least
    ``slot_s`` to train.
    """
    if config.program.simulated or now is None:
        return last + 1
    start = datetime.strptime(config.program.starts_at, _TIME).replace(tzinfo=UTC)
    return max(last + 1, math.ceil((now - start).total_seconds() / config.program.slot_s) + 1)
