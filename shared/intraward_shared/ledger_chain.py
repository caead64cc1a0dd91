"""Reading and verifying a ledger without any private key: chain, signatures and rules.

Rules 7 and 9 of DESIGN.md; what an auditor and the writer share. Bytes or entries in, entries or a named
error out. A chain alone cannot show that its last entries were dropped; a countersigned receipt
(``ledger_receipts``) and the second head (``ledger_head``) can.

A line that was read is its entry's canonical form, so hash and signature are taken of the line itself:
100,000 entries are verified in the time of their Ed25519 checks and one parse.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from intraward_shared.errors import ContractError, LedgerError, SignatureError
from intraward_shared.ledger_entry import LEDGER_DOMAIN, NO_PREVIOUS, Kind, LedgerEntry
from intraward_shared.ledger_head import is_lost
from intraward_shared.ledger_rules import History, next_sequence
from intraward_shared.protocol import Mechanism, Slot, to_bytes
from intraward_shared.signing import digest, verify

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
"""``canonical_json`` without its search for floats, which an entry's fields cannot hold (a test compares)."""
_SIGNATURE_FIELD = len(',"signature":""') + 128
_RESTORE = "a site's ledger is never mended by hand: keep the file and ask the privacy officer"

BURNED = "burn"
"""Stands for the stage of a burn's charges: nobody knows of which stage the lost rounds were."""
FIGURES = "figure"
"""Stands for the stage of what a figure was charged: no round trained on it."""


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
    officer: str | None = None
    second_path: str | None = None


class VerifiedLedger(tuple[LedgerEntry, ...]):
    """All entries of a ledger, whose chain, signatures and rules were checked; a slice is a plain tuple."""

    history: History

    def __new__(cls, entries: Sequence[LedgerEntry], history: History) -> VerifiedLedger:
        """Internal; ``read_ledger`` makes one."""
        verified = super().__new__(cls, entries)
        verified.history = history
        return verified


def read_ledger(path: Path | str, public: str | None = None) -> VerifiedLedger:
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
        raise LedgerError(
            f"{path}: no ledger can be read", remedy="check the path; one that is lost must be restored"
        ) from None
    return open_ledger(data, path, public)


def open_ledger(data: bytes, place: object, public: str | None = None) -> VerifiedLedger:
    """Verify a ledger's bytes; ``place`` names them in errors.

    Raises:
        LedgerError: as ``read_ledger``.
    """
    try:
        if data and not data.endswith(b"\n"):
            raise LedgerError(
                "the last line is not whole", remedy="let the site open its ledger, which mends it"
            )
        parsed = parse_lines(data)
        history = verify_chain(parsed, public, data.split(b"\n")[:-1])
    except LedgerError as error:
        raise LedgerError(f"{place}: {error.message}", remedy=error.remedy) from None
    return VerifiedLedger(parsed, history)


def parse_lines(data: bytes) -> tuple[LedgerEntry, ...]:
    """Parse whole lines; says nothing yet of chain or signatures."""
    entries = []
    for number, line in enumerate(data.split(b"\n")[:-1]):
        try:
            entries.append(_parse(line))
        except (ValueError, RecursionError, ContractError):
            raise LedgerError(
                f"ledger entry {number}: not an entry in canonical form", remedy=_RESTORE
            ) from None
    return tuple(entries)


def _parse(line: bytes) -> LedgerEntry:
    entry = LedgerEntry.model_validate(json.loads(line.decode("utf-8")))
    if _ENCODER.encode(entry.model_dump(mode="json")).encode() != line:
        raise ContractError("not canonical JSON")
    return entry


def verify_chain(
    entries: Sequence[LedgerEntry], public: str | None = None, lines: Sequence[bytes] | None = None
) -> History:
    """Check sequence, hash chain, signatures and rules of all entries; once is enough for a verified one.

    Args:
        entries: from the first on.
        public: pinned public key; None takes the one in the first entry.
        lines: the canonical line of each entry, where they were just read; else they are made again.

    Raises:
        LedgerError: names the first entry that is wrong.
    """
    if not entries:
        raise LedgerError("the ledger is empty", remedy="restore it; a site that was just made has one entry")
    history = entries.history if isinstance(entries, VerifiedLedger) else _fold(entries, public, lines)
    if public is not None and policy_entry(entries).public != public:
        raise LedgerError("the ledger is not signed by the given key", remedy="compare the public keys")
    return history


def _fold(entries: Sequence[LedgerEntry], public: str | None, lines: Sequence[bytes] | None) -> History:
    history, previous = History(), NO_PREVIOUS
    for number, entry in enumerate(entries):
        if entry.sequence != next_sequence(history.last, entry.burn) or entry.previous != previous:
            raise LedgerError(
                f"ledger entry {number}: the chain is broken; an entry was dropped, moved or changed",
                remedy=_RESTORE,
            )
        if entry.burn is not None and not is_lost(entries[:number], entry.burn.sequence, entry.burn.entry):
            raise LedgerError(
                f"ledger entry {number}: it burns an entry that the ledger holds", remedy=_RESTORE
            )
        history.add(entry)
        signer = public or (history.terms.public if history.terms is not None else "")
        line = to_bytes(entry) if lines is None else lines[number]
        _verify_signature(entry, line, signer)
        previous = digest(line)
    return history


def _verify_signature(entry: LedgerEntry, line: bytes, public: str) -> None:
    try:
        verify(public, LEDGER_DOMAIN, _unsigned(line), entry.signature)
    except SignatureError:
        raise LedgerError(
            f"ledger entry {entry.sequence}: signature does not verify", remedy=_RESTORE
        ) from None


def _unsigned(line: bytes) -> bytes:
    """The bytes that the signature covers: the canonical line without its key, which stands there once."""
    start = line.index(b',"signature":"')
    return line[:start] + line[start + _SIGNATURE_FIELD :]


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
        officer=terms.officer,
        second_path=terms.second_path,
    )


def charged(entries: Sequence[LedgerEntry]) -> tuple[Mechanism, ...]:
    """Everything that was charged, in order; the ledger's epsilon is the epsilon of this."""
    return tuple(slot.mechanism for entry in entries for slot in entry.charges)


def stage_charges(entries: Sequence[LedgerEntry]) -> dict[str, list[Mechanism]]:
    """What was charged, by stage, in the order of first appearance; see ``charged_for``."""
    stages: dict[str, list[Mechanism]] = {}
    for entry in entries:
        for slot in entry.charges:
            stages.setdefault(charged_for(entry, slot), []).append(slot.mechanism)
    return stages


def charged_for(entry: LedgerEntry, slot: Slot) -> str:
    """What a charge was for: a stage, a figure, or lost entries."""
    if entry.kind is Kind.BURN:
        return BURNED
    return FIGURES if entry.figure is not None else slot.stage.value


def first_schedule(entries: Sequence[LedgerEntry]) -> LedgerEntry | None:
    """The schedule that was charged before anything else; None when a single plan came first."""
    first = next((entry for entry in entries if entry.charges), None)
    return first if first is not None and first.is_schedule else None
