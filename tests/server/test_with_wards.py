"""Coordinator and real wards together, on free stages: everything but notes, in process."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from intraward_client.config import SitePolicy
from intraward_client.initialise import initialise
from intraward_client.ward import Ward
from intraward_server.checkpoint import read_history
from intraward_server.home import ServerHome
from intraward_server.program import run
from intraward_server.release import release
from intraward_server.session import open_session
from intraward_shared.audit_release import verify_release
from intraward_shared.config import parse
from intraward_shared.ledger_chain import policy_entry, read_ledger
from intraward_shared.modeling import model_digest
from intraward_shared.signing import SigningKey, digest
from intraward_simulation.federation import InProcessGrid

NAMES = ("alpha", "beta")


def _site(root: Path, name: str, model: Path, coordinator: str) -> Ward:
    policy = {
        "site": name,
        "privacy": {
            "delta": 1e-5,
            "declared_max_patients": 100,
            "lifetime_epsilon": 1.0,
            "min_noise_multiplier": 0.5,
            "max_sample_rate": 0.5,
            "max_steps_per_round": 10,
            "max_records_per_patient": 1,
        },
        "model": {"path": str(model), "sha256": model_digest(model)},
        "coordinator": {"public_key": coordinator},
        "simulation": {"allowed": True},
    }
    key = SigningKey.from_seed(bytes.fromhex(digest(name.encode())))
    home = initialise(
        root / name,
        parse(policy, SitePolicy, "policy"),
        key=key,
        root_key=bytes.fromhex(digest(name.encode())),
        time="2026-01-01T00:00:00Z",
    )
    return Ward(home)


def _federate(
    root: Path, table: dict[str, Any], model: Path, public_files: Any, policy: str = "ppo"
) -> tuple[Any, Path]:
    coordinator = SigningKey.from_seed(b"c" * 32)
    wards = {name: _site(root, name, model, coordinator.public) for name in NAMES}
    home = ServerHome(root / "server")
    home.make()
    coordinator.save(home.key)
    public_files(home.root)
    table = dict(table)
    table["sites"] = [
        {"name": name, "public_key": json.loads(ward.describe())["public"]} for name, ward in wards.items()
    ]
    training = table["stages"][0]["training"]
    table["stages"] = [
        {"stage": "sft", "rounds": 2, "public": "sft.jsonl", "training": training},
        {"stage": "reward", "rounds": 2, "public": "pairs.jsonl", "training": training},
        {"stage": policy, "rounds": 2, "public": "prompts.jsonl", "training": training},
    ]
    home.program.write_text(tomli_w.dumps(table), encoding="utf-8")
    return wards, home.root


def test_real_wards_train_and_two_federations_agree_bit_for_bit(
    tmp_path: Path, program: dict[str, Any], model_dir: Path, public_files: Any
) -> None:
    results = []
    for name in ("one", "two"):
        wards, home = _federate(tmp_path / name, program, model_dir, public_files)
        results.append(run(InProcessGrid(wards), home))
        for ward in wards.values():
            ward.close()
    assert results[0] == results[1] and results[0].rounds == 6
    history = read_history(ServerHome(tmp_path / "one" / "server").history)
    assert all(line["sites"] == list(NAMES) and line["missing"] == {} for line in history)
    assert len({line["adapter"] for line in history}) == 6  # every round moved something
    losses = [line["figures"]["loss"] for line in history[:2]]
    assert losses[1] < losses[0]
    assert results[0].evaluation["reward_model"]["accuracy"] == 1.0


def test_rloo_takes_the_place_of_ppo_and_sends_no_value_head(
    tmp_path: Path, program: dict[str, Any], model_dir: Path, public_files: Any
) -> None:
    wards, home = _federate(tmp_path, program, model_dir, public_files, policy="rloo")
    result = run(InProcessGrid(wards), home)
    for ward in wards.values():
        ward.close()
    history = read_history(ServerHome(home).history)
    assert [line["stage"] for line in history[-2:]] == ["rloo", "rloo"]
    assert all(line["sites"] == list(NAMES) for line in history)
    assert len({line["adapter"] for line in history}) == 6
    session = open_session(home)
    assert result.policy is not None
    assert all(".lora_" in name for name in session.registry.load(result.policy))


@pytest.mark.slow
def test_what_real_wards_trained_is_released_and_peft_loads_the_bundle(
    tmp_path: Path, program: dict[str, Any], model_dir: Path, public_files: Any
) -> None:
    gate = {"name": "near", "source": "evaluation", "figure": "policy.kl", "at_most": 25.0}
    (tmp_path / "gates.toml").write_text(tomli_w.dumps({"gates": [gate]}))
    program["release"] = {"gates": str(tmp_path / "gates.toml")}
    wards, home = _federate(tmp_path, program, model_dir, public_files)
    result = run(InProcessGrid(wards), home)
    for ward in wards.values():
        ward.close()
    ledgers = [tmp_path / name / "ledger.jsonl" for name in NAMES]
    made = release(home, ledgers, [], datetime(2026, 3, 1, tzinfo=UTC))
    assert made.release.adapter == result.policy
    public = SigningKey.from_seed(b"c" * 32).public
    keys = {name: policy_entry(read_ledger(path)).public for name, path in zip(NAMES, ledgers, strict=True)}
    assert set(verify_release(made.folder, public, keys).ledgers) == set(NAMES)
    network = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    loaded = PeftModel.from_pretrained(network, str(made.folder / "adapter"))
    moved = [p for name, p in loaded.named_parameters() if "lora_B" in name]
    assert moved and all(bool(p.abs().sum() > 0) for p in moved)
