"""Signed adapters on disk, one PEFT folder each, named by digest.

Rule 9 of DESIGN.md. A folder holds what ``PeftModel.from_pretrained(base, folder)`` needs and nothing
executable: ``adapter_config.json``, ``adapter_model.safetensors`` (LoRA tensors under PEFT's own
names), ``heads.safetensors`` (score or value head, if any), a model card, and
``intraward_adapter.json``, the signed manifest with file digests and lineage. Written beside and
renamed, so a folder is there whole or not at all. Nothing unsigned or altered is ever loaded.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from intraward_server.home import ServerHome
from intraward_server.modelcard import Lineage, card
from intraward_shared.adapters import State, encode, state_digest
from intraward_shared.config import load_toml
from intraward_shared.durable import sync_folder, write_durably
from intraward_shared.errors import ConfigError, DigestError
from intraward_shared.program import ProgramConfig
from intraward_shared.protocol import LoraSpec, sign_value
from intraward_shared.release import HubTerms
from intraward_shared.signed_adapter import (
    ADAPTER_DOMAIN,
    MANIFEST_FILE,
    AdapterManifest,
    read_manifest,
    read_signed_adapter,
)
from intraward_shared.signing import SigningKey, digest
from intraward_shared.source_code import code_digest
from intraward_shared.stages import SCORE_HEAD, VALUE_HEAD

_SHORTEST = 6


class Registry:
    """The coordinator's folder of signed adapters."""

    def __init__(self, folder: Path, key: SigningKey, lora: LoraSpec, hub: HubTerms | None = None) -> None:
        """Open the folder; what a killed coordinator left half-written is removed."""
        self._folder, self._key, self._lora, self._hub = folder, key, lora, hub or HubTerms()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in folder.glob(".part-*"):
            shutil.rmtree(left)

    def path(self, name: str) -> Path:
        """Folder of the adapter with digest ``name``."""
        return self._folder / name[:16]

    def put(self, state: State, lineage: Lineage, measured: Mapping[str, Any] | None = None) -> str:
        """Write and sign an adapter; returns its digest. One that is already there is verified and kept.

        Args:
            measured: figures of a reward model (``Scorecard.reward_figures``) for its card.

        Raises:
            SignatureError, DigestError: a folder of this name is there and was altered.
        """
        name = state_digest(state)
        if self.path(name).exists():
            self.load(name)
            return name
        files = self._files(state, lineage, name, measured or {})
        manifest = AdapterManifest(
            run_id=lineage.run_id,
            stage=lineage.stage,
            round=lineage.round,
            iteration=lineage.iteration,
            base_model=lineage.base_model,
            digest=name,
            files={file: digest(data) for file, data in files.items()},
            parents=lineage.parents,
            plans=lineage.plans,
            ledger_heads={site: (head.sequence, head.entry) for site, head in (lineage.heads or {}).items()},
            simulated=lineage.simulated,
            lora=self._lora,
            code_version=version("intraward"),
            code=server_code(),
        )
        files[MANIFEST_FILE] = sign_value(manifest, ADAPTER_DOMAIN, self._key)
        self._write(name, files)
        return name

    def load(self, name: str) -> State:
        """Tensors of an adapter, after its signature, files and digest were verified.

        Raises:
            ContractError, SignatureError, DigestError: missing, unsigned, altered, or another adapter.
        """
        return self.read(name)[1]

    def read(self, name: str) -> tuple[AdapterManifest, State]:
        """Manifest and tensors, verified."""
        manifest, state = read_signed_adapter(self.path(name), self._key.public)
        if manifest.digest != name:
            raise DigestError(
                f"{self.path(name)}: holds another adapter than its name says",
                remedy="restore the folder from your backup",
            )
        return manifest, state

    def manifest(self, name: str) -> AdapterManifest:
        """The verified manifest; its files are not looked at."""
        return read_manifest(self.path(name), self._key.public)[0]

    def ancestry(self, names: Iterable[str]) -> dict[str, bytes]:
        """Signed manifests of some adapters and of all that they descend from, by adapter digest.

        Raises:
            ContractError, SignatureError: a manifest is missing or was altered.
        """
        found: dict[str, bytes] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                manifest, found[name] = read_manifest(self.path(name), self._key.public)
                waiting += manifest.parents
        return found

    def names(self) -> list[str]:
        """Digests of all adapters, by their verified manifests, oldest round first.

        Raises:
            ContractError, SignatureError: a folder is no signed adapter.
        """
        folders = sorted(path for path in self._folder.iterdir() if path.is_dir())
        found = [read_manifest(folder, self._key.public)[0] for folder in folders]
        return [manifest.digest for manifest in sorted(found, key=lambda each: (each.round, each.digest))]

    def find(self, name: str) -> str:
        """The one digest that begins with ``name``.

        Raises:
            ConfigError: none does, or more than one.
        """
        found = [each for each in self.names() if each.startswith(name)]
        if len(found) != 1 or len(name) < _SHORTEST:
            raise ConfigError(
                self._folder,
                "",
                "no adapter, or more than one, has this name",
                remedy=f"intraward-server registry list shows them; give at least {_SHORTEST} digits",
            )
        return found[0]

    def _files(
        self, state: State, lineage: Lineage, name: str, measured: Mapping[str, Any]
    ) -> dict[str, bytes]:
        heads = {n: a for n, a in state.items() if n in SCORE_HEAD or n in VALUE_HEAD}
        factors = {n: a for n, a in state.items() if n not in heads}
        config = _peft_config(self._lora, self._hub.base_model)
        files = {
            "adapter_config.json": json.dumps(config, indent=2, sort_keys=True).encode(),
            "adapter_model.safetensors": encode(factors),
            "README.md": card(lineage, self._lora, name, tuple(heads), measured, self._hub).encode(),
        }
        if heads:
            files["heads.safetensors"] = encode(heads)
        return files

    def _write(self, name: str, files: Mapping[str, bytes]) -> None:
        temporary = Path(tempfile.mkdtemp(prefix=".part-", dir=self._folder))
        for file, data in files.items():
            write_durably(temporary / file, data)
        temporary.replace(self.path(name))
        sync_folder(self._folder)


def open_registry(home: ServerHome) -> tuple[SigningKey, Registry]:
    """Key and registry of a coordinator's folder.

    Raises:
        ConfigError: program or key cannot be read.
    """
    config, key = load_toml(home.program, ProgramConfig), SigningKey.load(home.key)
    return key, Registry(home.adapters, key, config.lora, config.release)


@cache
def server_code() -> str:
    """SHA-256 over the source files of this package."""
    return code_digest(Path(__file__).parent)


def _peft_config(lora: LoraSpec, base_model: str | None) -> dict[str, object]:
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_model,
        "inference_mode": True,
        "r": lora.r,
        "lora_alpha": lora.lora_alpha,
        "target_modules": list(lora.target_modules),
        "lora_dropout": 0.0,
        "bias": "none",
    }
