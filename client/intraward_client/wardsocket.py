"""The ward behind a Unix-domain socket: three calls, bytes in and bytes out.

DESIGN.md section 3: the ward has no network; a gateway in another process, under another user,
reaches it only here. The socket is bound by us in a 0750 folder before uvicorn starts, because
uvicorn's own ``uds=`` makes it open to everyone. No core dump is written (``memory``).
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from intraward_client.memory import keep_memory_private
from intraward_client.slot import Stopping
from intraward_client.ward import Ward
from intraward_shared.errors import ConfigError

MAX_REQUEST_BYTES = 1 << 30
MAX_CONNECTIONS = 4
"""One gateway sends one request at a time; more than a few at once are not its own, and cost memory."""


def bind(path: Path) -> socket.socket:
    """Bind a listening socket with mode 0660 at ``path``; a dead socket file is replaced.

    Raises:
        ConfigError: another ward answers there, or the path is too long for a socket.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if path.exists():
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(str(path))
            raise ConfigError(path, "", "another ward is listening here", remedy="stop it first")
        path.unlink()
    old = os.umask(0o117)
    try:
        listener.bind(str(path))
    except OSError:
        raise ConfigError(
            path,
            "",
            "the socket cannot be made here",
            remedy="use a shorter path (100 bytes) or mend its permissions",
        ) from None
    finally:
        os.umask(old)
    listener.listen(16)
    return listener


def application(ward: Ward) -> Starlette:
    """``POST /execute``, ``GET /describe``; no other route, no error page with details."""

    async def execute(request: Request) -> Response:
        if int(request.headers.get("content-length", 0)) > MAX_REQUEST_BYTES:
            return Response(status_code=413)
        chunks, size = [], 0
        try:
            async for chunk in request.stream():
                size += len(chunk)
                if size > MAX_REQUEST_BYTES:
                    return Response(status_code=413)
                chunks.append(chunk)
        except ClientDisconnect:  # nobody is there any more: no answer, and no traceback in the log
            return Response(status_code=400)
        try:
            return Response(await run_in_threadpool(ward.execute, b"".join(chunks)))
        except Stopping:
            return Response(status_code=503)

    async def describe(request: Request) -> Response:
        return Response(ward.describe())

    return Starlette(
        routes=[Route("/execute", execute, methods=["POST"]), Route("/describe", describe, methods=["GET"])]
    )


class _Server(uvicorn.Server):
    """Tells the ward of a signal, so that an answer that waits for its slot does not hold up the stop."""

    def __init__(self, config: uvicorn.Config, ward: Ward) -> None:
        super().__init__(config)
        self._ward = ward

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._ward.stop()
        super().handle_exit(sig, frame)


def serve(ward: Ward) -> None:
    """Serve until a signal stops it."""
    keep_memory_private()
    listener = bind(ward.home.socket)
    config = uvicorn.Config(
        application(ward),
        log_level="warning",
        access_log=False,
        lifespan="off",
        limit_concurrency=MAX_CONNECTIONS,
    )
    try:
        _Server(config, ward).run(sockets=[listener])
    finally:
        ward.home.socket.unlink(missing_ok=True)
        ward.close()
