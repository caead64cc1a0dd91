"""Patients who are kept out of training, so that what a model is worth can be measured on them.

Section 6 of DESIGN.md: splits are by keyed hash of the patient. Whether a patient is held out depends on the
site's own key and on them alone; no count and no other patient decides. A row is measured on only if its
patient never stood in a table that was fixed for a round, so a share that is raised later does not make
held-out patients of those who trained before.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Table, select

from intraward_client.store.datasets import PairRecord, PromptRecord, SftRecord, in_holdout
from intraward_client.store.preferences import sft_table
from intraward_client.store.prompts import prompt_records
from intraward_client.store.rankings import pair_table
from intraward_client.store.schema import frozen_rows
from intraward_client.store.vault import Vault

_PURPOSE = "holdout"


@dataclass(frozen=True, slots=True, repr=False)
class HeldOut:
    """Rows of held-out patients, each in the order of unit and row id."""

    pairs: tuple[PairRecord, ...]
    demonstrations: tuple[SftRecord, ...]
    prompts: tuple[PromptRecord, ...]

    def __repr__(self) -> str:
        return "HeldOut(<redacted>)"


def held_out_units(vault: Vault, connection: Connection, table: Table, share: float) -> frozenset[str]:
    """Units of a table's rows that no round may train on."""
    if share <= 0:
        return frozenset()
    key = vault.derive(_PURPOSE)
    units = connection.execute(select(table.c.unit).distinct()).scalars()
    return frozenset(unit for unit in units if in_holdout(unit, key, share))


def held_out(vault: Vault, share: float) -> HeldOut:
    """What may be measured on: rows of patients who are held out now and never trained.

    Args:
        share: the policy's ``evaluation.holdout``.
    """
    key = vault.derive(_PURPOSE)
    with vault.transaction() as connection:
        trained = frozenset(connection.execute(select(frozen_rows.c.unit).distinct()).scalars())

    def stays(unit: str) -> bool:
        return unit not in trained and in_holdout(unit, key, share)

    return HeldOut(
        tuple(row for row in pair_table(vault).rows if stays(row.unit)),
        tuple(row for row in sft_table(vault).rows if stays(row.unit)),
        tuple(row for row in prompt_records(vault) if stays(row.unit)),
    )
