"""Our training beside the field's own tools: seconds and peak memory, and their ratios.

Rollouts beside ``transformers.generate``, a supervised step beside a bare transformers + peft loop, an
iteration of PPO beside TRL 1.12's, and its peak memory beside a bare forward and backward pass. Processor
time of one thread, or on a GPU time of its queue; the two sides taken in turn in one process. Asked are 1.05,
1.05, 1 and 1.15. ``INTRAWARD_BENCH_DEVICE=cuda`` measures on a GPU in bf16.

TRL dropped PPO in 1.13, so 1.12 is not installed here. To compare with it, put it and what it imports into a
folder of their own and name that in ``INTRAWARD_TRL``:

    pip install --target FOLDER --no-deps trl==1.12.0 datasets pandas pyarrow dill multiprocess xxhash
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

from intraward_simulation.models import build_tiny, cache_dir, load_smollm2

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[2]
DEVICE = os.environ.get("INTRAWARD_BENCH_DEVICE", "cpu")
REPEATS = os.environ.get("INTRAWARD_BENCH_REPEATS", "5")
SIZES = {"tiny": ("32", "32", "32"), "smollm2": ("8", "64", "32")}
"""Rows, prompt tokens, new tokens."""


@pytest.fixture(scope="module", params=list(SIZES))
def model(request: pytest.FixtureRequest) -> tuple[str, Path]:
    path = build_tiny(cache_dir(), seed=1) if request.param == "tiny" else load_smollm2(cache_dir())
    return request.param, path


def run(worker: str, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", f"tests.benchmarks.{worker}", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TRL_EXPERIMENTAL_SILENCE": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment, cwd=ROOT)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def show(title: str, found: dict[str, list[float]]) -> None:
    """Medians of each side, and of the ratios of turns to ours."""
    print(f"\n{title}")
    for name, times in found.items():
        pairs = [ours / other for ours, other in zip(found["ours"], times, strict=True)]
        print(f"  {name:30}{statistics.median(times):9.3f} s{statistics.median(pairs):8.3f}x ours / this")
    assert all(value > 0 for times in found.values() for value in times)


@pytest.mark.parametrize(
    ("case", "rival"), [("rollout", "generate"), ("sft", "bare loop"), ("ppo", "TRL 1.12")]
)
def test_time(model: tuple[str, Path], case: str, rival: str) -> None:
    if case == "ppo" and not os.environ.get("INTRAWARD_TRL"):
        pytest.skip("INTRAWARD_TRL does not name a folder with TRL 1.12 (see this module's first lines)")
    if case == "ppo" and DEVICE != "cpu":
        pytest.skip("TRL's side is set up for the CPU")
    name, path = model
    sizes = SIZES[name]
    found = run("rivals", case, str(path), DEVICE, REPEATS, *sizes)
    title = f"{case} beside {rival}, {name}, {sizes[0]} rows, {sizes[1]} + {sizes[2]} tokens, {DEVICE}"
    show(title, found)


def test_memory_of_an_iteration(model: tuple[str, Path]) -> None:
    name, path = model
    found = {
        case: run("ppo_memory", case, str(path), DEVICE, *SIZES[name])["peak_mb"]
        for case in ("ours", "bare", "copies")
    }
    print(f"\npeak memory above the imports, {name}, {DEVICE}")
    for case, peak in found.items():
        print(f"  {case:8}{peak:9.0f} MB{found['ours'] / peak:8.3f}x ours / this")
    assert all(peak > 0 for peak in found.values())
