"""What of a site's budget is spent, as the site itself counts it (Opacus PRV), and what still fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from intraward_client.privacy.budget import prv_epsilon
from intraward_client.privacy.forecast import forecast
from intraward_shared.gate import read_book
from intraward_shared.ledger_chain import policy_entry, stage_charges
from intraward_shared.ledger_entry import LedgerEntry
from intraward_shared.privacy import events_to_epsilon


def statement(entries: Sequence[LedgerEntry], cap: float) -> dict[str, Any]:
    """Spent, left and cap of a verified ledger, in all and by stage, and a forecast.

    Args:
        entries: a verified ledger.
        cap: the lower of the policy file's and the ledger's.

    Returns:
        ``spent`` is the tight figure of everything charged; ``gated`` is what the gate holds under the
        cap, and ``left`` is cap less ``gated``: they differ where the filter rules. Stage figures are each
        stage alone and do not add up to ``spent``, which composes all events.

    Raises:
        LedgerError: something was charged that cannot be accounted for.
    """
    terms, by_stage = policy_entry(entries), stage_charges(entries)
    book = read_book(entries)
    gated = book.figure(prv_epsilon)
    return {
        "site": terms.site,
        "cap": cap,
        "delta": terms.delta,
        "simulated": terms.simulated,
        "adjacency": terms.adjacency,
        "spent": prv_epsilon(book.spent, terms.delta),
        "spent_replace_one": events_to_epsilon(book.spent, terms.delta, "replace_one"),
        "gated": gated,
        "left": max(0.0, cap - gated),
        "stages": [
            {
                "stage": stage,
                "epsilon": prv_epsilon(charges, terms.delta),
                "epsilon_replace_one": events_to_epsilon(charges, terms.delta, "replace_one"),
            }
            for stage, charges in by_stage.items()
        ],
        "forecast": asdict(forecast(entries, cap)),
    }
