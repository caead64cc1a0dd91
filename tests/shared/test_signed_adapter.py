"""Signed adapter folders: any change of file, manifest or key is refused; ``intraward-audit adapter`` too."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intraward_shared import audit
from intraward_shared.adapters import encode, state_digest
from intraward_shared.errors import ContractError, DigestError, SignatureError
from intraward_shared.protocol import LoraSpec, sign_value
from intraward_shared.signed_adapter import (
    ADAPTER_DOMAIN,
    MANIFEST_FILE,
    AdapterManifest,
    read_signed_adapter,
)
from intraward_shared.signing import SigningKey, digest
from intraward_shared.stages import Stage

KEY = SigningKey.from_seed(b"c" * 32)
STATE = {
    "m.q_proj.lora_A.weight": np.arange(8, dtype=np.float32).reshape(2, 4),
    "m.q_proj.lora_B.weight": np.ones((4, 2), dtype=np.float32),
}
HEAD = {"score.weight": np.full((1, 4), 0.5, dtype=np.float32)}


def write(folder: Path, contents: dict[str, bytes], **changes: Any) -> Path:
    """A signed folder of ``contents``."""
    folder.mkdir()
    fields: dict[str, Any] = {
        "run_id": "run",
        "stage": Stage.REWARD,
        "round": 3,
        "base_model": "a" * 64,
        "digest": state_digest(STATE | HEAD),
        "files": {name: digest(data) for name, data in contents.items()},
        "parents": ("b" * 64,),
        "plans": ("d" * 64,),
        "ledger_heads": {"north": (4, "e" * 64)},
        "simulated": True,
        "lora": LoraSpec(r=2, lora_alpha=4, target_modules=("q_proj",)),
    }
    manifest = AdapterManifest(**(fields | changes))
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    (folder / MANIFEST_FILE).write_bytes(sign_value(manifest, ADAPTER_DOMAIN, KEY))
    return folder


def signed_files() -> dict[str, bytes]:
    return {
        "adapter_config.json": b"{}",
        "adapter_model.safetensors": encode(STATE),
        "heads.safetensors": encode(HEAD),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "adapter", signed_files())


def test_a_signed_folder_gives_manifest_and_all_tensors(folder: Path) -> None:
    manifest, state = read_signed_adapter(folder, KEY.public)
    assert set(state) == {*STATE, *HEAD} and state_digest(state) == manifest.digest
    assert manifest.ledger_heads == {"north": (4, "e" * 64)} and manifest.stage is Stage.REWARD


@pytest.mark.parametrize("name", sorted(signed_files()))
def test_a_changed_missing_or_added_file_is_refused(folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(DigestError, match="changed after signing"):
        read_signed_adapter(folder, KEY.public)
    (folder / name).unlink()
    with pytest.raises(DigestError, match="missing"):
        read_signed_adapter(folder, KEY.public)
    (folder / name).write_bytes(whole)
    (folder / "adapter_model.bin").write_bytes(b"pickled")
    with pytest.raises(DigestError, match="not signed"):
        read_signed_adapter(folder, KEY.public)


def test_an_unsigned_forged_or_foreign_manifest_is_refused(folder: Path) -> None:
    with pytest.raises(SignatureError):
        read_signed_adapter(folder, SigningKey.generate().public)
    envelope = json.loads((folder / MANIFEST_FILE).read_bytes())
    envelope["payload"] = envelope["payload"].replace('"simulated":true', '"simulated":false')
    (folder / MANIFEST_FILE).write_text(json.dumps(envelope, sort_keys=True, separators=(",", ":")))
    with pytest.raises(SignatureError):
        read_signed_adapter(folder, KEY.public)
    (folder / MANIFEST_FILE).unlink()
    with pytest.raises(SignatureError, match="not signed"):
        read_signed_adapter(folder, KEY.public)


def test_a_signature_of_another_domain_is_refused(folder: Path) -> None:
    manifest, _ = read_signed_adapter(folder, KEY.public)
    (folder / MANIFEST_FILE).write_bytes(sign_value(manifest, "intraward/plan/v1", KEY))
    with pytest.raises(SignatureError):
        read_signed_adapter(folder, KEY.public)


def test_a_signed_manifest_must_still_fit_its_tensors(tmp_path: Path) -> None:
    with pytest.raises(DigestError, match="do not match"):
        read_signed_adapter(write(tmp_path / "a", signed_files(), digest="0" * 64), KEY.public)
    rest = {name: data for name, data in signed_files().items() if name != "adapter_model.safetensors"}
    with pytest.raises(ContractError, match="names no"):
        read_signed_adapter(write(tmp_path / "b", rest), KEY.public)
    with pytest.raises(ValueError, match="own folder"):
        write(tmp_path / "c", signed_files(), files={"../adapter_config.json": "0" * 64})


def test_the_auditors_command_verifies_and_refuses(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["intraward-audit", "adapter", str(folder), *arguments])
        with pytest.raises(SystemExit) as stop:
            audit.main()
        shown = capsys.readouterr()
        return int(stop.value.code or 0), shown.out, shown.err

    code, out, _ = call("--public-key", KEY.public, "--json")
    assert code == 0 and json.loads(out)["verified"] and json.loads(out)["tensors"] == 3
    code, out, _ = call("--public-key", KEY.public)
    assert code == 0 and "not private" in " ".join(out.split())
    code, _, err = call("--public-key", SigningKey.generate().public)
    assert code == 1 and "do" in err
    assert call()[0] == 2
