"""The least reverse proxy that the coordinator's page asks for: one path goes on, everything else is 404."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

KEPT = ("content-type", "date")


@contextmanager
def proxy(folder: Path, upstream: int, passed: str) -> Iterator[tuple[int, list[str]]]:
    """Serve TLS with the certificate in ``folder`` (``ca.crt``, ``server.crt``, ``server.key``).

    Yields:
        its port, and the paths that were refused.
    """
    trusted = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    client = httpx.Client(verify=trusted, base_url=f"https://127.0.0.1:{upstream}", timeout=60)
    refused: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if not self.path.startswith(passed):
                refused.append(self.path)
                self.answer(404, {}, b"")
                return
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
            told = client.request(self.command, self.path, content=body, headers=headers)
            self.answer(
                told.status_code, {k: told.headers[k] for k in KEPT if k in told.headers}, told.content
            )

        do_GET = do_HEAD = do_POST

        def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", folder / "server.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_port, refused
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        client.close()
