"""Books on SQLite and PostgreSQL, a station, and clients that are logged in."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from starlette.testclient import TestClient
from tests.client.labeling import postgres
from tests.client.labeling.stations import (
    PASSWORD,
    Clock,
    add_account,
    fill_vault,
    home_at,
    make_book,
    make_station,
    pairs,
)

from intraward_client.labeling.book import Book
from intraward_client.labeling.judgment import Item
from intraward_client.labeling.terms import LabelingTerms, Role
from intraward_client.labeling.web.app import create_app
from intraward_client.labeling.web.station import Station
from intraward_client.store.vault import Vault

Terms = Callable[..., LabelingTerms]
HOST = "https://station.test"


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with closing(Vault.create(tmp_path / "vault.db", tmp_path / "vault-keys")) as made:
        yield made


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    if reason := postgres.why_not():
        pytest.skip(reason)
    with postgres.server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A database of one test."""
    name = f"t{secrets.token_hex(6)}"
    admin = create_engine(postgres_server.format(name="postgres"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield postgres_server.format(name=name)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest) -> str:
    """URL of the terms: each test on both databases."""
    return "" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(tmp_path: Path, vault: Vault, database: str, clock: Clock) -> Iterator[Book]:
    """A book without hidden gold and repeats, so that a queue is what it seems."""
    terms = LabelingTerms(database=database, gold_share=0.0, repeat_share=0.0)
    with closing(make_book(home_at(tmp_path / "site"), vault, terms, clock)) as made:
        yield made


@pytest.fixture
def items(vault: Vault, book: Book) -> dict[str, Item]:
    """Four pairs of four patients, in the queue."""
    made = fill_vault(vault, pairs(4))
    book.add_items(made.values())
    return made


@pytest.fixture
def station(book: Book) -> Station:
    return make_station(book)


@pytest.fixture
def enter(station: Station) -> Callable[..., TestClient]:
    """``enter("ann")``: a client that is logged in, with an account made for it."""

    def login(name: str, role: Role = "labeller", *, passed: bool = True) -> TestClient:
        add_account(station.book, name, role, passed=passed)
        return log_in(station, name)

    return login


def log_in(station: Station, name: str, password: str = PASSWORD) -> TestClient:
    """A client after the login form."""
    client = TestClient(create_app(station), base_url=HOST, follow_redirects=False)
    page = client.get("/login")
    answer = client.post("/login", data={"csrf": csrf(page.text), "name": name, "password": password})
    assert answer.status_code == 303, answer.status_code
    return client


def csrf(page: str) -> str:
    """The token of a page's first form."""
    return page.split('name="csrf" value="', 1)[1].split('"', 1)[0]


def assignment(page: str) -> str:
    """The assignment of a task page."""
    return page.split('action="/task/', 1)[1].split('"', 1)[0]
