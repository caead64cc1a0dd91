"""A signed adapter traced back to the ledgers that paid for it, for ``intraward-audit adapter``.

Rule 9 of DESIGN.md. With the coordinator's adapters folder the whole ancestry is followed, signature, files
and tensors of each verified; with ledgers each round on the way is held against that of every site in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from intraward_shared.errors import ConfigError, ContractError
from intraward_shared.ledger_chain import policy_entry, read_ledger
from intraward_shared.ledger_entry import LedgerEntry
from intraward_shared.lineage import ancestry, check_origin, check_paid
from intraward_shared.signed_adapter import MANIFEST_FILE, AdapterManifest, read_manifest, read_signed_adapter

PAID, BURNED, UNSEEN = "released by its ledger", "lost, and burned", "ledger not given"


def trace(
    manifest: AdapterManifest, public: str, ancestors: Path | None, ledgers: Sequence[Path]
) -> list[dict[str, Any]]:
    """The adapter and, where their folder is given, all its ancestors, newest first.

    Args:
        manifest: verified, with its files.
        public: public key of the coordinator that signed all of them.
        ancestors: a folder of signed adapter folders; without it only the adapter itself is looked at.
        ledgers: ledger files of any sites.

    Returns:
        a row an adapter: ``{"adapter", "stage", "round", "sites": {site: released, burned or not given}}``.

    Raises:
        ContractError: an ancestor is missing, private, or not paid for in a ledger that was given.
        DigestError: a file of an ancestor was changed; names it.
        LedgerError: a ledger does not verify.
    """
    books = {policy_entry(entries).site: entries for entries in map(read_ledger, ledgers)}
    folders: dict[str, Path] = {}
    if ancestors is None:
        known = {manifest.digest: manifest.model_copy(update={"parents": ()})}
    else:
        folders, manifests = _read_all(ancestors, public)
        known = manifests | {manifest.digest: manifest}
    rows = []
    for name, found in sorted(ancestry([manifest.digest], known), key=lambda pair: -pair[1].round):
        if name != manifest.digest:
            read_signed_adapter(folders[name], public)
        try:
            check_origin(found)
            sites = {site: _standing(found, site, books) for site in sorted(found.ledger_heads)}
        except ContractError as error:
            raise ContractError(
                f"adapter {name[:16]} (round {found.round}): {error.message}",
                remedy="do not use it; ask the coordinator and the site which of them is wrong",
            ) from None
        rows.append({"adapter": name, "stage": found.stage.value, "round": found.round, "sites": sites})
    return rows


def trace_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows for a terminal."""
    lines = []
    for row in rows:
        sites = [f"{site}: {standing}" for site, standing in row["sites"].items()] or ["no hospital"]
        name = f"  round {row['round']:>3} {row['stage']:<7} {row['adapter'][:16]}"
        lines.append(f"{name}  {', '.join(sites)}")
    return "\n".join(lines)


def _standing(manifest: AdapterManifest, site: str, books: Mapping[str, Sequence[LedgerEntry]]) -> str:
    if site not in books:
        return UNSEEN
    return PAID if check_paid(manifest, site, books[site]) else BURNED


def _read_all(folder: Path, public: str) -> tuple[dict[str, Path], dict[str, AdapterManifest]]:
    if not folder.is_dir():
        raise ConfigError(folder, "", "no such folder", remedy="give the coordinator's adapters folder")
    places = [path.parent for path in sorted(folder.glob(f"*/{MANIFEST_FILE}"))]
    found = [(place, read_manifest(place, public)[0]) for place in places]
    folders = {manifest.digest: place for place, manifest in found}
    return folders, {manifest.digest: manifest for _, manifest in found}
