"""What runs the station: accounts, items by state, alarms, events. No text of a patient on any of them."""

from __future__ import annotations

from typing import cast, get_args

from fastapi import Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import exists, func, select

from intraward_client.labeling import accounts, drift, events, quarantine
from intraward_client.labeling.accounts import Account
from intraward_client.labeling.book import OPEN
from intraward_client.labeling.judging import actor_of
from intraward_client.labeling.schema import items, users, votes
from intraward_client.labeling.settling import settle
from intraward_client.labeling.terms import Role
from intraward_client.labeling.web.guard import Doors, Form, field, session_in, station_in
from intraward_client.labeling.web.station import ROLE_NAMES, render
from intraward_client.labeling.web.tasks import NotThere, field_of
from intraward_shared.errors import LabelError

doors = Doors()
ADMIN: tuple[Role, ...] = ("admin",)
_EVENTS_A_PAGE = 50
_SHOWN = 100


@doors.page("/admin/users", ADMIN)
def people(request: Request) -> Response:
    """Every account."""
    station, session = station_in(request), session_in(request)
    with station.book.reading() as connection:
        found = accounts.listing(connection)
    return render(
        station,
        request,
        "users.html",
        session,
        people=found,
        roles=ROLE_NAMES,
        now=station.book.clock(),
        saved=field_of(request, "saved"),
        by_proxy=station.terms.login == "proxy",
        shortest=accounts.SHORTEST_PASSWORD,
    )


@doors.page("/admin/users", ADMIN, "POST")
def add_user(request: Request, form: Form) -> Response:
    """A new account."""
    station, session = station_in(request), session_in(request)
    if station.terms.login == "proxy":
        raise LabelError("accounts come from the proxy here", remedy="put the person into a group there")
    role = field(form, "role")
    if role not in get_args(Role):
        raise LabelError("this role is not known", remedy="choose one of the list")
    hashed = accounts.hash_password(field(form, "password", accounts.LONGEST_PASSWORD + 1))
    specialties = tuple(filter(None, (part.strip() for part in field(form, "specialties").split(","))))
    book = station.book
    with book.writing() as connection:
        made = accounts.add(
            connection, field(form, "name"), cast(Role, role), hashed, specialties, book.clock()
        )
        book.tell(connection, actor_of(session.account), "user-added", made.name, role=role)
    return RedirectResponse("/admin/users?saved=added", 303)


@doors.page("/admin/users/{user_id}/{deed}", ADMIN, "POST")
def change_user(request: Request, user_id: int, deed: str, form: Form) -> Response:
    """Disable, enable, give a new password, or ask for the course again."""
    station, session = station_in(request), session_in(request)
    book = station.book
    password = field(form, "password", accounts.LONGEST_PASSWORD + 1)
    hashed = accounts.hash_password(password) if deed == "reset" else ""
    if deed not in ("disable", "enable", "reset", "requalify"):
        raise NotThere
    with book.writing() as connection:
        account = accounts.by_id(connection, user_id)
        if account is None:
            raise NotThere
        if account.user_id == session.account.user_id and deed == "disable":
            raise LabelError("you would lock yourself out", remedy="ask another site admin")
        if deed in ("disable", "enable"):
            accounts.set_disabled(connection, account, deed == "disable", book.clock())
        elif deed == "reset":
            accounts.reset(connection, account, hashed, book.clock())
        else:
            accounts.set_qualified(connection, account.user_id, None)
        book.tell(connection, actor_of(session.account), f"user-{deed}", account.name)
    return RedirectResponse(f"/admin/users?saved={deed}", 303)


@doors.page("/admin/items", ADMIN)
def stock(request: Request) -> Response:
    """Items by state, what was quarantined and why, specialties that nobody has, alarms on raters."""
    station, session = station_in(request), session_in(request)
    book = station.book
    with book.reading() as connection:
        away = quarantine.taken(connection, _SHOWN)
        wanted = set(
            connection.execute(
                select(items.c.specialty).where(items.c.state == OPEN, items.c.specialty != "").distinct()
            ).scalars()
        )
        people = accounts.listing(connection)
        held = connection.execute(
            select(func.count()).select_from(votes).where(votes.c.held.is_not(None))
        ).scalar_one()
        idle = connection.execute(
            select(func.count())
            .select_from(users)
            .where(users.c.role.in_(("labeller", "senior")), users.c.disabled.is_(False))
            .where(~exists().where(votes.c.user_id == users.c.user_id))
        ).scalar_one()
    watches = station.watches.newest()
    return render(
        station,
        request,
        "items.html",
        session,
        counts=book.counts(),
        quarantined=away,
        releases=quarantine.RELEASES,
        saved=field_of(request, "saved"),
        window=drift.WINDOW,
        unserved=sorted(wanted - _served(people)),
        watches=watches.figures if watches is not None else (),
        as_of=watches.as_of if watches is not None else None,
        held=int(held),
        idle=int(idle),
    )


@doors.page("/admin/items/{item_id}/release", ADMIN, "POST")
def release(request: Request, item_id: str, form: Form) -> Response:
    """Put a quarantined item back into the queue, with a reason."""
    station, session = station_in(request), session_in(request)
    if station.book.item(item_id) is None:
        raise NotThere
    quarantine.release(station.book, item_id, actor_of(session.account), field(form, "reason"))
    settle(station.book, station.rubrics, item_id)
    return RedirectResponse("/admin/items?saved=released", 303)


@doors.page("/audit", ("admin", "auditor"))
def audit(request: Request) -> Response:
    """The newest events, and whether the chain verifies."""
    station, session = station_in(request), session_in(request)
    before = field_of(request, "before")
    with station.book.reading() as connection:
        found = events.newest(connection, _EVENTS_A_PAGE, int(before) if before.isdigit() else None)
        verdict = events.verify(connection, station.book.key)
    return render(station, request, "audit.html", session, events=found, verdict=verdict, before=before)


def _served(people: tuple[Account, ...]) -> set[str]:
    return {specialty for person in people if not person.disabled for specialty in person.specialties}
