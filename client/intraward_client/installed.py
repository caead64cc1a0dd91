"""Released adapters that this hospital took in: verified, kept, tried, and put back to the one before.

Rule 9 of DESIGN.md. An adapter is taken only if the pinned coordinator signed it, every file is as signed,
it is of the pinned base model, and its lineage holds: untouched or paid for, and where this site took part,
released by this very ledger. The copy is what is verified, again at each use. Which one is in use is what
the audit trail says: installing a policy puts it on top, rolling back takes it off; a reward model is kept
beside and never in use. Training never looks here.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from intraward_client.config import SitePolicy
from intraward_client.home import SiteHome
from intraward_client.releases import is_bundle, open_release, revoked_adapters
from intraward_client.trail import Action, TrailEntry, read_trail, record
from intraward_shared.adapters import Array
from intraward_shared.audit_adapter import trace
from intraward_shared.durable import sync_folder, write_durably
from intraward_shared.errors import ConfigError, ContractError
from intraward_shared.signed_adapter import AdapterManifest, read_signed_adapter
from intraward_shared.signing import SigningKey
from intraward_shared.stages import Stage

_DRAFT = ".part"
_TAKEN = (Action.INSTALL, Action.SHELVE)
_SHORTEST = 6


@dataclass(frozen=True)
class Installed:
    """An adapter on this site's shelf; ``in_use`` is the one that is tried if none is named."""

    manifest: AdapterManifest
    folder: Path
    in_use: bool
    since: str
    revoked: bool = False


def check_release(
    folder: Path, home: SiteHome, policy: SitePolicy, ancestors: Path | None = None
) -> AdapterManifest:
    """Verify an adapter folder, or a release bundle, for this site.

    Args:
        folder: signed adapter, or a bundle with one in it.
        ancestors: folder of all adapters of the run; with it the whole ancestry is verified.

    Raises:
        SignatureError: unsigned, or not by the coordinator in the policy.
        DigestError: a file is missing, added or altered.
        ContractError: of another base model, or its lineage does not hold.
        ReleaseRefused: it, or what it descends from, was revoked; or the bundle does not pass.
    """
    if is_bundle(folder):
        folder = open_release(folder, home, policy)
    public = policy.coordinator.public_key
    manifest, _ = read_signed_adapter(folder, public)
    if manifest.base_model != policy.model.sha256:
        raise ContractError(
            f"{folder}: is for another base model than the one pinned in policy.toml, model.sha256",
            remedy="ask the coordinator for the release of your base model",
        )
    rows = trace(manifest, public, ancestors, [home.ledger])
    named = {manifest.digest, *manifest.parents, *(row["adapter"] for row in rows)}
    revoked_adapters(home, public).refuse(named)
    return manifest


def install(
    folder: Path, home: SiteHome, policy: SitePolicy, ancestors: Path | None = None
) -> AdapterManifest:
    """Copy an adapter to the site's shelf, verify the copy, and put it in use if it is a policy.

    A reward model is kept and answers nothing, so it is never in use. Repeating changes nothing.

    Raises:
        ContractError and its kin: as ``check_release``; nothing was taken in.
    """
    if is_bundle(folder):
        folder = open_release(folder, home, policy)
    if not folder.is_dir():
        raise ContractError(f"{folder}: no such adapter folder", remedy="check the path")
    draft = home.adapters / f".incoming{_DRAFT}"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir(parents=True, mode=0o700)
        for path in sorted(folder.iterdir()):
            if not path.is_file():
                raise ContractError(f"{folder}: holds more than files", remedy="fetch the adapter again")
            write_durably(draft / path.name, path.read_bytes())
        try:
            manifest = check_release(draft, home, policy, ancestors)
        except ContractError as error:
            message = error.message.replace(str(draft), str(folder))
            raise type(error)(message, remedy=error.remedy) from None
        target = home.adapters / manifest.digest[:16]
        if target.exists():
            check_release(target, home, policy)
        else:
            draft.rename(target)
            sync_folder(home.adapters)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    key = SigningKey.load(home.signing_key)
    entries = read_trail(home, key.public)
    if manifest.stage is Stage.REWARD:
        if not any(each.action is Action.SHELVE and each.subject == manifest.digest for each in entries):
            record(home, key, Action.SHELVE, manifest.digest)
    elif in_use(entries) != manifest.digest:
        record(home, key, Action.INSTALL, manifest.digest)
    return manifest


