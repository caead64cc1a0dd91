"""Figures beside the requests: a page never waits long for them, and says of when they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from starlette.testclient import TestClient

from intraward_client.labeling.book import Book
from intraward_client.labeling.events import Actor
from intraward_client.labeling.web import reckoning
from intraward_client.labeling.web.reckoning import Reckoned
from intraward_client.labeling.web.station import Station

ANN = Actor("ann", "labeller")
pytestmark = pytest.mark.parametrize("database", [""])


def happens(book: Book, action: str) -> None:
    with book.writing() as connection:
        book.tell(connection, ANN, action, "x", stage="first")


def until(reached: Callable[[], Any]) -> Any:
    end = time.monotonic() + 60
    while not (found := reached()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


def test_figures_are_reckoned_once_until_something_was_judged(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reckoning, "_REST", 0)
    counter = count(1)
    figures = Reckoned(book, lambda _: next(counter), patience=60)
    assert [figures.newest().figures for _ in range(3)] == [1, 1, 1]  # type: ignore[union-attr]
    happens(book, "login")
    assert figures.newest().figures == 1  # type: ignore[union-attr]
    happens(book, "vote")
    assert until(lambda: (found := figures.newest()) and found.figures == 2 and found).sequence == 1


def test_a_page_shows_the_last_figures_while_new_ones_are_reckoned(book: Book) -> None:
    go, begun = threading.Event(), []

    def slow(_: Book) -> int:
        begun.append(1)
        assert go.wait(60)
        return len(begun)

    figures = Reckoned(book, slow, patience=0.0)
    assert figures.newest() is None and figures.newest() is None and len(begun) == 1
    go.set()
    first = until(figures.newest)
    figures._rests_until = 0.0
    go.clear()
    happens(book, "vote")
    again = figures.newest()
    assert again is not None and again == first and again.as_of
    go.set()


def test_what_fails_is_told_by_its_kind_and_tried_again(
    book: Book, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reckoning, "_REST", 0)

    def fails(_: Book) -> int:
        raise ValueError("Varga")

    figures = Reckoned(book, fails, patience=60)
    assert figures.newest() is None and figures.newest() is None
    assert caplog.text.count("ValueError") == 2 and "Varga" not in caplog.text


def test_the_pages_say_that_figures_are_not_done_yet(
    enter: Callable[..., TestClient], station: Station, book: Book
) -> None:
    go = threading.Event()
    for name in ("agreement", "watches"):
        setattr(station, name, Reckoned(book, lambda _: go.wait(60) and (), patience=0.0))
    admin = enter("adm", "admin")
    assert "being reckoned" in admin.get("/agreement").text
    assert "being reckoned" in admin.get("/admin/items").text
    go.set()
