"""Opening a program: everything is read and checked before the first message is sent.

Begins a run (run id, public seed, signed schedule, snapshots of public data, state) or continues one,
and refuses to continue under another program, base model or key (rules 9 and 10 of DESIGN.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intraward_server.checkpoint import ProgramState, load_state, save_state
from intraward_server.evaluation import Scorer
from intraward_server.gates import agreed_gates
from intraward_server.gold import open_gold
from intraward_server.home import ServerHome
from intraward_server.members import excluded
from intraward_server.plans import build_schedule, name_run, public_seed
from intraward_server.publicdata import FIELDS, decode_records, encode_records, read_records
from intraward_server.registry import Registry
from intraward_server.scorecard import Scorecard
from intraward_server.sitefigures import read_pairs
from intraward_shared.durable import write_durably
from intraward_shared.errors import ConfigError, RoundFailed
from intraward_shared.modeling import BaseModel, load_base
from intraward_shared.program import ProgramConfig, StageConfig, load_program
from intraward_shared.protocol import PROGRAM_DOMAIN, ProgramSchedule, open_signed, sign_value
from intraward_shared.signing import SigningKey, digest


@dataclass
class Session:
    """One opened program. ``state`` is the only part that changes, and only together with its file."""

    home: ServerHome
    config: ProgramConfig
    key: SigningKey
    base: BaseModel
    registry: Registry
    scorecard: Scorecard
    state: ProgramState
    schedule: bytes | None
    schedule_value: ProgramSchedule | None

    def calibration_prompts(self, stage: StageConfig) -> list[str]:
        """Public prompts on which score constants are fixed before ``stage``."""
        pinned = self.state.public.get(stage.stage.value)
        if self.config.evaluation.calibration is None and pinned is not None:
            return [row["prompt"] for row in decode_records(self.home.public(pinned).read_bytes())]
        path = self.home.root / self.config.calibration_file(stage)
        return [row["prompt"] for row in read_records(path, ("prompt",))]


def open_session(root: Path, gold: Scorer | None = None) -> Session:
    """Open the coordinator's folder, beginning the run if it has not begun.

    Raises:
        ConfigError: program, key or a data file is missing or wrong, or the program was changed.
        InputError: a line of public data is wrong.
        ModelError: the base model is missing or another one.
    """
    home = ServerHome(root)
    config = load_program(home.program)
    key = SigningKey.load(home.key)
    excluded(home, config, key.public)
    state = load_state(home.state)
    home.make()
    pinned = config.model.sha256 if state is None else state.base_model
    base = load_base(root / config.model.path, pinned, config.model.device, config.model.dtype)
    snapshots = _read_public(config, root) if state is None else {}
    seed = public_seed(config) if state is None else state.public_seed
    run_id = "" if state is None else state.run_id
    scorecard = Scorecard(base, config, root, seed, open_gold(config, root, base, run_id, key.public, gold))
    if state is None:
        state = _begin(home, config, key, base, snapshots, seed)
    elif state.agreed != config.agreed_digest:
        raise ConfigError(
            home.program,
            "",
            "was changed since the run began",
            remedy="restore it, or start a new run in a new folder",
        )
    schedule = home.schedule.read_bytes() if home.schedule.exists() else None
    value = open_signed(schedule, PROGRAM_DOMAIN, ProgramSchedule, key.public) if schedule else None
    registry = Registry(home.adapters, key, config.lora, config.release)
    return Session(home, config, key, base, registry, scorecard, state, schedule, value)


def _read_public(config: ProgramConfig, root: Path) -> dict[str, bytes]:
    """Records of each free stage as canonical bytes."""
    return {
        stage.stage.value: encode_records(read_records(root / stage.public, FIELDS[stage.stage]))
        for stage in config.stages
        if stage.public is not None
    }


def _begin(
    home: ServerHome,
    config: ProgramConfig,
    key: SigningKey,
    base: BaseModel,
    snapshots: dict[str, bytes],
    seed: int,
) -> ProgramState:
    """Fix what the run depends on; the state file comes last, so a crash before it begins anew."""
    run_id, gates = name_run(config), agreed_gates(config, home.root)
    write_durably(home.gates, gates)
    for data in snapshots.values():
        write_durably(home.public(digest(data)), data)
    schedule = build_schedule(config, run_id)
    home.schedule.unlink(missing_ok=True)
    if schedule is not None:
        write_durably(home.schedule, sign_value(schedule, PROGRAM_DOMAIN, key))
    state = ProgramState(
        run_id=run_id,
        agreed=config.agreed_digest,
        base_model=base.digest,
        public_seed=seed,
        public={name: digest(data) for name, data in snapshots.items()},
        gates=digest(gates),
    )
    save_state(home.state, state)
    return state


def score_preferences(root: Path, file: Path) -> dict[str, Any]:
    """Accuracy of a run's newest reward adapter on a stranger's pairs, beside "longer wins".

    Raises:
        ConfigError, InputError: the file is missing or a line is wrong.
        RoundFailed: the run has no reward model yet.
    """
    state = load_state(ServerHome(root).state)
    if state is None or state.reward is None:
        raise RoundFailed("this run has no reward model yet", remedy="run its reward stage first")
    pairs = read_pairs(file, load_program(ServerHome(root).program).cohort)
    session = open_session(root)
    return session.scorecard.reward_figures(session.registry.load(state.reward), pairs, whole=True)
