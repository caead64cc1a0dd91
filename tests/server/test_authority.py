"""The consortium's authority: strict clients are content, others refused, the key is the owner's alone."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from intraward_server.authority import Authority, check_host, expiries, hosts_of
from intraward_shared.errors import ConfigError
from intraward_shared.expiry import warnings

NOW = datetime.now(UTC)


def made(folder: Path, *hosts: str) -> Authority:
    authority = Authority(folder / "ca.crt", folder / "ca.key")
    authority.make("test", NOW)
    authority.issue(folder / "server.crt", folder / "server.key", hosts, NOW)
    return authority


def handshake(folder: Path, authority: Path, name: str) -> str:
    """TLS over a socket pair, as a strict client does it; the protocol's version."""
    ours, theirs = socket.socketpair()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "server.crt", folder / "server.key")

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


def test_the_server_is_known_by_each_of_its_names_and_by_no_other(tmp_path: Path) -> None:
    authority = made(tmp_path, "FL.example.org", "10.1.2.3")
    assert hosts_of(tmp_path / "server.crt") == ("localhost", "127.0.0.1", "fl.example.org", "10.1.2.3")
    for name in ("localhost", "127.0.0.1", "fl.example.org", "10.1.2.3"):
        assert handshake(tmp_path, authority.certificate, name) == "TLSv1.3"
    other = made(tmp_path / "other")
    for trusted, name in (
        (authority.certificate, "example.org"),
        (other.certificate, "localhost"),
    ):
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(tmp_path, trusted, name)


def test_renewal_keeps_the_authority_and_changes_the_key(tmp_path: Path) -> None:
    authority = made(tmp_path, "one.example.org")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    authority.issue(tmp_path / "server.crt", tmp_path / "server.key", ["two.example.org"], NOW)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {name for name in before if before[name] != after[name]} == {"server.crt", "server.key"}
    assert handshake(tmp_path, authority.certificate, "two.example.org") == "TLSv1.3"


def test_keys_are_private_and_never_replaced(tmp_path: Path) -> None:
    authority = made(tmp_path)
    assert authority.key.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "server.key").stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="never replaced"):
        authority.make("test", NOW)
    authority.key.chmod(0o640)
    with pytest.raises(ConfigError, match="open to other users"):
        authority.issue(tmp_path / "server.crt", tmp_path / "server.key", (), NOW)
    authority.key.write_bytes(b"damaged")
    authority.key.chmod(0o600)
    with pytest.raises(ConfigError, match="not the authority's key"):
        authority.issue(tmp_path / "server.crt", tmp_path / "server.key", (), NOW)
    authority.key.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        authority.issue(tmp_path / "server.crt", tmp_path / "server.key", (), NOW)


@pytest.mark.parametrize("host", ["", "host:443", "a b", "-" * 300, "ex..org", "über.example.org"])
def test_what_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="--host"):
        check_host(host)


def test_an_end_is_told_a_month_before(tmp_path: Path) -> None:
    authority = made(tmp_path)
    ends = expiries(authority.certificate, tmp_path / "server.crt")
    assert warnings(ends, NOW) == []
    (told,) = warnings(ends, NOW + timedelta(days=340))
    assert "the server's certificate ends" in told and "intraward-server renew" in told
    late = NOW + timedelta(days=4000)
    assert len(warnings(ends, late)) == 2
    with pytest.raises(ConfigError, match="has ended"):
        authority.issue(tmp_path / "server.crt", tmp_path / "server.key", (), late)
