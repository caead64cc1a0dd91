"""Adapters load with PEFT alone, are whole or absent, and never unsigned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from intraward_server import registry as registry_module
from intraward_server.checkpoint import LedgerHead
from intraward_server.modelcard import Lineage
from intraward_server.registry import Registry
from intraward_shared.adapters import Array, state_digest
from intraward_shared.durable import write_durably
from intraward_shared.errors import DigestError, SignatureError
from intraward_shared.modeling import BaseModel, adapted, initial_state
from intraward_shared.protocol import LoraSpec
from intraward_shared.signing import SigningKey
from intraward_shared.stages import Stage

LORA = LoraSpec(r=2, lora_alpha=4, target_modules=("q_proj", "v_proj"))
KEY = SigningKey.from_seed(b"k" * 32)


@pytest.fixture
def state(base: BaseModel) -> dict[str, Array]:
    draw = np.random.Generator(np.random.Philox(2))
    made = initial_state(base, LORA, Stage.REWARD, 1)
    return {name: array + draw.normal(0, 0.1, array.shape).astype(np.float32) for name, array in made.items()}


@pytest.fixture
def lineage(base: BaseModel) -> Lineage:
    head = LedgerHead(sequence=4, entry="3" * 64, round=5)
    return Lineage("run-1", Stage.REWARD, 5, base.digest, True, ("1" * 64,), ("2" * 64,), {"alpha": head})


def test_round_trip_and_manifest(tmp_path: Path, state: dict[str, Array], lineage: Lineage) -> None:
    registry = Registry(tmp_path, KEY, LORA)
    name = registry.put(state, lineage)
    assert name == state_digest(state) and registry.path(name) == tmp_path / name[:16]
    manifest, loaded = registry.read(name)
    assert state_digest(loaded) == name
    assert manifest.parents == ("1" * 64,) and manifest.plans == ("2" * 64,) and manifest.simulated
    assert manifest.ledger_heads == {"alpha": (4, "3" * 64)}
    assert registry.put(state, lineage) == name
    assert "carries no privacy guarantee" in (registry.path(name) / "README.md").read_text()


def test_peft_loads_the_folder_with_nothing_else(
    tmp_path: Path, model_dir: Path, base: BaseModel, state: dict[str, Array], lineage: Lineage
) -> None:
    registry = Registry(tmp_path, KEY, LORA)
    folder = registry.path(registry.put(state, lineage))
    ids = torch.tensor([[5, 6, 7, 8]])
    with adapted(base, LORA, ("reward",)) as model, torch.no_grad():
        model.load("reward", state)
        ours = model(ids, torch.ones_like(ids))
    network = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    theirs = PeftModel.from_pretrained(network, str(folder)).eval()
    with torch.no_grad():
        torch.testing.assert_close(theirs(ids).logits, ours, rtol=1e-5, atol=1e-5)
        plain = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)(ids).logits
    assert not torch.allclose(plain, ours, atol=1e-3)


@pytest.mark.parametrize(
    "file", ["adapter_model.safetensors", "heads.safetensors", "adapter_config.json", "README.md"]
)
def test_any_altered_file_is_refused(
    tmp_path: Path, state: dict[str, Array], lineage: Lineage, file: str
) -> None:
    registry = Registry(tmp_path, KEY, LORA)
    name = registry.put(state, lineage)
    path = registry.path(name) / file
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DigestError):
        registry.load(name)
    with pytest.raises(DigestError):
        registry.put(state, lineage)  # nor is it quietly mended


def test_unsigned_and_foreign_adapters_are_refused(
    tmp_path: Path, state: dict[str, Array], lineage: Lineage
) -> None:
    registry = Registry(tmp_path, KEY, LORA)
    name = registry.put(state, lineage)
    with pytest.raises(SignatureError):
        Registry(tmp_path, SigningKey.generate(), LORA).load(name)
    (registry.path(name) / "intraward_adapter.json").unlink()
    with pytest.raises(SignatureError):
        registry.load(name)


def test_another_adapters_folder_under_this_name_is_refused(
    tmp_path: Path, state: dict[str, Array], lineage: Lineage
) -> None:
    registry = Registry(tmp_path, KEY, LORA)
    name = registry.put(state, lineage)
    other = "f" * 64
    registry.path(name).rename(registry.path(other))
    with pytest.raises(DigestError):
        registry.load(other)


def test_killed_while_writing_leaves_nothing(
    tmp_path: Path, state: dict[str, Array], lineage: Lineage, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [0]
    real = write_durably

    def dies(path: Path, data: bytes) -> None:
        calls[0] += 1
        if calls[0] == 3:
            raise KeyboardInterrupt
        real(path, data)

    monkeypatch.setattr(registry_module, "write_durably", dies)
    registry = Registry(tmp_path, KEY, LORA)
    with pytest.raises(KeyboardInterrupt):
        registry.put(state, lineage)
    monkeypatch.undo()
    assert not registry.path(state_digest(state)).exists()
    assert Registry(tmp_path, KEY, LORA).put(state, lineage) == state_digest(state)
    assert [path.name for path in tmp_path.iterdir()] == [state_digest(state)[:16]]


def test_the_card_of_a_reward_model_says_what_it_is_worth_and_is_signed(
    tmp_path: Path, state: dict[str, Array], lineage: Lineage
) -> None:
    registry = Registry(tmp_path, KEY, LORA)
    shares = {"accuracy": 0.75, "length_baseline": 0.6, "length_matched": None}
    figures = shares | {f"{name}_interval": [0.5, 0.8] for name in shares}
    figures |= {"pairs": 40, "brier": 0.19, "calibration_error": 0.061, "members": 3, "unanimous": 0.5}
    figures |= {"disagreement": 0.25, "disagreement_right": 0.2, "disagreement_wrong": None}
    name = registry.put(state, lineage, figures)
    card = registry.path(name) / "README.md"
    told = card.read_text(encoding="utf-8")
    for line in (
        "## Measured on 40 public pairs",
        "| accuracy | 75.0 % (95 %: 50.0 to 80.0) |",
        "| the longer answer wins | 60.0 % (95 %: 50.0 to 80.0) |",
        "| accuracy where both are about as long | not measured |",
        "| expected calibration error | 0.061 |",
        "| disagreement of the 3 members | 0.250 |",
        "| where they are right, and wrong | 0.200, none |",
        "| pairs on which all of them agree | 50.0 % |",
    ):
        assert f"{line}\n" in told
    card.write_text(told.replace("75.0", "95.0"), encoding="utf-8")
    with pytest.raises(DigestError):
        registry.load(name)
