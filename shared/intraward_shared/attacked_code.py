"""Whether the code that was attacked is that of a release, or the one installed here, as far as can be seen.

DESIGN.md section 7. An attack's result names the hospital's code (``client_code``), a release the
coordinator's (``code``), and no ledger or plan names any. All packages are installed from one source tree:
where the coordinator's code that is installed here is the release's, so is the hospital's beside it, and the
two digests can be compared. Elsewhere only versions can, and that is said; no gate depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from intraward_shared.attack_results import AttackResult
from intraward_shared.release import Release
from intraward_shared.source_code import installed_code

Standing = Literal["same", "other", "unknown"]
CLIENT, SERVER = "intraward_client", "intraward_server"


class Attacked(NamedTuple):
    """Which code one attack was run on."""

    attack: str
    code_version: str
    client_code: str


def attacked(results: Iterable[AttackResult]) -> list[Attacked]:
    """The code of each result."""
    return [Attacked(each.attack, each.code_version, each.client_code) for each in results]


def against_release(tried: Iterable[Attacked], release: Release) -> dict[str, Standing]:
    """How the code of each attack stands to a release's; ``unknown`` where nothing here tells."""
    client = installed_code(CLIENT) if installed_code(SERVER) == release.code else None
    found: dict[str, Standing] = {}
    for attack, version, code in tried:
        same: Standing = "unknown" if client is None else "same" if code == client else "other"
        found[attack] = same if version == release.code_version else "other"
    return found


def against_installed(tried: Iterable[Attacked]) -> dict[str, Standing]:
    """How the code of each attack stands to the hospital's code that is installed here."""
    client = installed_code(CLIENT)
    return {
        attack: "unknown" if client is None else "same" if code == client else "other"
        for attack, _, code in tried
    }


def release_lines(standing: Mapping[str, Standing]) -> list[str]:
    """What to say of a release: nothing where every attack was run on its code."""
    lines = []
    if other := _named(standing, "other"):
        lines.append(f"attacked code is not this release's: {other}")
    if unknown := _named(standing, "unknown"):
        lines.append(
            f"attacked code is not shown to be this release's: {unknown} (the code installed here is another)"
        )
    return lines


def report_lines(standing: Mapping[str, Standing]) -> list[str]:
    """What to say beside ledgers, which name no code."""
    words = {"same": "is", "other": "is not", "unknown": "cannot be compared with"}
    return [
        f"attacked code {words[kind]} the code installed here: {named}; no ledger names a hospital's code"
        for kind in ("same", "other", "unknown")
        if (named := _named(standing, kind))
    ]


def _named(standing: Mapping[str, Standing], kind: str) -> str:
    return ", ".join(sorted(name for name, each in standing.items() if each == kind))
