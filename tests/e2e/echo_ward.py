"""A ward that sends back what it gets and leaks a name, on the product's own socket; for test_processes."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import uvicorn

from intraward_client.wardsocket import application, bind

LEAKED = "Quarmorwick, Gwendolyn"


class EchoWard:
    """Answers ``describe`` with its name and ``execute`` with the request."""

    def __init__(self, site: str) -> None:
        self._site = site

    def describe(self) -> bytes:
        """Who it is."""
        return json.dumps({"site": self._site}).encode()

    def execute(self, request: bytes) -> bytes:
        """The request backwards, so that Flower knows no part of it, its last bytes a name in disguise."""
        leak = base64.b64encode(LEAKED.encode())
        return request[::-1][: -len(leak)] + leak


def serve(site: str, path: Path) -> None:
    """Serve until a signal."""
    listener = bind(path)
    ward: Any = EchoWard(site)
    config = uvicorn.Config(application(ward), log_level="warning", lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]))
