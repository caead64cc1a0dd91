"""A ledger held against the coordinator's countersigned receipts: what a chain alone cannot show.

DESIGN.md section 6, spending: the coordinator countersigns (sequence, entry) each round, so a restored
backup is noticed and refused. A receipt names the RESERVE that paid for an update it admitted. RELEASE is
on disk before bytes leave, so a countersigned round must be RELEASEd, and a cut-off last RELEASE shows.
What it cannot say is *which* bytes: ``Receipt.update`` is the digest of the whole sealed update, signature
included, while RELEASE names the digest of the tensors in it, and neither follows from the other without
the bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from intraward_shared.errors import LedgerError
from intraward_shared.ledger_entry import Kind, LedgerEntry
from intraward_shared.ledger_head import entry_at, is_burned
from intraward_shared.protocol import Receipt

MAX_RECEIPT_BYTES = 10_000
_WAY_OUT = (
    "restore the newest ledger; if it is lost, the privacy officer signs: "
    "intraward-client officer burn --receipt FILE; until then the site cannot train"
)


class Lost(NamedTuple):
    """The highest entry that a receipt proves to have been there and that the ledger does not hold.

    ``entry`` is its hash; None for the RELEASE of a countersigned round, of which only the number is known.
    """

    sequence: int
    entry: str | None


def check_receipt(entries: Sequence[LedgerEntry], receipt: Receipt) -> bool:
    """Hold a verified ledger against one countersigned (sequence, entry).

    Returns:
        True when the ledger holds the round; False when a BURN has charged for its loss.

    Raises:
        LedgerError: the ledger is shorter than, or differs from, what was countersigned.
    """
    lost = lost_by(entries, receipt)
    if lost is None:
        return True
    if is_burned(entries, lost.sequence, lost.entry):
        return False
    if lost.entry is None:
        problem = f"ledger entry {receipt.ledger_sequence}: its round was countersigned but is not RELEASEd"
    elif lost.sequence > entries[-1].sequence:
        problem = f"ledger ends before entry {lost.sequence}, which was countersigned"
    else:
        problem = f"ledger entry {lost.sequence}: not the entry that was countersigned"
    raise LedgerError(f"{problem}: an older copy was put back, or lines were cut off", remedy=_WAY_OUT)


def lost_by(entries: Sequence[LedgerEntry], receipt: Receipt) -> Lost | None:
    """What a receipt shows to be missing, burned or not; None when the ledger holds the round.

    Raises:
        LedgerError: the receipt is another site's, or names no entry at all.
    """
    if receipt.site != entries[0].site:
        raise LedgerError("the receipt is for another site", remedy="give each ledger its own receipts")
    if receipt.ledger_sequence < 0:
        raise LedgerError("the receipt names no ledger entry", remedy="ask the coordinator for its receipt")
    entry = entry_at(entries, receipt.ledger_sequence)
    named = (receipt.ledger_entry, receipt.plan, receipt.run_id, receipt.round)
    if entry is None or named != (entry.hash, entry.plan, entry.run_id, entry.round):
        return Lost(receipt.ledger_sequence, receipt.ledger_entry)
    return None if _released(entries, entry) else Lost(receipt.ledger_sequence + 1, None)


def _released(entries: Sequence[LedgerEntry], reserve: LedgerEntry) -> bool:
    start = bisect_left(entries, reserve.sequence, key=lambda entry: entry.sequence)
    for index in range(start + 1, len(entries)):
        if entries[index].plan == reserve.plan:
            return entries[index].kind is Kind.RELEASE
    return False
