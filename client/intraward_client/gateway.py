"""The network side of a hospital: Flower, and no data.

DESIGN.md section 3. ``WardSocket`` carries bytes between Flower's ClientApp and the ward's
Unix-domain socket; ``supernode_command`` is how the gateway's SuperNode is started. Code that a
coordinator pushes here can at most submit a plan to the ward, which checks it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import httpx

from intraward_shared.errors import RoundFailed

TIMEOUT_SECONDS = 6 * 3600.0


class WardPort(Protocol):
    """The ward as the gateway sees it; ``Ward`` itself is one."""

    def execute(self, request: bytes) -> bytes:
        """Run one request."""

    def describe(self) -> bytes:
        """Who the site is."""


class WardSocket:
    """A ward in another process."""

    def __init__(self, path: Path) -> None:
        self._transport = httpx.HTTPTransport(uds=str(path), retries=2)

    def execute(self, request: bytes) -> bytes:
        """Send a request to the ward and wait for its answer."""
        return self._call("POST", "/execute", request)

    def describe(self) -> bytes:
        """Ask who the site is."""
        return self._call("GET", "/describe", b"")

    def _call(self, method: str, path: str, body: bytes) -> bytes:
        try:
            with httpx.Client(transport=self._transport, timeout=TIMEOUT_SECONDS) as client:
                response = client.request(method, f"http://ward{path}", content=body)
        except httpx.HTTPError:
            raise RoundFailed(
                "the ward does not answer", remedy="start it: intraward-client ward --home DIR"
            ) from None
        if response.status_code != 200:
            raise RoundFailed("the ward refused the call", remedy="see the ward's own log")
        return response.content


def supernode_command(
    *, superlink: str, root_certificates: Path | None, key: Path | None, socket: Path, runtime_port: int
) -> list[str]:
    """Command line of the SuperNode that serves one ward.

    Args:
        superlink: ``host:port`` of the consortium's SuperLink.
        root_certificates: its CA certificate; None means no TLS and is for loopback only.
        key: this node's ECDSA private key (OpenSSH format).
        socket: the ward's socket.
        runtime_port: a free loopback port for the SuperNode's own runtime.
    """
    transport = ["--root-certificates", str(root_certificates)] if root_certificates else ["--insecure"]
    identity = ["--auth-supernode-private-key", str(key)] if key else []
    return [
        "flower-supernode",
        *transport,
        *identity,
        "--superlink",
        superlink,
        "--node-config",
        f'ward-socket="{socket}"',
        "--host",
        "127.0.0.1",
        "--port",
        str(runtime_port),
    ]


def gateway_environment() -> dict[str, str]:
    """Environment of the SuperNode: this process's own, with Flower's calls home switched off."""
    return dict(os.environ) | {
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    }
