"""Taking down what a rater said: submit, skip, escalate, take back, draft, and "I can see who this is".

Rule 10 of DESIGN.md: what was acknowledged is on disk. Each is one transaction with its event; a judgment is
taken once however often it is sent, two raters of one item never wait for each other's answer, and nothing
of what was said is in the event (only the ciphertext's digest). Free text passes the de-identifier first.
"""

from __future__ import annotations

import hashlib
import json
import math
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from intraward_client.labeling.accounts import Account
from intraward_client.labeling.book import ADJUDICATION, AGREED, HELD, OPEN, Book, content_of, draft_of
from intraward_client.labeling.database import Gone
from intraward_client.labeling.events import Actor
from intraward_client.labeling.freetext import FreeText
from intraward_client.labeling.judgment import Kind, Vote, decode_vote, encode_vote
from intraward_client.labeling.quarantine import PHI_SEEN, quarantine
from intraward_client.labeling.queue import Turn, release
from intraward_client.labeling.rubric import Rubric
from intraward_client.labeling.schema import assignments, drafts, items, users, votes, withdrawals
from intraward_client.labeling.settling import settle_in
from intraward_shared.errors import LabelError

UNDO_SECONDS = 15 * 60.0
LONGEST_SECONDS = 600.0
"""Time on an item beyond this is taken for a pause."""
ESCALATED = "escalated"
SKIP_REASONS = ("not-my-field", "cannot-judge", "answers-alike", "text-broken")
_NEXT = "go on with the next item"


def actor_of(account: Account) -> Actor:
    """An account as the events name it."""
    return Actor(account.name, account.role)


def seconds_on(book: Book, turn: Turn) -> float:
    """Time since the item was first shown, without a pause."""
    return min(max(book.clock() - turn.opened, 0.0), LONGEST_SECONDS) if turn.opened is not None else 0.0


def submit(
    book: Book,
    text: FreeText,
    account: Account,
    turn: Turn,
    vote: Vote,
    rubrics: Mapping[Kind, Rubric] | None = None,
) -> bool:
    """Store a judgment; False when this assignment had one already (a second click).

    A skip gives the item to somebody else, an escalation to a senior.

    Args:
        rubrics: with them where the item stands is settled in the same transaction; else at the next start.

    Raises:
        Gone: the assignment went back or the patient was forgotten; nothing was stored.
        LabelError: the database refused; nothing was stored.
    """
    cleaned = text.clean(replace(vote, shown=turn.shown if vote.judged else ()), turn.item.unit)
    vote_id = secrets.token_hex(16)
    sealed = book.sealer.seal(turn.item.unit, content_of(vote_id), encode_vote(cleaned.vote))
    with book.writing() as connection:
        if not _close(connection, turn, account, "skipped" if vote.skipped else "done", book.clock()):
            return _was_done(connection, turn, account)
        connection.execute(
            insert(votes).values(
                vote_id=vote_id,
                assignment_id=turn.assignment_id,
                item_id=turn.item.item_id,
                unit=turn.item.unit,
                user_id=account.user_id,
                stage=turn.stage,
                time=book.clock(),
                content=sealed,
                held=cleaned.held,
            )
        )
        connection.execute(delete(drafts).where(drafts.c.assignment_id == turn.assignment_id))
        if vote.escalated:
            _to_state(connection, turn, ADJUDICATION, (OPEN, AGREED))
        elif vote.skipped and turn.stage == "first":
            release(connection, turn.item.item_id)
        book.tell(
            connection,
            actor_of(account),
            "escalate" if vote.escalated else "skip" if vote.skipped else "vote",
            turn.item.item_id,
            stage=turn.stage,
            content_sha256=hashlib.sha256(sealed).hexdigest(),
            text_held=cleaned.held or "",
        )
        if rubrics is not None:
            settle_in(book, rubrics, connection, turn.item.item_id)
    return True


def phi_seen(book: Book, account: Account, turn: Turn) -> None:
    """The rater sees who the patient is: nobody is shown the item any more, from this moment."""
    with book.writing() as connection:
        quarantine(book, connection, turn.item.item_id, actor_of(account), PHI_SEEN)


