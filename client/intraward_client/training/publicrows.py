"""Public records of a free stage as its training table; the unit is ``public``."""

from __future__ import annotations

from typing import Any

from intraward_client.store.datasets import PairRecord, PromptRecord, SftRecord, TrainingTable
from intraward_client.training.inputs import PUBLIC_UNIT
from intraward_shared.errors import ContractError
from intraward_shared.stages import ON_POLICY, Stage


def public_table(stage: Stage, rows: tuple[dict[str, str], ...]) -> TrainingTable[Any]:
    """The stage's table of public rows.

    Raises:
        ContractError: a row lacks a field that the stage needs.
    """
    try:
        return TrainingTable(tuple(_record(stage, index, row) for index, row in enumerate(rows)))
    except KeyError:
        raise ContractError(f"public data lacks a field that stage {stage.value} needs") from None


def _record(stage: Stage, index: int, row: dict[str, str]) -> SftRecord | PromptRecord | PairRecord:
    if stage is Stage.SFT:
        return SftRecord(PUBLIC_UNIT, row["prompt"], row["completion"])
    if stage in ON_POLICY:
        return PromptRecord(PUBLIC_UNIT, str(index), row["prompt"])
    return PairRecord(PUBLIC_UNIT, row["prompt"], row["chosen"], row["rejected"])
