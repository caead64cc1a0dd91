"""What of a site's lifetime budget is spent, as the site itself counts it (Opacus PRV)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from intraward_client.privacy.budget import prv_epsilon
from intraward_shared.ledger_chain import policy_entry, read_ledger, stage_charges


def statement(ledger: Path) -> dict[str, Any]:
    """Spent, left and cap of a verified ledger, in all and by stage.

    Returns:
        ``{"site", "cap", "delta", "spent", "left", "stages": [{"stage", "epsilon"}]}``; the stage
        figures are each stage alone and do not add up to ``spent``, which composes all events.

    Raises:
        LedgerError: the ledger does not verify.
    """
    entries = read_ledger(ledger)
    first = policy_entry(entries)
    by_stage = stage_charges(entries)
    spent = prv_epsilon([m for charges in by_stage.values() for m in charges], first.delta)
    return {
        "site": first.site,
        "cap": first.lifetime_epsilon,
        "delta": first.delta,
        "spent": spent,
        "left": max(0.0, first.lifetime_epsilon - spent),
        "stages": [
            {"stage": stage, "epsilon": prv_epsilon(charges, first.delta)}
            for stage, charges in by_stage.items()
        ],
    }
