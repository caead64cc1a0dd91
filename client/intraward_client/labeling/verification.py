"""`label verify`: the station's tables held against the chain of events, row by row.

The chain itself is `events.verify`'s. Here every vote must be the one that its event names by the digest of
the ciphertext, by the same person, of the same item and stage, taken back if and only if an event says so;
every such event must have its vote, unless the patient was forgotten, which the events count; accounts must
have the role and state, and items the state, that the events led to. Nothing of what was said is read: no key
of a patient is used. What events do not tell (passwords, specialties, sessions, drafts, the order of the
queue) is not held.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, LargeBinary, cast, func, select

from intraward_client.labeling import events
from intraward_client.labeling.events import Event
from intraward_client.labeling.schema import items, users, votes, withdrawals

_SAID = ("vote", "skip", "escalate")
_STATES = ("open", "agreed", "adjudication", "held")
_REOPENED = ("agreed", "adjudication", "held")


@dataclass
class Told:
    """What the events, read in their order, say that the tables hold."""

    votes: dict[str, Event] = field(default_factory=dict)
    taken_back: set[str] = field(default_factory=set)
    states: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    added: int = 0
    gone_items: int = 0
    gone_votes: int = 0
    _last: dict[tuple[str, str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def read(self, event: Event) -> None:
        """Take one event in."""
        name, detail = event.subject, event.detail
        if event.action in _SAID:
            self._said(event)
        elif event.action == "undo":
            self._undone(event)
        elif event.action in _STATES:
            self.states[name] = event.action
        elif event.action == "quarantine":
            self.states[name] = "quarantined"
        elif event.action == "release":
            self.states[name] = "open"
        elif event.action in ("user-added", "role-changed"):
            self.roles[name] = str(detail["role"])
        elif event.action == "user-disable":
            self.disabled.add(name)
        elif event.action == "user-enable":
            self.disabled.discard(name)
        elif event.action == "items-added":
            self.added += int(detail["items"])
        elif event.action == "forget":
            self.gone_items += int(detail.get("items", 0))
            self.gone_votes += int(detail.get("votes", 0))

    def _said(self, event: Event) -> None:
        digest, stage = str(event.detail["content_sha256"]), str(event.detail["stage"])
        self.votes[digest] = event
        self._last[event.user, event.subject, stage].append(digest)
        if event.action == "escalate" and self.states.get(event.subject, "open") in ("open", "agreed"):
            self.states[event.subject] = "adjudication"

    def _undone(self, event: Event) -> None:
        stage = str(event.detail["stage"])
        said = self._last[event.user, event.subject, stage]
        if said:
            self.taken_back.add(said.pop())
        if stage in ("first", "adjudication") and self.states.get(event.subject, "open") in _REOPENED:
            self.states[event.subject] = "adjudication" if stage == "adjudication" else "open"


def wrong_rows(connection: Connection) -> Iterator[str]:
    """What of the tables is not as the events have it, one sentence a row; the chain must verify."""
    told = Told()
    for event in events.every(connection):
        told.read(event)
    yield from _votes(connection, told)
    yield from _accounts(connection, told)
    yield from _items(connection, told)


def _votes(connection: Connection, told: Told) -> Iterator[str]:
    query = (
        select(
            votes.c.vote_id,
            votes.c.item_id,
            votes.c.stage,
            votes.c.held,
            cast(votes.c.content, LargeBinary).label("content"),  # by hand SQLite takes text there, too
            users.c.name,
            withdrawals.c.time.label("withdrawn"),
        )
        .join(users, users.c.user_id == votes.c.user_id)
        .outerjoin(withdrawals, withdrawals.c.vote_id == votes.c.vote_id)
        .order_by(votes.c.time, votes.c.vote_id)
    )
    seen: set[str] = set()
    for row in connection.execute(query):
        digest = hashlib.sha256(row.content).hexdigest()
        event = told.votes.get(digest)
        if event is None or digest in seen:
            yield f"votes: vote {row.vote_id} is in no event: it was put in, or changed, beside the station"
            continue
        seen.add(digest)
        for column in _differing(row, event):
            yield f"votes: vote {row.vote_id}: its {column} is not that of event {event.sequence}"
        if (row.withdrawn is not None) != (digest in told.taken_back):
            word = "is taken back" if row.withdrawn is not None else "is not taken back"
            yield f"withdrawals: vote {row.vote_id} {word}, and the events say otherwise"
    yield from _missing(connection, told, seen)


def _differing(row: Any, event: Event) -> list[str]:
    """Columns of a vote that are not what its event says."""
    pairs = {
        "item": (row.item_id, event.subject),
        "account": (row.name, event.user),
        "stage": (row.stage, event.detail["stage"]),
        "reason for held text": (row.held or "", event.detail["text_held"]),
    }
    return [column for column, (found, told) in pairs.items() if found != told]


def _missing(connection: Connection, told: Told, seen: set[str]) -> Iterator[str]:
    there = set(connection.execute(select(items.c.item_id)).scalars())
    lost = [event for digest, event in told.votes.items() if digest not in seen]
    for event in lost:
        if event.subject in there:
            yield f"votes: the vote of event {event.sequence} is not there, or was changed"
    gone = sum(event.subject not in there for event in lost)
    if gone != told.gone_votes:
        yield (
            f"votes: {gone} votes are gone with their items, and {told.gone_votes} were deleted "
            "with forgotten patients"
        )


def _accounts(connection: Connection, told: Told) -> Iterator[str]:
    there = connection.execute(select(users.c.name, users.c.role, users.c.disabled)).all()
    for row in there:
        if row.name not in told.roles:
            yield f"users: account {row.name!r} is in no event: it was made beside the station"
        elif row.role != told.roles[row.name]:
            yield f"users: account {row.name!r} has another role than the events gave it"
        if row.name in told.roles and row.disabled != (row.name in told.disabled):
            word = "disabled" if row.disabled else "enabled"
            yield f"users: account {row.name!r} was {word} without an event"
    for name in sorted(told.roles.keys() - {row.name for row in there}):
        yield f"users: account {name!r} is not there"


def _items(connection: Connection, told: Told) -> Iterator[str]:
    for row in connection.execute(select(items.c.item_id, items.c.state).order_by(items.c.item_id)):
        wanted = told.states.get(row.item_id, "open")
        if row.state != wanted:
            yield f"items: item {row.item_id} is {row.state!r}, and the events left it {wanted!r}"
    count = int(connection.execute(select(func.count()).select_from(items)).scalar_one())
    if count != told.added - told.gone_items:
        yield f"items: {count} are there, and the events tell of {told.added - told.gone_items}"
