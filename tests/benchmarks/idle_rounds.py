"""Federations that hardly train, for ``test_round_overhead``: a round is the system's own time.

A free SFT round of one step over one record, the LoRA as large as wanted. As a module,
with FOLDER, it runs coordinator and wards of it in one process and prints one JSON line.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psutil
import tomli_w

import intraward_client.ward as ward_module
from intraward_client.config import SitePolicy
from intraward_client.gateway import WardPort
from intraward_client.home import SiteHome
from intraward_client.initialise import initialise
from intraward_client.training.train import train
from intraward_client.ward import Ward
from intraward_server.home import ServerHome
from intraward_server.program import ProgramEvent, run
from intraward_shared.config import parse
from intraward_shared.modeling import model_digest
from intraward_shared.signing import SigningKey
from intraward_simulation.federation import InProcessGrid

STARTS_AT = "2026-01-01T00:00:00Z"
PRIVACY = {
    "delta": 1e-5,
    "declared_max_patients": 100,
    "lifetime_epsilon": 1.0,
    "min_noise_multiplier": 0.5,
    "max_sample_rate": 0.5,
    "max_steps_per_round": 10,
    "max_records_per_patient": 1,
}
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TRAINING = {
    "learning_rate": 0.001,
    "steps": 1,
    "batch": 1,
    "max_prompt_tokens": 8,
    "max_completion_tokens": 8,
    "overlong": "cut",
}


def make(folder: Path, sites: int, rounds: int, model: Path, rank: int) -> None:
    """Homes of ``sites`` hospitals and their coordinator below ``folder``."""
    key, names = SigningKey.generate(), [f"site-{number:02d}" for number in range(sites)]
    pinned = {"path": str(model), "sha256": model_digest(model)}
    server = ServerHome(folder / "server")
    server.make()
    key.save(server.key)
    enrolled = []
    for name in names:
        held = pinned | {"max_lora_r": rank}
        policy = {"site": name, "privacy": PRIVACY, "model": held, "simulation": {"allowed": True}}
        terms = parse(policy | {"coordinator": {"public_key": key.public}}, SitePolicy, "policy")
        own = SigningKey.generate()
        initialise(folder / "sites" / name, terms, key=own, time=STARTS_AT)
        enrolled.append({"name": name, "public_key": own.public})
    row = {"prompt": "cough", "completion": "rest"}
    (server.root / "sft.jsonl").write_text(json.dumps(row) + "\n")
    table = {
        "program": {"name": "idle", "simulated": True, "seed": 1, "quorum": sites, "starts_at": STARTS_AT},
        "model": pinned,
        "lora": {"r": rank, "lora_alpha": rank, "target_modules": MODULES},
        "sites": enrolled,
        "stages": [{"stage": "sft", "rounds": rounds, "public": "sft.jsonl", "training": TRAINING}],
    }
    server.program.write_text(tomli_w.dumps(table))


def homes(folder: Path) -> dict[str, SiteHome]:
    """The sites that ``make`` made."""
    return {path.name: SiteHome(path) for path in sorted((folder / "sites").iterdir())}


class Rounds:
    """When each round was planned and finished, and how long training took in it (in this process)."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.first = 0.0
        self.walls: list[float] = []
        self.training: list[list[float]] = []
        self._planned = 0.0

    def tell(self, event: ProgramEvent) -> None:
        """A program's progress."""
        if event.kind == "planned":
            self._planned = time.monotonic()
            self.first = self.first or self._planned - self.begun
            self.training.append([])
        elif event.kind == "finished":
            self.walls.append(time.monotonic() - self._planned)

    def timed(self, *arguments: Any) -> Any:
        """A ward's ``train``, timed."""
        begun = time.monotonic()
        try:
            return train(*arguments)
        finally:
            self.training[-1].append(time.monotonic() - begun)

    def overheads(self) -> list[float]:
        """Wall time of each round without the slowest site's training."""
        slowest = [max(times, default=0.0) for times in self.training]
        return [wall - most for wall, most in zip(self.walls, slowest, strict=True)]


def play(folder: Path, wards: dict[str, WardPort], rounds: Rounds) -> dict[str, Any]:
    """The coordinator's program to its end; what it took."""
    result = run(InProcessGrid(wards), folder / "server", progress=rounds.tell)
    sealed = [path.stat().st_size for path in (folder / "sites").glob("*/outbox/*.sealed")]
    return {
        "rounds": result.rounds,
        "start": rounds.first,
        "overheads": rounds.overheads(),
        "sealed_mb": max(sealed) / 1e6,
        "peak_mb": memory("VmHWM"),
    }


def memory(what: str) -> float:
    """Megabytes of this process: VmHWM, its peak, or VmRSS, now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{what}:")).split()[1]) / 1e3


def main(folder: Path) -> None:
    """Coordinator and wards in this process."""
    rounds = Rounds()
    rounds.begun -= time.time() - psutil.Process().create_time()  # the imports count as start
    wards: dict[str, WardPort] = {name: Ward(home) for name, home in homes(folder).items()}
    with patch.object(ward_module, "train", rounds.timed):
        print(json.dumps(play(folder, wards, rounds)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
