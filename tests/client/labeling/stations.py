"""Sites, vaults with prompts and answers, books and stations for the tests of the label station."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from intraward_client.deid.note import DeidReceipt, seal_note
from intraward_client.home import SiteHome
from intraward_client.labeling import accounts
from intraward_client.labeling.accounts import Account
from intraward_client.labeling.book import Book
from intraward_client.labeling.course import gold_items, gold_texts, load_course
from intraward_client.labeling.database import open_engine
from intraward_client.labeling.freetext import Cleaner, FreeText
from intraward_client.labeling.judgment import Item, Kind
from intraward_client.labeling.rubric import shipped_rubrics
from intraward_client.labeling.sealing import Sealer
from intraward_client.labeling.terms import LabelingTerms, Role
from intraward_client.labeling.web.station import Station
from intraward_client.store.notes import store_outcomes
from intraward_client.store.prompts import add_candidates, add_prompts, candidates_of, prompt_records
from intraward_client.store.vault import Vault

PASSWORD = "four unrelated words"
_HASH = accounts.hash_password(PASSWORD)
RECEIPT = DeidReceipt("safe-harbor", "a" * 64, "b" * 64, {})
START = 1_700_000_000.0


class Clock:
    """Seconds since 1970, turned by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float) -> None:
        self.now += seconds


def fill_vault(vault: Vault, asked: Mapping[str, tuple[str, Sequence[str]]]) -> dict[str, Item]:
    """Notes, prompts and answers: patient -> (question, answers); the items by patient, not in a book."""
    store_outcomes(
        vault,
        [
            seal_note(f"n-{patient}", patient, f"Question: {question}", RECEIPT)
            for patient, (question, _) in asked.items()
        ],
    )
    add_prompts(vault)
    by_unit = {vault.unit_of(patient): patient for patient in asked}
    made = {}
    for record in prompt_records(vault):
        if (patient := by_unit.get(record.unit)) is not None:
            add_candidates(vault, {record.prompt_id: list(asked[patient][1])}, "d" * 64)
            names = tuple(one.candidate_id for one in candidates_of(vault, record.prompt_id))
            made[patient] = Item(
                secrets.token_hex(16), record.unit, record.prompt_id, names, seed=secrets.token_hex(8)
            )
    return made


def pairs(count: int) -> dict[str, tuple[str, Sequence[str]]]:
    """Invented questions with two answers each, by patient."""
    return {
        f"p-{number:05d}": (
            f"How is case {number} to be treated?",
            (f"With rest, and a review of case {number}.", f"With a tablet, and no review of case {number}."),
        )
        for number in range(count)
    }


def make_book(home: SiteHome, vault: Vault, terms: LabelingTerms, clock: Clock) -> Book:
    """A book over the site's own database, or the URL of the terms."""
    return Book(open_engine(home, terms.database), Sealer(vault), terms, clock)


def refuse() -> Cleaner:
    """A de-identifier that no test without free text may need."""
    raise AssertionError("this test has no free text")


def make_station(book: Book, *, gold: bool = False, make: object = refuse) -> Station:
    """A station over a book; ``gold`` puts the shipped gold items into the queue."""
    course = load_course(None)
    if gold:
        book.sealer.publish(gold_texts(course, b"salt"))
        book.add_items(gold_items(course, book.sealer.nobody, b"salt"))
    rubrics: Mapping[Kind, object] = shipped_rubrics()
    return Station(book, FreeText(make), course, rubrics, site="st-mary")  # type: ignore[arg-type]


def add_account(
    book: Book, name: str, role: Role = "labeller", specialties: tuple[str, ...] = (), *, passed: bool = True
) -> Account:
    """An account with `PASSWORD`, course passed."""
    with book.writing() as connection:
        made = accounts.add(connection, name, role, _HASH, specialties, book.clock())
        if passed:
            accounts.set_qualified(connection, made.user_id, book.clock())
        found = accounts.find(connection, name)
    assert found is not None
    return found


def home_at(folder: Path) -> SiteHome:
    """A site's folder with nothing in it."""
    home = SiteHome(folder)
    home.make()
    return home
