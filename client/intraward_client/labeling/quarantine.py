"""Taking an item away from everybody, and a site admin's decision to release it.

Rule 2 of DESIGN.md, any doubt quarantines: whether it is the prompt or an answer that tells the patient,
nobody says, so that every item of the prompt goes, and the vault keeps the prompt and what was made of its
items from every later training table (``store.withheld``), before the book says so. A release is an event
with a reason code; what the second look found would be found again and is not released.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from intraward_client.labeling.book import OPEN, QUARANTINED, Book, correction_of
from intraward_client.labeling.course import PUBLIC
from intraward_client.labeling.events import Actor
from intraward_client.labeling.schema import assignments, events, items, users, votes
from intraward_shared.errors import LabelError

PHI_SEEN, RESIDUE = "phi-seen", "residue:"
"""Reasons: a rater could tell the patient; the second look at display found something (its code follows)."""
RELEASES = ("pressed-by-mistake", "looked-at-nobody-can-be-told", "text-was-mended")
"""Reasons for a release."""


@dataclass(frozen=True, slots=True)
class Taken:
    """An item that is shown to nobody: why, since when, by whom."""

    item_id: str
    reason: str
    time: str
    user: str

    @property
    def may_go_back(self) -> bool:
        """Whether a person may release it."""
        return not self.reason.startswith(RESIDUE)


def quarantine(book: Book, connection: Connection, item_id: str, actor: Actor, reason: str) -> None:
    """Show an item, and all others of its prompt, to nobody any more; open assignments end."""
    prompt_id = connection.execute(select(items.c.prompt_id).where(items.c.item_id == item_id)).scalar()
    query = select(items.c.item_id).where(items.c.prompt_id == prompt_id, items.c.state != QUARANTINED)
    names = connection.execute(query.order_by(items.c.item_id)).scalars().all()
    _withhold(book, connection, str(prompt_id), names)
    for name in names:
        connection.execute(update(items).where(items.c.item_id == name).values(state=QUARANTINED))
        connection.execute(
            update(assignments)
            .where(assignments.c.item_id == name, assignments.c.state == "open")
            .values(state="ended", closed=book.clock())
        )
        book.tell(connection, actor, "quarantine", name, reason=reason)


def release(book: Book, item_id: str, actor: Actor, reason: str) -> None:
    """Put an item back into the queue by a person's decision; who judged it before keeps their judgment.

    Raises:
        LabelError: the reason is none, the item is not quarantined, or the second look took it away.
    """
    if reason not in RELEASES:
        raise LabelError("this is no reason for a release", remedy="choose one of the list")
    with book.writing() as connection:
        row = connection.execute(select(items).where(items.c.item_id == item_id)).first()
        if row is None or row.state != QUARANTINED:
            raise LabelError("this item is not quarantined", remedy="load the page again")
        if not _why(connection, [item_id])[item_id].may_go_back:
            raise LabelError(
                "the second look found an identifier in this item and would find it again",
                remedy="mend it at its source, and import and prepare it anew",
            )
        done = select(func.count()).where(
            assignments.c.item_id == item_id, assignments.c.stage == "first", assignments.c.state == "done"
        )
        given = int(connection.execute(done).scalar_one())
        connection.execute(update(items).where(items.c.item_id == item_id).values(state=OPEN, given=given))
        book.tell(connection, actor, "release", item_id, reason=reason)
    _offer_again(book)


def taken(connection: Connection, limit: int) -> tuple[Taken, ...]:
    """Items that are shown to nobody, the newest first."""
    query = select(items.c.item_id).where(items.c.state == QUARANTINED)
    names = connection.execute(query).scalars().all()
    found = sorted(_why(connection, names).values(), key=lambda one: (one.time, one.item_id), reverse=True)
    return tuple(found[:limit])


def withhold_all(book: Book) -> None:
    """Keep from training what the book has quarantined, and not what it released, whatever died between."""
    with book.reading() as connection:
        query = select(items.c.prompt_id, items.c.item_id).where(items.c.state == QUARANTINED)
        by_prompt: dict[str, list[str]] = {}
        for row in connection.execute(query):
            by_prompt.setdefault(row.prompt_id, []).append(row.item_id)
        for prompt_id, names in by_prompt.items():
            _withhold(book, connection, prompt_id, names)
    _offer_again(book)


def _withhold(book: Book, connection: Connection, prompt_id: str, names: Sequence[str]) -> None:
    if prompt_id.startswith(PUBLIC):  # gold is nobody's, and trains nothing
        return
    said = (
        select(votes.c.item_id, users.c.name)
        .join(users, users.c.user_id == votes.c.user_id)
        .where(votes.c.item_id.in_(names))
        .distinct()
    )
    corrections = [correction_of(row.item_id, row.name) for row in connection.execute(said)]
    book.sealer.withhold(prompt_id, names, corrections)


def _offer_again(book: Book) -> None:
    """Prompts that the book knows and of which no item is quarantined train again."""
    for prompt_id in sorted(book.sealer.withheld_prompts()):
        with book.reading() as connection:
            states = connection.execute(select(items.c.state).where(items.c.prompt_id == prompt_id)).scalars()
            found = set(states)
        if found and QUARANTINED not in found:
            book.sealer.offer_again(prompt_id)


def _why(connection: Connection, names: Sequence[str]) -> dict[str, Taken]:
    """The newest quarantine event of each item."""
    found = {name: Taken(name, "", "", "") for name in names}
    query = select(events).where(events.c.action == "quarantine").order_by(events.c.sequence)
    for row in connection.execute(query):
        if row.subject in found:
            reason = str(json.loads(row.detail)["reason"])
            found[row.subject] = Taken(row.subject, reason, row.time, row.user)
    return found
