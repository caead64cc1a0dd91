"""A new hospital node: folder, keys, request, vault, policy and first ledger entry, or nothing at all."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import tomli_w

from intraward_client.config import SitePolicy
from intraward_client.home import SiteHome
from intraward_client.store.vault import Vault
from intraward_shared.durable import write_durably
from intraward_shared.enrolment import make_request
from intraward_shared.errors import ConfigError, LedgerError
from intraward_shared.ledger import Ledger
from intraward_shared.node_key import make_node_key
from intraward_shared.signing import SigningKey, digest


def initialise(
    root: Path, policy: SitePolicy, *, key: SigningKey | None = None, root_key: bytes | None = None, time: str
) -> SiteHome:
    """Make a site folder; a crash on the way leaves no half-made site.

    Args:
        root: folder to make; it must not exist or be empty.
        policy: the hospital's own terms.
        key: signing key; None makes a new one (given only by simulation).
        root_key: the vault's site secret; None draws one (given only by simulation).
        time: time of the ledger's first entry, ``YYYY-MM-DDTHH:MM:SSZ``.

    Raises:
        ConfigError: the folder is already a site, or holds something else.
    """
    if root.exists() and any(root.iterdir()):
        raise ConfigError(
            root, "", "folder is not empty", remedy="choose another --home; a site is never overwritten"
        )
    _check_second_path(policy.second_path)
    root.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
    try:
        home = SiteHome(draft)
        home.make()
        signing = key or SigningKey.generate()
        signing.save(home.signing_key)
        make_node_key(home.node_key, policy.site)
        write_durably(home.enrolment, make_request(policy.site, signing, home.node_key, time))
        Vault.create(home.vault, home.vault_keys, index_key=root_key).close()
        home.policy.write_text(policy_text(policy), encoding="utf-8")
        home.policy.chmod(0o600)
        terms = policy.privacy
        Ledger.create(
            home.ledger,
            signing,
            site=policy.site,
            policy=policy_digest(policy),
            lifetime_epsilon=terms.lifetime_epsilon,
            delta=terms.delta,
            unit=terms.unit,
            adjacency=terms.adjacency,
            simulated=policy.simulation.allowed,
            time=time,
            officer=policy.officer_key,
            second_path=policy.second_path,
        ).close()
        if root.exists():
            root.rmdir()
        draft.rename(root)
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        if policy.second_path is not None:
            policy.second_path.unlink(missing_ok=True)  # ours: it was not there before
        if isinstance(error, LedgerError):  # its remedy is for a site that is there
            remedy = "no site was made; mend it, then run init again"
            raise LedgerError(error.message, remedy=remedy) from None
        if isinstance(error, OSError):
            why = error.strerror or type(error).__name__
            raise ConfigError(
                root, "", f"the site cannot be made here: {why}", remedy="make room, then run init again"
            ) from None
        raise
    return SiteHome(root)


def _check_second_path(path: Path | None) -> None:
    if path is None:
        return
    if not path.parent.is_dir():
        raise ConfigError(
            path.parent,
            "",
            "the folder of ledger.second_path is not there",
            remedy="no site was made; mount its volume, then run init again",
        )
    if path.exists():
        raise ConfigError(
            path,
            "",
            "a file is there already",
            remedy="name a file of this site's own, or delete it if the site that it is of was never used",
        )


def policy_digest(policy: SitePolicy) -> str:
    """Digest of the policy's privacy terms, as the ledger's POLICY entry records it."""
    terms = {"site", "stages", "privacy", "ledger", "officer", "simulation"}
    return digest(tomli_w.dumps(policy.model_dump(mode="json", include=terms, exclude_none=True)).encode())


def policy_text(policy: SitePolicy) -> str:
    """The policy as TOML."""
    return tomli_w.dumps(policy.model_dump(mode="json", exclude_none=True))
