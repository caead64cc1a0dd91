"""What ``intraward-audit bundle`` says of a bundle that passed, for people and for machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from intraward_shared.attacked_code import Attacked, Standing, against_release, release_lines
from intraward_shared.audit_release import VerifiedRelease
from intraward_shared.ledger_burn import burned_ranges


def release_table(found: VerifiedRelease, site_keys: Mapping[str, str]) -> dict[str, Any]:
    """One JSON object: the release, epsilon and ledger of each site, lineage, gates."""
    release = found.bundle.release
    spent = {item["site"]: item for item in found.report["certificates"]}
    sites = {
        site: {
            "entries": len(entries),
            "head": entries[-1].hash,
            "burned": burned_ranges(entries),
            "key_pinned": site in site_keys,
            "epsilon": spent[site]["epsilon"],
            "delta": spent[site]["delta"],
        }
        for site, entries in sorted(found.ledgers.items())
    }
    rows = sorted(found.manifests.values(), key=lambda each: (-each.round, each.digest))
    return {
        "verified": True,
        **release.model_dump(mode="json", exclude={"files", "sites", "hub"}),
        "sites": sites,
        "tensors": found.tensors,
        "lineage": [
            {
                "adapter": each.digest,
                "stage": each.stage.value,
                "round": each.round,
                "sites": sorted(each.ledger_heads),
            }
            for each in rows
        ],
        "gates": [result.model_dump(mode="json") for result in found.gates],
        "attacked_code": attacked_standing(found),
    }


def attacked_standing(found: VerifiedRelease) -> dict[str, Standing]:
    """How the code of each attack in the bundle stands to the release's."""
    keys = ("attack", "code_version", "client_code")
    tried = [Attacked(*(each[key] for key in keys)) for each in found.report["attacks"]]
    return against_release(tried, found.bundle.release)


def release_text(found: VerifiedRelease, site_keys: Mapping[str, str]) -> str:
    """The same for a terminal."""
    release, table = found.bundle.release, release_table(found, site_keys)
    stamp = ", simulated: not private" if release.simulated else ""
    lines = [f"verified: release {release.number} of {release.run_id}, adapter {release.adapter}{stamp}"]
    for site, row in table["sites"].items():
        pinned = "" if row["key_pinned"] else "; its key is the coordinator's word (--site-key pins it)"
        burned = f", {len(row['burned'])} losses burned" if row["burned"] else ""
        spent = f"epsilon {row['epsilon']:.4f} at delta {row['delta']:g}"
        lines.append(f"  {site}: {spent}, {row['entries']} ledger entries{burned}{pinned}")
    lines.append(
        f"  lineage: {len(found.manifests)} signed adapters, each round paid for in the ledgers above"
    )
    lines += [f"  {result.status:<12} {result.reason.partition('; see ')[0]}" for result in found.gates]
    lines += [f"  {line}" for line in release_lines(table["attacked_code"])]
    lines.append(
        "  not shown by any bundle: that evaluation and attacks were measured as they say, nor that the code "
        "and the accountant's version that are named were the ones that ran"
    )
    return "\n".join(lines)
