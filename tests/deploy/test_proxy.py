"""The consortium's door: only POST /v1/fleet/NAME gets through.

The rule is read from both configurations and tried on the addresses with which a stranger would try; where
nginx or Caddy is installed, the real server is started with the shipped file and asked the same.
"""

from __future__ import annotations

import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.deploy.shipped import DEPLOY, unit

from intraward_simulation.processes import free_port
from intraward_simulation.provision import provision

NGINX, CADDY = DEPLOY / "proxy" / "nginx.conf", DEPLOY / "proxy" / "Caddyfile"
ALLOWED = ("/v1/fleet/pull-messages", "/v1/fleet/push-object")
REFUSED = (
    *("/", "/docs", "/openapi.json", "/health", "/v1/fleet", "/v1/fleet/", "/v1/fleetx/a", "/V1/FLEET/x"),
    *("/v1/control/start-run", "/v1/runtime/acquire-task", "//v1/fleet/x", "/v1//fleet/x", "/v1/fleet//x"),
    *("/v1/fleet/../control/start-run", "/v1/fleet/..%2fcontrol/start-run", "/v1/fleet/%2e%2e/control/x"),
    *("/v1/control/start-run/../../fleet/x", "/v1/control/%2e%2e/fleet/x", "/v1/fleet/..;/control/x"),
    *("/v1/fleet/%252e%252e%252fcontrol/x", "/v1/%66leet/x", "/v1/fleet/x?a=1", "/v1/fleet/x%00y"),
    *("/v1/fleet/./x", "/v1/fleet/x%3f", "/v1/fleet/x/y", "/v1/fleet\\..\\control\\x"),
)


def rules() -> dict[str, str]:
    """The expression by which each proxy judges the address as it was sent."""
    nginx = re.search(r'if \(\$request_uri !~ "([^"]+)"\) \{\s*return 404;', NGINX.read_text())
    caddy = re.search(r"vars_regexp \{http\.request\.orig_uri\} (\S+)", CADDY.read_text())
    assert nginx is not None and caddy is not None
    return {"nginx": nginx.group(1), "caddy": caddy.group(1)}


def test_both_have_one_rule_and_it_lets_only_fleet_calls_through() -> None:
    assert len(set(rules().values())) == 1
    rule = re.compile(rules()["nginx"])
    assert [path for path in ALLOWED if not rule.search(path)] == []
    assert [path for path in REFUSED if rule.search(path)] == []


def test_every_call_of_flowers_fleet_api_gets_through() -> None:
    """A new Flower with other addresses is found here, not by a hospital."""
    from flwr.superlink.routers.fleet.router import router

    calls = [(route.path, route.methods) for route in router.routes]  # type: ignore[attr-defined]
    assert len(calls) >= 10
    assert [call for call in calls if not re.search(rules()["nginx"], call[0]) or call[1] != {"POST"}] == []


def test_nginx_passes_on_in_one_place_and_refuses_the_rest() -> None:
    text = re.sub(r"#.*", "", NGINX.read_text())
    assert re.findall(r"location ([^{]+?) \{", text) == ["/", "= /v1/fleet", "/v1/fleet/"]
    assert re.search(r"location / \{\s*return 404;\s*\}", text)
    assert text.count("proxy_pass ") == 1
    assert text.index("$request_uri !~") < text.index("$request_method != POST") < text.index("proxy_pass ")
    assert "$request_body" not in text and "autoindex" not in text


def test_caddy_passes_on_in_one_place_and_refuses_the_rest() -> None:
    text = re.sub(r"(?m)^\s*#.*|\s#\s.*", "", CADDY.read_text())
    assert text.count("reverse_proxy ") == 1
    assert re.search(r"handle @fleet \{.*reverse_proxy .*\}\s*handle \{\s*respond 404\s*\}", text, re.DOTALL)
    assert re.search(r"@fleet \{\s*method POST\s*vars_regexp [^\n]+\s*\}", text)
    assert "admin off" in text


