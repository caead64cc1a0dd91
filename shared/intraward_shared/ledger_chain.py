"""Reading and verifying a ledger without any private key: chain, signatures, rules, receipts.

Rules 7 and 9 of DESIGN.md; what an auditor and the writer share. Bytes or entries in, entries or a named
error out. A chain alone cannot show that its last entries were dropped; a countersigned receipt can
(``check_receipt``), which is why every round brings one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from intraward_shared.errors import ContractError, LedgerError, SignatureError
from intraward_shared.ledger_entry import LEDGER_DOMAIN, NO_PREVIOUS, Kind, LedgerEntry
from intraward_shared.ledger_rules import History
from intraward_shared.protocol import Mechanism, Receipt, from_bytes
from intraward_shared.signing import verify

_RESTORE = "a site's ledger is never mended by hand: keep the file and ask the privacy officer"


class SitePrivacy(NamedTuple):
    """What a ledger's POLICY entries say: constants of the site, and the cap and policy in force now."""

    site: str
    public: str
    policy: str
    lifetime_epsilon: float
    delta: float
    unit: str
    adjacency: str
    simulated: bool


def read_ledger(path: Path | str, public: str | None = None) -> tuple[LedgerEntry, ...]:
    """Read and verify a ledger file.

    Args:
        path: JSONL file, one canonical entry a line.
        public: the site's public key if it is known from elsewhere; else the file's own is taken.

    Raises:
        LedgerError: names the file and the sequence number.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError:
        raise LedgerError(f"{path}: no ledger can be read", remedy="check the path") from None
    try:
        if not data.endswith(b"\n"):
            raise LedgerError(
                "the last line is not whole", remedy="let the site open its ledger, which mends it"
            )
        entries = parse_lines(data)
        verify_chain(entries, public)
    except LedgerError as error:
        raise LedgerError(f"{path}: {error.message}", remedy=error.remedy) from None
    return entries


def parse_lines(data: bytes) -> tuple[LedgerEntry, ...]:
    """Parse whole lines; says nothing yet of chain or signatures."""
    entries = []
    for number, line in enumerate(data.split(b"\n")[:-1]):
        try:
            entries.append(from_bytes(line, LedgerEntry))
        except ContractError:
            raise LedgerError(
                f"ledger entry {number}: not an entry in canonical form", remedy=_RESTORE
            ) from None
    return tuple(entries)


def verify_chain(entries: Sequence[LedgerEntry], public: str | None = None) -> History:
    """Check sequence, hash chain, signatures and rules of all entries.

    Args:
        entries: from the first on.
        public: pinned public key; None takes the one in the first entry.

    Raises:
        LedgerError: names the first entry that is wrong.
    """
    if not entries:
        raise LedgerError("the ledger is empty", remedy="make the site again with init")
    history, previous = History(), NO_PREVIOUS
    for number, entry in enumerate(entries):
        if entry.sequence != number or entry.previous != previous:
            raise LedgerError(
                f"ledger entry {number}: the chain is broken; an entry was dropped, moved or changed",
                remedy=_RESTORE,
            )
        history.add(entry)
        _verify_signature(entry, public or policy_entry(entries[:1]).public)
        previous = entry.hash
    if public is not None and policy_entry(entries).public != public:
        raise LedgerError("the ledger is not signed by the given key", remedy="compare the public keys")
    return history


def _verify_signature(entry: LedgerEntry, public: str) -> None:
    try:
        verify(public, LEDGER_DOMAIN, entry.signed_bytes, entry.signature)
    except SignatureError:
        raise LedgerError(
            f"ledger entry {entry.sequence}: signature does not verify", remedy=_RESTORE
        ) from None


def check_receipt(entries: Sequence[LedgerEntry], receipt: Receipt) -> None:
    """Hold a ledger against one countersigned (sequence, entry).

    Raises:
        LedgerError: the ledger is shorter than, or differs from, what was countersigned.
    """
    if receipt.site != entries[0].site:
        raise LedgerError("the receipt is for another site", remedy="give each ledger its own receipts")
    number = receipt.ledger_sequence
    if not 0 <= number < len(entries):
        raise LedgerError(
            f"ledger ends before entry {number}, which was countersigned: an older copy was put back",
            remedy="restore the newest ledger; until then the site cannot train",
        )
    entry = entries[number]
    named = (entry.hash, entry.plan, entry.run_id, entry.round)
    if named != (receipt.ledger_entry, receipt.plan, receipt.run_id, receipt.round):
        raise LedgerError(
            f"ledger entry {number}: not the entry that was countersigned",
            remedy="restore the newest ledger; until then the site cannot train",
        )


def policy_entry(entries: Sequence[LedgerEntry]) -> SitePrivacy:
    """Site, key, delta, cap and policy digest of a ledger; the newest POLICY entry rules the cap."""
    policies = [entry for entry in entries if entry.kind is Kind.POLICY]
    if not policies or policies[-1].terms is None:
        raise LedgerError("the ledger has no POLICY entry", remedy=_RESTORE)
    last, terms = policies[-1], policies[-1].terms
    return SitePrivacy(
        site=last.site,
        public=terms.public,
        policy=terms.policy,
        lifetime_epsilon=terms.lifetime_epsilon,
        delta=last.delta,
        unit=last.unit,
        adjacency=last.adjacency,
        simulated=last.simulated,
    )


def charged(entries: Sequence[LedgerEntry]) -> tuple[Mechanism, ...]:
    """Everything that was charged, in order; the ledger's epsilon is the epsilon of this."""
    return tuple(slot.mechanism for entry in entries for slot in entry.charges)


def stage_charges(entries: Sequence[LedgerEntry]) -> dict[str, list[Mechanism]]:
    """What was charged, by stage, in the order of first appearance."""
    stages: dict[str, list[Mechanism]] = {}
    for entry in entries:
        for slot in entry.charges:
            stages.setdefault(slot.stage.value, []).append(slot.mechanism)
    return stages


def first_schedule(entries: Sequence[LedgerEntry]) -> LedgerEntry | None:
    """The schedule that was charged before anything else; None when a single plan came first."""
    first = next((entry for entry in entries if entry.charges), None)
    return first if first is not None and first.is_schedule else None
