"""Coming in and going out: password or proxy, a new session each time, lockout, and nobody told why.

A wrong name, a wrong password and a disabled account are answered alike. The login form is bound to a cookie
of its own, so that nobody can be logged in by another page.
"""

from __future__ import annotations

import secrets

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from intraward_client.labeling import accounts, sessions
from intraward_client.labeling.accounts import Account
from intraward_client.labeling.events import SYSTEM, Actor
from intraward_client.labeling.judging import actor_of
from intraward_client.labeling.sessions import COOKIE
from intraward_client.labeling.terms import Role
from intraward_client.labeling.web.guard import (
    EVERYBODY,
    Doors,
    Forbidden,
    Form,
    check_form,
    field,
    session_in,
    station_in,
)
from intraward_client.labeling.web.station import Station, render

LOGIN_COOKIE = "__Host-intraward-login"
_PRECEDENCE: tuple[Role, ...] = ("admin", "senior", "auditor", "labeller")
_WRONG = "Name or password is not right, or the account is locked for a while."

entrance = APIRouter()
doors = Doors()


async def login_form(request: Request) -> None:
    """The login form must be ours.

    Raises:
        Forbidden: of another origin, or without its own token.
    """
    await check_form(request, request.cookies.get(LOGIN_COOKIE, ""))


@entrance.get("/login", include_in_schema=False)
def login_page(request: Request) -> Response:
    """The login form; behind a proxy that logs people in, the login itself."""
    station = station_in(request)
    if station.terms.login == "proxy":
        return _enter(station, _from_proxy(station, request))
    nonce = secrets.token_urlsafe(32)
    page = render(station, request, "login.html", login=sessions.csrf_of(nonce), wrong="")
    _set(page, LOGIN_COOKIE, nonce)
    return page


@entrance.post("/login", include_in_schema=False, dependencies=[Depends(login_form)])
def login(request: Request, form: Form) -> Response:
    """Check name and password; a new session, or the same answer whatever was wrong."""
    station = station_in(request)
    if station.terms.login == "proxy":
        raise Forbidden
    nonce = request.cookies.get(LOGIN_COOKIE, "")
    name, password = field(form, "name"), field(form, "password", accounts.LONGEST_PASSWORD + 1)
    if account := _authenticated(station, name, password):
        return _enter(station, account)
    page = render(station, request, "login.html", status=401, login=sessions.csrf_of(nonce), wrong=_WRONG)
    return page


@doors.page("/logout", EVERYBODY, "POST")
def logout(request: Request) -> Response:
    """End the session."""
    station, session = station_in(request), session_in(request)
    with station.book.writing() as connection:
        sessions.end(connection, session.token, station.book.clock())
        station.book.tell(connection, actor_of(session.account), "logout")
    answer = RedirectResponse("/login" if station.terms.login == "password" else "/goodbye", 303)
    answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
    return answer


@entrance.get("/goodbye", include_in_schema=False)
def goodbye(request: Request) -> Response:
    """Where a proxy's people come out: the station's session is over, the proxy's own is not."""
    return render(station_in(request), request, "goodbye.html")


def _authenticated(station: Station, name: str, password: str) -> Account | None:
    """The account, if all is right. Hashing happens outside any transaction."""
    book = station.book
    now = book.clock()
    with book.reading() as connection:
        account, stored = accounts.find(connection, name), accounts.stored_hash(connection, name)
    locked = account is not None and (account.disabled or account.locked_until > now)
    right = accounts.matches(stored, password)
    if account is None or stored is None:
        return None
    if locked or not right:
        with book.writing() as connection:
            until = 0.0 if locked else accounts.note_failure(connection, account, now)
            book.tell(
                connection, Actor(account.name, account.role), "login-refused", locked=locked or until > now
            )
        return None
    renewed = accounts.hash_password(password) if accounts.outdated(stored) else None
    with book.writing() as connection:
        accounts.note_success(connection, account, renewed)
    return account


def _from_proxy(station: Station, request: Request) -> Account:
    """The account that the proxy names, made at the first visit; its groups decide the role each time."""
    book, terms = station.book, station.terms.proxy
    name = request.headers.get(terms.user_header, "").strip()
    groups = [group.strip() for group in request.headers.get(terms.groups_header, "").split(",")]
    roles = {terms.roles[group] for group in groups if group in terms.roles}
    role = next((role for role in _PRECEDENCE if role in roles), None)
    if not name or role is None:
        raise Forbidden
    with book.writing() as connection:
        account = accounts.find(connection, name)
        if account is None:
            account = accounts.add(connection, name, role, None, (), book.clock())
            book.tell(connection, SYSTEM, "user-added", account.name, role=role)
        elif account.role != role:
            accounts.set_role(connection, account, role, book.clock())
            book.tell(connection, SYSTEM, "role-changed", account.name, role=role)
            account = accounts.find(connection, name)
    if account is None or account.disabled:
        raise Forbidden
    return account


def _enter(station: Station, account: Account) -> Response:
    book = station.book
    with book.writing() as connection:
        token = sessions.begin(connection, account, book.clock())
        book.tell(connection, actor_of(account), "login")
    answer = RedirectResponse("/", 303)
    _set(answer, COOKIE, token)
    answer.delete_cookie(LOGIN_COOKIE, path="/", secure=True, httponly=True, samesite="strict")
    return answer


def _set(answer: Response, name: str, value: str) -> None:
    answer.set_cookie(name, value, path="/", secure=True, httponly=True, samesite="strict")
