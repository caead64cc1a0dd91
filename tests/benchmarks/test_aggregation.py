"""Memory and time of aggregating updates of 16 MB, beside Flower's own sum in the same run.

Asked: at 20 updates a third of Flower's peak memory at most and no slower, and the same memory at 5 and 50.
Each figure is of a process of its own; the two take turns, and times are medians.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from intraward_shared.adapters import encode

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]
TENSORS, SHAPE = 16, (512, 512)
"""16 tensors of 1 MB each: 4 million numbers."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("updates")
    draw = np.random.Generator(np.random.Philox(1))
    for number in range(50):
        state = {f"t{index:02}": draw.normal(size=SHAPE).astype(np.float32) for index in range(TENSORS)}
        (made / f"{number:02}.safetensors").write_bytes(encode(state))
    return made


def measured(folder: Path, whose: str, count: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.one_aggregation", str(folder), whose, str(count)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT)
    value: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return value


def test_beside_flowers_sum(folder: Path) -> None:
    print(f"\nupdates of 16 MB{'':14}{'peak above start':>20}{'time':>10}")
    found: dict[tuple[str, int], tuple[float, float]] = {}
    for count in (5, 20, 50):
        runs: dict[str, list[dict[str, float]]] = {"ours": [], "flower": []}
        for _ in range(3):
            for whose, rows in runs.items():
                rows.append(measured(folder, whose, count))
        for whose, rows in runs.items():
            memory, seconds = (
                statistics.median(row[key] for row in rows) for key in ("megabytes", "seconds")
            )
            found[whose, count] = memory, seconds
            print(f"{whose:>10}, {count:2} updates{'':9}{memory:17.0f} MB{seconds:8.2f} s")
    ours, theirs = found["ours", 20], found["flower", 20]
    print(f"at 20: memory {ours[0] / theirs[0]:.2f} of Flower's (asked 0.33), time {ours[1] / theirs[1]:.2f}")
    print(f"memory at 50 over 5: {found['ours', 50][0] / found['ours', 5][0]:.2f} (asked: flat)")
    assert ours[0] < theirs[0]
