"""Putting a site's station together: policy, vault, book, course, rubrics, de-identifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from intraward_client.config import SitePolicy, load_policy
from intraward_client.home import SiteHome
from intraward_client.labeling.book import Book
from intraward_client.labeling.course import Course, gold_items, gold_texts, load_course
from intraward_client.labeling.database import open_engine
from intraward_client.labeling.freetext import Cleaner, FreeText
from intraward_client.labeling.judgment import Kind
from intraward_client.labeling.quarantine import withhold_all
from intraward_client.labeling.rubric import Rubric, by_kind, shipped_rubrics
from intraward_client.labeling.sealing import Sealer
from intraward_client.labeling.settling import settle_all
from intraward_client.labeling.sole import sole_on_database, sole_station
from intraward_client.labeling.terms import LabelingTerms
from intraward_client.planted import marks_of, planted
from intraward_client.store.vault import Vault

if TYPE_CHECKING:
    from intraward_client.labeling.web.station import Station

_SALT = "label gold"


def rubrics_of(terms: LabelingTerms) -> Mapping[Kind, Rubric]:
    """The hospital's rubrics, or the shipped ones.

    Raises:
        ConfigError: names file and key.
    """
    return by_kind(map(Path, terms.rubrics)) if terms.rubrics else shipped_rubrics()


def course_of(terms: LabelingTerms) -> Course:
    """The hospital's course, or the shipped one.

    Raises:
        ConfigError: names file and key.
    """
    return load_course(Path(terms.course) if terms.course is not None else None)


@contextmanager
def open_book(home: SiteHome, policy: SitePolicy | None = None) -> Iterator[Book]:
    """The book of a site, with its vault; forgotten patients are gone from it when this returns.

    Raises:
        ConfigError, VaultError, LabelError: policy, vault or database cannot be opened.
    """
    terms = (policy or load_policy(home.policy)).labeling
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        book = Book(open_engine(home, terms.database), Sealer(vault), terms)
        with closing(book):
            book.reconcile()
            withhold_all(book)
            yield book


@contextmanager
def open_station(home: SiteHome) -> Iterator[Station]:
    """The station of a site, ready to serve: gold items in the queue, unsettled items settled.

    Raises:
        ConfigError, VaultError, LabelError, DeidError: something of it cannot be opened or is not fit, or
            another station runs on this site or database.
    """
    from intraward_client.labeling.web.station import Station

    policy = load_policy(home.policy)
    rubrics, course = rubrics_of(policy.labeling), course_of(policy.labeling)
    with sole_station(home), closing(Vault.open(home.vault, home.vault_keys)) as vault:
        salt, canaries = vault.derive(_SALT), marks_of(planted(vault, policy.deid.canaries))
        sealer = Sealer(vault, gold_texts(course, salt))
        book = Book(open_engine(home, policy.labeling.database), sealer, policy.labeling)
        with closing(book), sole_on_database(book.engine):
            book.reconcile()
            withhold_all(book)
            book.add_items(gold_items(course, sealer.nobody, salt))
            settle_all(book, rubrics)
            yield Station(
                book,
                FreeText(_deidentifier(home, vault, policy)),
                course,
                rubrics,
                site=policy.site,
                canaries=canaries,
                surrogates=policy.deid.replacement == "surrogates" or policy.deid.profile == "research",
            )


def own_items(home: SiteHome, policy: SitePolicy) -> frozenset[str]:
    """Ids of the items in the site's book; none where there is no book yet.

    Raises:
        LabelError: the database cannot be reached.
    """
    if not (policy.labeling.database or home.label_book.exists()):
        return frozenset()
    with open_book(home, policy) as book:
        return frozenset(book.states())


def forget_in_book(home: SiteHome, policy: SitePolicy) -> None:
    """Delete what the book has of patients who were forgotten; nothing where there is no book yet.

    Raises:
        LabelError: the database cannot be reached; what it holds of them is unreadable all the same.
    """
    if policy.labeling.database or home.label_book.exists():
        with open_book(home, policy):
            pass


def _deidentifier(home: SiteHome, vault: Vault, policy: SitePolicy) -> Callable[[], Cleaner]:
    def make() -> Cleaner:
        from intraward_client.importing import make_deidentifier

        made = make_deidentifier(home, vault, policy)
        made.self_test()
        return made

    return make
