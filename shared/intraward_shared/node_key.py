"""The key by which Flower knows a hospital's SuperNode: ECDSA on NIST P-384, in OpenSSH form.

Section 3 of DESIGN.md and the facts on Flower, 3.1: the SuperLink takes only nodes whose key was registered.
It is another key than the one that signs updates, because the gateway holds it, which holds no data.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
    load_ssh_public_key,
)

from intraward_shared.durable import write_durably
from intraward_shared.errors import ConfigError, SignatureError

CURVE = ec.SECP384R1
_PROOF = ec.ECDSA(hashes.SHA384())


def make_node_key(path: Path, comment: str) -> Path:
    """Write a new private key (mode 0600) and its public half beside it, whose path is returned.

    Args:
        path: the private key's file; the public one has ``.pub`` after the same name.
        comment: what the public file says at its end, such as the site's name.

    Raises:
        ConfigError: a file is there already; a registered key is never overwritten.
    """
    if path.exists():
        raise ConfigError(path, "", "a node key is there already", remedy="keys are never overwritten")
    key = ec.generate_private_key(CURVE())
    write_durably(path, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    public = public_file(path)
    write_durably(public, f"{_public_text(key.public_key())} {comment}\n".encode())
    return public


def public_file(path: Path) -> Path:
    """Where the public half of a private key's file lies."""
    return path.with_name(f"{path.name}.pub")


def public_text(path: Path) -> str:
    """Public half of a private key's file, ``ecdsa-sha2-nistp384 BASE64``.

    Raises:
        ConfigError: the file is missing, or not such a key.
    """
    return _public_text(_load(path).public_key())


def prove(path: Path, data: bytes) -> str:
    """Sign ``data`` with the private key in ``path``: hex of a DER signature, ECDSA with SHA-384.

    Raises:
        ConfigError: the file is missing, or not such a key.
    """
    return _load(path).sign(data, _PROOF).hex()


def check_proof(public: str, data: bytes, proof: str) -> None:
    """Check what ``prove`` made.

    Raises:
        SignatureError: no P-384 key in OpenSSH form, or not its signature.
    """
    try:
        key = load_ssh_public_key(public.encode())
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, CURVE):
            raise ValueError
        key.verify(bytes.fromhex(proof), data, _PROOF)
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        raise SignatureError(
            "the node key is no ECDSA key on P-384, or did not sign this request",
            remedy="ask the site for the file that its own init wrote",
        ) from None


def _load(path: Path) -> ec.EllipticCurvePrivateKey:
    remedy = "restore it from your backup; without one the site needs a new key and has to be enrolled anew"
    try:
        key = load_ssh_private_key(path.read_bytes(), None)
    except OSError:
        raise ConfigError(path, "", "the node key cannot be read", remedy=remedy) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(path, "", "not a node key in OpenSSH form", remedy=remedy) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, CURVE):
        raise ConfigError(path, "", "not an ECDSA key on P-384", remedy=remedy)
    return key


def _public_text(key: ec.EllipticCurvePublicKey) -> str:
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
