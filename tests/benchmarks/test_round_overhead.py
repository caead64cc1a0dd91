"""What a round costs besides training, beside NVIDIA FLARE's simulator.

Wall time of a round minus the slowest site's training, and the time before the first round, in process and
over a real SuperLink, three SuperNodes and wards; FLARE 2.9's simulator with three clients that train nothing
and updates of the same size, in the same run, where ``INTRAWARD_FLARE`` names the Python of an environment
that has it (``python -m venv FOLDER && FOLDER/bin/pip install nvflare==2.9.0``). Asked are less than FLARE's
about 2.6 s a round and 9.7 s to start in process, and 8 s a round with processes.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.benchmarks.idle_rounds import Rounds, homes, make

from intraward_simulation.models import build_tiny, cache_dir
from intraward_simulation.processes import run_with_processes

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "FLWR_TELEMETRY_ENABLED": "0", "HF_HUB_OFFLINE": "1"}
ROUNDS, RANK = 5, 256


@pytest.fixture(scope="module")
def model() -> Path:
    return build_tiny(cache_dir(), seed=1)


def worker(*words: str) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.idle_rounds", *words]


def told(command: list[str]) -> dict[str, Any]:
    """The last line that a process printed."""
    environment = os.environ | ENVIRONMENT
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment, cwd=ROOT)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def line(name: str, start: float, overheads: list[float]) -> None:
    print(f"  {name:44}{start:8.1f} s{statistics.median(overheads):10.2f} s{max(overheads):10.2f} s")


def over_processes(folder: Path) -> Rounds:
    """The same program over a SuperLink, SuperNodes and wards; their little training counts as overhead."""
    rounds = Rounds()

    def command(site: str, home: Path) -> list[str]:
        return [str(Path(sys.executable).with_name("intraward-client")), "ward", "--home", str(home)]

    run_with_processes(
        folder,
        sites={name: home.root for name, home in homes(folder).items()},
        server_home=folder / "server",
        ward_command=command,
        record=folder / "recorded",
        progress=rounds.tell,
    )
    return rounds


def test_overhead_of_a_round(model: Path, tmp_path: Path) -> None:
    for name in ("inside", "outside"):
        make(tmp_path / name, 3, ROUNDS, model, RANK)
    found = told(worker(str(tmp_path / "inside")))
    print(f"\n{found['rounds']} rounds, 3 sites, updates of {found['sealed_mb']:.1f} MB, hardly any training")
    print(f"  {'':44}{'to start':>10}{'a round':>12}{'longest':>12}")
    line("in process", found["start"], found["overheads"])
    assert found["rounds"] == ROUNDS
    outside = over_processes(tmp_path / "outside")
    line("SuperLink, 3 SuperNodes, 3 wards", outside.first, outside.walls)
    assert len(outside.walls) == ROUNDS
    flare = os.environ.get("INTRAWARD_FLARE")
    if not flare:
        print("  FLARE was not measured: INTRAWARD_FLARE does not name a Python that has it")
        return
    size, folder = int(found["sealed_mb"] * 1e6), tmp_path / "flare"
    folder.mkdir()
    script = str(Path(__file__).with_name("flare_rounds.py"))
    theirs = told([flare, script, "3", str(ROUNDS), str(size), str(folder)])
    firsts = theirs["moments"][::3]
    line("NVIDIA FLARE's simulator", firsts[0] - theirs["begun"], [b - a for a, b in pairwise(firsts)])
