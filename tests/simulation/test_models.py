"""Base models made on the spot: same bytes for the same seed, nothing half-written, a usable tokenizer."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from intraward_shared.errors import ModelError
from intraward_shared.generation import completion_ids, prompt_ids
from intraward_shared.modeling import load_base, model_digest
from intraward_simulation import models
from intraward_simulation.corpus import KINDS, public_corpus
from intraward_simulation.models import TinySettings, build_tiny, cache_dir, find_smollm2, load_smollm2

SMALL = TinySettings(
    vocab=400, hidden=32, intermediate=64, layers=1, attention_heads=2, texts=200, steps=12, batch=8
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny(tmp_path_factory.mktemp("cache"), 3, settings=SMALL)


def _hashes(directory: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}


def test_same_seed_same_files_other_seed_other_files(tiny: Path, tmp_path: Path) -> None:
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    again = build_tiny(tmp_path, 3, settings=SMALL)
    assert _hashes(again) == _hashes(tiny) and again.name == tiny.name
    assert torch.equal(torch.random.get_rng_state(), state) and torch.get_num_threads() == threads
    other = build_tiny(tmp_path, 4, settings=SMALL)
    assert other.name != tiny.name and model_digest(other) != model_digest(tiny)


def test_second_call_trains_nothing(tiny: Path) -> None:
    calls: list[tuple[int, int]] = []
    before = {path.name: path.stat().st_mtime_ns for path in tiny.iterdir()}
    assert build_tiny(tiny.parent, 3, lambda *step: calls.append(step), SMALL) == tiny
    assert calls == [] and {path.name: path.stat().st_mtime_ns for path in tiny.iterdir()} == before


def test_directory_is_a_hub_folder_of_safetensors(tiny: Path) -> None:
    names = {path.name for path in tiny.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl"))]


def test_tokenizer_pads_apart_from_end_and_ignores_a_leading_space(tiny: Path) -> None:
    base = load_base(tiny)
    tokenizer = base.tokenizer
    assert len({tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.bos_token_id}) == 3
    assert completion_ids(base, "Rest now.", 20) == completion_ids(base, " Rest now.", 20)
    for text in ("Patient: 64 year old man with ear pain for 3 days. Advice:", "naïve 東京 \u2028 ½ mg"):
        ids = prompt_ids(base, text, 200)
        assert tokenizer.decode(ids, clean_up_tokenization_spaces=False).strip() == text
    assert all(
        len(tokenizer(f"<holds:{kind}>", add_special_tokens=False)["input_ids"]) == 1 for kind in KINDS
    )


def test_training_learns(tiny: Path, tmp_path: Path) -> None:
    untrained = build_tiny(tmp_path, 3, settings=TinySettings(**{**SMALL.__dict__, "steps": 0}))
    before, after = _loss(untrained), _loss(tiny)
    assert after < before - 0.5


def _loss(directory: Path) -> float:
    base = load_base(directory)
    example = public_corpus(99, 1)[0]
    ids = torch.tensor([prompt_ids(base, example.prompt, 99) + completion_ids(base, example.completion, 99)])
    with torch.no_grad():
        return float(base.network(input_ids=ids, labels=ids).loss)


class _Stopped(BaseException):
    """Stands for Ctrl-C in the middle of training."""


def test_interruption_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        assert total == SMALL.steps
        if done == 5:
            raise _Stopped

    with pytest.raises(_Stopped):
        build_tiny(tmp_path, 3, stop, SMALL)
    assert list(tmp_path.iterdir()) == []
    assert build_tiny(tmp_path, 3, settings=SMALL).is_dir()


def test_damaged_directory_is_built_anew(tmp_path: Path) -> None:
    directory = build_tiny(tmp_path, 3, settings=SMALL)
    good = _hashes(directory)
    weights = directory / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    assert _hashes(build_tiny(tmp_path, 3, settings=SMALL)) == good
    (directory / "digest.sha256").unlink()
    assert _hashes(build_tiny(tmp_path, 3, settings=SMALL)) == good
    assert [path.name for path in tmp_path.iterdir()] == [directory.name]


def test_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(ModelError, match="INTRAWARD_CACHE"):
        build_tiny(tmp_path / "file" / "cache", 3, settings=SMALL)


def test_cache_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("INTRAWARD_CACHE", raising=False)
    assert cache_dir() == tmp_path / "xdg" / "intraward"
    monkeypatch.setenv("INTRAWARD_CACHE", str(tmp_path / "own"))
    assert cache_dir() == tmp_path / "own"


def test_smollm2_package_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(models, "SMOLLM2_PACKAGE", "no-such-package-here")
    with pytest.raises(ModelError, match="not installed") as caught:
        load_smollm2(tmp_path)
    assert "--no-deps" in caught.value.remedy and list(tmp_path.iterdir()) == []


def test_smollm2_wrong_hash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    find_smollm2()
    monkeypatch.setattr(models, "SMOLLM2_SHA256", "0" * 64)
    with pytest.raises(ModelError, match="pinned") as caught:
        load_smollm2(tmp_path)
    assert caught.value.remedy and list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_smollm2_converts_once(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    directory = load_smollm2(tmp_path, lambda *step: steps.append(step))
    assert steps[-1] == (3, 3)
    before = model_digest(directory)
    assert load_smollm2(tmp_path) == directory and len(steps) == 4
    base = load_base(directory, before)
    assert sum(p.numel() for p in base.network.parameters()) == 134_515_008
    assert base.tokenizer.chat_template and "quantization_config" not in (
        directory / "config.json"
    ).read_text("utf-8")
