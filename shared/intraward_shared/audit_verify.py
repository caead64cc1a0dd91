"""``intraward-audit verify``: each ledger by itself, all of them together, and as text.

Rules 7 and 9 of DESIGN.md. A ledger that is whole proves little if it is not the one that was asked for: a
key pinned for a site of which no ledger was given, and one site's ledger given twice, fail; folders of
receipts without a ledger and releases that nobody countersigned are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from intraward_shared.audit_receipts import check_receipts, receipt_sites
from intraward_shared.errors import IntrawardError
from intraward_shared.ledger_burn import burned_ranges
from intraward_shared.ledger_chain import policy_entry, read_ledger, verify_chain


def verify_ledgers(
    paths: Sequence[Path], keys: Mapping[str, str], receipts: Path | None, coordinator_key: str | None
) -> dict[str, Any]:
    """Verify ledgers, each by itself and as a set.

    Args:
        paths: ledger files.
        keys: public key (hex) by site.
        receipts: folder of the coordinator's receipts.
        coordinator_key: public key (hex) that signed them.

    Returns:
        ``ledgers`` (a row a file), ``problems`` (of the set), ``receipts_without_ledger`` (site folders), and
        ``verified``: all rows are, and there is no problem.
    """
    rows = [_verified(path, keys, receipts, coordinator_key) for path in paths]
    known = {row["site"] for row in rows if "site" in row}
    problems = _problems(rows, keys, known)
    value: dict[str, Any] = {"ledgers": rows, "problems": problems}
    value["receipts_without_ledger"] = sorted(receipt_sites(receipts) - known) if receipts else []
    return value | {"verified": all(row["verified"] for row in rows) and not problems}


def verify_text(value: Mapping[str, Any]) -> str:
    """What ``verify_ledgers`` found, for a terminal."""
    lines = [_line(row) for row in value["ledgers"]]
    lines += [f"FAILED    {problem}" for problem in value["problems"]]
    if value["receipts_without_ledger"]:
        sites = ", ".join(value["receipts_without_ledger"])
        lines.append(f"  not looked at: there are receipts of {sites}, whose ledger was not given")
    return "\n".join(lines)


def _verified(
    path: Path, keys: Mapping[str, str], receipts: Path | None, coordinator_key: str | None
) -> dict[str, Any]:
    row: dict[str, Any] = {"ledger": str(path), "verified": False}
    try:
        entries = read_ledger(path)
    except IntrawardError as error:  # names the file itself
        return row | {"error": error.message, "remedy": error.remedy}
    site = policy_entry(entries).site
    row |= {"site": site, "entries": len(entries), "head": entries[-1].hash}
    row |= {"simulated": entries[0].simulated, "key_pinned": site in keys}
    row["burned"] = burned_ranges(entries)
    try:
        if site in keys:
            verify_chain(entries, keys[site])
        if receipts is not None and coordinator_key is not None:
            count = check_receipts(entries, receipts, coordinator_key)
            row |= {"receipts": count.held + count.burned, "receipts_burned": count.burned}
            row |= {"releases": count.releases, "releases_without_receipt": list(count.missing)}
    except IntrawardError as error:
        return row | {"error": f"{path} ({site}): {error.message}", "remedy": error.remedy}
    return row | {"verified": True}


def _problems(rows: Sequence[Mapping[str, Any]], keys: Mapping[str, str], known: set[str]) -> list[str]:
    given = ", ".join(sorted(known)) or "none that can be read"
    found = [
        f"--site-key {site}: no ledger given is of that site (given: {given})"
        for site in keys
        if site not in known
    ]
    for site in sorted(known):
        files = [row["ledger"] for row in rows if row.get("site") == site]
        if len(files) > 1:
            found.append(f"{site}: its ledger was given more than once: {', '.join(files)}")
    return found


def _line(row: Mapping[str, Any]) -> str:
    if not row["verified"]:
        return f"FAILED    {row['error']} ({row['remedy']})"
    stamp = ", simulated" if row["simulated"] else ""
    pinned = "" if row["key_pinned"] else "; key is the ledger's own word (--site-key pins it)"
    head = f"verified  {row['site']}: {row['entries']} entries, head {row['head'][:16]}"
    lines = [f"{head}{_receipts(row)}{stamp}{pinned}  {row['ledger']}"]
    missing = row.get("releases_without_receipt")
    if missing:
        seen = row["releases"] - len(missing)
        lines.append(f"  {seen} of {row['releases']} releases countersigned; missing: {', '.join(missing)}")
    return "\n".join([*lines, *(f"  {burn_text(item)}" for item in row["burned"])])


def _receipts(row: Mapping[str, Any]) -> str:
    if "receipts" not in row:
        return ""
    burned = f" ({row['receipts_burned']} of burned rounds)" if row["receipts_burned"] else ""
    return f", {row['receipts']} receipts{burned}"


def burn_text(burned: Mapping[str, Any]) -> str:
    """One burn in words: what is lost, and what was charged for it."""
    first, last = burned["lost_from"], burned["lost_to"]
    lost = (
        f"entries {first} to {last} are lost"
        if first is not None
        else f"another copy up to entry {last} is lost"
    )
    by = f"burned by entry {burned['sequence']} with the officer's signature"
    return f"{lost}: {by}, {burned['rounds']} rounds charged"
