"""Is the coordinator's memory flat in the number of sites? 3, 10 and 50 real wards, one process each time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.benchmarks.idle_rounds import make

from intraward_simulation.models import build_tiny, cache_dir

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]
ROOT = Path(__file__).parents[2]
SITES, ROUNDS, RANK = (3, 10, 50), 1, 256
SHARE = 0.25
"""Of an update, that a further site may cost: its name, keys and place in the plan, not its update."""


def test_memory_is_flat_in_the_number_of_sites(tmp_path: Path) -> None:
    model = build_tiny(cache_dir(), seed=1)
    peaks, update = {}, 0.0
    print(f"\n{'sites':>8}{'before a round':>18}{'peak':>12}")
    for sites in SITES:
        folder = tmp_path / str(sites)
        make(folder, sites, ROUNDS, model, RANK)
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.many_sites", str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
            cwd=ROOT,
        )
        found = json.loads(done.stdout.splitlines()[-1])
        peaks[sites], update = found["peak_mb"], found["sealed_mb"]
        print(f"{sites:8}{found['before_mb']:15.0f} MB{found['peak_mb']:9.0f} MB")
    a_site = (peaks[SITES[-1]] - peaks[SITES[0]]) / (SITES[-1] - SITES[0])
    print(f"a further site: {a_site:.2f} MB, beside updates of {update:.1f} MB each way")
    assert a_site < SHARE * update
