"""The demo over three seeds: does reinforcement learning beat SFT under the stated privacy, and by how much?

Prints a line a seed and the mean gain with its 95 % t-interval over seeds; asserts what issue-level
claims rest on (no timing). Takes about twelve minutes on two cores.
"""

from __future__ import annotations

import json
import statistics
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from scipy import stats

from intraward_simulation.run import run_scenario
from intraward_simulation.scenario import scenario_path

SEEDS = (20260101, 7, 12345)

pytestmark = pytest.mark.bench


def figures_of(seed: int, folder: Path) -> dict[str, Any]:
    """The report of the demo with another seed."""
    table = tomllib.loads(scenario_path("demo").read_text(encoding="utf-8"))
    table["run"]["seed"] = seed
    scenario = folder / f"demo-{seed}.toml"
    scenario.write_text(tomli_w.dumps(table), encoding="utf-8")
    run_scenario(scenario, folder / str(seed))
    return dict(json.loads((folder / str(seed) / "report.json").read_text(encoding="utf-8")))


def test_reward_rises_over_three_seeds(tmp_path: Path) -> None:
    gains = []
    for seed in SEEDS:
        report = figures_of(seed, tmp_path)
        reward, policy, privacy = report["reward_model"], report["policy"], report["privacy"]
        gains.append(policy["reward_rl"] - policy["reward_sft"])
        print(
            f"\nseed {seed}: reward model {reward['accuracy']:.3f} "
            f"(longer wins {reward['length_baseline']:.3f}), "
            f"true reward {policy['reward_sft']:.2f} -> {policy['reward_rl']:.2f}, "
            f"win rate {policy['win_rate']:.2f}, epsilon {privacy['max_epsilon']:.2f}, "
            f"found {report['egress']['identifiers_found']}, {report['seconds']:.0f} s"
        )
        assert reward["accuracy"] >= 0.85
        assert privacy["max_epsilon"] <= 8
        assert report["egress"]["identifiers_found"] == 0
    mean = statistics.mean(gains)
    half = stats.t.ppf(0.975, len(gains) - 1) * statistics.stdev(gains) / len(gains) ** 0.5
    print(f"gain {mean:.2f}, 95 % interval over seeds [{mean - half:.2f}, {mean + half:.2f}]")
    assert mean - half > 0
