"""What the RESERVE of a plan says, by what the ledger says already: pure, nothing is written.

DESIGN.md section 6, spending. A slot of the reserved schedule is drawn for nothing the first time, any
other attempt with a mechanism is charged; ``ledger_rules`` checks the result (rules 3 to 6, 10).
"""

from __future__ import annotations

from typing import Any

from intraward_shared.errors import LedgerError
from intraward_shared.figure import FIGURE_STAGE, FigureTerms
from intraward_shared.ledger_entry import MAX_ATTEMPTS
from intraward_shared.ledger_rules import History
from intraward_shared.protocol import RoundPlan, Slot


def reservation(history: History, plan: RoundPlan | FigureTerms) -> dict[str, Any]:
    """Fields of the next RESERVE of a plan, or of a figure.

    Raises:
        LedgerError: a plan of a simulation in a real ledger or the reverse, a fourth attempt, or no slot
            for it in the reserved schedule.
    """
    if history.first is None or plan.simulated != history.first.simulated:
        raise LedgerError("plan and ledger differ on whether this is a simulation")
    if isinstance(plan, FigureTerms):
        return _figure(plan)
    last = history.plans.get(plan.digest)
    attempt = (last.attempt or 0) + 1 if last is not None else 1
    if attempt > MAX_ATTEMPTS:
        raise LedgerError(
            f"the plan was tried {MAX_ATTEMPTS} times", remedy="ask the coordinator for a new round"
        )
    slot = _slot(history, plan)
    charges: tuple[Slot, ...] = ()
    if plan.mechanism is not None and (slot is None or attempt > 1):
        charges = (Slot(stage=plan.stage, round=plan.stage_round, mechanism=plan.mechanism),)
    return {
        "run_id": plan.run_id,
        "round": plan.round,
        "stage": plan.stage,
        "plan": plan.digest,
        "attempt": attempt,
        "mechanism": plan.mechanism,
        "charges": charges,
        "schedule": plan.schedule if slot is not None else None,
        "slot": slot,
        "time": plan.slot_time,
    }


def _figure(terms: FigureTerms) -> dict[str, Any]:
    return {
        "run_id": terms.run_id,
        "round": 1,
        "stage": FIGURE_STAGE,
        "plan": terms.digest,
        "attempt": 1,
        "mechanism": terms.mechanism,
        "charges": (Slot(stage=FIGURE_STAGE, round=1, mechanism=terms.mechanism),),
        "figure": terms.name,
        "time": terms.time,
    }


def _slot(history: History, plan: RoundPlan) -> int | None:
    if plan.schedule is None or plan.mechanism is None:
        return None
    reserved = history.schedules.get(plan.run_id)
    if reserved is None or reserved.schedule != plan.schedule:
        raise LedgerError("the plan's schedule is not reserved", remedy="reserve the schedule first (Budget)")
    for index, slot in enumerate(reserved.charges):
        if (slot.stage, slot.round) == (plan.stage, plan.stage_round):
            return index
    raise LedgerError("the schedule has no slot for this round", remedy="ask for a plan within it")
