"""Released rows that a person reads again, and what their findings bound.

Facts on de-identification, section 8. A keyed hash of its id decides whether a row is in the sample, and
another one in which order the sample is read, so that nobody chooses: neither who imports nor who reads.
The audits done so far are therefore a random sample of what was released, and the upper bound of Clopper
and Pearson (1934) holds for its share of rows with a leak. A row in which a leak was found is withdrawn
with everything made of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Table, delete, insert, or_, select

from intraward_client.store.review import Decision, record
from intraward_client.store.schema import (
    candidates,
    demonstrations,
    frozen_rows,
    judgments,
    notes,
    preferences,
    prompts,
    quarantine,
    review_decisions,
)
from intraward_client.store.vault import Vault
from intraward_shared.errors import InputError

CONFIDENCE = 0.95
_SOURCES: tuple[tuple[str, Table, str, tuple[str, ...]], ...] = (
    ("notes", notes, "note_id", ("text",)),
    ("demonstrations", demonstrations, "row_id", ("prompt", "completion")),
    ("preferences", preferences, "row_id", ("prompt", "chosen", "rejected")),
)
_WIDTH = 16


@dataclass(frozen=True, slots=True)
class Sampled:
    """A released row of the sample; ``texts`` by field name."""

    row_id: str
    kind: str
    unit: str
    texts: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class LeakBound:
    """What the audits say: ``upper`` bounds the share of released rows with a leak, one-sided, at 95 %."""

    released: int
    sampled: int
    audited: int
    leaks: int
    upper: float


def leak_upper_bound(leaks: int, audited: int, confidence: float = CONFIDENCE) -> float:
    """One-sided upper Clopper-Pearson bound of a share: the beta quantile; 1 where nothing was read.

    Args:
        leaks: rows with a leak among those read.
        audited: rows read.
        confidence: of the bound.
    """
    if leaks >= audited:
        return 1.0
    from scipy.stats import beta

    return float(beta.ppf(confidence, leaks + 1, audited - leaks))


def leak_bound(vault: Vault, share: float) -> LeakBound:
    """The bound from the audits of all rows that were ever released, withdrawn ones included."""
    with vault.transaction() as connection:
        done = _audited(connection)
        released = [row_id for *_, row_id in _released(connection)]
    leaks = sum(decision == "leak" for decision in done.values())
    gone = sum(row_id not in released for row_id in done)
    sampled = sum(in_sample(vault, row_id, share) for row_id in released if row_id not in done)
    upper = leak_upper_bound(leaks, len(done))
    return LeakBound(len(released) + gone, sampled + len(done), len(done), leaks, upper)


def next_audit(vault: Vault, share: float) -> Sampled | None:
    """The next row to read, in the keyed order; None when the sample is done."""
    with vault.transaction() as connection:
        done = _audited(connection)
        left = [
            (vault.tag("audit order", row_id), number, unit, row_id)
            for number, unit, row_id in _released(connection)
            if row_id not in done and in_sample(vault, row_id, share)
        ]
        if not left:
            return None
        _, number, unit, row_id = min(left)
        kind, table, key, columns = _SOURCES[number]
        row = connection.execute(select(table).where(table.c[key] == row_id)).one()
        texts = {
            column: vault.open_field(connection, unit, (table.name, row_id, column), row._mapping[column])
            for column in columns
        }
    return Sampled(row_id, kind, unit, texts)


def in_sample(vault: Vault, row_id: str, share: float) -> bool:
    """Whether the keyed hash of a row's id falls into the share."""
    return bool(int(vault.tag("audit sample", row_id)[:_WIDTH], 16) < share * 16**_WIDTH)


def finish_audit(vault: Vault, share: float, row_id: str, leaks: Sequence[str], user: str) -> Sampled:
    """Record what was found in the row whose turn it is; with a leak, withdraw it.

    Args:
        row_id: as `next_audit` gave it; another row is refused, because nobody chooses.
        leaks: classes of what was left; empty where the row is clean.
        user: who read it.

    Raises:
        InputError: it is not this row's turn.
    """
    due = next_audit(vault, share)
    if due is None or not row_id or not due.row_id.startswith(row_id):
        remedy = "intraward-client deid review audit shows whose turn it is"
        raise InputError("review", 0, "it is not this row's turn to be audited", remedy=remedy)
    with vault.transaction() as connection:
        decision: Decision = "leak" if leaks else "clean"
        record(vault, connection, due.unit, due.row_id, decision, sorted(set(leaks)), user)
        if leaks:
            _withdraw(connection, due)
    return due


def _audited(connection: Connection) -> dict[str, str]:
    audits = review_decisions.c.decision.in_(("clean", "leak"))
    query = select(review_decisions.c.row_id, review_decisions.c.decision).where(audits)
    return {row.row_id: row.decision for row in connection.execute(query)}


def _released(connection: Connection) -> list[tuple[int, str, str]]:
    """Source number, unit and id of every released row."""
    return [
        (number, str(row.unit), str(row[1]))
        for number, (_, table, key, _) in enumerate(_SOURCES)
        for row in connection.execute(select(table.c.unit, table.c[key]))
    ]


def _withdraw(connection: Connection, row: Sampled) -> None:
    """Remove a row and what was made of it; it stays quarantined, so that no import takes it again."""
    asked = select(prompts.c.prompt_id).where(prompts.c.note_id == row.row_id)
    judged = select(judgments.c.judgment_id).where(judgments.c.prompt_id.in_(asked))
    gone = frozen_rows.c.row_id
    connection.execute(delete(frozen_rows).where(or_(gone == row.row_id, gone.in_(asked), gone.in_(judged))))
    connection.execute(delete(judgments).where(judgments.c.prompt_id.in_(asked)))
    connection.execute(delete(candidates).where(candidates.c.prompt_id.in_(asked)))
    connection.execute(delete(prompts).where(prompts.c.note_id == row.row_id))
    table, key = next((table, key) for kind, table, key, _ in _SOURCES if kind == row.kind)
    connection.execute(delete(table).where(table.c[key] == row.row_id))
    held = {"note_id": row.row_id, "unit": row.unit, "reason": "audit:leak"}
    connection.execute(insert(quarantine).prefix_with("OR IGNORE").values(**held))
