"""Countersigned receipts in a folder, held against a ledger: what a chain alone cannot show.

DESIGN.md section 6, spending: rollback is detected unless every holder of the head is rolled back too.
The coordinator keeps ``receipts/<site>/<round>.json``; any layout of ``*.json`` below the folder will do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from intraward_shared.errors import ConfigError, ContractError
from intraward_shared.ledger_entry import LedgerEntry
from intraward_shared.ledger_receipts import check_receipt
from intraward_shared.protocol import RECEIPT_DOMAIN, Receipt, open_signed


class ReceiptCount(NamedTuple):
    """Receipts of one site: whose rounds the ledger holds, and whose a BURN has charged for."""

    held: int
    burned: int


def check_receipts(entries: Sequence[LedgerEntry], folder: Path, public: str) -> ReceiptCount:
    """Hold a ledger against every receipt of its site.

    Args:
        entries: a verified ledger.
        folder: receipts of any sites.
        public: public key (hex) of the coordinator that signed them.

    Raises:
        LedgerError: the ledger is older than, or differs from, a receipt.
        SignatureError, ContractError: a file is no receipt of that coordinator; names the file.
    """
    if not folder.is_dir():
        raise ConfigError(folder, "", "no such folder", remedy="give the coordinator's receipts folder")
    found = {True: 0, False: 0}
    for path in sorted(folder.rglob("*.json")):
        receipt = _read(path, public)
        if receipt.site == entries[0].site:
            found[check_receipt(entries, receipt)] += 1
    return ReceiptCount(held=found[True], burned=found[False])


def _read(path: Path, public: str) -> Receipt:
    try:
        return open_signed(path.read_bytes(), RECEIPT_DOMAIN, Receipt, public)
    except OSError:
        raise ConfigError(path, "", "cannot be read", remedy="check permissions") from None
    except ContractError as error:
        remedy = error.remedy or "keep only receipts in the folder"
        raise type(error)(f"{path}: {error.message}", remedy=remedy) from None
