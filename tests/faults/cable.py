"""A cable between a gateway and the SuperLink that can be cut: bytes pass as they are, TLS within."""

from __future__ import annotations

import contextlib
import socket
import threading


class Cable:
    """A loopback port that leads to another one until it is cut, and again once it is mended.

    A cut cable refuses: a line that drops connections in the TLS handshake makes Flower's SuperNode
    (1.41) give up without ending, which no unit can see.
    """

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._serve_on(self._listener)

    def cut(self) -> None:
        """Every connection breaks, and new ones are refused."""
        with self._lock:
            if self._listener is not None:
                _end(self._listener)
                self._listener.close()
                self._listener = None
            for each in self._open:
                _end(each)

    def mend(self) -> None:
        """New connections get through."""
        with self._lock:
            if self._listener is None:
                self._listener = socket.create_server(("127.0.0.1", self.port))
                self._serve_on(self._listener)

    def _serve_on(self, listener: socket.socket) -> None:
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._upstream), 5)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open |= {near, far}
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, target), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(data)
        for each in (source, target):
            _end(each)
        with self._lock:
            self._open.discard(source)


def _end(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
