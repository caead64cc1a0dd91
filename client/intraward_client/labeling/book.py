"""The book: the only reader and writer of the station's items and votes, in the types of ``judgment``.

Rules 2 and 10 of DESIGN.md. What is said of an item is sealed under its patient's key before it is written,
and a vote is on disk when the call returns. Votes are never changed; one that was taken back stays, marked.
`forget` deletes what belongs to a patient, and `reconcile` does so at start for those who were forgotten
while the book could not be reached.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Row, Select, delete, func, insert, select

from intraward_client.labeling import accounts, database, events
from intraward_client.labeling.events import SYSTEM, Actor
from intraward_client.labeling.judgment import (
    Item,
    Stage,
    Vote,
    decode_gold,
    decode_vote,
    encode_gold,
)
from intraward_client.labeling.schema import assignments, drafts, items, users, votes, withdrawals
from intraward_client.labeling.sealing import Sealer
from intraward_client.labeling.terms import LabelingTerms

OPEN, AGREED, ADJUDICATION, HELD, QUARANTINED = "open", "agreed", "adjudication", "held", "quarantined"
"""States of an item: waiting for judgments, settled, waiting for a senior, kept from training, not shown."""


@dataclass(frozen=True, slots=True, repr=False)
class KeptVote:
    """A vote that stands, with what the book knows about it."""

    vote_id: str
    time: float
    held: str | None
    vote: Vote


class Book:
    """One station's book over an opened engine. ``clock``: seconds since 1970, for tests to turn."""

    def __init__(
        self,
        engine: Engine,
        sealer: Sealer,
        terms: LabelingTerms,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.engine, self.sealer, self.terms, self.clock = engine, sealer, terms, clock
        self.key = sealer.derive(events.PURPOSE)
        self._writer = threading.Lock()

    def __repr__(self) -> str:
        return "Book(<redacted>)"

    def close(self) -> None:
        """Release the database."""
        self.engine.dispose()

    def reading(self) -> AbstractContextManager[Connection]:
        """A transaction that only reads."""
        return database.reading(self.engine)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is the only one to write; threads of this process wait in turn."""
        with self._writer, database.writing(self.engine) as connection:
            yield connection

    def tell(
        self,
        connection: Connection,
        actor: Actor,
        action: str,
        subject: str = "",
        **detail: str | int | bool,
    ) -> None:
        """Append an event to the transaction that does the deed."""
        events.append(connection, self.key, actor, action, subject, self.clock(), **detail)

    def wanted(self, item: Item) -> int:
        """How many judgments an item shall have."""
        return self.terms.safety_overlap if item.kind == "safety" else self.terms.overlap

    def add_items(
        self,
        new: Iterable[Item],
        priority: Mapping[str, float] | None = None,
        actor: Actor = SYSTEM,
    ) -> int:
        """Put items into the queue; those that are there already stay as they are. Returns how many were new.

        Args:
            priority: by item id; higher comes first, 0 where it is not given.
        """
        added = 0
        with self.writing() as connection:
            there = set(connection.execute(select(items.c.item_id)).scalars())
            for item in new:
                if item.item_id in there:
                    continue
                there.add(item.item_id)
                connection.execute(
                    insert(items).values(**self._row(item, (priority or {}).get(item.item_id)))
                )
                added += 1
            if added:
                self.tell(connection, actor, "items-added", items=added)
        return added

    def _row(self, item: Item, priority: float | None) -> dict[str, Any]:
        return {
            "item_id": item.item_id,
            "unit": item.unit,
            "prompt_id": item.prompt_id,
            "candidate_ids": json.dumps(item.candidate_ids),
            "kind": item.kind,
            "specialty": item.specialty,
            "seed": item.seed,
            "propensity": item.propensity,
            "gold": encode_gold(item.gold) if item.gold is not None else None,
            "priority": priority or 0.0,
            "wanted": self.wanted(item),
            "given": 0,
            "turns": 0,
            "state": OPEN,
            "created": self.clock(),
        }

    def items(self, states: Sequence[str] | None = None) -> tuple[Item, ...]:
        """Every item, or those in some states, by id; gold included."""
        query = select(items).order_by(items.c.item_id)
        if states is not None:
            query = query.where(items.c.state.in_(states))
        with self.reading() as connection:
            return tuple(map(item_of, connection.execute(query).all()))

    def states(self) -> Mapping[str, str]:
        """State by item id."""
        with self.reading() as connection:
            return {
                row.item_id: row.state for row in connection.execute(select(items.c.item_id, items.c.state))
            }

    def votes(
        self, item_ids: Sequence[str] | None = None, stages: Sequence[Stage] | None = None
    ) -> tuple[Vote, ...]:
        """Votes that stand, oldest first; of every item or of some, of every stage or of some."""
        return tuple(kept.vote for kept in self.kept_votes(item_ids, stages))

    def kept_votes(
        self, item_ids: Sequence[str] | None = None, stages: Sequence[Stage] | None = None
    ) -> tuple[KeptVote, ...]:
        """`votes`, with id, time and why a text was held back."""
        with self.reading() as connection:
            return self.votes_in(connection, item_ids, stages)

    def votes_in(
        self,
        connection: Connection,
        item_ids: Sequence[str] | None = None,
        stages: Sequence[Stage] | None = None,
    ) -> tuple[KeptVote, ...]:
        """`kept_votes` within a transaction that does more."""
        query = (
            select(votes, users.c.name)
            .join(users, users.c.user_id == votes.c.user_id)
            .where(votes.c.vote_id.not_in(select(withdrawals.c.vote_id)))
            .order_by(votes.c.time, votes.c.vote_id)
        )
        if item_ids is not None:
            query = query.where(votes.c.item_id.in_(item_ids))
        if stages is not None:
            query = query.where(votes.c.stage.in_(stages))
        rows = connection.execute(query).all()
        away = self.sealer.units_away(sorted({row.unit for row in rows}))
        rows = [row for row in rows if row.unit not in away]
        texts = self.sealer.unseal_many([(row.unit, content_of(row.vote_id), row.content) for row in rows])
        return tuple(
            KeptVote(row.vote_id, row.time, row.held, decode_vote(row.item_id, row.name, text))
            for row, text in zip(rows, texts, strict=True)
        )

    def raters(self) -> Mapping[str, tuple[str, ...]]:
        """Specialties by account name, of everybody who may judge."""
        with self.reading() as connection:
            return {
                account.name: account.specialties
                for account in accounts.listing(connection)
                if account.role in ("labeller", "senior")
            }

    def item(self, item_id: str) -> Item | None:
        """One item."""
        with self.reading() as connection:
            row = connection.execute(select(items).where(items.c.item_id == item_id)).first()
        return item_of(row) if row else None

    def counts(self) -> Mapping[str, int]:
        """Items by state; for the hospital's own pages."""
        query = (
            select(items.c.state, func.count())
            .select_from(items)
            .where(items.c.gold.is_(None))
            .group_by(items.c.state)
        )
        with self.reading() as connection:
            return {state: int(count) for state, count in connection.execute(query).all()}

    def forget(self, unit: str) -> bool:
        """Delete everything about a patient; False when there was nothing."""
        with self.writing() as connection:
            gone = delete_unit(connection, unit)
            if gone is not None:
                self.tell(connection, SYSTEM, "forget", items=gone[0], votes=gone[1])
        return gone is not None

    def voters(self) -> Mapping[str, frozenset[str]]:
        """Who ever voted on each item, what was taken back included."""
        query = select(votes.c.item_id, users.c.name).join(users, users.c.user_id == votes.c.user_id)
        found: dict[str, set[str]] = {}
        with self.reading() as connection:
            for row in connection.execute(query.distinct()):
                found.setdefault(row.item_id, set()).add(row.name)
        return {item_id: frozenset(names) for item_id, names in found.items()}

    def reconcile(self) -> int:
        """Delete what belongs to patients who were forgotten meanwhile; returns how many."""
        with self.reading() as connection:
            units = connection.execute(select(items.c.unit).distinct()).scalars().all()
        return sum(self.forget(unit) for unit in sorted(self.sealer.units_away(units)))


def correction_of(item_id: str, rater: str) -> str:
    """The name of a rater's own answer to an item, among the vault's demonstrations."""
    return f"{item_id}|{rater}"


def content_of(vote_id: str) -> tuple[str, str, str]:
    """What a vote's ciphertext is bound to."""
    return ("label_votes", vote_id, "content")


def draft_of(assignment_id: str) -> tuple[str, str, str]:
    """What a draft's ciphertext is bound to."""
    return ("label_drafts", assignment_id, "content")


def item_of(row: Row[Any]) -> Item:
    """An item from its row."""
    return Item(
        row.item_id,
        row.unit,
        row.prompt_id,
        tuple(json.loads(row.candidate_ids)),
        row.kind,
        row.specialty,
        row.seed,
        row.propensity,
        decode_gold(row.gold) if row.gold is not None else None,
    )


def delete_unit(connection: Connection, unit: str) -> tuple[int, int] | None:
    """Delete every row about a patient, children before parents; items and votes, None if there were none."""
    own: Select[Any] = select(items.c.item_id).where(items.c.unit == unit)
    if connection.execute(own.limit(1)).first() is None:
        return None
    said = select(votes.c.vote_id).where(votes.c.unit == unit)
    connection.execute(delete(withdrawals).where(withdrawals.c.vote_id.in_(said)))
    gone_votes = connection.execute(delete(votes).where(votes.c.unit == unit)).rowcount
    connection.execute(delete(drafts).where(drafts.c.unit == unit))
    connection.execute(delete(assignments).where(assignments.c.item_id.in_(own)))
    return connection.execute(delete(items).where(items.c.unit == unit)).rowcount, gone_votes
