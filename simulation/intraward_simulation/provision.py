"""Certificates and node keys of a simulated consortium on one machine.

Keeps section 3 of DESIGN.md in the simulation: the SuperLink speaks TLS and takes only SuperNodes
whose key was registered. Authority and keys are made by the functions that a real consortium and its
hospitals use; only the authority's private key is forgotten once it has signed the server's certificate, so
that nobody can sign a second one. Expiry or a damaged file makes a new pair.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from intraward_server.authority import SERVER_DAYS, Authority
from intraward_shared.errors import ConfigError
from intraward_shared.expiry import read_certificate
from intraward_shared.node_key import make_node_key, public_file, public_text

VALID = timedelta(days=SERVER_DAYS)
RENEW_BEFORE = timedelta(days=7)


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
    if path.exists():
        public_text(path)
    else:
        make_node_key(path, path.name)
    return NodeKey(path, public_file(path))


def _valid(files: Credentials, now: datetime) -> bool:
    """Whether certificate, key and authority belong together and will last for the run."""
    try:
        authority, certificate = read_certificate(files.authority), read_certificate(files.certificate)
        key = load_pem_private_key(files.key.read_bytes(), None)
        certificate.verify_directly_issued_by(authority)
    except (ConfigError, OSError, ValueError, TypeError, InvalidSignature):
        return False
    lasting = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc - RENEW_BEFORE
    return lasting and key.public_key() == certificate.public_key()


def _issue(files: Credentials, now: datetime) -> None:
    forgotten = files.authority.with_name("ca.key")
    forgotten.unlink(missing_ok=True)  # of a run that was killed here
    authority = Authority(files.authority, forgotten)
    authority.make("intraward simulated consortium", now)
    authority.issue(files.certificate, files.key, (), now)
    forgotten.unlink()
