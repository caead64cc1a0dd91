"""What the coordinator knows after its last finished round, on disk before anything follows from it.

Rule 10 of DESIGN.md. A round counts as finished when ``state.json`` says so: plan, sealed updates,
closing list, adapter, receipts and history line are all written before, each under a name that a
repetition writes again with the same bytes. So a coordinator killed anywhere repeats at most its own
arithmetic, never a round at the sites.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from intraward_shared.config import Strict
from intraward_shared.durable import write_durably
from intraward_shared.errors import ContractError
from intraward_shared.protocol import Digest, Name, Real, from_bytes, to_bytes
from intraward_shared.scalars import unused
from intraward_shared.stages import Stage


class LedgerHead(Strict):
    """The last ledger entry of a site that was countersigned, and the round of its receipt."""

    sequence: int
    entry: Digest
    round: int


class FinishedRound(Strict):
    """One finished round: which sites were summed and which adapter came out."""

    round: int
    stage: Stage
    stage_round: int
    iteration: int
    plan: Digest
    sites: tuple[Name, ...]
    adapter: Digest | None = Field(description="None for a labelling round, which trains nothing")


class ProgramState(Strict):
    """The whole state of a run; everything else is found by digest from here.

    ``public_seed`` is no secret: it draws initial adapters, calibration and evaluation samples.
    """

    schema_version: Literal[1] = 1
    run_id: Name
    agreed: Digest
    base_model: Digest
    public_seed: int
    status: Literal["running", "finished"] = "running"
    rounds: tuple[FinishedRound, ...] = ()
    last_slot: int = -1
    entered: Stage | None = Field(default=None, description="stage whose input adapters are set")
    iteration: int = Field(default=1, description="the iteration of that stage")
    sft: Digest | None = Field(default=None, description="the policy before the first iteration")
    policy: Digest | None = None
    reference: Digest | None = None
    reward: Digest | None = None
    score: tuple[Real, Real] | None = Field(default=None, description="mean and std of reference scores")
    heads: dict[Name, LedgerHead] = Field(default={})
    public: dict[str, Digest] = Field(default={}, description="stage to digest of its public records")
    gates: Digest | None = Field(default=None, exclude_if=unused, description="of the release gates")
    skipped: tuple[int, ...] = Field(default=(), description="rounds given up by the operator")

    @property
    def next_round(self) -> int:
        """Number of the coming round, from 1."""
        return len(self.rounds) + len(self.skipped) + 1

    def versions(self) -> dict[int, dict[str, str]]:
        """Newest reward model and policy of each iteration begun: ``{1: {"reward": ..., "policy": ...}}``."""
        found: dict[int, dict[str, str]] = {}
        for done in self.rounds:
            if done.adapter is not None and done.stage is not Stage.SFT:
                role = "reward" if done.stage is Stage.REWARD else "policy"
                found.setdefault(done.iteration, {})[role] = done.adapter
        return found


def save_state(path: Path, state: ProgramState) -> None:
    """Write the state atomically."""
    write_durably(path, to_bytes(state))


def load_state(path: Path) -> ProgramState | None:
    """Read the state; None when the run has not begun.

    Raises:
        ContractError: the file is not a state that this version wrote.
    """
    if not path.exists():
        return None
    try:
        return from_bytes(path.read_bytes(), ProgramState)
    except ContractError as error:
        raise ContractError(f"{path}: {error.message}", remedy="restore the file from your backup") from None


def append_history(path: Path, line: dict[str, Any]) -> None:
    """Append one finished round's figures."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, sort_keys=True, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_history(path: Path) -> list[dict[str, Any]]:
    """Whole lines of the history; a torn last line (a crash while writing) is left out."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def trim_history(path: Path, next_round: int) -> None:
    """Drop what a killed coordinator wrote about a round that it had not finished."""
    kept = [line for line in read_history(path) if int(line["round"]) < next_round]
    if path.exists():
        text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in kept)
        write_durably(path, text.encode())
