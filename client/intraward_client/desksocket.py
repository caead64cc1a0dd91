"""The ward's second socket: the hospital's own requests, which the gateway cannot reach.

Section 3 of DESIGN.md. Another folder than the gateway's, 0700, so that only processes of the ward's own user
(the label station, the command line) come in. One route; a thread of the ward's process serves it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from intraward_client.preparing import answer_request
from intraward_client.ward import Ward
from intraward_client.wardsocket import bind
from intraward_shared.errors import ConfigError, IntrawardError

MAX_REQUEST_BYTES = 1 << 20
TIMEOUT_SECONDS = 3600.0
"""A batch waits while a round runs."""


def application(ward: Ward) -> Starlette:
    """``POST /prepare``."""

    async def prepare(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_REQUEST_BYTES:
                return Response(status_code=413)
        return Response(await run_in_threadpool(answer_request, ward, body))

    return Starlette(routes=[Route("/prepare", prepare, methods=["POST"])])


@contextmanager
def desk(ward: Ward) -> Iterator[None]:
    """Serve the hospital's own requests until the block ends.

    Raises:
        ConfigError: the socket cannot be made.
    """
    path = ward.home.desk_socket
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    listener = bind(path)
    config = uvicorn.Config(application(ward), log_config=None, access_log=False, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=5)
        path.unlink(missing_ok=True)


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """One request to the ward of this host.

    Raises:
        ConfigError: the ward does not run, or is another user's.
        IntrawardError: it said no; in its own words.
    """
    try:
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=str(path)), timeout=httpx.Timeout(TIMEOUT_SECONDS)
        ) as client:
            response = client.post("http://ward/prepare", content=json.dumps(request))
            told = response.json() if response.status_code == 200 else {"error": "the ward refused the call"}
    except (httpx.HTTPError, ValueError):
        raise ConfigError(
            path,
            "",
            "the ward does not answer",
            remedy="start it (intraward-client ward), and run this as the ward's own user",
        ) from None
    if not isinstance(told, dict):
        raise ConfigError(path, "", "something else than a ward answers here", remedy="stop it")
    if "error" in told:
        raise IntrawardError(str(told["error"]), remedy=str(told.get("remedy", "")))
    return told
