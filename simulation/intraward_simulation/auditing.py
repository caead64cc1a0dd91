"""The audit at the end of a run: ledgers recomputed twice, adapters verified, identifiers searched for.

The privacy figures are the auditor's own (dp-accounting PLD over the ledger alone) beside the site's
gate (Opacus PRV). The search covers every byte that crossed Flower and every file that the run left;
the same search over the raw notes is its positive control.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from intraward_client.home import SiteHome
from intraward_client.privacy.budget import prv_epsilon
from intraward_client.store.notes import note_records
from intraward_client.store.prompts import prompt_records
from intraward_client.store.vault import Vault
from intraward_server.home import ServerHome
from intraward_shared.errors import IntrawardError
from intraward_shared.ledger_chain import charged, policy_entry, read_ledger, stage_charges
from intraward_shared.privacy import events_to_epsilon
from intraward_shared.protocol import Mechanism
from intraward_shared.signed_adapter import read_signed_adapter
from intraward_shared.signing import SigningKey
from intraward_simulation.scan import scan_bytes, scan_files
from intraward_simulation.world import World

Tell = Callable[[str, str, float], None]


def audit_run(run: Path, world: World, tell: Tell) -> dict[str, Any]:
    """Audit a finished run.

    Returns:
        ``sites`` (ledger and privacy figures), ``all_sites_epsilon`` (a patient of every hospital),
        ``scan`` (the identifier search) and ``adapters_verified`` (how many signed folders).
    """
    sites = []
    for index, site in enumerate(world.sites):
        tell("audit", f"recompute {site.name}", index / (len(world.sites) + 1))
        sites.append(_site(SiteHome(run / "sites" / site.name)))
    everywhere = [m for site in world.sites for m in _charges(SiteHome(run / "sites" / site.name))]
    tell("audit", "search for identifiers", len(world.sites) / (len(world.sites) + 1))
    return {
        "sites": sites,
        "all_sites_epsilon": events_to_epsilon(everywhere, sites[0]["delta"]),
        "scan": search(run, world),
        "adapters_verified": _verify_adapters(ServerHome(run / "server")),
    }


def _charges(home: SiteHome) -> tuple[Mechanism, ...]:
    return charged(read_ledger(home.ledger))


def _site(home: SiteHome) -> dict[str, Any]:
    public = SigningKey.load(home.signing_key).public
    try:
        entries = read_ledger(home.ledger, public)
        verified = True
    except IntrawardError:
        entries, verified = read_ledger(home.ledger), False
    terms, delta = policy_entry(entries), policy_entry(entries).delta
    every = charged(entries)
    return {
        "site": terms.site,
        "verified": verified,
        "entries": len(entries),
        "head": entries[-1].hash,
        "cap": terms.lifetime_epsilon,
        "delta": delta,
        "total_pld": events_to_epsilon(every, delta),
        "total_prv": prv_epsilon(every, delta),
        "total_replace_one": events_to_epsilon(every, delta, "replace_one"),
        "stages": [
            {
                "stage": stage,
                "epsilon_pld": events_to_epsilon(charges, delta),
                "epsilon_prv": prv_epsilon(charges, delta),
            }
            for stage, charges in stage_charges(entries).items()
        ],
    }


def _verify_adapters(home: ServerHome) -> int:
    public = SigningKey.load(home.key).public
    folders = [folder for folder in sorted(home.adapters.iterdir()) if folder.is_dir()]
    for folder in folders:
        read_signed_adapter(folder, public)
    return len(folders)


def search(run: Path, world: World) -> dict[str, Any]:
    """Search for the planted identifiers wherever the run left bytes."""
    names = world.canaries
    places: dict[str, list[Path]] = {
        "Flower messages, decoded": [run / "recorded"],
        "sealed updates": [path / "outbox" for path in _sites(run)],
        "coordinator's folder": [run / "server"],
        "vaults (encrypted)": [f for s in _sites(run) for f in s.glob("vault.db*")],
        "ledgers, logs and everything else": [],
    }
    taken = [path for paths in places.values() for path in paths]
    places["ledgers, logs and everything else"] = [
        path for path in sorted(run.rglob("*")) if path.is_file() and not any(_below(path, t) for t in taken)
    ]
    results = {place: scan_files([p for p in paths if p.exists()], names) for place, paths in places.items()}
    found = {name for result in results.values() for name in result.names}
    return {
        "identifiers": len(names) if names else None,
        "found": len(found) if names else None,
        "messages": results["Flower messages, decoded"].scanned_files,
        "scanned_bytes": sum(result.scanned_bytes for result in results.values()),
        "places": [
            {
                "place": place,
                "items": result.scanned_files,
                "bytes": result.scanned_bytes,
                "found": result.found,
            }
            for place, result in results.items()
        ],
        "control_found": _control(world) if names else None,
        "left_in_vault_text": len(_left(run, names)) if names else None,
    }


def _sites(run: Path) -> list[Path]:
    return sorted(path for path in (run / "sites").iterdir() if path.is_dir())


def _below(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents


def _control(world: World) -> int:
    found: set[str] = set()
    for site in world.sites:
        text = "\n".join(json.dumps(row, ensure_ascii=False) for rows in site.rows.values() for row in rows)
        found |= scan_bytes(text.encode(), site.canaries)
    return len(found)


def _left(run: Path, names: tuple[str, ...]) -> set[str]:
    """Planted identifiers that de-identification left in the text inside the vaults."""
    left: set[str] = set()
    for root in _sites(run):
        home = SiteHome(root)
        with closing(Vault.open(home.vault, home.vault_keys)) as vault:
            texts = [record.text for record in note_records(vault)]
            texts += [record.prompt for record in prompt_records(vault)]
            text = "\n".join(texts)
        left |= scan_bytes(text.encode(), names)
    return left
