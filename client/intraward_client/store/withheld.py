"""Prompts that were taken away because somebody could tell the patient: in no later training table.

Section 6 of DESIGN.md: a row is left out by what was said of its own patient's item alone, which couples
nobody, and what was charged before stays charged. The list holds keyed names. What was made of the prompt's
items (rankings, demonstrations) is deleted, and made again by ``label collect`` if a person releases them.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, insert, select

from intraward_client.store.schema import demonstrations, prompts, rankings, withheld
from intraward_client.store.vault import Vault


def withhold(
    vault: Vault, prompt_id: str, items: Iterable[str] = (), corrections: Iterable[str] = ()
) -> None:
    """Keep a prompt, its answers and the judgments on them from every later table; again changes nothing.

    Args:
        items: names of rankings made of it (``rankings.settle_ranking``); corrections: of demonstrations
            (``corrections.settle_correction``).
    """
    with vault.transaction() as connection:
        unit = connection.execute(select(prompts.c.unit).where(prompts.c.prompt_id == prompt_id)).scalar()
        if unit is None:
            return
        row = insert(withheld).prefix_with("OR IGNORE")
        connection.execute(row.values(prompt_id=prompt_id, unit=unit))
        names = [vault.tag("rankings", name) for name in items]
        connection.execute(delete(rankings).where(rankings.c.row_id.in_(names)))
        rows = [vault.tag("correction", name) for name in corrections]
        connection.execute(delete(demonstrations).where(demonstrations.c.row_id.in_(rows)))


def offer_again(vault: Vault, prompt_id: str) -> bool:
    """Take a prompt off the list; False when it was not on it."""
    with vault.transaction() as connection:
        query = delete(withheld).where(withheld.c.prompt_id == prompt_id)
        return bool(connection.execute(query).rowcount)


def withheld_prompts(vault: Vault) -> frozenset[str]:
    """Every prompt on the list."""
    with vault.transaction() as connection:
        return frozenset(connection.execute(select(withheld.c.prompt_id)).scalars())
