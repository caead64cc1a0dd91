"""Who judges what next. Facts B.2: overlap, specialties, hidden gold, repeats, no item twice, adjudication.

Each choice and its assignment are one transaction, and there is one writer at a time, so that fifty raters
at once are given no item too often. What a rater is given follows from a keyed draw over their own count of
assignments: neither they nor anybody who reads the pages can tell gold or a repeat from the rest. Items that
already have a judgment come first, then the higher priority of the active selection. An assignment that
nobody finished within a day goes back.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    bindparam,
    exists,
    func,
    insert,
    select,
    update,
)

from intraward_client.labeling.accounts import Account
from intraward_client.labeling.book import ADJUDICATION, AGREED, HELD, OPEN, Book, item_of
from intraward_client.labeling.events import SYSTEM
from intraward_client.labeling.judgment import Item, Stage
from intraward_client.labeling.order import shown_order
from intraward_client.labeling.schema import assignments, items, votes, withdrawals

EXPIRES_SECONDS = 24 * 3600.0
MANY = 100
"""From here on a page says "more than": counting ten thousand items cost more than all else on it."""
_DAY = 86400.0
_OWN: tuple[Stage, ...] = ("first", "repeat", "gold")


@dataclass(frozen=True, slots=True)
class Turn:
    """One person's turn at one item, shown since ``opened``. ``assignment_id`` is all that a page names."""

    assignment_id: str
    item: Item
    stage: Stage
    shown: tuple[int, ...]
    state: str
    opened: float | None


def next_turn(book: Book, account: Account) -> Turn | None:
    """The rater's open assignment, or a new one; None where there is nothing for them.

    Whether they may go on today is `fatigue`'s affair.
    """
    with book.reading() as connection:
        open_one = _open_turn(connection, account.user_id, _OWN)
    if open_one is not None:
        return open_one
    with book.writing() as connection:
        now = book.clock()
        _expire(connection, now)
        if open_one := _open_turn(connection, account.user_id, _OWN):  # of a second window, meanwhile
            return open_one
        for stage in _stages(book, connection, account):
            told = _told(account, now, book.terms.repeat_after_days)
            row = connection.execute(_candidates(stage), told).first()
            if row is not None:
                return _assign(book, connection, account, row, stage)
    return None


def next_adjudication(book: Book, account: Account) -> Turn | None:
    """The senior's next item on which raters disagree or that was escalated; never one they judged before."""
    with book.writing() as connection:
        _expire(connection, book.clock())
        open_one = _open_turn(connection, account.user_id, ("adjudication",))
        if open_one is not None:
            return open_one
        mine = exists().where(
            assignments.c.item_id == items.c.item_id, assignments.c.user_id == account.user_id
        )
        taken = exists().where(
            assignments.c.item_id == items.c.item_id,
            assignments.c.stage == "adjudication",
            assignments.c.state == "open",
        )
        query = select(items).where(items.c.state == ADJUDICATION, ~mine, ~taken)
        row = connection.execute(query.order_by(items.c.created, items.c.item_id).limit(1)).first()
        return _assign(book, connection, account, row, "adjudication") if row is not None else None


def turn_of(book: Book, assignment_id: str, user_id: int) -> Turn | None:
    """An assignment of this very account, in any state; None for anybody else's and for none."""
    with book.reading() as connection:
        row = connection.execute(_ONE, {"assignment": assignment_id, "user": user_id}).first()
    return _turn(row) if row is not None else None


def give_back(book: Book, turn: Turn, state: str) -> None:
    """End an assignment without a judgment (its item cannot be shown); the item is held."""
    with book.writing() as connection:
        connection.execute(
            update(assignments)
            .where(assignments.c.assignment_id == turn.assignment_id)
            .values(state="ended", closed=book.clock())
        )
        changed = connection.execute(
            update(items)
            .where(items.c.item_id == turn.item.item_id, items.c.state.in_((OPEN, ADJUDICATION, AGREED)))
            .values(state=state)
        )
        if changed.rowcount:
            book.tell(connection, SYSTEM, state, turn.item.item_id, reason="not-shown")


@dataclass(frozen=True, slots=True)
class Day:
    """What a rater did today: judgments in 24 hours and since their last pause, minutes since that."""

    today: int
    stretch: int
    minutes: int
    done: bool
    pause: bool


_PAUSE_SECONDS = 10 * 60.0


def fatigue(book: Book, account: Account) -> Day:
    """Whether the rater reached the day's cap, or a pause should be offered (facts B.2)."""
    now = book.clock()
    told = {"user": account.user_id, "since": now - _DAY, "most": book.terms.daily_cap}
    with book.reading() as connection:
        times = connection.execute(_WORK, told).scalars().all()
    stretch, start = 0, now
    for moment in times:
        if start - moment > _PAUSE_SECONDS:
            break
        stretch, start = stretch + 1, moment
    minutes = int((now - start) / 60)
    long = stretch >= book.terms.break_items or minutes >= book.terms.break_minutes
    return Day(len(times), stretch, minutes, len(times) >= book.terms.daily_cap, long and stretch > 0)


def waiting(book: Book, account: Account) -> int:
    """How many items a rater could still be given now, first judgments alone; never more than `MANY` + 1."""
    told = _told(account, book.clock(), book.terms.repeat_after_days)
    with book.reading() as connection:
        return int(connection.execute(_waiting(), told).scalar_one())


