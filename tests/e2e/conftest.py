"""What the tests with real processes share: paths for children, and one small run that many tests read.

Three hospitals with nine patients each, who carry 200 planted identifiers, a tiny, barely trained model, five
rounds: public SFT, labelling, two private reward rounds, PPO. It is made once in a session, in process, in
some 20 seconds, by the worker that first asks for it; the others wait.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from filelock import FileLock

from intraward_simulation.models import TinySettings, build_tiny
from intraward_simulation.run import run_scenario

HERE = Path(__file__).parent
ROOTS = ("client", "server", "shared", "simulation")
SITES = ("alder", "birch", "cedar")
LENGTHS = {
    "learning_rate": 0.002,
    "max_prompt_tokens": 16,
    "max_completion_tokens": 12,
    "overlong": "cut",  # the tiny tokenizer makes some 35 tokens of an answer
}
MECHANISM = {
    "sample_rate": 0.2,
    "noise_multiplier": 1.0,
    "max_grad_norm": 1.0,
    "steps": 40,
    "nominal_batch": 3,
    "max_records_per_unit": 4,
}


@pytest.fixture(autouse=True)
def packages_for_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let child processes import the packages, installed or not, and the plumbing beside this file."""
    roots = [str(HERE), *(str(HERE.parents[1] / root) for root in ROOTS), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(roots))


@pytest.fixture(scope="session")
def common(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the session, which workers share."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "common"
    folder.mkdir(exist_ok=True)
    return folder


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """``folder``, made by whoever comes first, where it stays: a run names its own files by their paths."""
    done = folder.with_suffix(".done")
    with FileLock(folder.with_suffix(".lock")):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder


@pytest.fixture(scope="session")
def small_model(common: Path) -> Path:
    """Directory of a tiny Llama after ten steps of training."""
    settings = TinySettings(vocab=400, texts=400, steps=10, threads=1)
    with FileLock(common / "model.lock"):
        return build_tiny(common / "model", 3, settings=settings)


@pytest.fixture(scope="session")
def small_gates(common: Path) -> Path:
    """Release gates that a model after a few steps can pass; of attacks they ask for inversion."""
    gates: list[dict[str, Any]] = [
        {"name": "cap", "source": "privacy", "figure": "sites.*.within_cap", "equals": True, "veto": True},
        {
            "name": "inversion",
            "source": "attacks",
            "figure": "inversion.passed",
            "equals": True,
            "veto": True,
        },
        {"name": "near", "source": "evaluation", "figure": "policy.kl", "at_most": 25.0},
    ]
    text = tomli_w.dumps({"gates": gates})
    folder = made_once(common / "gates", lambda made: (made / "gates.toml").write_text(text, "utf-8"))
    return folder / "gates.toml"


@pytest.fixture(scope="session")
def small_scenario(small_model: Path, small_gates: Path) -> dict[str, Any]:
    """The scenario as a table; copy it before changing it."""
    return {
        "gates": str(small_gates),
        "deid_workers": 1,
        "run": {"name": "small", "seed": 7, "model": str(small_model)},
        "hospitals": {
            "canaries": 200,
            "sites": [{"name": name, "patients": 9, "case_mix": "general"} for name in SITES],
        },
        "privacy": {
            "lifetime_epsilon": 50.0,
            "delta": 1e-5,
            "declared_max_patients": 1000,
            "min_noise_multiplier": 0.8,
            "max_sample_rate": 0.2,
            "max_steps_per_round": 50,
            "max_records_per_patient": 4,
        },
        "lora": {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]},
        "stages": [
            {"stage": "sft", "public": "corpus", "training": {**LENGTHS, "steps": 2, "batch": 8}},
            {"stage": "label", "training": {**LENGTHS, "candidates": 2}},
            {"stage": "reward", "rounds": 2, "training": LENGTHS, "mechanism": MECHANISM},
            {"stage": "ppo", "public": "prompts", "training": {**LENGTHS, "steps": 1, "batch": 8}},
        ],
        "evaluation": {
            "prompts": 8,
            "pairs": 16,
            "samples": 1,
            "quick_prompts": 4,
            "quick_pairs": 8,
            "limit": 16,
        },
    }


@pytest.fixture(scope="session")
def scenario(common: Path, small_scenario: dict[str, Any]) -> Path:
    """The scenario as a file."""
    text = tomli_w.dumps(small_scenario)
    folder = made_once(common / "scenario", lambda made: (made / "small.toml").write_text(text, "utf-8"))
    return folder / "small.toml"


@pytest.fixture(scope="session")
def inside(common: Path, scenario: Path) -> tuple[Path, Path]:
    """The finished run in process, and a copy of it from the moment before its program began.

    Both are for reading: a test that changes one copies it first.
    """

    def make(folder: Path) -> None:
        run, prepared = folder / "run", folder / "prepared"

        def show(phase: str, what: str, share: float) -> None:
            if phase == "program" and not prepared.exists():
                shutil.copytree(run, prepared)

        run_scenario(scenario, run, show=show)

    folder = made_once(common / "inside", make)
    return folder / "run", folder / "prepared"
