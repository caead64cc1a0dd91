"""``intraward-audit``: verify ledgers, recompute epsilon, report, verify an adapter. No torch needed.

Rules 7 and 9 of DESIGN.md, section 8 for the commands. It trusts nobody: epsilon comes from the
entries by dp-accounting PLD, and on request beside it from every accountant that an installed package
offers (entry point group ``intraward.accountants``; the hospital's is Opacus PRV), so this package
never imports one. Exit code 0, 1 (refused, failed or disagreeing) or 2 (usage).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer

from intraward_shared.attack_results import read_attacks
from intraward_shared.attacked_code import release_lines, report_lines
from intraward_shared.audit_adapter import trace, trace_text
from intraward_shared.audit_page import headline, render
from intraward_shared.audit_release import verify_release
from intraward_shared.audit_release_text import release_table, release_text
from intraward_shared.audit_report import Accountant, AuditReport, asked, audit_report
from intraward_shared.audit_verify import verify_ledgers, verify_text
from intraward_shared.certificates import PrivacyCertificate, certify
from intraward_shared.command import run, show
from intraward_shared.errors import ConfigError
from intraward_shared.ledger_chain import read_ledger
from intraward_shared.ledger_entry import LedgerEntry
from intraward_shared.privacy import TOLERANCE
from intraward_shared.signed_adapter import read_signed_adapter

ACCOUNTANTS = "intraward.accountants"

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Check privacy ledgers and adapters.\n\nExample: intraward-audit verify ledger.jsonl",
)

Ledgers = Annotated[
    list[Path], typer.Argument(metavar="LEDGER...", help="ledger.jsonl of one or more sites.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object for machines.")]
SiteKeys = Annotated[
    list[str] | None, typer.Option("--site-key", metavar="SITE=HEX", help="A site's public key; repeat.")
]
Receipts = Annotated[Path | None, typer.Option(help="Folder of the coordinator's receipts.")]
Ancestors = Annotated[Path | None, typer.Option(help="The coordinator's adapters folder.")]
WithOpacus = Annotated[
    bool, typer.Option("--with-opacus", help="Beside PLD, the hospital's own accountant (Opacus PRV).")
]


@app.command()
def verify(
    ledgers: Ledgers,
    site_key: SiteKeys = None,
    receipts: Receipts = None,
    coordinator_key: Annotated[str | None, typer.Option(metavar="HEX", help="Who signed them.")] = None,
    as_json: Json = False,
) -> None:
    """Check chain, signatures and rules of each ledger, and that no countersigned round is missing.

    Without --site-key a ledger is held against the key it names itself; without --receipts dropped
    last entries cannot be seen. Lost entries that the privacy officer burned, and releases that no receipt
    names, are told.

    Example: intraward-audit verify runs/demo/sites/*/ledger.jsonl
    """
    if (receipts is None) != (coordinator_key is None):
        raise typer.BadParameter("--receipts and --coordinator-key go together")
    if coordinator_key is not None:
        _check_key("--coordinator-key", coordinator_key)
    value = verify_ledgers(ledgers, _site_keys(site_key or []), receipts, coordinator_key)
    show(value, as_json=as_json, text=verify_text(value))
    raise typer.Exit(0 if value["verified"] else 1)


@app.command()
def recompute(
    ledgers: Ledgers,
    with_opacus: WithOpacus = False,
    as_json: Json = False,
) -> None:
    """Recompute epsilon of each stage and of the whole from the events, and hold it against the cap.

    Example: intraward-audit recompute runs/demo/sites/*/ledger.jsonl --with-opacus
    """
    accountants = _accountants() if with_opacus else {}
    rows = [_recomputed(read_ledger(path), accountants) for path in ledgers]
    gap = max((row["accountants_differ_by"] for row in rows), default=0.0)
    good = all(row["agrees"] and row["within_cap"] for row in rows)
    value: dict[str, Any] = {"ledgers": rows, "agrees_and_within_cap": good}
    if accountants:
        value["accountants_differ_by"] = gap
    show(value, as_json=as_json, text="\n".join(_recompute_text(row) for row in rows))
    raise typer.Exit(0 if good else 1)


@app.command()
def report(
    ledgers: Ledgers,
    out: Annotated[
        Path, typer.Option(help="Page to write, .html; the figures go beside it, with .json in its place.")
    ],
    attacks: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE", help="Result of intraward-simulate attack, or a folder of them; repeat."
        ),
    ] = None,
    site_key: SiteKeys = None,
    receipts: Receipts = None,
    coordinator_key: Annotated[
        str | None, typer.Option(metavar="HEX", help="Who signed receipts, adapters and bundles.")
    ] = None,
    adapter: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Signed adapter to trace; repeat.")
    ] = None,
    ancestors: Ancestors = None,
    bundle: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="Release bundle to verify; repeat.")
    ] = None,
    with_opacus: WithOpacus = False,
    as_json: Json = False,
) -> None:
    """Write one page, and the same as JSON beside it, on what these sites spent and whether it checks.

    What does not hold is written too, and the exit code is 1; of a ledger that is not whole nothing can be
    said, and nothing is written.

    Example: intraward-audit report ledger.jsonl --attacks attacks/ --out privacy_report.html
    """
    if (receipts is not None or adapter or bundle) and coordinator_key is None:
        raise typer.BadParameter("--receipts, --adapter and --bundle need --coordinator-key")
    if coordinator_key is not None:
        _check_key("--coordinator-key", coordinator_key)
    if out.suffix not in (".html", ".json"):
        raise typer.BadParameter("--out ends in .html (or .json; the other is written beside it)")
    told = audit_report(
        ledgers,
        read_attacks(attacks or []),
        keys=_site_keys(site_key or []),
        receipts=receipts,
        coordinator_key=coordinator_key,
        adapters=adapter or [],
        ancestors=ancestors,
        releases=bundle or [],
        accountants=_accountants() if with_opacus else {},
    )
    value = told.model_dump(mode="json")
    page = out.with_suffix(".html")
    _write(out.with_suffix(".json"), json.dumps(value, indent=2, sort_keys=True) + "\n")
    _write(page, render(told))
    text = (
        f"{headline(told)[0]}\npage in {page}, figures in {out.with_suffix('.json')}\n{_attack_lines(told)}"
    )
    show(value, as_json=as_json, text=text)
    raise typer.Exit(0 if told.passed else 1)


def _write(path: Path, text: str) -> None:
    """The whole file or none of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError:
        raise ConfigError(path, "", "the report cannot be written", remedy="check folder and disk") from None
    finally:
        draft.unlink(missing_ok=True)


