"""Accounts of the station: who may come in, in which role, and for how long a wrong password locks one out.

Passwords are argon2id (argon2-cffi's own parameters, renewed at login when those change). After five wrong
ones the account is locked, for a minute, then twice as long each time, at most an hour. An unknown name costs
the same time as a known one, and both are answered alike.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from typing import get_args

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, Row, insert, select, update

from intraward_client.labeling.schema import sessions, users
from intraward_client.labeling.terms import Role
from intraward_shared.errors import LabelError

SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 256
_NAME = re.compile(r"[^\W_][\w .@+'\\-]{0,99}")
"""Letters of any script; nothing that means something to a page, a shell or a log."""
FREE_FAILURES = 5
_FIRST_LOCK, _LONGEST_LOCK = 60.0, 3600.0
_HASHER = PasswordHasher()
_NOBODYS = _HASHER.hash("nobody's password, checked so that an unknown name takes as long")


@dataclass(frozen=True, slots=True)
class Account:
    """One account; ``qualified``: when the course was passed, seconds since 1970."""

    user_id: int
    name: str
    role: Role
    disabled: bool
    locked_until: float
    specialties: tuple[str, ...]
    qualified: float | None


def hash_password(password: str) -> str:
    """The argon2id hash of a new password; takes tens of milliseconds on purpose.

    Raises:
        LabelError: too short, or too long to hash.
    """
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise LabelError(
            f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters",
            remedy="choose a longer one, for instance four unrelated words",
        )
    return _HASHER.hash(password)


def add(
    connection: Connection,
    name: str,
    role: Role,
    password_hash: str | None,
    specialties: tuple[str, ...] = (),
    now: float = 0.0,
) -> Account:
    """Make an account; ``password_hash`` None where the proxy logs people in.

    Raises:
        LabelError: the name is taken or no name, or the role is unknown.
    """
    if not _NAME.fullmatch(name) or name != name.strip():
        raise LabelError(
            "an account's name is 1 to 100 letters, digits, spaces or . - _ @ + ' \\, letter or digit first",
            remedy="for instance dr.lee, or lee@example.org",
        )
    if role not in get_args(Role):
        raise LabelError("this role is not known", remedy=f"use one of {', '.join(get_args(Role))}")
    if find(connection, name) is not None:
        raise LabelError("there is an account of this name", remedy="use reset or disable, or another name")
    connection.execute(
        insert(users).values(
            name=folded(name),
            role=role,
            password=password_hash,
            disabled=False,
            failures=0,
            locked_until=0.0,
            specialties=json.dumps(sorted(specialties)),
            qualified=None,
            created=now,
        )
    )
    made = find(connection, name)
    assert made is not None
    return made


def folded(name: str) -> str:
    """The one spelling of an account's name."""
    return unicodedata.normalize("NFC", name).casefold()


def find(connection: Connection, name: str) -> Account | None:
    """The account of a name, in any case of letters."""
    row = connection.execute(select(users).where(users.c.name == folded(name))).first()
    return account_of(row) if row else None


def by_id(connection: Connection, user_id: int) -> Account | None:
    """The account of an id."""
    row = connection.execute(select(users).where(users.c.user_id == user_id)).first()
    return account_of(row) if row else None


def listing(connection: Connection) -> tuple[Account, ...]:
    """Every account, by name."""
    return tuple(map(account_of, connection.execute(select(users).order_by(users.c.name)).all()))


def stored_hash(connection: Connection, name: str) -> str | None:
    """The password hash to check against; None where there is no account or no password."""
    return connection.execute(select(users.c.password).where(users.c.name == folded(name))).scalar()


def matches(stored: str | None, password: str) -> bool:
    """Whether a password is right; takes as long where there is nothing to compare with."""
    try:
        return _HASHER.verify(stored or _NOBODYS, password[:LONGEST_PASSWORD]) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def outdated(stored: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _HASHER.check_needs_rehash(stored)


def note_failure(connection: Connection, account: Account, now: float) -> float:
    """Count a wrong password; returns the time until which the account is locked (0: not yet)."""
    query = select(users.c.failures).where(users.c.user_id == account.user_id)
    failures = int(connection.execute(query).scalar_one()) + 1
    over = failures - FREE_FAILURES
    until = now + min(_LONGEST_LOCK, _FIRST_LOCK * 2.0 ** min(over, 10)) if over >= 0 else 0.0
    _set(connection, account.user_id, failures=failures, locked_until=until)
    return until


def note_success(connection: Connection, account: Account, renewed: str | None = None) -> None:
    """Forget earlier failures; ``renewed`` a hash with today's parameters."""
    _set(connection, account.user_id, failures=0, locked_until=0.0)
    if renewed is not None:
        _set(connection, account.user_id, password=renewed)


def set_disabled(connection: Connection, account: Account, disabled: bool, now: float) -> None:
    """Lock an account out, its sessions too, or let it in again."""
    _set(connection, account.user_id, disabled=disabled)
    if disabled:
        _end_sessions(connection, account.user_id, now)


def reset(connection: Connection, account: Account, password_hash: str, now: float) -> None:
    """Give an account a new password; its sessions end."""
    _set(connection, account.user_id, password=password_hash, failures=0, locked_until=0.0)
    _end_sessions(connection, account.user_id, now)


def set_role(connection: Connection, account: Account, role: Role, now: float) -> None:
    """Change a role; the account's sessions end, so that no page of the old role is open."""
    _set(connection, account.user_id, role=role)
    _end_sessions(connection, account.user_id, now)


def set_qualified(connection: Connection, user_id: int, when: float | None) -> None:
    """The course was passed, or must be taken again."""
    _set(connection, user_id, qualified=when)


def _set(connection: Connection, user_id: int, **values: object) -> None:
    connection.execute(update(users).where(users.c.user_id == user_id).values(**values))


def _end_sessions(connection: Connection, user_id: int, now: float) -> None:
    query = update(sessions).where(sessions.c.user_id == user_id, sessions.c.ended.is_(None))
    connection.execute(query.values(ended=now))


def account_of(row: Row[tuple[object, ...]]) -> Account:
    """An account from its row."""
    return Account(
        row.user_id,
        row.name,
        row.role,
        row.disabled,
        row.locked_until,
        tuple(json.loads(row.specialties)),
        row.qualified,
    )
