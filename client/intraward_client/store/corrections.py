"""Answers that raters wrote themselves: demonstrations of the prompt's patient, as long as the vote stands.

Section 6 of DESIGN.md: a row is a function of one item's votes and its own patient's text. It is replaced
when the rater writes another and goes when the vote is taken back, no longer decides, or its item is held.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, insert, select

from intraward_client.deid.note import DeidentifiedNote
from intraward_client.store.schema import demonstrations, prompts
from intraward_client.store.vault import Vault
from intraward_shared.errors import VaultError

_KIND = "correction"


def settle_correction(vault: Vault, name: str, prompt_id: str, text: DeidentifiedNote) -> bool:
    """Store a rater's answer in place of their earlier one; False when there was one, or the prompt is gone.

    Args:
        name: of the rater's vote on the item; text: whose ``patient_id`` is the unit of the prompt's patient.

    Raises:
        VaultError: the text is another patient's.
    """
    row_id = vault.tag(_KIND, name)
    with vault.transaction() as connection:
        found = connection.execute(select(prompts).where(prompts.c.prompt_id == prompt_id)).first()
        if found is None or vault.is_forgotten(connection, found.unit):
            return False
        if text.patient_id != found.unit:
            raise VaultError("a correction is another patient's", remedy="report this as a bug")
        prompt = vault.open_field(connection, found.unit, ("prompts", prompt_id, "prompt"), found.prompt)
        sealed = {
            column: vault.seal_field(connection, found.unit, ("demonstrations", row_id, column), value)
            for column, value in (("prompt", prompt), ("completion", text.text))
        }
        before = connection.execute(delete(demonstrations).where(demonstrations.c.row_id == row_id)).rowcount
        connection.execute(insert(demonstrations).values(row_id=row_id, unit=found.unit, **sealed))
    return not before


def drop_corrections(vault: Vault, names: Iterable[str]) -> int:
    """Take rows away whose votes no longer say so; how many there were."""
    rows = [vault.tag(_KIND, name) for name in names]
    if not rows:
        return 0
    with vault.transaction() as connection:
        return int(
            connection.execute(delete(demonstrations).where(demonstrations.c.row_id.in_(rows))).rowcount
        )