def save_draft(book: Book, account: Account, turn: Turn, form: Mapping[str, Any]) -> None:
    """Keep what is typed so far, encrypted as it was typed; gone once the judgment is in.

    Raises:
        Gone: the assignment is over, or the patient was forgotten.
    """
    sealed = book.sealer.seal(turn.item.unit, draft_of(turn.assignment_id), json.dumps(form))
    with book.writing() as connection:
        state = connection.execute(
            select(assignments.c.state).where(
                assignments.c.assignment_id == turn.assignment_id, assignments.c.user_id == account.user_id
            )
        ).scalar()
        if state != "open":
            raise Gone("this item is over", remedy=_NEXT)
        connection.execute(delete(drafts).where(drafts.c.assignment_id == turn.assignment_id))
        connection.execute(
            insert(drafts).values(
                assignment_id=turn.assignment_id, unit=turn.item.unit, content=sealed, time=book.clock()
            )
        )


def draft(book: Book, turn: Turn) -> dict[str, Any]:
    """The draft of an assignment; empty where there is none."""
    query = select(drafts.c.content).where(drafts.c.assignment_id == turn.assignment_id)
    with book.reading() as connection:
        sealed = connection.execute(query).scalar()
    if sealed is None:
        return {}
    found = json.loads(book.sealer.unseal(turn.item.unit, draft_of(turn.assignment_id), sealed))
    return dict(found)


def undo(book: Book, account: Account) -> tuple[str, Vote]:
    """Take the account's last judgment back, within 15 minutes; its assignment is open again.

    Returns:
        the assignment and what had been said, to be filled in again; the vote itself stays in the book.

    Raises:
        LabelError: there is none to take back.
    """
    now = book.clock()
    query = (
        select(votes, assignments.c.state, users.c.name)
        .join(assignments, assignments.c.assignment_id == votes.c.assignment_id)
        .join(users, users.c.user_id == votes.c.user_id)
        .where(votes.c.user_id == account.user_id, votes.c.vote_id.not_in(select(withdrawals.c.vote_id)))
        .order_by(votes.c.time.desc(), votes.c.vote_id)
        .limit(1)
    )
    with book.writing() as connection:
        row = connection.execute(query).first()
        if row is None or row.time < now - UNDO_SECONDS or row.state not in ("done", "skipped"):
            raise LabelError(
                "there is no judgment of the last 15 minutes to take back", remedy="ask a senior to look"
            )
        connection.execute(insert(withdrawals).values(vote_id=row.vote_id, time=now))
        connection.execute(
            update(assignments)
            .where(assignments.c.assignment_id == row.assignment_id)
            .values(state="open", closed=None, given=math.nextafter(now, math.inf))  # before what began now
        )
        reopened = update(items).where(
            items.c.item_id == row.item_id, items.c.state.in_((AGREED, ADJUDICATION, HELD))
        )
        back = ADJUDICATION if row.stage == "adjudication" else OPEN
        if row.stage in ("first", "adjudication"):
            connection.execute(reopened.values(state=back))
        said = decode_vote(
            row.item_id, row.name, book.sealer.unseal(row.unit, content_of(row.vote_id), row.content)
        )
        if row.state == "skipped" and row.stage == "first" and not said.escalated:  # its place was given back
            connection.execute(
                update(items).where(items.c.item_id == row.item_id).values(given=items.c.given + 1)
            )
        book.tell(connection, actor_of(account), "undo", row.item_id, stage=row.stage)
    return row.assignment_id, said


def _close(connection: Connection, turn: Turn, account: Account, state: str, now: float) -> bool:
    done = connection.execute(
        update(assignments)
        .where(
            assignments.c.assignment_id == turn.assignment_id,
            assignments.c.user_id == account.user_id,
            assignments.c.state == "open",
        )
        .values(state=state, closed=now)
    )
    return bool(done.rowcount == 1)


def _was_done(connection: Connection, turn: Turn, account: Account) -> bool:
    """False where the assignment has its judgment; anything else is over for another reason."""
    query = select(assignments.c.state).where(
        assignments.c.assignment_id == turn.assignment_id, assignments.c.user_id == account.user_id
    )
    if connection.execute(query).scalar() in ("done", "skipped"):
        return False
    raise Gone("this item went back to the queue, or was taken out of it", remedy=_NEXT)


def _to_state(connection: Connection, turn: Turn, state: str, before: tuple[str, ...]) -> None:
    connection.execute(
        update(items)
        .where(items.c.item_id == turn.item.item_id, items.c.state.in_(before))
        .values(state=state)
    )
