"""The station as an ASGI application: its routes, its errors in words, its static files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from intraward_client.labeling import sessions
from intraward_client.labeling.database import Gone
from intraward_client.labeling.terms import Role
from intraward_client.labeling.web import entrance, figures, learning, office, panel, tasks
from intraward_client.labeling.web.guard import Forbidden, LoginNeeded, Shell, unexpected
from intraward_client.labeling.web.station import STATIC, Station, render
from intraward_client.labeling.web.tasks import NotThere
from intraward_shared.errors import IntrawardError

ROOMS = (entrance.doors, figures.doors, tasks.doors, learning.doors, panel.doors, office.doors)
OPEN_TO_ALL = frozenset({"/login", "/goodbye", "/health", "/static/{name}"})
"""Paths without a role."""
_TYPES = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}


def rules() -> Mapping[tuple[str, str], tuple[Role, ...]]:
    """(method, path) -> roles, of every page that needs one."""
    return {place: roles for room in ROOMS for place, roles in room.rules.items()}


def create_app(station: Station) -> Shell:
    """The application of one station."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.state.station = station
    app.include_router(entrance.entrance)
    for room in ROOMS:
        app.include_router(room.router)
    app.add_api_route("/health", _health, include_in_schema=False)
    app.add_api_route("/static/{name}", _static, include_in_schema=False)
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)
    return Shell(app)


def _health() -> Response:
    return Response("ok", media_type="text/plain")


def _static(name: str) -> Response:
    """A file of the package; names hold no slash, and nothing else is looked for."""
    path = STATIC / name
    if path.suffix not in _TYPES or path.name != name or not path.is_file():
        raise HTTPException(404)
    return FileResponse(path, media_type=_TYPES[path.suffix])


def _login(request: Request, error: Exception) -> Response:
    if request.headers.get("hx-request"):
        return Response("Your session has ended. Log in again in another tab.", 401)
    return RedirectResponse("/login", 303)


def _told(request: Request, status: int, title: str, text: str, remedy: str = "") -> Response:
    station: Station = request.app.state.station
    if request.headers.get("hx-request"):
        return Response(f"{title}. {text}", status)
    session = getattr(request.state, "session", None)
    kept = session if isinstance(session, sessions.Session) else None
    return render(station, request, "error.html", kept, status=status, title=title, text=text, remedy=remedy)


def _forbidden(request: Request, error: Exception) -> Response:
    return _told(
        request,
        403,
        "This is not for you to open",
        "Your role does not allow it, or the form was too old or came from another page.",
        "Go back home. If you need it, ask your site's admin.",
    )


def _nothing(request: Request, error: Exception) -> Response:
    return _told(request, 404, "There is nothing here", "The page is not there, or is somebody else's.")


def _gone(request: Request, error: Exception) -> Response:
    assert isinstance(error, Gone)
    return _told(request, 409, "This item is over", _sentence(error.message), _sentence(error.remedy))


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, IntrawardError)
    return _told(request, 400, "This could not be done", _sentence(error.message), _sentence(error.remedy))


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return _nothing(request, error)
    return _told(request, error.status_code, "This does not work here", "The address takes no such request.")


def _invalid(request: Request, error: Exception) -> Response:
    return _nothing(request, error)


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if not text or text.endswith(".") else ".")


_HANDLERS: Mapping[type[Exception], Any] = {
    LoginNeeded: _login,
    Forbidden: _forbidden,
    NotThere: _nothing,
    Gone: _gone,
    IntrawardError: _refused,
    HTTPException: _http,
    RequestValidationError: _invalid,
    Exception: unexpected,
}