def shelf(home: SiteHome, policy: SitePolicy) -> list[Installed]:
    """Every installed adapter, verified again, in the order of their folders.

    Raises:
        ContractError and its kin: one of them was altered, or is not the coordinator's.
    """
    entries = read_trail(home, SigningKey.load(home.signing_key).public)
    now, found = in_use(entries), []
    taken = _taken_back(home, policy)
    for folder in sorted(home.adapters.iterdir()):
        if folder.is_dir() and folder.suffix != _DRAFT:
            manifest, _ = read_signed_adapter(folder, policy.coordinator.public_key)
            times = [e.time for e in entries if e.action in _TAKEN and e.subject == manifest.digest]
            since = times[-1] if times else ""
            found.append(Installed(manifest, folder, manifest.digest == now, since, manifest.digest in taken))
    return found


def rollback(home: SiteHome, policy: SitePolicy) -> Installed | None:
    """Put the adapter before the present one in use, past revoked ones; None: the base model alone again.

    Raises:
        ConfigError: none is in use.
        ContractError and its kin: the one before is gone or was altered; nothing changes.
    """
    key = SigningKey.load(home.signing_key)
    order = _order(read_trail(home, key.public))
    if not order:
        raise ConfigError(home.adapters, "", "no adapter is in use", remedy="intraward-client adapter list")
    taken = _taken_back(home, policy)
    while order:
        before = order[-2] if len(order) > 1 else None
        if before is not None and before not in taken:
            find(home, policy, before)
        record(home, key, Action.ROLLBACK, before)
        order.pop()
        if before not in taken:
            break
    return next((one for one in shelf(home, policy) if one.in_use), None)


def find(home: SiteHome, policy: SitePolicy, name: str | None) -> tuple[AdapterManifest, dict[str, Array]]:
    """An installed adapter by its digest or the beginning of it, or the one in use; verified, with tensors.

    Raises:
        ConfigError: none is in use, or no installed adapter, or more than one, has this name.
        ContractError and its kin: it was altered, or is of another base model.
    """
    if name is None:
        name = in_use(read_trail(home, SigningKey.load(home.signing_key).public))
        if name is None:
            raise ConfigError(home.adapters, "", "no adapter is in use", remedy="install one, or name one")
    folders = [path for path in home.adapters.iterdir() if path.is_dir() and path.name.startswith(name[:16])]
    if len(name) < _SHORTEST or len(folders) != 1:
        raise ConfigError(
            home.adapters,
            "",
            "no installed adapter, or more than one, has this name",
            remedy="intraward-client adapter list shows them; install the release again if it is gone",
        )
    check_release(folders[0], home, policy)
    return read_signed_adapter(folders[0], policy.coordinator.public_key)


def in_use(entries: Sequence[TrailEntry]) -> str | None:
    """Digest of the adapter in use; None for the base model alone."""
    order = _order(entries)
    return order[-1] if order else None


def _taken_back(home: SiteHome, policy: SitePolicy) -> set[str]:
    return {each.adapter for each in revoked_adapters(home, policy.coordinator.public_key).revoked}


def _order(entries: Sequence[TrailEntry]) -> list[str]:
    """Installed and not rolled back, oldest first."""
    order: list[str] = []
    for entry in entries:
        if entry.action is Action.INSTALL and entry.subject is not None:
            order.append(entry.subject)
        elif entry.action is Action.ROLLBACK and order:
            order.pop()
    return order
