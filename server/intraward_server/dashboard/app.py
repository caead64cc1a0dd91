"""The dashboard as an ASGI application: read-only, no script, and for this machine's own browser alone.

In front of everything stand the rules of a page on loopback: only GET and HEAD; only requests that name this
machine in ``Host``, since a foreign page can point its own name at 127.0.0.1 (DNS rebinding) and would then
read along; a policy (CSP) that lets the browser ask for the style sheet and the icon, and for nothing else.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from intraward_server.dashboard import metrics as prometheus
from intraward_server.dashboard import pages
from intraward_server.dashboard.view import View, read_view
from intraward_shared.errors import IntrawardError

REFRESH_S = 10
"""How often a page that somebody set to live asks again."""
OWN_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_READ = ["GET", "HEAD"]
_LOG = logging.getLogger("intraward.dashboard")


def create_app(root: Path, public: str) -> Gate:
    """The application over one coordinator's folder.

    Args:
        root: the folder; read anew for every request.
        public: the coordinator's public key (hex).
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    def show(path: str) -> Callable[[Request], Response]:
        def endpoint(request: Request) -> Response:
            live = request.query_params.get("live") == "1"
            made = HTMLResponse(pages.page(read_view(root, public), path, live))
            if live:
                made.headers["Refresh"] = str(REFRESH_S)
            return made

        return endpoint

    def metrics() -> Response:
        return Response(prometheus.metrics(read_view(root, public)), media_type=prometheus.CONTENT_TYPE)

    def whole() -> Response:
        view: View = read_view(root, public)
        name = f'attachment; filename="{view.run_id or view.program}.html"'
        return HTMLResponse(pages.report(view), headers={"Content-Disposition": name})

    def static(name: str) -> Response:
        if name == "dashboard.css":
            return Response(pages.style(), media_type="text/css")
        if name == "icon.svg":
            return FileResponse(pages.STATIC / name, media_type="image/svg+xml")
        return _nothing()

    for path in pages.PAGES:
        app.add_api_route(path, show(path), methods=_READ, response_model=None)
    for path, endpoint in (("/metrics", metrics), ("/report.html", whole), ("/static/{name}", static)):
        app.add_api_route(path, endpoint, methods=_READ, response_model=None)
    app.add_exception_handler(IntrawardError, _refused)
    app.add_exception_handler(404, lambda request, error: _nothing())
    return Gate(app)


class Gate:
    """Outermost: who may ask, what every answer carries, and no exception's text anywhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        begun = False

        async def dressed(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        if scope["method"] not in _READ:
            await PlainTextResponse("These pages can only be read.\n", 405)(scope, receive, dressed)
            return
        if not is_own(scope):
            await PlainTextResponse("Ask for this machine by localhost.\n", 421)(scope, receive, dressed)
            return
        try:
            await self._app(scope, receive, dressed)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            _LOG.error("unexpected %s at %s, line %s", type(error).__name__, place.name, place.lineno)
            if not begun:
                told = ("Something went wrong here", "The log names the place.", "Load the page again.")
                await HTMLResponse(pages.refusal(*told), 500)(scope, receive, dressed)


def is_own(scope: Scope) -> bool:
    """Whether a request names this machine, whatever port a tunnel may have given it."""
    named = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    if len(named) != 1:
        return False
    host = named[0].lower()
    name = host[: host.rfind("]") + 1] if host.startswith("[") else host.partition(":")[0]
    return name in OWN_NAMES


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, IntrawardError)
    told = ("This cannot be shown", f"{error.message}.", f"{error.remedy}." if error.remedy else "")
    return HTMLResponse(pages.refusal(*told), 500)


def _nothing() -> Response:
    told = ("There is nothing here", "The address is not one of these pages.", "")
    return HTMLResponse(pages.refusal(*told), 404)
