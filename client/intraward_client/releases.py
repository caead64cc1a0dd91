"""What a hospital asks of a release: the bundle passes an auditor's checks, and nothing in it was revoked.

Rule 9 of DESIGN.md. The newest list of revoked adapters that the site has seen stays in its folder, comes in
with a bundle or by itself, and is never replaced by one that does not begin with it.
"""

from __future__ import annotations

from pathlib import Path

from intraward_client.config import SitePolicy
from intraward_client.home import SiteHome
from intraward_shared.audit_release import verify_release
from intraward_shared.durable import write_durably
from intraward_shared.errors import ReleaseRefused
from intraward_shared.ledger_chain import read_ledger
from intraward_shared.lineage import check_paid
from intraward_shared.release import ADAPTER, RELEASE_FILE, REVOKED, read_release
from intraward_shared.revocation import RevocationList, read_revocations
from intraward_shared.signing import SigningKey


def revoked_adapters(home: SiteHome, public: str) -> RevocationList:
    """The newest list that this site has seen; an empty one before the first.

    Raises:
        SignatureError, ContractError: the file was changed.
    """
    if not home.revoked.exists():
        return RevocationList()
    return read_revocations(home.revoked.read_bytes(), public, home.revoked)


def take_revocations(home: SiteHome, public: str, data: bytes, place: object) -> RevocationList:
    """Keep a newer list; one that this site has already gone past is read, and the newer one stays.

    Raises:
        SignatureError, ContractError: not signed by the coordinator in the policy.
        ReleaseRefused: neither list is the beginning of the other.
    """
    known, given = revoked_adapters(home, public), read_revocations(data, public, place)
    if given.continues(known):
        if given != known:
            write_durably(home.revoked, data)
        return given
    if known.continues(given):
        return known
    raise ReleaseRefused(
        f"{place}: is not the list that this site has seen before, and not a longer one",
        remedy="ask the coordinator why there are two; the list of before stays in force",
    )


def is_bundle(folder: Path) -> bool:
    """Whether a folder is a release bundle rather than an adapter's own."""
    return (folder / RELEASE_FILE).exists()


def open_release(folder: Path, home: SiteHome, policy: SitePolicy) -> Path:
    """The adapter's folder in a bundle, after the whole of it was verified and its list was kept.

    This site's own key and ledger are what its rounds are held against, whatever the bundle says of them.

    Raises:
        IntrawardError: the bundle does not pass; names the check.
    """
    public, own = policy.coordinator.public_key, SigningKey.load(home.signing_key).public
    named = read_release(folder / RELEASE_FILE, public).sites
    found = verify_release(folder, public, {policy.site: own} if policy.site in named else {})
    ledger = read_ledger(home.ledger, own)
    for manifest in found.manifests.values():
        check_paid(manifest, policy.site, ledger)
    taken = take_revocations(home, public, found.bundle.files[REVOKED], folder / REVOKED)
    taken.refuse(found.manifests)
    return folder / ADAPTER
