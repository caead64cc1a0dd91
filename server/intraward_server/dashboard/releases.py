"""Release bundles and revoked adapters for the pages: what was released, and what every gate said of it.

Rule 9 of DESIGN.md: the gates' results are shown only where the release's signed list names their digest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intraward_server.decisions import decisions
from intraward_server.home import ServerHome
from intraward_shared.errors import IntrawardError
from intraward_shared.release import RELEASE_FILE, RESULTS, read_release
from intraward_shared.revocation import read_revocations
from intraward_shared.signing import digest


@dataclass(frozen=True)
class GateView:
    """One gate as it was judged at release."""

    name: str
    status: str
    veto: bool
    asked: str
    measured: str
    where: str


@dataclass(frozen=True)
class ReleaseView:
    """One release bundle; ``in_force`` is the one that the coordinator stands for now."""

    number: int
    time: str
    adapter: str
    in_force: bool
    gates: tuple[GateView, ...]


def read_releases(home: ServerHome, public: str, problems: list[str]) -> tuple[ReleaseView, ...]:
    """Bundles, newest first; what cannot be verified is added to ``problems`` and left out."""
    folders = [path for path in home.releases.glob("*") if path.name.isdigit()]
    current = home.release.read_bytes() if home.release.exists() else b""
    found = []
    for folder in sorted(folders, key=lambda path: -int(path.name)):
        try:
            found.append(_release(folder, public, current))
        except IntrawardError as error:
            problems.append(error.message)
        except (OSError, ValueError, KeyError, TypeError):
            problems.append(f"{folder / RESULTS}: is not what the release signed")
    return tuple(found)


def revoked_adapters(home: ServerHome, public: str, problems: list[str]) -> dict[str, str]:
    """When and why, by digest of the adapter."""
    if not home.revoked.exists():
        return {}
    try:
        listed = read_revocations(home.revoked.read_bytes(), public, home.revoked)
    except IntrawardError as error:
        problems.append(error.message)
        return {}
    return {each.adapter: f"{each.time}: {each.reason}" for each in listed.revoked}


def decided_on(home: ServerHome, public: str, problems: list[str]) -> dict[str, tuple[str, ...]]:
    """What hospitals decided, by digest of the adapter; a kept file that was changed is a problem."""
    found: dict[str, tuple[str, ...]] = {}
    try:
        for each in decisions(home, public):
            said = f"{each.site}: {each.verdict.value} ({each.reason.value}), {each.time}"
            found[each.adapter] = (*found.get(each.adapter, ()), said)
    except IntrawardError as error:
        problems.append(error.message)
    return found


def _release(folder: Path, public: str, current: bytes) -> ReleaseView:
    value = read_release(folder / RELEASE_FILE, public)
    results = (folder / RESULTS).read_bytes()
    if digest(results) != value.files.get(RESULTS):
        raise ValueError("the results were changed after signing")
    gates = tuple(_gate(row) for row in json.loads(results)["gates"])
    in_force = (folder / RELEASE_FILE).read_bytes() == current
    return ReleaseView(value.number, value.time, value.adapter, in_force, gates)


def _gate(row: dict[str, Any]) -> GateView:
    measured, item = row["measured"], row["item"]
    shown = f"{measured:.4g}" if isinstance(measured, float) else str(measured).lower()
    shown = "no such figure" if measured is None else shown
    return GateView(
        name=row["name"],
        status=row["status"],
        veto=row["veto"],
        asked=row["asked"],
        measured=f"{shown} ({item})" if item else shown,
        where=row["where"],
    )
