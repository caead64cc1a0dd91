"""``label serve``: the station's process, on a socket behind the hospital's proxy, or with TLS on the LAN.

DESIGN.md section 3. No request goes out from here. The socket is made as the ward's is (0660 in a 0750
folder); login by the proxy's headers exists only there, because nobody else can reach it. Without a socket
there is no plain HTTP: a certificate is needed. The memory is closed as the ward's is, nothing is logged of a
request.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from intraward_client.home import SiteHome
from intraward_client.labeling.web.app import create_app
from intraward_client.labeling.web.station import Station
from intraward_client.memory import keep_memory_private
from intraward_client.wardsocket import bind
from intraward_shared.errors import ConfigError

MAX_CONNECTIONS = 512


@dataclass(frozen=True, slots=True)
class Lan:
    """An address of the hospital's network, with TLS."""

    host: str
    port: int
    certificate: Path
    key: Path


def lan_of(address: str, certificate: Path | None, key: Path | None) -> Lan:
    """The address of an option, ``host:port``.

    Raises:
        ConfigError: it is none, or certificate or key is missing or does not load.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError("--listen", "", "is no host:port", remedy="for instance 10.2.0.7:8443")
    if certificate is None or key is None:
        raise ConfigError(
            "--listen",
            "",
            "a network address needs --certificate and --key",
            remedy="give both, or leave --listen out and put your proxy before the socket",
        )
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError):
        raise ConfigError(
            certificate, "", "certificate and key do not load, or do not belong together", remedy="give PEM"
        ) from None
    return Lan(host.strip("[]"), int(port), certificate, key)


def serve(station: Station, home: SiteHome, lan: Lan | None = None) -> None:
    """Serve until a signal stops it.

    Raises:
        ConfigError: another station listens there, or the proxy's login is asked for without the socket.
    """
    keep_memory_private()
    if lan is not None and station.terms.login == "proxy":
        raise ConfigError(
            home.policy,
            "labeling.login",
            "'proxy' goes with the socket alone: on a network address anybody could set the headers",
            remedy="leave --listen out, or set labeling.login to 'password'",
        )
    app = create_app(station)
    _log_plainly()
    quiet = {"log_level": "warning", "access_log": False, "lifespan": "off", "server_header": False}
    if lan is not None:
        config = uvicorn.Config(
            app,
            host=lan.host,
            port=lan.port,
            ssl_certfile=lan.certificate,
            ssl_keyfile=str(lan.key),
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            **quiet,  # type: ignore[arg-type]
        )
        uvicorn.Server(config).run()
        return
    listener = bind(home.label_socket)
    config = uvicorn.Config(app, proxy_headers=False, limit_concurrency=MAX_CONNECTIONS, **quiet)  # type: ignore[arg-type]
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        home.label_socket.unlink(missing_ok=True)


def _log_plainly() -> None:
    """What the station itself logs (the kind and place of an error, never its text) is printed as it is."""
    log, handler = logging.getLogger("intraward.label"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.propagate = False
