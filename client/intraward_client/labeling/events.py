"""What people did at the station: one event each, chained by a key of the vault, never changed.

Facts B.2 (audit). An event says when, who in which role, what, and of which item or account; no text of a
record, no patient; where one is forgotten, how many items and votes went with them. Its hash is an HMAC over
the whole event and the hash before it, under a key that only the site's vault derives: whoever can write the
database alone cannot make a chain that verifies. Cutting off the newest events cannot be seen in the chain
itself; `verify` takes the head that somebody noted before.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from intraward_client.labeling.schema import events
from intraward_shared.errors import LabelError
from intraward_shared.signing import canonical_json

PURPOSE = "label events"
"""What the vault derives the chain's key for."""
FIRST = "0" * 64
_HASH = re.compile(r"[0-9a-f]{64}")
_RESTORE = "restore the book from a backup, and tell the privacy officer"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: an account's name and role; ``system`` for the station itself."""

    name: str
    role: str


SYSTEM = Actor("station", "system")


@dataclass(frozen=True, slots=True)
class Event:
    """One event, as it is shown."""

    sequence: int
    time: str
    user: str
    role: str
    action: str
    subject: str
    detail: Mapping[str, Any]
    hash: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found: how many events verify, the head, and the first bad event's sequence if any.

    ``cut``: all that is there verifies, and the noted head is not among it.
    """

    count: int
    head: str
    bad: int | None
    reason: str = ""
    cut: bool = False


def append(
    connection: Connection,
    key: bytes,
    actor: Actor,
    action: str,
    subject: str = "",
    now: float = 0.0,
    **detail: str | int | bool,
) -> str:
    """Add an event within the transaction that does the deed; returns its hash."""
    last = connection.execute(
        select(events.c.sequence, events.c.hash).order_by(events.c.sequence.desc()).limit(1)
    ).first()
    row = {
        "sequence": last.sequence + 1 if last else 0,
        "time": datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "user": actor.name,
        "role": actor.role,
        "action": action,
        "subject": subject,
        "detail": canonical_json(detail).decode("utf-8"),
        "previous": last.hash if last else FIRST,
    }
    mac = _mac(key, row)
    connection.execute(insert(events).values(**row, hash=mac))
    return mac


def verify(connection: Connection, key: bytes, head: str | None = None) -> Verdict:
    """Recompute the whole chain.

    Args:
        head: hash of an event that was noted before; it must still be there.
    """
    previous, count, seen = FIRST, 0, head is None or head == FIRST
    for row in connection.execute(select(events).order_by(events.c.sequence)):
        content = {name: row._mapping[name] for name in _MACED}
        if row.sequence != count or row.previous != previous:
            return Verdict(count, previous, row.sequence, "does not follow the event before it")
        if not hmac.compare_digest(row.hash, _mac(key, content)):
            return Verdict(count, previous, row.sequence, "was changed after it was written")
        previous, count = row.hash, count + 1
        seen = seen or previous == head
    if not seen:
        return Verdict(
            count, previous, count, "or a later one was cut off: the noted head is not there", cut=True
        )
    return Verdict(count, previous, None)


def check(connection: Connection, key: bytes, head: str | None = None) -> Verdict:
    """`verify`, refusing a chain that does not hold.

    Raises:
        LabelError: names the first bad event, or says that ``head`` is no hash or of no event.
    """
    if head is not None and not _HASH.fullmatch(head):
        raise LabelError("the head is no hash of an event", remedy="give the 64 hexadecimal digits as noted")
    verdict = verify(connection, key, head)
    if verdict.cut:
        raise LabelError(
            f"events: the {verdict.count} that are there hold, and the head you gave is of none of them: the "
            "newest were cut off, or the head is another book's",
            remedy=_RESTORE,
        )
    if verdict.bad is not None:
        raise LabelError(f"events: event {verdict.bad} {verdict.reason}", remedy=_RESTORE)
    return verdict


def every(connection: Connection) -> Iterator[Event]:
    """Every event in its order."""
    return map(_event, connection.execute(select(events).order_by(events.c.sequence)))


def newest(connection: Connection, limit: int, before: int | None = None) -> tuple[Event, ...]:
    """The newest events, newest first; ``before`` a sequence, to page back."""
    query = select(events).order_by(events.c.sequence.desc()).limit(limit)
    if before is not None:
        query = query.where(events.c.sequence < before)
    return tuple(map(_event, connection.execute(query).all()))


def _event(row: Row[Any]) -> Event:
    detail = json.loads(row.detail)
    return Event(row.sequence, row.time, row.user, row.role, row.action, row.subject, detail, row.hash)


_MACED = ("sequence", "time", "user", "role", "action", "subject", "detail", "previous")


def _mac(key: bytes, row: Mapping[str, Any]) -> str:
    return hmac.new(key, canonical_json({name: row[name] for name in _MACED}), hashlib.sha256).hexdigest()
