"""The training table of a plan, fixed before the plan is paid for.

Section 6 of DESIGN.md (unit and table): adjacency is add/remove over the frozen table. Freezing notes
which rows of the vault are in it, by row id and unit, before RESERVE and once: what is imported or
judged later is in no attempt of this plan, who is forgotten or opts out leaves it. Each row is read back as a
function of its own patient's entries alone; nothing here looks at two patients together, so taking one
away at import leaves every other row as it was, byte for byte.
"""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import ColumnElement, Select, Table, delete, insert, literal, select

from intraward_client.store.consent import consenting
from intraward_client.store.datasets import TrainingTable
from intraward_client.store.heldout import held_out_units
from intraward_client.store.preferences import sft_table
from intraward_client.store.prompts import prompt_table
from intraward_client.store.rankings import comparison_table, pair_table
from intraward_client.store.schema import (
    demonstrations,
    frozen_plans,
    frozen_rows,
    judgments,
    preferences,
    prompts,
    rankings,
)
from intraward_client.store.vault import Vault
from intraward_shared.errors import VaultError
from intraward_shared.stages import ON_POLICY, Stage

_COMPARISONS = (preferences.c.row_id, judgments.c.judgment_id, rankings.c.row_id)
_SOURCES: dict[Stage, tuple[ColumnElement[str], ...]] = {
    Stage.SFT: (demonstrations.c.row_id,),
    Stage.REWARD: _COMPARISONS,
    Stage.DPO: _COMPARISONS,
    Stage.PPO: (prompts.c.prompt_id,),
    Stage.RLOO: (prompts.c.prompt_id,),
}


def freeze(vault: Vault, plan: str, stage: Stage, holdout: float = 0.0) -> None:
    """Fix the rows of ``plan``, a digest; done once, a second call changes nothing.

    Args:
        holdout: share of patients who are left out of it (``heldout``), by the site's policy.

    Raises:
        VaultError: the vault refuses the change.
    """
    with vault.transaction() as connection:
        if connection.execute(select(frozen_plans.c.plan).where(frozen_plans.c.plan == plan)).first():
            return
        connection.execute(insert(frozen_plans).values(plan=plan))
        for source in _SOURCES[stage]:
            columns = ["plan", "row_id", "unit"]
            connection.execute(insert(frozen_rows).from_select(columns, _rows(plan, source)))
            table = cast(Table, source.table)
            for unit in held_out_units(vault, connection, table, holdout):
                own = (frozen_rows.c.plan == plan, frozen_rows.c.unit == unit)
                connection.execute(delete(frozen_rows).where(*own))


def frozen_table(vault: Vault, plan: str, stage: Stage) -> TrainingTable[Any]:
    """The rows that were fixed for ``plan`` and are still there.

    Raises:
        VaultError: nothing was fixed for this plan.
    """
    with vault.transaction() as connection:
        if not connection.execute(select(frozen_plans.c.plan).where(frozen_plans.c.plan == plan)).first():
            raise VaultError("no training table was fixed for this plan", remedy="fix it before RESERVE")
        query = select(frozen_rows.c.row_id).where(frozen_rows.c.plan == plan)
        members = frozenset(connection.execute(query).scalars())
    return TrainingTable.freeze(row for row in _current(vault, stage).rows if row.row_id in members)


def _rows(plan: str, source: ColumnElement[str]) -> Select[Any]:
    table = cast(Table, source.table)
    return select(literal(plan), source, table.c.unit).where(consenting(table))


def _current(vault: Vault, stage: Stage) -> TrainingTable[Any]:
    if stage is Stage.SFT:
        return sft_table(vault)
    if stage in ON_POLICY:
        return prompt_table(vault)
    return pair_table(vault) if stage is Stage.DPO else comparison_table(vault)
