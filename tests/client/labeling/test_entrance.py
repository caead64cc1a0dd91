"""Accounts, sessions and the login form: lockout, rotation, time-outs, revocation, forms of other pages."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient
from tests.client.labeling.conftest import HOST, csrf, log_in
from tests.client.labeling.stations import PASSWORD, Clock, add_account

from intraward_client.labeling import accounts, events, sessions
from intraward_client.labeling.schema import sessions as table
from intraward_client.labeling.sessions import COOKIE
from intraward_client.labeling.terms import LabelingTerms, ProxyTerms
from intraward_client.labeling.web.app import create_app
from intraward_client.labeling.web.station import Station
from intraward_shared.errors import LabelError

Enter = Callable[..., TestClient]


def attempt(station: Station, name: str, password: str, **headers: str) -> int:
    client = TestClient(create_app(station), base_url=HOST, follow_redirects=False)
    page = client.get("/login")
    form = {"csrf": csrf(page.text), "name": name, "password": password}
    return client.post("/login", data=form, headers=headers).status_code


def test_a_right_password_comes_in_and_nothing_else(station: Station) -> None:
    add_account(station.book, "ann")
    assert attempt(station, "ANN", PASSWORD) == 303
    assert attempt(station, "ann", PASSWORD + "x") == 401
    assert attempt(station, "nobody", PASSWORD) == 401


@pytest.mark.slow
def test_five_wrong_ones_lock_the_account_for_longer_each_time(station: Station, clock: Clock) -> None:
    add_account(station.book, "ann")
    assert [attempt(station, "ann", "wrong wrong wrong") for _ in range(5)] == [401] * 5
    assert attempt(station, "ann", PASSWORD) == 401
    clock.tick(61)
    assert attempt(station, "ann", "wrong wrong wrong") == 401
    clock.tick(61)
    assert attempt(station, "ann", PASSWORD) == 401
    clock.tick(60)
    assert attempt(station, "ann", PASSWORD) == 303


def test_passwords_are_argon2id_and_long_enough() -> None:
    assert accounts.hash_password(PASSWORD).startswith("$argon2id$")
    with pytest.raises(LabelError):
        accounts.hash_password("short")


def test_no_cookie_is_stored_and_it_is_bound_to_the_host(station: Station, enter: Enter) -> None:
    client = enter("ann")
    token = client.cookies[COOKIE]
    with station.book.reading() as connection:
        stored = connection.execute(table.select()).first()
    assert stored is not None and token not in str(tuple(stored))
    page = TestClient(create_app(station), base_url=HOST).get("/login")
    flags = page.headers["set-cookie"].lower()
    assert "__host-" in flags and all(f in flags for f in ("secure", "httponly", "samesite=strict", "path=/"))


def test_each_login_is_a_new_session(station: Station, enter: Enter) -> None:
    first = enter("ann").cookies[COOKIE]
    assert log_in(station, "ann").cookies[COOKIE] != first


def test_a_session_ends_idle_after_15_minutes_and_in_all_after_8_hours(
    station: Station, enter: Enter, clock: Clock
) -> None:
    client = enter("ann")
    clock.tick(sessions.IDLE_SECONDS - 1)
    assert client.get("/").status_code == 200
    clock.tick(sessions.IDLE_SECONDS + 1)
    assert client.get("/").headers["location"] == "/login"
    client = log_in(station, "ann")
    for _ in range(40):
        clock.tick(sessions.IDLE_SECONDS - 60)
        if client.get("/").status_code == 303:
            break
    assert _ == 34  # 35 steps of 14 minutes pass 8 hours


@pytest.mark.parametrize("deed", ["logout", "disable", "reset", "role"])
def test_a_killed_session_is_dead_at_once(station: Station, enter: Enter, deed: str) -> None:
    client, book = enter("ann"), station.book
    page = client.get("/")
    assert page.status_code == 200
    if deed == "logout":
        token = client.cookies[COOKIE]
        assert client.post("/logout", data={"csrf": csrf(page.text)}).status_code == 303
        client.cookies.set(COOKIE, token, domain="station.test", path="/")
    with book.writing() as connection:
        account = accounts.find(connection, "ann")
        assert account is not None
        if deed == "disable":
            accounts.set_disabled(connection, account, True, book.clock())
        if deed == "reset":
            accounts.reset(connection, account, accounts.hash_password("another long password"), book.clock())
        if deed == "role":
            accounts.set_role(connection, account, "admin", book.clock())
    assert client.get("/").headers.get("location") == "/login"
    if deed == "disable":
        assert attempt(station, "ann", PASSWORD) == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.test"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_form_of_another_page_is_refused(station: Station, enter: Enter, headers: dict[str, str]) -> None:
    client = enter("ann")
    token = csrf(client.get("/").text)
    assert client.post("/logout", data={"csrf": token}, headers=headers).status_code == 403
    assert attempt(station, "ann", PASSWORD, **headers) == 403
    own = {"Origin": HOST, "Sec-Fetch-Site": "same-origin"}
    assert client.post("/logout", data={"csrf": token}, headers=own).status_code == 303


@pytest.mark.parametrize("token", ["", "0" * 64])
def test_a_form_without_its_token_is_refused(enter: Enter, token: str) -> None:
    client = enter("ann")
    assert client.post("/logout", data={"csrf": token}).status_code == 403
    other = csrf(enter("bob").get("/").text)
    assert client.post("/logout", data={"csrf": other}).status_code == 403
    assert client.get("/").status_code == 200


def proxied(station: Station, **headers: str) -> TestClient:
    station.book.terms = LabelingTerms(
        database=station.terms.database,
        login="proxy",
        proxy=ProxyTerms(roles={"raters": "labeller", "seniors": "senior"}),
    )
    given = {key.replace("_", "-"): value for key, value in headers.items()}
    return TestClient(create_app(station), base_url=HOST, headers=given, follow_redirects=False)


def test_the_proxy_says_who_it_is_and_the_groups_which_role(station: Station) -> None:
    client = proxied(station, x_forwarded_preferred_username="Dr.Lee", x_forwarded_groups="staff, seniors")
    assert client.get("/login").headers["location"] == "/"
    assert "Senior" in client.get("/").text and "dr.lee" in client.get("/").text
    client.headers["x-forwarded-preferred-username"] = "somebody.else"
    assert client.get("/").headers["location"] == "/login"
    client.headers["x-forwarded-preferred-username"] = "Dr.Lee"
    client.headers["x-forwarded-groups"] = "raters"
    client.get("/login")
    assert "Labeller" in client.get("/").text


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_forwarded_groups": "raters"},
        {"x_forwarded_preferred_username": "ann", "x_forwarded_groups": "staff"},
    ],
)
def test_without_name_or_group_nobody_comes_in(station: Station, headers: dict[str, str]) -> None:
    assert proxied(station, **headers).get("/login").status_code == 403


def test_headers_are_nothing_where_passwords_are_asked_for(station: Station) -> None:
    add_account(station.book, "ann")
    headers = {"X-Forwarded-Preferred-Username": "ann", "X-Forwarded-Groups": "seniors"}
    client = TestClient(create_app(station), base_url=HOST, headers=headers, follow_redirects=False)
    assert client.get("/").headers["location"] == "/login"
    assert "password" in client.get("/login").text


def test_refusals_are_events(station: Station) -> None:
    add_account(station.book, "ann")
    attempt(station, "ann", "wrong wrong wrong")
    with station.book.reading() as connection:
        assert events.newest(connection, 1)[0].action == "login-refused"
