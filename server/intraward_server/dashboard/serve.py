"""Where the dashboard listens: one port on loopback, and nowhere else."""

from __future__ import annotations

import ipaddress
import logging
import socket
from pathlib import Path

import uvicorn

from intraward_server.dashboard.app import create_app
from intraward_shared.errors import ConfigError

MAX_CONNECTIONS = 32


def bind(host: str, port: int) -> socket.socket:
    """A listening socket on a loopback address.

    Raises:
        ConfigError: another address, or the port is taken.
    """
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host.strip("[]"))
    except ValueError:
        address = None
    if address is None or not address.is_loopback:
        raise ConfigError(
            "--host",
            "",
            "is no loopback address: these pages have no login",
            remedy="leave it out, and reach the machine by ssh -L 8080:127.0.0.1:8080",
        )
    listener = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(address), port))
    except OSError:
        listener.close()
        raise ConfigError("--port", "", "is taken", remedy="choose another, or 0 for any") from None
    return listener


def serve(root: Path, public: str, listener: socket.socket) -> None:
    """Serve until a signal stops it; what is logged are places of errors, never their text."""
    log, handler = logging.getLogger("intraward.dashboard"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.propagate = False
    config = uvicorn.Config(
        create_app(root, public),
        log_level="warning",
        access_log=False,
        lifespan="off",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
    )
    uvicorn.Server(config).run(sockets=[listener])
