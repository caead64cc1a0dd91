"""The coordinator's list of revoked adapters, and the way back to an earlier release.

Rule 9 of DESIGN.md. The list is signed as a whole and only grows; every bundle carries it, and a hospital
takes a newer one in with ``intraward-client adapter revoked``.
"""

from __future__ import annotations

from datetime import datetime

from intraward_server.decisions import objections
from intraward_server.home import ServerHome
from intraward_server.registry import Registry
from intraward_shared.durable import write_durably
from intraward_shared.errors import ConfigError, ReleaseRefused
from intraward_shared.protocol import sign_value
from intraward_shared.release import RELEASE_FILE, Release, read_release
from intraward_shared.revocation import REVOCATION_DOMAIN, RevocationList, Revoked, read_revocations
from intraward_shared.signing import SigningKey


def revocations(home: ServerHome, key: SigningKey) -> RevocationList:
    """The signed list; an empty one is signed and written where there is none yet.

    Raises:
        SignatureError, ContractError: the file was changed.
    """
    if not home.revoked.exists():
        write_durably(home.revoked, sign_value(RevocationList(), REVOCATION_DOMAIN, key))
    return read_revocations(home.revoked.read_bytes(), key.public, home.revoked)


def revoke(
    home: ServerHome, key: SigningKey, registry: Registry, name: str, reason: str, now: datetime
) -> str:
    """Add an adapter to the list; returns its digest. One that is there already stays as it is.

    Raises:
        ConfigError: no adapter, or more than one, has this name; or the reason is no single line.
    """
    adapter, before = registry.find(name), revocations(home, key)
    if adapter in {each.adapter for each in before.revoked}:
        return adapter
    if not 1 <= len(reason) <= 300 or not reason.isprintable():
        what = "is not one line of 1 to 300 printable characters"
        raise ConfigError("--reason", "", what, remedy=f"give one; this has {_wrong(reason)}")
    entry = Revoked(adapter=adapter, time=now.strftime("%Y-%m-%dT%H:%M:%SZ"), reason=reason)
    value = RevocationList(revoked=(*before.revoked, entry))
    write_durably(home.revoked, sign_value(value, REVOCATION_DOMAIN, key))
    return adapter


def _wrong(reason: str) -> str:
    """What keeps a text from being a reason."""
    if not reason.isprintable():
        return "a line break, a tab or another control character"
    return f"{len(reason)} characters"


def rollback(home: ServerHome, key: SigningKey) -> Release | None:
    """Put the newest earlier release in force that is neither revoked nor stopped; None if none is left.

    Raises:
        ConfigError: nothing is released.
    """
    from intraward_server.release import bundles

    if not home.release.exists():
        raise ConfigError(home.release, "", "nothing is released", remedy="intraward-server release")
    now, listed = read_release(home.release, key.public), revocations(home, key)
    for number, folder in reversed(bundles(home)):
        if number >= now.number:
            continue
        earlier = read_release(folder / RELEASE_FILE, key.public)
        if not _is_revoked(earlier, listed) and not objections(home, key.public, earlier.adapter):
            write_durably(home.release, (folder / RELEASE_FILE).read_bytes())
            return earlier
    home.release.unlink()
    return None


def in_force(home: ServerHome, key: SigningKey) -> Release | None:
    """The release in force; None without one."""
    return read_release(home.release, key.public) if home.release.exists() else None


def _is_revoked(value: Release, listed: RevocationList) -> bool:
    names = [
        name.removeprefix("lineage/").removesuffix(".json") for name in value.files if "lineage/" in name
    ]
    try:
        listed.refuse([value.adapter, *names])
    except ReleaseRefused:
        return True
    return False
