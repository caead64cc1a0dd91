"""PPO and DPO by hospitals: a short study is whole, resumes, and costs the epsilon that is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from intraward_shared.adapters import decode
from intraward_shared.errors import ConfigError
from intraward_shared.privacy import events_to_epsilon
from intraward_shared.protocol import RoundPlan
from intraward_shared.stages import Stage
from intraward_simulation.scenario import scenario_path
from intraward_simulation.studies import dealing, federatedpolicy, rounds, run

SPEC = (
    "learning_rate = 0.01\nmax_prompt_tokens = 40\nmax_completion_tokens = 8\noverlong = 'cut'\nbatch = 4\n"
)


def study(folder: Path, model: Path, more: str = "") -> Path:
    path = folder / "policy.toml"
    path.write_text(
        f'[run]\nname = "small"\nseed = 3\nmodel = "{model}"\n[study]\nkind = "federated-policy"\n'
        "seeds = [1]\ndepth = 1\nr = 2\nsites = 2\npatients = 6\nrounds = 1\nsteps = 2\nsample_rate = 0.5\n"
        "privacy = [3.0]\nprompts = 8\nexamples = 8\nheld_out = 8\n"
        "ppo_rounds = 1\ndpo_rounds = 2\ndpo_steps = 2\n"
        f"{more}[training]\n{SPEC}[stages.sft]\n{SPEC}steps = 2\n[stages.ppo]\n{SPEC}steps = 1\n"
        f"[stages.dpo]\n{SPEC}",
        encoding="utf-8",
    )
    return path


@pytest.mark.slow
def test_a_study_is_whole_and_its_charged_plans_cost_the_asked_epsilon(
    small_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dealing, "TEST_PAIRS", 4)
    plans: list[RoundPlan] = []
    asked = rounds.study_plan

    def noted(*terms: object) -> RoundPlan:
        plans.append(asked(*terms))  # type: ignore[arg-type]
        return plans[-1]

    monkeypatch.setattr(federatedpolicy, "study_plan", noted)
    path, out = study(tmp_path, small_llama), tmp_path / "out"
    found = run.run_study(path, out)
    assert {method: set(rows) for method, rows in found["sets"].items()} == {
        "ppo": {"epsilon 3"},
        "dpo": {"epsilon 3"},
    }
    assert set(found["sets"]["dpo"]["epsilon 3"]) >= {"win_rate", "kl", "reward", "reward_sft"}
    charged = [plan.mechanism for plan in plans if plan.mechanism is not None]
    assert {plan.stage for plan in plans} == {Stage.DPO} and len(charged) == len(plans) == 2
    assert 2.9 < events_to_epsilon(charged, 1e-5) <= 3.0
    units = out / "units"
    sft, dpo = (
        decode((units / f"{name}.safetensors").read_bytes())
        for name in ("sft-seed-1", "dpo-epsilon-3-seed-1")
    )
    assert any(not np.array_equal(sft[name], dpo[name]) for name in sft)
    written = {unit: unit.stat().st_mtime_ns for unit in units.iterdir()}
    assert run.run_study(path, out)["sets"] == found["sets"]
    assert written == {unit: unit.stat().st_mtime_ns for unit in units.iterdir()}


def test_variants_and_other_sources_are_refused(small_llama: Path, tmp_path: Path) -> None:
    for more in ("[study.variants.x]\nsites = 3\n", 'source = "medquad_judged"\n'):
        with pytest.raises(ConfigError):
            run.load_study(study(tmp_path, small_llama, more))


def test_the_shipped_study_is_read() -> None:
    assert run.load_study(scenario_path("study-federated-policy")).study.kind == "federated-policy"
