"""What left the building, update by update: the ledger says which, the files how large, the plans to whom.

The ledger is the authority (rule 4 of DESIGN.md): an update without RELEASE has not left, and one whose file
is gone is still listed. To whom it went stands in the plan that asked for it, which the ward keeps as the
coordinator signed it. Nothing here sends or changes anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from intraward_client.home import SiteHome
from intraward_client.slot import instant
from intraward_shared.errors import ContractError, IntrawardError
from intraward_shared.ledger_chain import policy_entry, read_ledger
from intraward_shared.ledger_entry import Kind, LedgerEntry
from intraward_shared.privacy import events_to_epsilon
from intraward_shared.protocol import PLAN_DOMAIN, RoundPlan, open_signed, open_update
from intraward_shared.signing import SigningKey, digest, key_id, parse_canonical


def listing(home: SiteHome) -> list[dict[str, Any]]:
    """One row per sealed update, in the order of the ledger.

    Returns:
        rows of ``run_id``, ``round``, ``stage``, ``plan``, ``released`` (slot time; null: sealed and not
        released), ``coordinator`` (public key; null where the plan was not kept), ``bytes`` and ``sha256``
        (null where the file is gone), ``tensors``, ``ledger_sequence``, ``attempts``, ``simulated``, and
        ``epsilon`` and ``epsilon_replace_one``: those of the update alone, every attempt counted. Rows do not
        add up; ``budget`` composes all of them.

    Raises:
        LedgerError: the ledger is not whole.
        ContractError, SignatureError: a file is not what this site sealed or a coordinator signed.
    """
    public = SigningKey.load(home.signing_key).public
    entries = read_ledger(home.ledger, public)
    delta, files = policy_entry(entries).delta, {path.stem: path for path in home.outbox.glob("*.sealed")}
    plans = [entry.plan for entry in entries if entry.kind is Kind.RELEASE and entry.plan]
    pending = [e.plan for e in entries if e.kind is Kind.RESERVE and e.plan in files and e.plan not in plans]
    rows = []
    for plan in [*plans, *dict.fromkeys(pending)]:
        own = [entry for entry in entries if entry.plan == plan]
        rows.append(
            _row(own, delta) | {"coordinator": _asked_by(home, plan)} | _file(files.pop(plan, None), public)
        )
    for path in files.values():
        raise ContractError(
            f"{path}: no round in the ledger sealed this", remedy="find out who put it there; it never leaves"
        )
    return rows


def _row(own: Sequence[LedgerEntry], delta: float) -> dict[str, Any]:
    """What the ledger says of one plan."""
    paid = [entry for entry in own if entry.kind is Kind.RESERVE]
    mechanisms = [entry.mechanism for entry in paid if entry.mechanism is not None]
    released = next((entry for entry in own if entry.kind is Kind.RELEASE), None)
    first, last = paid[0], paid[-1]
    return {
        "run_id": first.run_id,
        "round": first.round,
        "stage": first.stage.value if first.stage else None,
        "plan": first.plan,
        "released": released.time if released else None,
        "tensors": released.output if released else None,
        "ledger_sequence": last.sequence,
        "attempts": len(paid),
        "simulated": last.simulated,
        "epsilon": events_to_epsilon(mechanisms, delta),
        "epsilon_replace_one": events_to_epsilon(mechanisms, delta, "replace_one"),
    }


def _file(path: Path | None, public: str) -> dict[str, Any]:
    """Size and digest of the sealed bytes, verified."""
    if path is None:
        return {"bytes": None, "sha256": None}
    data = path.read_bytes()
    try:
        header, _ = open_update(data, public)
    except ContractError as error:
        raise type(error)(f"{path}: {error.message}", remedy="find out who changed it") from None
    if header.plan != path.stem:
        raise ContractError(f"{path}: is the update of another plan", remedy="find out who changed it")
    return {"bytes": len(data), "sha256": digest(data)}


def _asked_by(home: SiteHome, plan: str) -> str | None:
    """Public key that signed the plan; None where it was not kept (rounds of an earlier release)."""
    path = home.plans / f"{plan}.json"
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    try:
        envelope = parse_canonical(data)
        public = str(envelope["public"]) if isinstance(envelope, dict) and "public" in envelope else ""
        kept = open_signed(data, PLAN_DOMAIN, RoundPlan, public)
    except IntrawardError as error:
        raise ContractError(f"{path}: {error.message}", remedy="restore the file, or delete it") from None
    if kept.digest != plan:
        raise ContractError(f"{path}: is another plan than its name says", remedy="restore it, or delete it")
    return public


def as_lines(rows: Sequence[dict[str, Any]], now: datetime) -> list[str]:
    """The listing for a person, by the site's clock: two lines an update."""
    lines = []
    for row in rows:
        size = f"{row['bytes']} bytes, sha256 {row['sha256'][:16]}…" if row["bytes"] else "its file is gone"
        to = f"coordinator {key_id(row['coordinator'])}" if row["coordinator"] else "coordinator not recorded"
        when = f"released {row['released']}" if row["released"] else "sealed, NOT released: it has not left"
        if row["released"] and instant(row["released"]) > now:
            when = f"ready, leaves at its slot {row['released']}"
        retries = f", {row['attempts']} attempts" if row["attempts"] > 1 else ""
        cost = f"epsilon {row['epsilon']:.3f} alone{retries}" if row["epsilon"] else "free"
        stamp = "  simulated, not private" if row["simulated"] else ""
        lines += [
            f"{row['run_id']}  round {row['round']:>3} {row['stage']:<7} {when}  to {to}{stamp}",
            f"    {size}  {cost}",
        ]
    return lines
