"""Certificates and node keys of a simulated consortium on one machine.

Keeps section 3 of DESIGN.md in the simulation: the SuperLink speaks TLS and takes only SuperNodes
whose key was registered. The certificate authority signs one server certificate and its private key
is then forgotten, so that nobody can sign a second one; expiry or a damaged file makes a new pair.
A node's key is an ECDSA key in OpenSSH form on a NIST curve, as Flower asks. Real consortia bring
their own authority; the form of the files is the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_ssh_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from intraward_shared.durable import write_durably
from intraward_shared.errors import ConfigError

VALID = timedelta(days=365)
RENEW_BEFORE = timedelta(days=7)
CLOCK_SKEW = timedelta(minutes=5)
_PLAIN = NoEncryption()


@dataclass(frozen=True)
class NodeKey:
    """Files of one SuperNode's key."""

    private: Path
    public: Path


@dataclass(frozen=True)
class Credentials:
    """Files that the SuperLink and the SuperNodes are started with."""

    authority: Path
    certificate: Path
    key: Path
    nodes: Mapping[str, NodeKey]


def provision(folder: Path, sites: Iterable[str], *, now: datetime | None = None) -> Credentials:
    """Make what is missing in ``folder`` (mode 0700), keep what is there and valid.

    Args:
        folder: where the files lie.
        sites: a node key is made for each.
        now: time of validity; None is the present.

    Raises:
        ConfigError: a node key exists and cannot be read; it is never replaced, because it is registered.
    """
    nodes = folder / "nodes"
    nodes.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    moment = now or datetime.now(UTC)
    files = Credentials(
        folder / "ca.crt",
        folder / "server.crt",
        folder / "server.key",
        {site: _node_key(nodes / site) for site in sorted(sites)},
    )
    if not _valid(files, moment):
        _issue(files, moment)
    return files


def _node_key(path: Path) -> NodeKey:
    public = path.with_name(f"{path.name}.pub")
    if path.exists():
        try:
            key = load_ssh_private_key(path.read_bytes(), None)
        except ValueError:
            raise ConfigError(
                path, "", "not a node key in OpenSSH form", remedy="remove the file to have a new key made"
            ) from None
    else:
        key = ec.generate_private_key(ec.SECP384R1())
        write_durably(path, key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, _PLAIN))
    text = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    write_durably(public, text + b" " + path.name.encode() + b"\n")
    return NodeKey(path, public)


def _valid(files: Credentials, now: datetime) -> bool:
    """Whether certificate, key and authority belong together and will last for the run."""
    try:
        authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        key = load_pem_private_key(files.key.read_bytes(), None)
        certificate.verify_directly_issued_by(authority)
    except (OSError, ValueError, TypeError, InvalidSignature):
        return False
    lasting = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc - RENEW_BEFORE
    return lasting and key.public_key() == certificate.public_key()


def _issue(files: Credentials, now: datetime) -> None:
    authority_key = ec.generate_private_key(ec.SECP384R1())
    key = ec.generate_private_key(ec.SECP384R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "intraward simulated consortium")])
    authority = (
        _builder(name, name, authority_key.public_key(), authority_key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA384())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))])
    certificate = (
        _builder(subject, name, key.public_key(), authority_key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(names, critical=False)
        .sign(authority_key, hashes.SHA384())
    )
    write_durably(files.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _PLAIN))
    write_durably(files.certificate, certificate.public_bytes(Encoding.PEM))
    write_durably(files.authority, authority.public_bytes(Encoding.PEM))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    authority: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False
        )
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
