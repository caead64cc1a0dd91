"""The site's ledger as the hospital opens it: its policy, its second head and its last receipt must agree.

Rules 3 and 4 of DESIGN.md and section 6, spending: what the policy says of officer and second path
counts only as the ledger records it, and a ledger that lost a countersigned entry is refused, whether the
receipt comes with a request or lies in the site's folder. A receipt that contradicts the ledger refuses its
request and is kept as evidence; it is the coordinator's word alone, so it does not lock the site by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from intraward_client.config import SitePolicy
from intraward_client.home import SiteHome
from intraward_shared.durable import write_durably
from intraward_shared.errors import ConfigError, ContractError, IntrawardError, LedgerError
from intraward_shared.ledger import Ledger, SitePrivacy
from intraward_shared.ledger_chain import VerifiedLedger, policy_entry, read_ledger
from intraward_shared.ledger_entry import LedgerEntry
from intraward_shared.ledger_head import HeadState, head_refusal, read_head, state_of
from intraward_shared.ledger_receipts import check_receipt
from intraward_shared.protocol import RECEIPT_DOMAIN, Receipt, open_signed
from intraward_shared.signing import SigningKey


def open_ledger(home: SiteHome, policy: SitePolicy, key: SigningKey) -> Ledger:
    """Lock and verify the site's ledger for the ward.

    Raises:
        LedgerError: broken, in use, or older than its second head or the last receipt.
        ConfigError: the policy names another site, officer, delta or second path than the ledger.
    """
    ledger = Ledger.open(home.ledger, key)
    try:
        check_terms(home, policy, ledger.privacy)
        check_receipt_on_file(home, policy, ledger.entries)
    except BaseException:
        ledger.close()
        raise
    return ledger


def read_site(home: SiteHome, policy: SitePolicy) -> tuple[VerifiedLedger, IntrawardError | None]:
    """The verified ledger, read only, and why the ward would not start on it; None where it would.

    Raises:
        LedgerError: there is no whole ledger to read.
    """
    entries = read_ledger(home.ledger)
    recorded = policy_entry(entries)
    try:
        check_terms(home, policy, recorded)
        check_receipt_on_file(home, policy, entries)
        if recorded.second_path is not None:
            path = Path(recorded.second_path)
            head = read_head(path, recorded.public)
            if state_of(entries, head) is HeadState.AHEAD:
                entries = read_ledger(home.ledger)  # a ward may have written both since
            state = state_of(entries, head)
            if state not in (HeadState.CURRENT, HeadState.BEHIND):
                raise head_refusal(path, state)
    except IntrawardError as error:
        return entries, error
    return entries, None


def check_terms(home: SiteHome, policy: SitePolicy, recorded: SitePrivacy) -> None:
    """Refuse a policy file whose site, officer, delta or second path is not the ledger's.

    Raises:
        ConfigError: names the key.
    """
    check_constants(home, policy, recorded)
    if (policy.ledger.second_path or None) != recorded.second_path:
        raise ConfigError(
            home.policy,
            "ledger.second_path",
            "not the one that the ledger records",
            remedy="put the old path back, or record the change: intraward-client officer amend",
        )


def check_constants(home: SiteHome, policy: SitePolicy, recorded: SitePrivacy) -> None:
    """Refuse a policy file whose site, officer, delta or simulation is not the ledger's; they never change.

    Raises:
        ConfigError: names the key.
    """
    if policy.site != recorded.site:
        raise ConfigError(
            home.policy, "site", "the ledger is another site's", remedy="put this site's own ledger back"
        )
    if policy.officer_key != recorded.officer:
        raise ConfigError(
            home.policy,
            "officer.public_key",
            "not the one that the ledger records; an officer is named when the site is made, or never",
            remedy="put back what stood there",
        )
    for key, now, was in (
        ("privacy.delta", policy.privacy.delta, recorded.delta),
        ("privacy.unit", policy.privacy.unit, recorded.unit),
        ("privacy.adjacency", policy.privacy.adjacency, recorded.adjacency),
        ("simulation.allowed", policy.simulation.allowed, recorded.simulated),
    ):
        if now != was:
            raise ConfigError(
                home.policy,
                key,
                "not what the ledger records; it is a constant of the site",
                remedy=f"put {str(was).lower()} back",
            )


def check_receipt_on_file(home: SiteHome, policy: SitePolicy, entries: Sequence[LedgerEntry]) -> None:
    """Hold the ledger against the last receipt that this site took.

    Raises:
        LedgerError: the ledger is older than its receipt, or the receipt is not the coordinator's.
    """
    receipt = _on_file(home, policy)
    if receipt is not None:
        check_receipt(entries, receipt)


def take_receipt(home: SiteHome, policy: SitePolicy, ledger: Ledger, data: bytes) -> None:
    """Check a receipt that came with a request, and keep it if it is the newest.

    Raises:
        ContractError, SignatureError: not a receipt of the pinned coordinator for this site.
        LedgerError: the ledger does not bear it out; the receipt is kept as evidence.
    """
    receipt = open_signed(data, RECEIPT_DOMAIN, Receipt, policy.coordinator.public_key)
    if receipt.site != policy.site:
        raise ContractError("the receipt is for another site")
    try:
        ledger.check_receipt(receipt)
    except LedgerError:
        write_durably(home.refused_receipt, data)
        raise
    newest = _on_file(home, policy)
    if newest is None or receipt.ledger_sequence > newest.ledger_sequence:
        write_durably(home.receipt, data)


def _on_file(home: SiteHome, policy: SitePolicy) -> Receipt | None:
    try:
        return open_signed(home.receipt.read_bytes(), RECEIPT_DOMAIN, Receipt, policy.coordinator.public_key)
    except FileNotFoundError:
        return None
    except (OSError, ContractError):
        raise LedgerError(
            f"{home.receipt}: not a receipt of the coordinator in policy.toml",
            remedy="restore it; if the coordinator's key changed, move the file away by your own decision",
        ) from None
