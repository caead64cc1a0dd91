"""What privacy costs: a private step beside the same LoRA step without it, on SmolLM2-135M.

Processor time (one thread) or, on a GPU, time of its queue; ratios of steps taken in turn in one process,
peak memory of a process a case. Beside it what Opacus' ghost clipping and micro-batches of one row cost.
Prints a table; ``INTRAWARD_BENCH_DEVICE=cuda`` measures on a GPU in bf16.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from intraward_simulation.models import cache_dir, load_smollm2

pytestmark = pytest.mark.bench

WORKER = Path(__file__).with_name("private_step.py")
KINDS = ("public", "private", "ghost", "loop")
DEVICE = os.environ.get("INTRAWARD_BENCH_DEVICE", "cpu")
REPEATS = os.environ.get("INTRAWARD_BENCH_REPEATS", "5")


@pytest.fixture(scope="module")
def model() -> Path:
    return load_smollm2(cache_dir())


def measured(model: Path, targets: str, what: str) -> dict[str, Any]:
    command = [sys.executable, str(WORKER), str(model), targets, what, DEVICE, REPEATS]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("targets", ["q,v", "all linear"])
def test_private_step_beside_public_step(model: Path, targets: str) -> None:
    times = measured(model, targets, "time")
    peaks = {kind: measured(model, targets, kind)["peak_mb"] for kind in KINDS}
    base = min(times["public"])
    print(f"\n{targets}, r = 8, 8 rows x 128 tokens, {DEVICE}: step without privacy {base:.3f} s")
    print(f"{'':10}{'time, best':>12}{'time, median':>14}{'peak memory':>13}")
    for kind in KINDS:
        pairs = [one / other for one, other in zip(times[kind], times["public"], strict=True)]
        print(
            f"{kind:10}{min(times[kind]) / base:11.3f}x{statistics.median(pairs):13.3f}x"
            f"{peaks[kind] / peaks['public']:12.3f}x"
        )
    print(f"noise      {times['noise'] / min(times['private']):11.4f} of the private step")
    assert all(value > 0 for value in (*times["private"], times["noise"]))
