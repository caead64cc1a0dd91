"""A ward behind a relay that keeps every byte of its socket, and when each request was answered.

``python relay.py SOCKET INNER FOLDER COMMAND…`` starts the ward's own COMMAND, which listens at INNER, and
listens at SOCKET in its place. Each connection leaves ``N.in`` (from the gateway), ``N.out`` (from the ward)
and ``N.seconds``, the time from the last byte of the request to the first of the answer.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from intraward_client.home import SiteHome
from intraward_client.wardsocket import bind


def behind_relays(
    sites: Mapping[str, Path],
    command: Callable[[str, Path], list[str]],
    doors: Path,
    record: Path,
) -> tuple[dict[str, Path], Callable[[str, Path], list[str]]]:
    """Sites and ward command that put a relay before each ward; nothing of the product is changed.

    Args:
        sites: home of each site; the ward keeps it.
        command: of the wards.
        doors: a folder for the homes that gateways are told of; there is a socket in each and nothing else.
        record: what crossed the sockets, a folder for each site.
    """

    def relayed(site: str, door: Path) -> list[str]:
        inner, kept = SiteHome(sites[site]).socket, record / site
        kept.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, __file__, str(SiteHome(door).socket), str(inner), str(kept)]
        return [*words, *command(site, sites[site])]

    for site in sites:
        (doors / site).mkdir(parents=True)
    return {site: doors / site for site in sites}, relayed


class Tape:
    """One connection as it is recorded."""

    def __init__(self, folder: Path, number: int) -> None:
        self._path, self._asked, self._answered = folder / f"{os.getpid()}-{number:04d}", 0.0, False

    def add(self, direction: str, data: bytes) -> None:
        """Keep what was said, as soon as it was said."""
        with self._path.with_suffix(f".{direction}").open("ab") as file:
            file.write(data)
        if direction == "in":
            self._asked = time.monotonic()
        elif not self._answered:
            self._answered = True
            self._path.with_suffix(".seconds").write_text(str(time.monotonic() - self._asked))


def pass_on(source: socket.socket, sink: socket.socket, direction: str, tape: Tape) -> None:
    """Until one side closes."""
    try:
        while data := source.recv(1 << 16):
            tape.add(direction, data)
            sink.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


def serve(listener: socket.socket, inner: Path, folder: Path) -> None:
    """Two threads for each connection."""
    number = 0
    while True:
        outside, _ = listener.accept()
        inside = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            inside.connect(str(inner))
        except OSError:
            outside.close()
            continue
        tape, number = Tape(folder, number), number + 1
        for source, sink, direction in ((outside, inside, "in"), (inside, outside, "out")):
            threading.Thread(target=pass_on, args=(source, sink, direction, tape), daemon=True).start()


def main(door: str, inner: str, folder: str, *command: str) -> int:
    """Live as long as the ward."""
    ward = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda number, frame: ward.terminate())
    listener = bind(Path(door))
    threading.Thread(target=serve, args=(listener, Path(inner), Path(folder)), daemon=True).start()
    return ward.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
