"""Countersigned receipts in a folder, held against a ledger: what a chain alone cannot show.

DESIGN.md section 6, spending: rollback is detected unless every holder of the head is rolled back too.
The coordinator keeps ``receipts/<site>/<round>.json``; any layout of ``*.json`` below the folder will do, but
what lies in a site's own folder must be that site's. A release without a receipt is no proof of anything (its
round may have failed after the bytes had left), and neither is a missing file: both are named.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from intraward_shared.brought import read_brought
from intraward_shared.errors import ConfigError, ContractError, LedgerError
from intraward_shared.ledger_entry import Kind, LedgerEntry
from intraward_shared.ledger_receipts import MAX_RECEIPT_BYTES, check_receipt
from intraward_shared.protocol import RECEIPT_DOMAIN, Receipt, open_signed

_ASK_SITE = "ask the site for its newest ledger; if that is lost, its privacy officer must sign a burn"


class ReceiptCount(NamedTuple):
    """Receipts of one site: whose rounds the ledger holds, and whose a BURN has charged for.

    ``releases`` are the ledger's, ``missing`` those that no receipt names ("round 3").
    """

    held: int
    burned: int
    releases: int
    missing: tuple[str, ...]


def check_receipts(entries: Sequence[LedgerEntry], folder: Path, public: str) -> ReceiptCount:
    """Hold a ledger against every receipt of its site.

    Args:
        entries: a verified ledger.
        folder: receipts of any sites.
        public: public key (hex) of the coordinator that signed them.

    Raises:
        LedgerError: the ledger is older than, or differs from, a receipt.
        SignatureError, ContractError: a file is no receipt of that coordinator, or lies in another site's
            folder; names the file.
    """
    if not folder.is_dir():
        raise ConfigError(folder, "", "no such folder", remedy="give the coordinator's receipts folder")
    site = entries[0].site
    counted: dict[bool, set[tuple[int, str]]] = {True: set(), False: set()}
    for path in sorted(folder.rglob("*.json")):
        receipt = _read(path, public)
        if receipt.site != site:
            if path.parent == folder / site:
                raise ContractError(
                    f"{path}: a receipt of {receipt.site} in the folder of {site}",
                    remedy="ask the coordinator for this site's own receipt of that round",
                )
            continue
        held = _held(entries, receipt, path)
        counted[held].add((receipt.ledger_sequence, receipt.ledger_entry))
    seen = {sequence for sequence, _ in counted[True]}
    released = _released(entries)
    missing = tuple(name for sequence, name in released if sequence not in seen)
    return ReceiptCount(len(counted[True]), len(counted[False]), len(released), missing)


def receipt_sites(folder: Path) -> set[str]:
    """Names of the sites' folders below the coordinator's receipts, those that hold a file."""
    return {path.parent.name for path in folder.glob("*/*.json")}


def _held(entries: Sequence[LedgerEntry], receipt: Receipt, path: Path) -> bool:
    try:
        return check_receipt(entries, receipt)
    except LedgerError as error:
        raise LedgerError(f"{error.message} (receipt {path})", remedy=_ASK_SITE) from None


def _released(entries: Sequence[LedgerEntry]) -> list[tuple[int, str]]:
    """Number of the RESERVE and name of the round of each RELEASE."""
    reserves: dict[tuple[str | None, int | None], LedgerEntry] = {}
    found = []
    runs = {entry.run_id for entry in entries if entry.kind is Kind.RELEASE}
    for entry in entries:
        if entry.kind is Kind.RESERVE and entry.plan is not None:
            reserves[entry.plan, entry.attempt] = entry
        elif entry.kind is Kind.RELEASE and (entry.plan, entry.attempt) in reserves:
            reserve = reserves[entry.plan, entry.attempt]
            run = f" of run {reserve.run_id}" if len(runs) > 1 else ""
            found.append((reserve.sequence, f"round {reserve.round}{run}"))
    return found


def _read(path: Path, public: str) -> Receipt:
    try:
        return open_signed(read_brought(path, MAX_RECEIPT_BYTES), RECEIPT_DOMAIN, Receipt, public)
    except OSError:
        raise ConfigError(path, "", "cannot be read", remedy="check permissions") from None
    except ContractError as error:
        remedy = error.remedy or "keep only receipts in the folder"
        raise type(error)(f"{path}: {error.message}", remedy=remedy) from None