def _stages(book: Book, connection: Connection, account: Account) -> tuple[Stage, ...]:
    """In which order to look: the draw's kind, then the usual one."""
    turn = int(connection.execute(_TURNS_OF, {"user": account.user_id}).scalar_one())
    message = f"queue|{account.user_id}|{turn}".encode()
    draw = int.from_bytes(hmac.new(book.key, message, hashlib.sha256).digest()[:7], "big") / (1 << 56)
    if draw < book.terms.gold_share:
        return ("gold", "first")
    if draw < book.terms.gold_share + book.terms.repeat_share:
        return ("repeat", "first")
    return ("first",)


def _told(account: Account, now: float, repeat_after_days: int) -> dict[str, Any]:
    """What `_candidates` is asked with."""
    before = now - repeat_after_days * _DAY
    return {"user": account.user_id, "specialties": ("", *account.specialties), "before": before}


@cache
def _candidates(stage: Stage) -> Select[Any]:
    """The next item of a stage; made once, because making it costs more than asking it."""
    user: BindParameter[int] = bindparam("user")
    had = exists().where(assignments.c.item_id == items.c.item_id, assignments.c.user_id == user)
    if stage == "gold":
        chosen: ColumnElement[bool] = and_(items.c.gold.is_not(None), items.c.state == OPEN, ~had)
    elif stage == "repeat":
        old = exists().where(
            votes.c.item_id == items.c.item_id,
            votes.c.user_id == user,
            votes.c.stage == "first",
            votes.c.time < bindparam("before"),
        )
        again = exists().where(
            assignments.c.item_id == items.c.item_id,
            assignments.c.user_id == user,
            assignments.c.stage == "repeat",
        )
        chosen = and_(items.c.gold.is_(None), items.c.state.in_((OPEN, AGREED, HELD)), old, ~again)
    else:
        fits = items.c.specialty.in_(bindparam("specialties", expanding=True))
        chosen = and_(
            items.c.state == OPEN, items.c.given < items.c.wanted, items.c.gold.is_(None), fits, ~had
        )
    order = (items.c.given.desc(), items.c.priority.desc(), items.c.item_id.desc())
    return select(items).where(chosen).order_by(*order).limit(1)


@cache
def _waiting() -> Select[Any]:
    """How many of the next items there are, up to one more than `MANY`."""
    return select(func.count()).select_from(_candidates("first").order_by(None).limit(MANY + 1).subquery())


_WORK = (
    select(votes.c.time)
    .where(votes.c.user_id == bindparam("user"), votes.c.time > bindparam("since"))
    .where(~exists().where(withdrawals.c.vote_id == votes.c.vote_id))  # what was taken back is no work
    .order_by(votes.c.time.desc())
    .limit(bindparam("most"))
)
_TURNS_OF = select(func.count()).select_from(assignments).where(assignments.c.user_id == bindparam("user"))


def _assign(book: Book, connection: Connection, account: Account, row: Row[Any], stage: Stage) -> Turn:
    item = item_of(row)
    shown = shown_order(item, row.turns)
    now = book.clock()
    turn = Turn(secrets.token_hex(16), item, stage, shown, "open", now)
    connection.execute(
        insert(assignments).values(
            assignment_id=turn.assignment_id,
            item_id=item.item_id,
            user_id=account.user_id,
            stage=stage,
            shown=json.dumps(shown),
            state="open",
            given=now,
            opened=now,
        )
    )
    counted = {"given": items.c.given + 1} if stage == "first" else {}
    query = update(items).where(items.c.item_id == item.item_id)
    connection.execute(query.values(turns=items.c.turns + 1, **counted))
    return turn


_LATE = select(assignments.c.assignment_id, assignments.c.item_id, assignments.c.stage).where(
    assignments.c.state == "open", assignments.c.given < bindparam("since")
)


def _expire(connection: Connection, now: float) -> None:
    rows = connection.execute(_LATE, {"since": now - EXPIRES_SECONDS}).all()
    for row in rows:
        connection.execute(
            update(assignments)
            .where(assignments.c.assignment_id == row.assignment_id)
            .values(state="expired", closed=now)
        )
        if row.stage == "first":
            release(connection, row.item_id)


def release(connection: Connection, item_id: str) -> None:
    """One assignment of an item came to nothing: somebody else may have it."""
    connection.execute(
        update(items).where(items.c.item_id == item_id, items.c.given > 0).values(given=items.c.given - 1)
    )


def _turns() -> Select[Any]:
    return select(
        items,
        assignments.c.assignment_id,
        assignments.c.stage,
        assignments.c.shown,
        assignments.c.opened,
        assignments.c.state.label("turn_state"),
    ).join(assignments, assignments.c.item_id == items.c.item_id)


_OPEN = (
    _turns()
    .where(assignments.c.user_id == bindparam("user"), assignments.c.state == "open")
    .where(assignments.c.stage.in_(bindparam("stages", expanding=True)))
    .order_by(assignments.c.given.desc())  # one that was taken back stands before the one begun since
    .limit(1)
)
_ONE = _turns().where(
    assignments.c.assignment_id == bindparam("assignment"), assignments.c.user_id == bindparam("user")
)


def _open_turn(connection: Connection, user_id: int, stages: tuple[Stage, ...]) -> Turn | None:
    row = connection.execute(_OPEN, {"user": user_id, "stages": stages}).first()
    return _turn(row) if row is not None else None


def _turn(row: Row[Any]) -> Turn:
    return Turn(
        row.assignment_id, item_of(row), row.stage, tuple(json.loads(row.shown)), row.turn_state, row.opened
    )
