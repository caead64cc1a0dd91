"""A signed adapter folder: PEFT files plus ``intraward_adapter.json``, the signed manifest.

Rule 9 of DESIGN.md. The coordinator writes such folders, hospitals, auditors and strangers verify
them: signature by the expected key, digest of every file, digest of the tensors. No torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath

from pydantic import Field, field_validator

from intraward_shared.adapters import Array, decode, state_digest
from intraward_shared.config import Strict
from intraward_shared.errors import ContractError, DigestError, SignatureError
from intraward_shared.protocol import Digest, LoraSpec, Name, open_signed
from intraward_shared.scalars import Version, unused
from intraward_shared.signing import digest
from intraward_shared.stages import Stage

ADAPTER_DOMAIN = "intraward/adapter/v1"
MANIFEST_FILE = "intraward_adapter.json"
TENSOR_FILES = ("adapter_model.safetensors", "heads.safetensors")


class AdapterManifest(Strict):
    """What an adapter is and where it comes from; ``round`` is 0 for one that no hospital has touched.

    ``iteration`` is its version: reward model v2 and policy v2 are those of the second iteration.
    ``code`` is the SHA-256 over the source files of the coordinator's package, ``code_version`` its version.
    """

    run_id: Name
    stage: Stage
    round: int = Field(ge=0)
    iteration: int = Field(default=1, ge=1)
    base_model: Digest
    digest: Digest
    files: dict[str, Digest]
    parents: tuple[Digest, ...] = ()
    plans: tuple[Digest, ...] = ()
    ledger_heads: dict[Name, tuple[int, Digest]] = Field(default={})
    simulated: bool
    lora: LoraSpec
    code_version: Version | None = Field(default=None, exclude_if=unused)
    code: Digest | None = Field(default=None, exclude_if=unused)

    @field_validator("files")
    @classmethod
    def _plain_names(cls, files: dict[str, str]) -> dict[str, str]:
        if any(PurePath(name).name != name or name in ("", ".", "..") for name in files):
            raise ValueError("a manifest names files of its own folder only")
        return files


def read_manifest(folder: Path, public: str) -> tuple[AdapterManifest, bytes]:
    """The verified manifest of a folder, and its signed bytes; tensors and files are not looked at.

    Raises:
        SignatureError: unsigned, or signed by another key.
        ContractError: not a signed adapter.
    """
    if not folder.is_dir():
        raise ContractError(f"{folder}: no such adapter folder", remedy="check the path")
    try:
        envelope = (folder / MANIFEST_FILE).read_bytes()
    except OSError:
        raise SignatureError(
            f"{folder}: the adapter is not signed", remedy="use an adapter that has intraward_adapter.json"
        ) from None
    return open_manifest(envelope, public, folder / MANIFEST_FILE), envelope


def open_manifest(envelope: bytes, public: str, place: object) -> AdapterManifest:
    """A manifest from its signed bytes; ``place`` names them in errors.

    Raises:
        SignatureError, ContractError: as ``read_manifest``.
    """
    try:
        return open_signed(envelope, ADAPTER_DOMAIN, AdapterManifest, public)
    except ContractError as error:
        remedy = error.remedy or "fetch the adapter again"
        raise type(error)(f"{place}: {error.message}", remedy=remedy) from None


def read_signed_adapter(folder: Path, public: str) -> tuple[AdapterManifest, dict[str, Array]]:
    """Verify a folder and return its manifest and tensors.

    Args:
        folder: a signed adapter.
        public: public key (hex) of the coordinator that must have signed it.

    Raises:
        SignatureError: unsigned, or signed by another key.
        DigestError: a file is missing, added or altered.
        ContractError: not a signed adapter.
    """
    manifest, _ = read_manifest(folder, public)
    contents = {name: _read(folder / name) for name in manifest.files}
    there = {path.name for path in folder.iterdir()} - {MANIFEST_FILE}
    return manifest, tensors_of(manifest, contents, there, folder)


def tensors_of(
    manifest: AdapterManifest, contents: Mapping[str, bytes], there: set[str], folder: Path
) -> dict[str, Array]:
    """Tensors of an adapter, after every file was held against its verified manifest.

    Args:
        manifest: verified.
        contents: the files that it names.
        there: names of all files that lie beside it.
        folder: where they lie, for errors.

    Raises:
        DigestError, ContractError: as ``read_signed_adapter``.
    """
    for name, data in contents.items():
        if digest(data) != manifest.files[name]:
            raise DigestError(f"{folder / name}: was changed after signing", remedy="fetch the adapter again")
    if there - set(contents):
        raise DigestError(f"{folder}: holds a file that was not signed", remedy="fetch the adapter again")
    if TENSOR_FILES[0] not in contents:
        raise ContractError(f"{folder}: the manifest names no {TENSOR_FILES[0]}")
    state: dict[str, Array] = {}
    for name in TENSOR_FILES:
        if name in contents:
            state |= decode(contents[name])
    if state_digest(state) != manifest.digest:
        raise DigestError(f"{folder}: tensors do not match the manifest", remedy="fetch the adapter again")
    return state


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise DigestError(f"{path}: a signed file is missing", remedy="fetch the adapter again") from None
