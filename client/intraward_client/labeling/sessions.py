"""Sessions: opaque, kept by the server, revocable at once; the cookie's hash is stored, never the cookie.

Facts B.3. A session ends after 15 minutes without a request or 8 hours in all, at logout, and when the
account is disabled, reset or given another role. It is new at every login. The CSRF token follows from the
cookie's value by HMAC, so that nothing more need be stored and the page cannot give the cookie away.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from intraward_client.labeling import accounts
from intraward_client.labeling.accounts import Account
from intraward_client.labeling.schema import sessions, users

IDLE_SECONDS = 15 * 60.0
LONGEST_SECONDS = 8 * 3600.0
COOKIE = "__Host-intraward"
_TOUCH_EVERY = 30.0
"""A session's last request is written down to this many seconds, so that reading pages does not write."""


@dataclass(frozen=True, slots=True, repr=False)
class Session:
    """A live session and its account."""

    token: str
    account: Account
    created: float

    @property
    def csrf(self) -> str:
        """What a form of this session must carry."""
        return csrf_of(self.token)


def csrf_of(token: str) -> str:
    """The CSRF token that belongs to a cookie's value."""
    return hmac.new(token.encode(), b"intraward csrf", hashlib.sha256).hexdigest()


def csrf_fits(token: str, given: str) -> bool:
    """Whether a form was made for this cookie."""
    return hmac.compare_digest(csrf_of(token), given)


def begin(connection: Connection, account: Account, now: float) -> str:
    """A new session; returns the cookie's value, which is nowhere stored."""
    token = secrets.token_urlsafe(32)
    connection.execute(
        insert(sessions).values(token_sha256=_hash(token), user_id=account.user_id, created=now, seen=now)
    )
    return token


_LIVE = (
    select(sessions.c.created.label("begun"), sessions.c.seen, users)
    .join(users)
    .where(
        sessions.c.token_sha256 == bindparam("token"),
        sessions.c.ended.is_(None),
        users.c.disabled.is_(False),
    )
)


def live(connection: Connection, token: str, now: float) -> tuple[Session, bool] | None:
    """The session of a cookie, and whether `touch` is due; None where it is over or was never there."""
    row = connection.execute(_LIVE, {"token": _hash(token)}).first()
    if row is None or now - row.seen > IDLE_SECONDS or now - row.begun > LONGEST_SECONDS:
        return None
    return Session(token, accounts.account_of(row), row.begun), now - row.seen > _TOUCH_EVERY


def touch(connection: Connection, token: str, now: float) -> None:
    """Note that the session is in use."""
    connection.execute(update(sessions).where(sessions.c.token_sha256 == _hash(token)).values(seen=now))


def end(connection: Connection, token: str, now: float) -> None:
    """Log out."""
    connection.execute(update(sessions).where(sessions.c.token_sha256 == _hash(token)).values(ended=now))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
