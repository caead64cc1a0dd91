"""The node's audit trail: what people did to it, one signed line each, chained like the ledger.

Pausing, leaving, adapters and keys: whatever changes how the node behaves and is no round. A line says
when, which account, what, and of which artefact by digest; a reason where a person gave one. No text of a
record, no patient, no count. The file never leaves. A torn last line, which nobody was told of, is cut off;
anything else that does not verify is refused.
"""

from __future__ import annotations

import fcntl
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from intraward_client.home import SiteHome
from intraward_shared.config import Strict
from intraward_shared.durable import sync_folder
from intraward_shared.errors import ConfigError, ContractError
from intraward_shared.ledger_entry import NO_PREVIOUS, Time
from intraward_shared.protocol import Digest, open_signed, sign_value
from intraward_shared.signing import SigningKey, digest

TRAIL_DOMAIN = "intraward/trail/v1"
MOST_REASON = 200
_RESTORE = "restore the file from your backup; until then no plan is taken"


class Action(StrEnum):
    """What was done."""

    PAUSE = "pause"
    RESUME = "resume"
    LEAVE = "leave"
    INSTALL = "adapter-install"
    SHELVE = "adapter-shelve"
    ROLLBACK = "adapter-rollback"
    ROTATE = "keys-rotate"
    DECIDE = "decide"
    FIGURE = "figure"


class TrailEntry(Strict):
    """One line. ``subject`` is the digest of what it was done with, if anything."""

    sequence: int = Field(ge=0)
    previous: Digest
    time: Time
    user: str
    action: Action
    subject: Digest | None = None
    reason: Annotated[str, StringConstraints(max_length=MOST_REASON)] = ""


def read_trail(home: SiteHome, public: str) -> tuple[TrailEntry, ...]:
    """Every entry, verified; none where nothing was ever done.

    Raises:
        ConfigError: the file cannot be read, or was changed.
    """
    try:
        data = home.trail.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError:
        raise ConfigError(home.trail, "", "the audit trail cannot be read", remedy=_RESTORE) from None
    return _verified(home.trail, data, public)[0]


def record(
    home: SiteHome, key: SigningKey, action: Action, subject: str | None = None, reason: str = ""
) -> TrailEntry:
    """Append an entry; it is on disk when this returns.

    Raises:
        ConfigError: the file was changed, cannot be written, or the reason is too long.
    """
    if len(reason) > MOST_REASON or not reason.isprintable():
        raise ConfigError("--reason", "", f"one line of at most {MOST_REASON} characters, please")
    try:
        with _locked(home.trail) as handle:
            data = home.trail.read_bytes()
            entries, whole = _verified(home.trail, data, key.public)
            os.ftruncate(handle, whole)
            entry = TrailEntry(
                sequence=len(entries),
                previous=digest(data[:whole].splitlines()[-1]) if entries else NO_PREVIOUS,
                time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                user=current_user(),
                action=action,
                subject=subject,
                reason=reason,
            )
            _append(handle, sign_value(entry, TRAIL_DOMAIN, key) + b"\n")
        sync_folder(home.trail.parent)
    except OSError:
        raise ConfigError(
            home.trail, "", "the audit trail cannot be written", remedy="free the disk, and try again"
        ) from None
    return entry


def current_user() -> str:
    """The account that acts, from the system and not from the environment."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _verified(path: Path, data: bytes, public: str) -> tuple[tuple[TrailEntry, ...], int]:
    """Entries, and the length of the file without a torn last line."""
    whole = data.rfind(b"\n") + 1
    entries: list[TrailEntry] = []
    previous = NO_PREVIOUS
    for number, line in enumerate(data[:whole].splitlines(), start=1):
        try:
            entry = open_signed(line, TRAIL_DOMAIN, TrailEntry, public)
        except ContractError:
            entry = None
        if entry is None or (entry.sequence, entry.previous) != (number - 1, previous):
            raise ConfigError(path, "", f"line {number} was changed after it was written", remedy=_RESTORE)
        entries.append(entry)
        previous = digest(line)
    return tuple(entries), whole


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _append(handle: int, line: bytes) -> None:
    view = memoryview(line)
    while view:
        view = view[os.write(handle, view) :]
    os.fsync(handle)
