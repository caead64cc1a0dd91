"""What only the privacy officer can do: change the recorded terms, and charge for lost ledger entries.

DESIGN.md rules 3 and 4 and section 6, spending. The officer's key is a file of the officer's own, kept off
the site; each act is one ledger entry, signed by both, at its own place in the chain, so that it can be
neither repeated nor moved. ``ledger_rules`` holds what may be signed, ``ledger_burn`` what is charged.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

from intraward_client.config import PrivacyTerms, SitePolicy, load_policy
from intraward_client.home import SiteHome
from intraward_client.initialise import policy_digest
from intraward_client.site_ledger import check_constants
from intraward_shared.brought import read_brought
from intraward_shared.errors import ConfigError, ContractError, LedgerError
from intraward_shared.ledger import Ledger, LedgerEntry, SitePrivacy
from intraward_shared.ledger_burn import charge_for
from intraward_shared.ledger_entry import Burn
from intraward_shared.ledger_head import HeadState, read_head, state_of
from intraward_shared.ledger_receipts import MAX_RECEIPT_BYTES, check_receipt, lost_by
from intraward_shared.protocol import RECEIPT_DOMAIN, Mechanism, Receipt, open_signed
from intraward_shared.signing import SigningKey

_MOST_STEPS = 100_000
"""No plan can ask for more (``Mechanism.steps``)."""


def make_officer_key(path: Path) -> str:
    """Make an officer's key pair file, mode 0600, never over another; returns the public key.

    Raises:
        ConfigError: the file is there already, its folder is not, or it cannot be written.
    """
    if not path.parent.is_dir():
        raise ConfigError(path.parent, "", "no such folder", remedy="mount the officer's medium, or make it")
    key = SigningKey.generate()
    try:
        key.save(path)
    except FileExistsError:
        raise ConfigError(path, "", "a file is there already", remedy="choose another name") from None
    except OSError:
        raise ConfigError(path, "", "cannot be written", remedy="check folder and disk") from None
    return key.public


def amend(home: SiteHome, key_file: Path | None, *, head_lost: bool = False, time: str) -> LedgerEntry | None:
    """Record the policy file's cap, privacy terms and second path as a POLICY entry.

    Args:
        home: the site; its ward must be stopped.
        key_file: the officer's key; not needed to lower the cap.
        head_lost: the officer declares that the second head's file is lost, and the ledger the newest.
        time: ``YYYY-MM-DDTHH:MM:SSZ``.

    Returns:
        The entry; None when the ledger records these very terms already.

    Raises:
        ConfigError: the policy changes what never changes, or the key is not the officer's.
        LedgerError: the officer's signature is needed, or the ledger cannot be opened.
    """
    policy, site_key = load_policy(home.policy), SigningKey.load(home.signing_key)
    with closing(Ledger.open(home.ledger, site_key, for_officer=head_lost)) as ledger:
        recorded, cap = ledger.privacy, policy.privacy.lifetime_epsilon
        check_constants(home, policy, recorded)
        moved = policy.ledger.second_path != recorded.second_path
        if (policy_digest(policy), cap) == (recorded.policy, recorded.lifetime_epsilon) and not (
            moved or head_lost
        ):
            return None
        officer = _officer(key_file, recorded) if key_file is not None else None
        if officer is None and (cap > recorded.lifetime_epsilon or moved or head_lost):
            raise _needs_officer(recorded)
        return ledger.amend_policy(
            policy_digest(policy), cap, time, second_path=policy.second_path, officer=officer
        )


def prepare_burn(policy: SitePolicy, ledger: Ledger, site_key: SigningKey, receipts: list[Receipt]) -> Burn:
    """What a burn would say: the highest lost entry that second head and receipts prove, and its charge.

    Lost rounds are counted at the policy's weakest mechanism only if the policy file is the one that the
    ledger records; a file that was changed since could make them cheap, so a whole lifetime is charged.

    Raises:
        LedgerError: nothing is lost.
    """
    entries, recorded = ledger.entries, ledger.privacy
    found: list[tuple[int, str, str | None]] = []
    for receipt in receipts:
        lost = lost_by(entries, receipt)
        if lost is not None and not _passes(entries, receipt):
            found.append((lost.sequence, "receipt", lost.entry))
    for path in {recorded.second_path, policy.ledger.second_path} - {None}:
        head = read_head(Path(str(path)), site_key.public)
        if state_of(entries, head) is HeadState.AHEAD and head is not None:
            found.append((head.sequence, "second_head", head.entry))
    if not found:
        raise LedgerError(
            "nothing is lost: the ledger holds what second head and receipts name",
            remedy="nothing to do if the site is not locked (doctor says so); else give the coordinator's "
            "newest receipt with --receipt",
        )
    sequence, evidence, entry = max(found, key=lambda item: item[:2])  # on a tie the second head
    worst = worst_mechanism(policy.privacy)
    counted = evidence == "second_head" and policy_digest(policy) == recorded.policy
    cap = max(recorded.lifetime_epsilon, policy.privacy.lifetime_epsilon)
    mechanism, rounds = charge_for(
        worst, ledger.head[0], sequence, counted=counted, cap=cap, delta=recorded.delta
    )
    return Burn.model_validate(
        {"sequence": sequence, "entry": entry, "evidence": evidence, "rounds": rounds, "mechanism": mechanism}
    )


def burn(
    home: SiteHome, key_file: Path, receipt: Path | None, *, dry_run: bool = False, time: str
) -> tuple[Burn, int, LedgerEntry | None]:
    """Charge for lost entries and unlock the site.

    Args:
        home: the site; its ward must be stopped.
        key_file: the officer's key.
        receipt: a receipt of the coordinator, beside the one on file and the second head.
        dry_run: only say what would be charged.
        time: ``YYYY-MM-DDTHH:MM:SSZ``.

    Returns:
        What the entry says, the last entry before the gap, and the entry (None in a dry run).

    Raises:
        ConfigError: the key is not the officer's, or the receipt cannot be read.
        LedgerError: nothing is lost, no officer is named, or the ledger cannot be opened.
    """
    policy, site_key = load_policy(home.policy), SigningKey.load(home.signing_key)
    with closing(Ledger.open(home.ledger, site_key, for_officer=True)) as ledger:
        check_constants(home, policy, ledger.privacy)
        officer = _officer(key_file, ledger.privacy)
        files = [path for path in (home.receipt, receipt) if path is not None]
        receipts = [_receipt(path, policy) for path in files if path is receipt or path.exists()]
        last = ledger.head[0]
        said = prepare_burn(policy, ledger, site_key, receipts)
        return said, last, None if dry_run else ledger.burn(said, time, officer)


def worst_mechanism(terms: PrivacyTerms) -> Mechanism:
    """One round as weak as the policy lets any plan be; it dominates every round that the site ran."""
    return Mechanism(
        sample_rate=terms.max_sample_rate,
        noise_multiplier=min(terms.min_noise_multiplier, 1000.0),
        max_grad_norm=1.0,
        steps=min(terms.max_steps_per_round, _MOST_STEPS),
        nominal_batch=1,
        max_records_per_unit=terms.max_records_per_patient,
    )


def _passes(entries: tuple[LedgerEntry, ...], receipt: Receipt) -> bool:
    try:
        check_receipt(entries, receipt)
    except LedgerError:
        return False
    return True


def _officer(path: Path, recorded: SitePrivacy) -> SigningKey:
    if recorded.officer is None:
        raise _needs_officer(recorded)
    if not os.access(path, os.R_OK):
        raise ConfigError(
            path,
            "",
            "the officer's key cannot be read",
            remedy="check the path, and mount the officer's medium",
        )
    key = SigningKey.load(path)
    if key.public != recorded.officer:
        raise ConfigError(path, "", "not the key of the officer whom the ledger names", remedy="use that key")
    return key


def _needs_officer(recorded: SitePrivacy) -> LedgerError:
    if recorded.officer is None:
        return LedgerError(
            "the ledger names no privacy officer: its cap can only be lowered, and a gap not be burned",
            remedy="name an officer (policy.toml, officer.public_key) when a site is made",
        )
    return LedgerError(
        "a higher cap, another second path and a lost second head need the privacy officer",
        remedy="give the officer's key file with --key",
    )


def _receipt(path: Path, policy: SitePolicy) -> Receipt:
    public = policy.coordinator.public_key
    try:
        return open_signed(read_brought(path, MAX_RECEIPT_BYTES), RECEIPT_DOMAIN, Receipt, public)
    except OSError:
        raise ConfigError(path, "", "cannot be read", remedy="check path and permissions") from None
    except ContractError:
        raise ConfigError(
            path, "", "not a receipt of the coordinator in policy.toml", remedy="ask for its receipt"
        ) from None
