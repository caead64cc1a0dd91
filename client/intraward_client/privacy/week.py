"""The weekly cap: how much a site lets itself be charged in seven days, whoever holds the coordinator's key.

A brake, not a promise: the lifetime cap is what the site promises, this bounds what a stolen key can spend of
it before somebody looks. Charges count from the moment their slot was reserved for until a week after it; a
slot that lies ahead counts already, so slot times that a coordinator chooses can make the week longer, never
shorter. It depends on policy, ledger and clock only.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from intraward_client.privacy.budget import HOPELESS, tight_epsilon
from intraward_client.slot import instant
from intraward_shared.errors import BudgetExhausted
from intraward_shared.ledger_entry import LedgerEntry
from intraward_shared.privacy import rdp_epsilon
from intraward_shared.protocol import Mechanism

WEEK = timedelta(days=7)


def charged_lately(entries: Sequence[LedgerEntry], now: datetime) -> tuple[Mechanism, ...]:
    """What was charged in the seven days before ``now``, and for slots that are still to come."""
    return tuple(
        slot.mechanism for entry in entries if instant(entry.time) > now - WEEK for slot in entry.charges
    )


def check_week(
    entries: Sequence[LedgerEntry], new: Sequence[Mechanism], cap: float | None, delta: float, now: datetime
) -> None:
    """Refuse ``new`` charges that bring the week over the cap; None is no cap.

    Args:
        entries: the site's verified ledger.
        new: what is about to be charged, a whole schedule or a plan.
        cap: epsilon of seven days, from the policy file.
        delta: lifetime delta of the site.
        now: the site's own clock.

    Raises:
        BudgetExhausted: it does not fit; nothing was written or read.
        LedgerError: the events cannot be accounted for.
    """
    if cap is not None and new and not fits_week((*charged_lately(entries, now), *new), cap, delta):
        raise BudgetExhausted(
            "it would pass the site's weekly epsilon (policy.toml, privacy.weekly_epsilon)",
            remedy="wait until a week after the last charge, or ask for a shorter or noisier programme; "
            "if nobody asked for this programme, pause the site and call the coordinator",
        )


def week_of(entries: Sequence[LedgerEntry], cap: float, delta: float, now: datetime) -> dict[str, float]:
    """``cap``, ``spent`` and ``left``: epsilon of what was charged in the seven days up to ``now``."""
    spent = tight_epsilon(charged_lately(entries, now), delta)
    return {"cap": cap, "spent": spent, "left": max(0.0, cap - spent)}


def fits_week(events: Sequence[Mechanism], cap: float, delta: float) -> bool:
    """Whether the charges of one week, taken together, stay within the cap."""
    return rdp_epsilon(events, delta) <= HOPELESS * cap + 1 and tight_epsilon(events, delta) <= cap
