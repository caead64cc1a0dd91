"""The doors of the station: which role may open which page, and from where a form may come.

Facts B.3. A page exists only with its roles (`Doors`), so that a page that somebody forgot to guard cannot be
made. A form is taken only with its session's CSRF token, from this very origin. In front of everything stand
the headers (no store, a policy without unsafe-*), a limit on what is sent, and error pages that say nothing
of what went wrong inside.
"""

from __future__ import annotations

import hmac
import logging
import traceback
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, MutableHeaders
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from intraward_client.labeling import sessions
from intraward_client.labeling.accounts import folded
from intraward_client.labeling.sessions import COOKIE, Session
from intraward_client.labeling.terms import Role
from intraward_client.labeling.web.station import Station

MOST_BYTES = 512 * 1024
"""Of a form; the longest text field is far below."""
_MOST_FIELDS = 1000
EVERYBODY: tuple[Role, ...] = ("labeller", "senior", "admin", "auditor")
_LOG = logging.getLogger("intraward.label")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers send forms with `Origin: null`
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class LoginNeeded(Exception):
    """There is no live session."""


class Forbidden(Exception):
    """The role, or where the form came from, does not allow it."""


class Doors:
    """Routes with their roles. ``rules``: path and method -> who may; read by the test of the matrix."""

    def __init__(self) -> None:
        self.router = APIRouter()
        self.rules: dict[tuple[str, str], tuple[Role, ...]] = {}

    def page(
        self, path: str, roles: tuple[Role, ...], method: str = "GET"
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register an endpoint that only ``roles`` reach."""
        self.rules[method, path] = roles

        def keep(endpoint: Callable[..., Any]) -> Callable[..., Any]:
            self.router.add_api_route(
                path,
                endpoint,
                methods=[method],
                dependencies=[Depends(_admit(roles))],
                include_in_schema=False,
                response_model=None,
            )
            return endpoint

        return keep


def session_in(request: Request) -> Session:
    """The session that `Doors` let in."""
    found: Session = request.state.session
    return found


def station_in(request: Request) -> Station:
    """The station of the application."""
    found: Station = request.app.state.station
    return found


async def form_in(request: Request) -> FormData:
    """The form that was sent; read once, kept by the request."""
    return await request.form(max_fields=_MOST_FIELDS)


Form = Annotated[FormData, Depends(form_in)]
"""A page's form, as a parameter of its endpoint."""


def field(form: FormData, name: str, longest: int = 200) -> str:
    """A text field of a form; empty where it is not there, cut where it is too long."""
    value = form.get(name, "")
    return value[:longest] if isinstance(value, str) else ""


def _admit(roles: tuple[Role, ...]) -> Callable[..., Any]:
    async def admit(request: Request) -> None:
        session = await run_in_threadpool(_live, request)
        if session is None:
            raise LoginNeeded
        if session.account.role not in roles:
            raise Forbidden
        if request.method != "GET":
            await check_form(request, session.token)
        request.state.session = session

    return admit


def _live(request: Request) -> Session | None:
    station, token = station_in(request), request.cookies.get(COOKIE, "")
    if not token:
        return None
    book = station.book
    with book.reading() as connection:
        found = sessions.live(connection, token, book.clock())
    if found is None or not _same_person(request, found[0]):
        return None
    if found[1]:
        with book.writing() as connection:
            sessions.touch(connection, token, book.clock())
    return found[0]


def _same_person(request: Request, session: Session) -> bool:
    """Behind a proxy that logs people in, every request is by whom the proxy names."""
    terms = station_in(request).terms
    if terms.login != "proxy":
        return True
    return folded(request.headers.get(terms.proxy.user_header, "")) == session.account.name


async def check_form(request: Request, token: str) -> None:
    """Refuse a form of another origin, or without the token that belongs to this cookie.

    Raises:
        Forbidden: it is one.
    """
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise Forbidden
    origin = request.headers.get("origin")
    if origin is not None and not hmac.compare_digest(
        urlsplit(origin).netloc.encode(), request.headers.get("host", "").encode()
    ):
        raise Forbidden
    given = request.headers.get("x-csrf-token") or field(await form_in(request), "csrf")
    if not token or not sessions.csrf_fits(token, given):
        raise Forbidden


class Shell:
    """Outermost: headers on every answer, a limit on every request, and no exception's text anywhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def dressed(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                _dress(message, scope["path"])
            await send(message)

        if refusal := _too_much(scope):
            await HTMLResponse(_bare("This is too long to send", refusal), 413)(scope, receive, dressed)
            return
        try:
            await self._app(scope, receive, dressed)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            _LOG.error("unexpected %s at %s, line %s", type(error).__name__, place.name, place.lineno)
            if not begun:
                await unexpected(None, error)(scope, receive, dressed)


def unexpected(request: Request | None, error: Exception) -> HTMLResponse:
    """The page for what nobody foresaw; the error itself is named in the log alone, without its text."""
    text = (
        "What you had sent before is kept. Go back and try again; "
        "if it happens again, tell your site's admin the time."
    )
    return HTMLResponse(_bare("Something went wrong here", text), 500)


def _dress(message: Message, path: str) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in HEADERS.items():
        headers[name] = value
    if path.startswith("/static/"):
        headers["Cache-Control"] = "private, max-age=86400, immutable"
    if "server" in headers:
        del headers["server"]


def _too_much(scope: Scope) -> str:
    if scope["method"] in ("GET", "HEAD"):
        return ""
    given = dict(scope["headers"]).get(b"content-length", b"")
    if given.isdigit() and int(given) <= MOST_BYTES:
        return ""
    return "A form may have 512 kB. Shorten what you wrote, and send it again."


def _bare(title: str, text: str) -> str:
    """A page that needs no template."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}</title><link rel="stylesheet" href="/static/station.css"></head>'
        f'<body><main class="narrow"><h1>{title}</h1><p>{text}</p>'
        '<p><a href="/">Home</a></p></main></body></html>'
    )
