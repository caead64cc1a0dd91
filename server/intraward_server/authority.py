"""The consortium's own certificate authority, and the server certificate that it signs.

Section 3 of DESIGN.md: hospitals trust exactly this authority, whose certificate they get in their kit, so no
public authority can let somebody stand between. Its key stays in the coordinator's folder, mode 0600, and
signs server certificates only (path length 0). Flower's SuperNode shows no client certificate (facts on
Flower, 3.1): a site is known by its registered node key, so sites get no certificate here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from intraward_shared.durable import write_durably
from intraward_shared.errors import ConfigError
from intraward_shared.expiry import Expiry, read_certificate

AUTHORITY_DAYS, SERVER_DAYS = 3650, 365
LOOPBACK = ("localhost", "127.0.0.1")
"""Always among the names: the coordinator's own commands reach the SuperLink there."""
_CLOCK_SKEW = timedelta(minutes=5)


class Authority:
    """The authority's files: certificate and key; ``issue`` makes the server's."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.certificate, self.key = certificate, key

    def make(self, name: str, now: datetime, days: int = AUTHORITY_DAYS) -> None:
        """Make key (ECDSA on P-384) and self-signed certificate; never overwrites a key.

        Raises:
            ConfigError: there is a key already.
        """
        if self.key.exists():
            raise ConfigError(self.key, "", "is there already", remedy="an authority's key is never replaced")
        key, subject = ec.generate_private_key(ec.SECP384R1()), _name(f"{name} authority")
        certificate = (
            _builder(subject, subject, key.public_key(), key.public_key(), now, days)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .sign(key, hashes.SHA384())
        )
        write_durably(self.key, _pem(key))
        write_durably(self.certificate, certificate.public_bytes(Encoding.PEM))

    def issue(self, certificate: Path, key: Path, hosts: Iterable[str], now: datetime) -> tuple[str, ...]:
        """Make a new server key and certificate, and return the names that it covers, loopback first.

        Args:
            certificate: file to write; an older one is replaced once the new key is on disk.
            key: file of its private key, mode 0600.
            hosts: names and addresses at which the server is reached.
            now: beginning of its validity.

        Raises:
            ConfigError: a host is no name or address, or the authority cannot be read or has ended.
        """
        names = tuple(dict.fromkeys((*LOOPBACK, *hosts)))
        alternatives = x509.SubjectAlternativeName([check_host(name) for name in names])
        issuer, signing = read_certificate(self.certificate), self._signing_key()
        if now >= issuer.not_valid_after_utc:
            raise ConfigError(self.certificate, "", "the authority has ended", remedy="make a new consortium")
        own = ec.generate_private_key(ec.SECP384R1())
        days = min(SERVER_DAYS, (issuer.not_valid_after_utc - now).days)
        made = (
            _builder(_name(names[-1]), issuer.subject, own.public_key(), signing.public_key(), now, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(alternatives, critical=False)
            .sign(signing, hashes.SHA384())
        )
        write_durably(key, _pem(own))
        write_durably(certificate, made.public_bytes(Encoding.PEM))
        return names

    def _signing_key(self) -> ec.EllipticCurvePrivateKey:
        remedy = "restore it from your backup, or run init for a new consortium"
        try:
            mode, raw = self.key.stat().st_mode, self.key.read_bytes()
            key = load_pem_private_key(raw, None)
        except OSError:
            raise ConfigError(self.key, "", "the authority's key cannot be read", remedy=remedy) from None
        except (ValueError, TypeError):
            raise ConfigError(self.key, "", "not the authority's key", remedy=remedy) from None
        if mode & 0o077:
            raise ConfigError(self.key, "", "is open to other users", remedy="chmod 600 the file")
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ConfigError(self.key, "", "not the authority's key", remedy=remedy)
        return key


def hosts_of(certificate: Path) -> tuple[str, ...]:
    """Names and addresses that a server certificate covers.

    Raises:
        ConfigError: no such certificate.
    """
    try:
        names = read_certificate(certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in names.value)


def expiries(authority: Path, server: Path) -> Sequence[Expiry]:
    """When authority and server certificate end.

    Raises:
        ConfigError: one of them cannot be read.
    """
    renew = "renew it with intraward-server renew, then start superlink and proxy anew"
    return (
        Expiry(
            "the authority's certificate",
            read_certificate(authority).not_valid_after_utc,
            "plan a new consortium: every hospital needs a new kit",
        ),
        Expiry("the server's certificate", read_certificate(server).not_valid_after_utc, renew),
    )


def check_host(host: str) -> x509.GeneralName:
    """A host as it stands in a certificate.

    Raises:
        ConfigError: no name and no address.
    """
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        pass
    labels = host.split(".")
    if len(host) > 253 or not all(
        0 < len(p) < 64 and p.replace("-", "a").isalnum() and p.isascii() for p in labels
    ):
        raise ConfigError("--host", "", "not a host name or an address", remedy="write it without a port")
    return x509.DNSName(host.lower())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    signer: ec.EllipticCurvePublicKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer), critical=False)
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
