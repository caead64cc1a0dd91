"""A TCP relay that counts what a site's gateway sends and receives, TLS records and all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Weight:
    """Bytes that passed so far, by direction as the site sees it."""

    passed: dict[str, int] = field(default_factory=lambda: {"sent": 0, "received": 0})
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, way: str, count: int) -> None:
        """Count."""
        with self.lock:
            self.passed[way] += count


@contextmanager
def weighed(upstream: int) -> Iterator[tuple[int, Weight]]:
    """A port of loopback before the port ``upstream``, and what it counts."""
    weight = Weight()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_serve, args=(listener, upstream, weight), daemon=True).start()
        yield listener.getsockname()[1], weight


def _serve(listener: socket.socket, upstream: int, weight: Weight) -> None:
    while True:
        try:
            outside, _ = listener.accept()
        except OSError:  # it is over
            return
        try:
            inside = socket.create_connection(("127.0.0.1", upstream))
        except OSError:
            outside.close()
            continue
        for source, sink, way in ((outside, inside, "sent"), (inside, outside, "received")):
            threading.Thread(target=_pass_on, args=(source, sink, way, weight), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket, way: str, weight: Weight) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            weight.add(way, len(data))
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