@app.command()
def adapter(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Adapter folder with intraward_adapter.json.")
    ],
    public_key: Annotated[str, typer.Option(metavar="HEX", help="Public key of the coordinator.")],
    ledger: Annotated[list[Path] | None, typer.Option(help="A site's ledger.jsonl; repeat.")] = None,
    ancestors: Ancestors = None,
    as_json: Json = False,
) -> None:
    """Verify signature, files and tensors of a signed adapter, and trace it to the ledgers that paid.

    Without --ancestors only the adapter's own round is traced; a site whose ledger is not given is named.

    Example: intraward-audit adapter release/ --public-key 3b6a27bc... --ancestors adapters/ --ledger l.jsonl
    """
    _check_key("--public-key", public_key)
    manifest, state = read_signed_adapter(folder, public_key)
    stamp = ", simulated: not private" if manifest.simulated else ""
    rows = trace(manifest, public_key, ancestors, ledger or [])
    value = manifest.model_dump(mode="json") | {"verified": True, "tensors": len(state), "lineage": rows}
    text = f"verified: {manifest.stage} round {manifest.round}, {manifest.digest}{stamp}"
    show(value, as_json=as_json, text=f"{text}\n{trace_text(rows)}")


@app.command()
def bundle(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A release bundle, with release.json.")],
    public_key: Annotated[str, typer.Option(metavar="HEX", help="Public key of the coordinator.")],
    site_key: SiteKeys = None,
    revoked: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The coordinator's newest list, revoked.json.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify a release bundle alone: signatures, digests, lineage, ledgers, epsilon, and every gate anew.

    Without --site-key the hospitals' keys are the coordinator's word; without --revoked the list of revoked
    adapters is as old as the bundle.

    Example: intraward-audit bundle releases/1 --public-key 3b6a27bc...
    """
    _check_key("--public-key", public_key)
    keys = _site_keys(site_key or [])
    found = verify_release(folder, public_key, keys, revoked)
    show(release_table(found, keys), as_json=as_json, text=release_text(found, keys))


def _site_keys(options: Sequence[str]) -> dict[str, str]:
    keys: dict[str, str] = {}
    for option in options:
        site, found, key = option.partition("=")
        if not found:
            raise typer.BadParameter("--site-key is SITE=HEX")
        _check_key("--site-key", key)
        if keys.get(site, key) != key:
            raise typer.BadParameter(f"--site-key {site} is given twice, with two keys")
        keys[site] = key
    return keys


def _check_key(option: str, key: str) -> None:
    if re.fullmatch(r"[0-9a-f]{64}", key) is None:
        raise typer.BadParameter(f"{option} takes a public key: 64 lower-case hexadecimal digits")


def _attack_lines(report: AuditReport) -> str:
    lines = []
    for result in report.attacks:
        verdict = "passed" if result.passed else "FAILED"
        source = f"seeds {', '.join(map(str, result.seeds))}; code {result.client_code[:16]}"
        lines.append(f"  attack {result.attack}: {verdict} ({source})")
        lines += [f"    {'passed' if gate.passed else 'MISSED'}  {gate.text}" for gate in result.gates]
    lines += [f"  {line}" for line in report_lines(report.attacked_code)]
    lines += [
        f"  {item.folder}: {line}" for item in report.releases for line in release_lines(item.attacked_code)
    ]
    return "\n".join([*lines, *(f"  attack {name}: not given" for name in report.attacks_not_given)])


def _accountants() -> dict[str, Accountant]:
    found = {point.name: point for point in entry_points(group=ACCOUNTANTS)}
    try:
        loaded: dict[str, Accountant] = {name: found[name].load() for name in sorted(found)}
    except ImportError:
        loaded = {}
    if not loaded:
        raise ConfigError(
            "--with-opacus", "", "no second accountant is installed", remedy="install intraward[client]"
        )
    return loaded


def _recomputed(entries: tuple[LedgerEntry, ...], accountants: dict[str, Accountant]) -> dict[str, Any]:
    value: PrivacyCertificate = certify(entries)
    seconds, gap = asked(accountants, entries, value)
    keep = {"site", "epsilon", "epsilon_if_fixed", "epsilon_replace_one", "delta", "lifetime_epsilon"}
    keep |= {
        "unit",
        "adjacency",
        "within_cap",
        "gate",
        "gate_epsilon",
        "several_hospitals",
        "stages",
        "simulated",
        "warning",
    }
    second_figures = {"accountants": seconds, "accountants_differ_by": gap, "agrees": gap <= TOLERANCE}
    return value.model_dump(mode="json", include=keep) | second_figures


def _recompute_text(row: dict[str, Any]) -> str:
    cap = f"{row['lifetime_epsilon']:g} at delta {row['delta']:g}"
    head = f"{row['site']}: epsilon {row['epsilon']:.4f} of {cap}"
    tight = f"{row['epsilon_if_fixed']:.4f} {row['adjacency']}, {row['epsilon_replace_one']:.4f} replace-one"
    lines = [f"{head}, per {row['unit']}, {row['adjacency']}"]
    if row["epsilon"] > row["epsilon_if_fixed"]:
        lines.append(
            "  plans were chosen after results, so the gate's figure stands; by PLD, had they been "
            f"fixed beforehand: {tight}"
        )
    else:
        lines.append(f"  by PLD: {tight}")
    seconds = row["accountants"]
    for stage in row["stages"]:
        beside = "".join(f", {name} {parts[stage['stage']]:.4f}" for name, parts in seconds.items())
        lines.append(f"  {stage['stage']}: {stage['epsilon']:.4f}{beside}")
    lines += [f"  total by {name}: {parts['total']:.4f}" for name, parts in seconds.items()]
    sites = ", ".join(f"{item['sites']}: {item['epsilon']:.4f}" for item in row["several_hospitals"])
    lines += [
        f"  what the gate counts ({row['gate']}): {row['gate_epsilon']:.4f}",
        f"  a patient of so many hospitals like this: {sites}",
    ]
    if not row["within_cap"]:
        lines.append("  FAILED: the lifetime cap is passed, or was when something was charged")
    if not row["agrees"]:
        lines.append(f"  FAILED: accountants differ by {row['accountants_differ_by']:.4f}")
    return "\n".join([*lines, f"  {row['warning']}"] if row["warning"] else lines)


def main() -> None:
    """Entry point of ``intraward-audit``."""
    run(app)


if __name__ == "__main__":
    main()
