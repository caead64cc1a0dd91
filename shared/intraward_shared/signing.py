"""Ed25519 signatures over canonical JSON, with domain separation.

Keeps rule 9 of DESIGN.md. Canonical JSON here is RFC 8785 without its number formatting problem:
floats are refused, so a real number travels as its shortest decimal string (``protocol.Real``) and
any language can recompute the bytes. Each signature covers ``domain || 0x00 || bytes``, so that a
signed plan can never pass for a signed ledger entry.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from intraward_shared.errors import ConfigError, ContractError, SignatureError

SIGNATURE_BYTES = 64


def canonical_json(value: Any) -> bytes:
    """Encode ``value`` as UTF-8 JSON with sorted keys and no white space.

    Raises:
        ContractError: the value holds a float or something JSON cannot hold.
    """
    _refuse_floats(value)
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8")
    except (TypeError, ValueError):
        raise ContractError("a value cannot be written as canonical JSON") from None


def parse_canonical(data: bytes) -> Any:
    """Decode bytes and refuse any encoding other than the canonical one."""
    try:
        value = json.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise ContractError("not canonical JSON") from None
    if canonical_json(value) != data:
        raise ContractError("not canonical JSON")
    return value


def _refuse_floats(value: Any) -> None:
    if isinstance(value, float):
        raise ContractError("canonical JSON holds no floats; write a decimal string")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ContractError("canonical JSON has string keys only")
            _refuse_floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_floats(item)


def digest(data: bytes) -> str:
    """SHA-256 as lower-case hex."""
    return hashlib.sha256(data).hexdigest()


class SigningKey:
    """An Ed25519 private key that knows its public name; its repr shows only that name."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes_raw().hex()

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id})"

    @property
    def key_id(self) -> str:
        """First 16 hex digits of the SHA-256 of the public key."""
        return key_id(self.public)

    def sign(self, domain: str, data: bytes) -> str:
        """Sign ``data`` in ``domain``; 128 hex digits."""
        return self._private.sign(domain.encode() + b"\x00" + data).hex()

    @classmethod
    def generate(cls) -> SigningKey:
        """A new key from the operating system's generator."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """A key from 32 bytes (simulation only: both federations of a test then sign alike)."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def load(cls, path: Path) -> SigningKey:
        """Read a key written by ``save``.

        Raises:
            ConfigError: missing file, wrong length, or readable by others.
        """
        try:
            mode, raw = path.stat().st_mode, path.read_bytes()
        except OSError:
            raise ConfigError(
                path, "", "signing key cannot be read", remedy="run init, or restore the key"
            ) from None
        if mode & 0o077:
            raise ConfigError(path, "", "signing key is open to other users", remedy="chmod 600 the file")
        try:
            return cls(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(raw.decode("ascii").strip())))
        except ValueError:
            raise ConfigError(
                path, "", "not a signing key", remedy="restore the key from your backup"
            ) from None

    def save(self, path: Path) -> None:
        """Write the key as hex with mode 0600; never overwrites."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(self._private.private_bytes_raw().hex() + "\n")


def key_id(public: str) -> str:
    """Short name of a public key (hex), for messages and ledger entries."""
    return digest(bytes.fromhex(public))[:16]


def verify(public: str, domain: str, data: bytes, signature: str) -> None:
    """Check a signature made by ``SigningKey.sign``.

    Raises:
        SignatureError: wrong signature, wrong domain, or malformed hex.
    """
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        key.verify(bytes.fromhex(signature), domain.encode() + b"\x00" + data)
    except (InvalidSignature, ValueError):
        raise SignatureError(
            f"signature in domain {domain!r} does not verify",
            remedy="check which key signed it and that the file is whole",
        ) from None