@pytest.mark.parametrize("path", [NGINX, CADDY], ids=["nginx", "caddy"])
def test_the_superlink_is_asked_on_loopback_by_tls_that_is_verified(path: Path) -> None:
    port = unit(DEPLOY / "systemd" / "intraward-superlink.service")["Service"]["ExecStart"][0].split()[-1]
    text = path.read_text()
    assert f"127.0.0.1:{port}" in text and "insecure_skip_verify" not in text
    assert "proxy_ssl_verify on;" in text or "tls_trusted_ca_certs" in text


class Upstream:
    """What stands for the SuperLink: answers 200 to anything, and keeps the addresses."""

    def __init__(self, certificate: Path, key: Path, port: int) -> None:
        self.asked: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._listener = context.wrap_socket(socket.create_server(("127.0.0.1", port)), server_side=True)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Listen no longer."""
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except ssl.SSLError:
                continue
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: ssl.SSLSocket) -> None:
        with connection:
            while data := connection.recv(65536):
                self.asked.append(data.split(b" ", 2)[1].decode())
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


@contextmanager
def started(program: str, folder: Path) -> Iterator[tuple[int, Upstream]]:
    """The real proxy with the shipped file; only its paths and ports are others."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed here")
    files = provision(folder / "tls", ["a"])
    for name, source in (("tls.crt", files.certificate), ("tls.key", files.key), ("ca.crt", files.authority)):
        shutil.copyfile(source, folder / name)
    inner, outer = free_port(), free_port()
    text = (NGINX if program == "nginx" else CADDY).read_text()
    for old, new in (
        ("/etc/intraward/proxy", folder),
        ("8443", outer),
        ("127.0.0.1:8100", f"127.0.0.1:{inner}"),
    ):
        text = text.replace(old, str(new))
    text = text.replace("/tmp/nginx", f"{folder}/nginx").replace("/var/log/nginx", str(folder))
    (folder / "configuration").write_text(text)
    command = {
        "nginx": [found, "-e", "stderr", "-c", str(folder / "configuration"), "-g", "daemon off;"],
        "caddy": [found, "run", "--adapter", "caddyfile", "--config", str(folder / "configuration")],
    }[program]
    upstream = Upstream(files.certificate, files.key, inner)
    environment = {"PATH": "/usr/bin:/bin", "XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        until = datetime.now(UTC) + timedelta(seconds=20)
        while status(outer, "GET", "/") == "":
            assert process.poll() is None and datetime.now(UTC) < until
            time.sleep(0.05)
        yield outer, upstream
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        upstream.close()


def status(port: int, method: str, path: str) -> str:
    """The status of one request as it stands, with nothing made tidy; "" if nobody listens."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with context.wrap_socket(
            socket.create_connection(("127.0.0.1", port), 5), server_hostname="localhost"
        ) as s:
            head = (
                f"{method} {path} HTTP/1.1",
                "Host: localhost",
                "Content-Length: 0",
                "Connection: close",
                "",
                "",
            )
            s.sendall("\r\n".join(head).encode())
            return s.recv(4096).split(b"\r\n")[0].decode().partition(" ")[2][:3]
    except OSError:
        return ""


@pytest.mark.parametrize("program", ["nginx", "caddy"])
def test_the_real_proxy_lets_nothing_else_through(program: str, tmp_path: Path) -> None:
    with started(program, tmp_path) as (port, upstream):
        assert [status(port, "POST", path) for path in ALLOWED] == ["200", "200"]
        assert upstream.asked == list(ALLOWED)
        refused = {path: status(port, "POST", path) for path in REFUSED}
        assert {path: code for path, code in refused.items() if code not in ("404", "400")} == {}
        for method in ("GET", "PUT", "DELETE", "OPTIONS"):
            assert status(port, method, ALLOWED[0]) == "404"
        assert upstream.asked == list(ALLOWED)
