"""Certificates and node keys: they work together, are kept while valid, and are private."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from intraward_shared.errors import ConfigError
from intraward_simulation.provision import VALID, Credentials, provision

SITES = ("northfield", "riverside")


def handshake(files: Credentials, authority: Path, name: str) -> str:
    """Do a TLS handshake over a socket pair; returns the protocol version."""
    ours, theirs = socket.socketpair()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.key)

    def serve() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client = ssl.create_default_context(cafile=str(authority))
        client.verify_flags |= ssl.VERIFY_X509_STRICT
        with client.wrap_socket(ours, server_hostname=name) as channel:
            return str(channel.version())
    finally:
        ours.close()
        thread.join()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_a_strict_client_that_knows_the_authority_is_content(tmp_path: Path, name: str) -> None:
    files = provision(tmp_path, SITES)
    assert handshake(files, files.authority, name) == "TLSv1.3"


def test_another_name_and_another_authority_are_refused(tmp_path: Path) -> None:
    files, other = provision(tmp_path / "one", SITES), provision(tmp_path / "two", SITES)
    for authority, name in ((files.authority, "example.org"), (other.authority, "localhost")):
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(files, authority, name)


def test_what_is_there_is_kept_and_a_new_site_is_added(tmp_path: Path) -> None:
    first = provision(tmp_path, SITES)
    before = {p: p.read_bytes() for p in (first.authority, first.key, first.nodes["riverside"].private)}
    second = provision(tmp_path, (*SITES, "st-brigid"))
    assert {path: path.read_bytes() for path in before} == before
    assert set(second.nodes) == {*SITES, "st-brigid"}


@pytest.mark.parametrize("damage", ["expired", "no key", "other key", "cut"])
def test_a_certificate_that_would_not_serve_is_made_anew(tmp_path: Path, damage: str) -> None:
    files = provision(tmp_path, SITES)
    old = files.certificate.read_bytes()
    now = datetime.now(UTC)
    if damage == "expired":
        now += VALID - timedelta(days=1)
    elif damage == "no key":
        files.key.unlink()
    elif damage == "other key":
        files.key.write_bytes(provision(tmp_path / "other", SITES).key.read_bytes())
    else:
        files.authority.write_bytes(files.authority.read_bytes()[:100])
    again = provision(tmp_path, SITES, now=now)
    assert again.certificate.read_bytes() != old
    x509.load_pem_x509_certificate(again.certificate.read_bytes()).verify_directly_issued_by(
        x509.load_pem_x509_certificate(again.authority.read_bytes())
    )


def test_node_keys_are_openssh_on_p384_and_differ(tmp_path: Path) -> None:
    files = provision(tmp_path, SITES)
    publics = set()
    for key in files.nodes.values():
        private = load_ssh_private_key(key.private.read_bytes(), None)
        assert isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, ec.SECP384R1)
        assert load_ssh_public_key(key.public.read_bytes()) == private.public_key()
        publics.add(key.public.read_bytes().split()[1])
    assert len(publics) == 2


def test_a_node_key_that_cannot_be_read_is_refused_and_left_alone(tmp_path: Path) -> None:
    key = provision(tmp_path, SITES).nodes["riverside"].private
    key.write_bytes(b"not a key")
    with pytest.raises(ConfigError, match="riverside"):
        provision(tmp_path, SITES)
    assert key.read_bytes() == b"not a key"


def test_only_the_owner_can_read_and_the_authority_keeps_no_key(tmp_path: Path) -> None:
    files = provision(tmp_path / "tls", SITES)
    assert (tmp_path / "tls").stat().st_mode & 0o777 == 0o700
    for path in (files.key, *(key.private for key in files.nodes.values())):
        assert path.stat().st_mode & 0o777 == 0o600
    assert {p.name for p in (tmp_path / "tls").iterdir()} == {"ca.crt", "server.crt", "server.key", "nodes"}
