"""Role x route: every page has its roles, a forbidden pair is refused, somebody else's is not there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from starlette.routing import BaseRoute
from starlette.testclient import TestClient
from tests.client.labeling.conftest import HOST, assignment, csrf
from tests.client.labeling.stations import Clock

from intraward_client.labeling.judgment import Item
from intraward_client.labeling.web.app import OPEN_TO_ALL, create_app, rules
from intraward_client.labeling.web.guard import EVERYBODY, MOST_BYTES
from intraward_client.labeling.web.station import Station

Enter = Callable[..., TestClient]
EXPECTED = {
    "labeller": {"/", "/task", "/course", "/course/item", "/progress"},
    "senior": {"/", "/task", "/course", "/course/item", "/progress", "/adjudicate", "/agreement"},
    "admin": {"/", "/agreement", "/admin/users", "/admin/items", "/audit"},
    "auditor": {"/", "/agreement", "/audit"},
}
"""Pages without a name in their address, by role: written down here, not read from the code."""


def routes(found: list[BaseRoute]) -> Iterator[Any]:
    """Every endpoint, routers within routers too."""
    for route in found:
        inner = getattr(route, "original_router", None) or getattr(route, "app", None)
        if getattr(inner, "routes", None):
            yield from routes(inner.routes)  # type: ignore[union-attr]
        else:
            yield route


def test_every_route_has_its_roles_or_is_open_on_purpose(station: Station) -> None:
    app = create_app(station)._app
    places = {
        (method, route.path)
        for route in routes(app.routes)  # type: ignore[attr-defined]
        for method in route.methods - {"HEAD"}
    }
    guarded = {place for place in places if place[1] not in OPEN_TO_ALL}
    assert guarded == set(rules()) and len(guarded) >= 20


@pytest.mark.parametrize("role", sorted(EXPECTED))
def test_the_matrix(enter: Enter, items: dict[str, Item], role: str) -> None:
    client = enter("ann", role)
    token = csrf(client.get("/").text)
    for (method, path), roles in rules().items():
        if path == "/logout":
            continue
        address = re.sub(r"\{\w+\}", "1", path)
        answer = client.request(method, address, data={"csrf": token} if method == "POST" else None)
        if role in roles:
            assert answer.status_code not in (401, 403, 405, 500), (method, path)
        else:
            assert answer.status_code == 403, (method, path)
        if method == "GET" and "{" not in path:
            assert (path in EXPECTED[role]) == (answer.status_code != 403), path
    assert set(rules()["GET", "/"]) == set(EVERYBODY)


def test_without_a_session_every_page_leads_to_the_login(station: Station) -> None:
    client = TestClient(create_app(station), base_url=HOST, follow_redirects=False)
    for method, path in rules():
        answer = client.request(method, re.sub(r"\{\w+\}", "1", path))
        assert answer.headers.get("location") == "/login", (method, path)


def test_forged_and_other_peoples_assignments_are_not_there(
    enter: Enter, items: dict[str, Item], station: Station
) -> None:
    ann, bob = enter("ann"), enter("bob")
    name = assignment(ann.get("/task").text)
    token = csrf(bob.get("/task").text)
    vote = {"csrf": token, "choice": "0", "action": "submit"}
    for forged in (name, "0" * 32, "..", "%2e%2e", next(iter(items.values())).item_id):
        for place in (f"/task/{forged}", f"/task/{forged}/draft", f"/task/{forged}/phi"):
            assert bob.post(place, data=vote).status_code in (404, 405), place
    assert station.book.votes() == () and station.book.counts() == {"open": 4}


def test_headers_on_every_answer(enter: Enter) -> None:
    client = enter("ann")
    for path in ("/", "/task", "/nothing", "/static/station.css", "/login"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
        assert ("no-store" in headers["cache-control"]) != path.startswith("/static/")
        assert "server" not in headers


@pytest.mark.parametrize(
    "path", ["/static/../guard.py", "/static/%2e%2e/guard.py", "/static/none.css", "/docs"]
)
def test_nothing_else_is_served(enter: Enter, path: str) -> None:
    assert enter("ann").get(path).status_code == 404


def test_too_much_is_refused_before_it_is_read(enter: Enter) -> None:
    client = enter("ann")
    form = {"csrf": csrf(client.get("/").text), "rationale": "x" * (MOST_BYTES + 1)}
    assert client.post("/undo", data=form).status_code == 413
    assert client.post("/undo", content=iter([b"csrf=1"])).status_code == 413  # length not told


def test_an_unexpected_error_says_nothing_of_itself(
    enter: Enter,
    station: Station,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = enter("ann")

    def burst() -> float:
        raise RuntimeError("Ottoline Varga")

    monkeypatch.setattr(station.book, "clock", burst)
    answer = client.get("/")
    assert answer.status_code == 500 and "went wrong" in answer.text
    assert "Varga" not in answer.text + caplog.text and "RuntimeError" in caplog.text


def test_the_first_page_is_small(enter: Enter, items: dict[str, Item]) -> None:
    client = enter("ann")
    total = sum(
        len(client.get(path).content)
        for path in (
            "/task",
            "/static/station.css",
            "/static/station.js",
            "/static/htmx-2.0.11.min.js",
            "/static/icon.svg",
        )
    )
    assert total < 100_000, total
