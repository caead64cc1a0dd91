"""The ledger's head on a second path: what a restored backup of the ledger cannot bring back with it.

DESIGN.md section 6, spending: rollback is detected unless every holder of the head is rolled back too.
After each append {site, sequence, hash of the line} is written to a file on another volume, durably and
signed by the site. The append is acknowledged only when both are on disk, so whatever was done on the
strength of an entry, the second head knows that entry. A crash between the two writes leaves the ledger
ahead in the same chain, which is mended; every other difference is a rollback.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Literal

from pydantic import Field

from intraward_shared.config import Strict
from intraward_shared.durable import write_durably
from intraward_shared.errors import ContractError, LedgerError
from intraward_shared.ledger_entry import LedgerEntry, PolicyTerms
from intraward_shared.protocol import Digest, Name, open_signed, sign_value
from intraward_shared.signing import SigningKey

HEAD_DOMAIN = "intraward/ledger-head/v1"
_WAY_OUT = (
    "restore the newest ledger; if it is lost, the privacy officer signs: intraward-client officer burn"
)
_LOST = (
    "mount its volume or put the file back; if it is lost, the privacy officer signs: "
    "intraward-client officer amend --head-lost"
)


class LedgerHead(Strict):
    """The last entry of a site's ledger, as the second path repeats it."""

    schema_version: Literal[1] = 1
    site: Name
    sequence: int = Field(ge=0)
    entry: Digest


class HeadState(Enum):
    """How a ledger stands to its second head."""

    CURRENT = "it names the last entry"
    BEHIND = "it names an earlier entry, or one that was burned: a crash came between the two writes"
    MISSING = "there is no such file"
    AHEAD = "it names an entry that the ledger does not hold: an older copy was put back"


def entry_at(entries: Sequence[LedgerEntry], sequence: int) -> LedgerEntry | None:
    """The entry with this number; a burned range has none. ``entries`` ascend."""
    index = bisect_left(entries, sequence, key=lambda entry: entry.sequence)
    return entries[index] if index < len(entries) and entries[index].sequence == sequence else None


def is_lost(entries: Sequence[LedgerEntry], sequence: int, entry: str | None) -> bool:
    """Whether a ledger does not hold the entry of that number and hash; an unknown hash is not held."""
    held = entry_at(entries, sequence)
    return held is None or held.hash != entry


def is_burned(entries: Sequence[LedgerEntry], sequence: int, entry: str | None) -> bool:
    """Whether a BURN covers an entry that the ledger does not hold.

    A burn covers what lies between the entry before it and the entry it names, whose hash must be the
    named one. Where the site had gone on past that number, the two lines share an unknown beginning, and
    the burn, which charged a whole lifetime, covers everything up to the named entry.
    """
    for before, after in pairwise(entries):
        burn = after.burn
        if burn is None or sequence > burn.sequence:
            continue
        if sequence == burn.sequence:
            if entry is None or burn.entry is None or entry == burn.entry:
                return True
        elif sequence > before.sequence or burn.sequence <= before.sequence:
            return True
    return False


class SecondHead:
    """The file at the second path of one site's ledger."""

    def __init__(self, path: Path, key: SigningKey) -> None:
        """Bind a path to the site's key; reads and writes nothing."""
        self.path, self._key = path, key

    def __repr__(self) -> str:
        return f"SecondHead({self.path})"

    @classmethod
    def of(cls, terms: PolicyTerms | None, key: SigningKey) -> SecondHead | None:
        """The second head that a ledger's newest terms name; None without one."""
        path = terms.second_path if terms is not None else None
        return cls(Path(path), key) if path is not None else None

    def state(self, entries: Sequence[LedgerEntry]) -> HeadState:
        """How a verified ledger stands to this head.

        Raises:
            LedgerError: the file cannot be read, or is not a head that this site signed.
        """
        head = read_head(self.path, self._key.public)
        return state_of(entries, head)

    def settle(self, entries: Sequence[LedgerEntry]) -> None:
        """Mend a head that a crash left behind.

        Raises:
            LedgerError: it is missing, or names an entry that the ledger does not hold.
        """
        state = self.state(entries)
        if state is HeadState.BEHIND:
            self.write(entries[-1])
        elif state is not HeadState.CURRENT:
            raise self.refusal(state)

    def create(self, first: LedgerEntry) -> None:
        """Write the head of a new ledger; never over a file that is there.

        Raises:
            LedgerError: a file is there already, or it cannot be written.
        """
        if self.path.exists():
            raise LedgerError(
                f"{self.path}: a file is there already",
                remedy="name a file of this site's own in ledger.second_path",
            )
        self.write(first)

    def write(self, last: LedgerEntry) -> None:
        """Write the head durably; its folder stands for a mounted volume and is never made.

        Raises:
            LedgerError: it cannot be written.
        """
        head = LedgerHead(site=last.site, sequence=last.sequence, entry=last.hash)
        try:
            if not self.path.parent.is_dir():
                raise FileNotFoundError
            write_durably(self.path, sign_value(head, HEAD_DOMAIN, self._key))
        except OSError:
            raise LedgerError(
                f"{self.path}: the second head cannot be written",
                remedy="mount or free its volume, then start the site again; it goes on from its ledger",
            ) from None

    def refusal(self, state: HeadState) -> LedgerError:
        """The error for a state in which nothing may be appended."""
        return head_refusal(self.path, state)


def head_refusal(path: Path, state: HeadState) -> LedgerError:
    """The error for a head at which nothing may be appended: missing, or ahead of the ledger."""
    remedy = _LOST if state is HeadState.MISSING else _WAY_OUT
    return LedgerError(f"second head {path}: {state.value}", remedy=remedy)


def move_head(
    before: SecondHead | None, after: SecondHead | None, entries: Sequence[LedgerEntry]
) -> SecondHead | None:
    """Have the head of an amended ledger in place before the ledger names it.

    A crash in between then leaves a head that is behind, not one that is missing.

    Raises:
        LedgerError: the head at either place is ahead of the ledger, or cannot be read or written.
    """
    for head in (before, after):
        if head is not None and head.state(entries) is HeadState.AHEAD:
            raise head.refusal(HeadState.AHEAD)
    if after is not None:
        after.write(entries[-1])
    return after


def read_head(path: Path, public: str) -> LedgerHead | None:
    """Read and verify a second head; None when there is no file.

    Raises:
        LedgerError: it cannot be read, or this site did not sign it.
    """
    try:
        return open_signed(path.read_bytes(), HEAD_DOMAIN, LedgerHead, public)
    except FileNotFoundError:
        return None
    except (OSError, ContractError):
        raise LedgerError(
            f"{path}: not a second head that this site signed",
            remedy="put the right file back; if it is lost, move this one away and see what is said then",
        ) from None


def state_of(entries: Sequence[LedgerEntry], head: LedgerHead | None) -> HeadState:
    """Compare a verified ledger with its second head.

    Raises:
        LedgerError: the head is another site's.
    """
    if head is None:
        return HeadState.MISSING
    if head.site != entries[0].site:
        raise LedgerError("the second head is another site's", remedy="correct ledger.second_path")
    if is_lost(entries, head.sequence, head.entry):
        burned = is_burned(entries, head.sequence, head.entry)
        return HeadState.BEHIND if burned else HeadState.AHEAD
    return HeadState.CURRENT if head.sequence == entries[-1].sequence else HeadState.BEHIND
