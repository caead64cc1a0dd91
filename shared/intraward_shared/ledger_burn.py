"""What a BURN charges for ledger entries that were lost, and why that is enough.

DESIGN.md section 6, spending: no ledger, no training, and the way out of a rollback is a privacy officer's
burn that charges the gap. What left the hospital in the gap is unknown, so it is bounded in two ways:

*By count.* With the second head (``ledger_head``) no entry was acted upon that the head does not know: the
gap holds exactly ``lost`` entries. A round that left has a RESERVE and a RELEASE, so at most one round for
two lost entries left and was charged in the gap (a RELEASE whose RESERVE is still there was charged there;
sealed bytes without a RELEASE never left, and cannot later: the ledger no longer knows their RESERVE). The
site's policy refused every plan weaker than its bounds before a row was read, so each of those rounds is
dominated by one of the policy's highest rate, least noise and most steps (a Poisson-subsampled Gaussian
with a larger rate and less noise dominates). The bound holds under any later composition.

*By the gate.* A receipt tells of one entry, not of the last; entries after it may be lost as well, and a
malicious coordinator holds receipts back. Then only the gate is known: whatever was charged, in one line
of the ledger, stayed under the cap. So one unsampled Gaussian that alone reaches the cap is charged: the
lost line counts as a whole lifetime beside everything that the ledger still holds, which covers a site
that went on with the restored copy too. Nothing can be trained until the officer raises the cap (``officer
amend``). The Gaussian is taken because it composes worst: with later rounds after a raise, lost lines of
seven settings (rates 0.01 to 0.2, noise 0.5 to 3) stayed 0.01 to 1.7 of epsilon below it, while the policy's
own worst rounds, brought to the same cap, fell short by up to 1.1. That is measured, not proved; what the
officer signs rests on it, and it is the reason to have a second path.

The count is charged where it holds and is below the cap. If the lost entries raised the cap or loosened
the policy, the policy file must say so when the burn is signed: its bounds and its cap are what is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from intraward_shared.errors import LedgerError
from intraward_shared.ledger_entry import Burn, LedgerEntry
from intraward_shared.privacy import TOLERANCE, events_to_epsilon
from intraward_shared.protocol import Mechanism, Slot
from intraward_shared.stages import Stage

_MOST_STEPS = 100_000
"""``Mechanism.steps`` holds no more."""


def burn_charges(burn: Burn) -> tuple[Slot, ...]:
    """The rounds of a burn as charges: equal steps taken together, cut where a mechanism is full.

    ``Slot`` wants a stage and the lost rounds' are unknown; ``ledger_chain.stage_charges`` lists them apart.
    """
    steps = burn.rounds * burn.mechanism.steps
    parts = [_MOST_STEPS] * (steps // _MOST_STEPS) + ([steps % _MOST_STEPS] if steps % _MOST_STEPS else [])
    return tuple(
        Slot(stage=Stage.SFT, round=index + 1, mechanism=burn.mechanism.model_copy(update={"steps": part}))
        for index, part in enumerate(parts)
    )


def rounds_by_count(last: int, lost: int) -> int | None:
    """Rounds that the gap between entry ``last`` and the lost entry can hold; None in a forked ledger."""
    return (lost - last + 1) // 2 if lost > last else None


def charge_for(
    mechanism: Mechanism, last: int, lost: int, *, counted: bool, cap: float, delta: float
) -> tuple[Mechanism, int]:
    """What a burn charges: a mechanism and how many rounds of it.

    Args:
        mechanism: one round as weak as the policy allows.
        last: sequence of the last entry that the ledger holds.
        lost: sequence of the highest lost entry that is known.
        counted: whether the second head knows it, so that nothing after it was lost.
        cap: highest lifetime epsilon that was in force.
        delta: lifetime delta.
    """
    bound = rounds_by_count(last, lost) if counted else None
    if bound is not None and not _reaches(mechanism, bound, cap, delta):
        return mechanism, bound
    return whole_lifetime(cap, delta), 1


def whole_lifetime(cap: float, delta: float) -> Mechanism:
    """One Gaussian step over all patients that alone reaches the cap."""
    low, high = 0.01, 1000.0  # epsilon is above any cap, and below
    while high / low > 1.0001:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if _reaches(_gaussian(middle), 1, cap, delta) else (low, middle)
    return _gaussian(low)


def _gaussian(noise_multiplier: float) -> Mechanism:
    return Mechanism(
        sample_rate=1.0,
        noise_multiplier=noise_multiplier,
        max_grad_norm=1.0,
        steps=1,
        nominal_batch=1,
        max_records_per_unit=1,
    )


def charges_enough(burn: Burn, last: int, cap: float, delta: float) -> bool:
    """Whether a burn after entry ``last`` charges what this module asks for, as an auditor can see it.

    Args:
        burn: what the entry says.
        last: sequence of the entry before it.
        cap: lifetime epsilon in force.
        delta: lifetime delta.
    """
    counted = rounds_by_count(last, burn.sequence) if burn.evidence == "second_head" else None
    if counted is not None and burn.rounds >= counted:
        return True
    unsampled = burn.mechanism.sample_rate == 1
    return unsampled and _reaches(burn.mechanism, burn.rounds, cap - TOLERANCE, delta)


def burned_ranges(entries: Sequence[LedgerEntry]) -> list[dict[str, Any]]:
    """Each burn of a ledger: what was lost (``lost_from`` None: in another copy), and what was charged."""
    return [
        {
            "sequence": entry.sequence,
            "lost_from": before.sequence + 1 if entry.burn.sequence > before.sequence else None,
            "lost_to": entry.burn.sequence,
            "evidence": entry.burn.evidence,
            "rounds": entry.burn.rounds,
        }
        for before, entry in pairwise(entries)
        if entry.burn is not None
    ]


def _reaches(mechanism: Mechanism, rounds: int, cap: float, delta: float) -> bool:
    burn = Burn(sequence=0, entry="0" * 64, evidence="receipt", rounds=rounds, mechanism=mechanism)
    try:
        return events_to_epsilon([slot.mechanism for slot in burn_charges(burn)], delta) >= cap
    except LedgerError:  # no finite epsilon at all
        return True
