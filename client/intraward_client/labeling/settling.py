"""After each judgment: is the item agreed, does it need one more rater, or a senior?

``consensus.standing`` decides, from the item's own votes alone (section 6 of DESIGN.md); here its answer is
written down. Within one transaction, so that of two judgments that arrive together the later one sees both.
An item whose judgment was stored by a process that died before this is settled at the next start.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, select, update

from intraward_client.labeling.book import ADJUDICATION, OPEN, Book, item_of
from intraward_client.labeling.consensus import standing
from intraward_client.labeling.events import SYSTEM
from intraward_client.labeling.judgment import Kind
from intraward_client.labeling.rubric import Rubric
from intraward_client.labeling.schema import items


def settle(book: Book, rubrics: Mapping[Kind, Rubric], item_id: str) -> str | None:
    """Write down where an item stands; returns its state, None where it is settled or not shown any more."""
    with book.writing() as connection:
        return settle_in(book, rubrics, connection, item_id)


def settle_all(book: Book, rubrics: Mapping[Kind, Rubric]) -> int:
    """Settle every item that has all its judgments and no outcome yet; returns how many moved on."""
    query = select(items.c.item_id).where(
        items.c.state == OPEN, items.c.gold.is_(None), items.c.given >= items.c.wanted
    )
    with book.writing() as connection:
        waiting = connection.execute(query).scalars().all()
        return sum(settle_in(book, rubrics, connection, item_id) not in (None, OPEN) for item_id in waiting)


def settle_in(book: Book, rubrics: Mapping[Kind, Rubric], connection: Connection, item_id: str) -> str | None:
    """`settle` within a transaction that does more."""
    row = connection.execute(select(items).where(items.c.item_id == item_id)).first()
    if row is None or row.gold is not None or row.state not in (OPEN, ADJUDICATION):
        return None
    item = item_of(row)
    votes = [kept.vote for kept in book.votes_in(connection, [item_id])]
    found = standing(votes, item.kind, book.terms, rubrics[item.kind].critical)
    if (found.state, max(found.wanted, row.wanted)) != (row.state, row.wanted):
        connection.execute(
            update(items)
            .where(items.c.item_id == item_id)
            .values(state=found.state, wanted=max(found.wanted, row.wanted))
        )
    if found.state != row.state:
        book.tell(connection, SYSTEM, found.state, item_id)
    return found.state
