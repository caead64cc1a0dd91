"""The vault's tables. Columns of bytes hold AES-256-GCM ciphertext; every other column is no one's text.

Keeps section 6 of DESIGN.md. ``unit`` is the HMAC of the patient's id, the privacy unit everywhere
downstream; note, prompt and row ids are HMACs too. Quarantine keeps a reason code and nothing else; the
review queue keeps the text that was held back, encrypted, until a person has decided. Each row that says
anything about a patient carries their unit, so that forgetting is one DELETE per table. The version is a
row of ``meta``. A vault of version 4 to 7 gains the newer tables when it is opened, because nothing else
has changed (``SEAL_VERSION``, which every ciphertext is bound to, has not); any other version is refused.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

SCHEMA_VERSION = 8
SEAL_VERSION = 4
"""Layout of the encrypted fields; part of their additional data."""
GAINS_TABLES = frozenset({4, 5, 6, 7})
"""Versions that become the present one by new tables alone."""
metadata = MetaData()

meta = Table(
    "meta", metadata, Column("key", String, primary_key=True), Column("value", LargeBinary, nullable=False)
)

patients = Table(
    "patients",
    metadata,
    Column("unit", String(32), primary_key=True),
    Column("key_id", String(32), nullable=False, unique=True),
    Column("wrapped_key", LargeBinary, nullable=False),
)

tombstones = Table("tombstones", metadata, Column("unit", String(32), primary_key=True))

optouts = Table(
    "optouts",
    metadata,
    Column("unit", String(32), primary_key=True),
    Column("since", String, nullable=False),
)
"""Patients who said no; they need not be known here."""


def _unit() -> Column[str]:
    return Column("unit", String(32), ForeignKey("patients.unit"), nullable=False, index=True)


notes = Table(
    "notes",
    metadata,
    Column("note_id", String(32), primary_key=True),
    _unit(),
    Column("text", LargeBinary, nullable=False),
    Column("counts", LargeBinary, nullable=False),
    Column("profile", String, nullable=False),
    Column("pack_sha256", String(64), nullable=False),
    Column("model_sha256", String(64), nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("note_id", String(32), primary_key=True),
    Column("unit", String(32), nullable=False, index=True),
    Column("reason", String, nullable=False),
)

review_queue = Table(
    "review_queue",
    metadata,
    Column("row_id", String(32), primary_key=True),
    _unit(),
    Column("kind", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("queued", String, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

review_decisions = Table(
    "review_decisions",
    metadata,
    Column("decision_id", Integer, primary_key=True),
    _unit(),
    Column("row_id", String(32), nullable=False, index=True),
    Column("decision", String, nullable=False),
    Column("codes", String, nullable=False),
    Column("time", String, nullable=False),
    Column("user", LargeBinary, nullable=False),
)

prompts = Table(
    "prompts",
    metadata,
    Column("prompt_id", String(32), primary_key=True),
    _unit(),
    Column("note_id", String(32), ForeignKey("notes.note_id"), nullable=False),
    Column("prompt", LargeBinary, nullable=False),
)

withheld = Table(
    "withheld",
    metadata,
    Column("prompt_id", String(32), ForeignKey("prompts.prompt_id"), primary_key=True),
    _unit(),
)
"""Prompts by which somebody could tell the patient."""

candidates = Table(
    "candidates",
    metadata,
    Column("candidate_id", String(32), primary_key=True),
    _unit(),
    Column("prompt_id", String(32), ForeignKey("prompts.prompt_id"), nullable=False, index=True),
    Column("slot", Integer, nullable=False),
    Column("adapter_digest", String, nullable=False),
    Column("answer", LargeBinary, nullable=False),
    UniqueConstraint("prompt_id", "adapter_digest", "slot"),
)

judgments = Table(
    "judgments",
    metadata,
    Column("judgment_id", String(32), primary_key=True),
    _unit(),
    Column("prompt_id", String(32), ForeignKey("prompts.prompt_id"), nullable=False, index=True),
    Column("chosen_id", String(32), ForeignKey("candidates.candidate_id"), nullable=False),
    Column("rejected_id", String(32), ForeignKey("candidates.candidate_id"), nullable=False),
    Column("strength", Integer, nullable=False),
    Column("rater", LargeBinary, nullable=False),
    Column("rationale", LargeBinary, nullable=True),
    Column("marks", LargeBinary, nullable=True),
)

demonstrations = Table(
    "demonstrations",
    metadata,
    Column("row_id", String(32), primary_key=True),
    _unit(),
    Column("prompt", LargeBinary, nullable=False),
    Column("completion", LargeBinary, nullable=False),
)

preferences = Table(
    "preferences",
    metadata,
    Column("row_id", String(32), primary_key=True),
    _unit(),
    Column("prompt", LargeBinary, nullable=False),
    Column("chosen", LargeBinary, nullable=False),
    Column("rejected", LargeBinary, nullable=False),
    Column("margin", Float, nullable=False),
    Column("marks", LargeBinary, nullable=True),
)

rankings = Table(
    "rankings",
    metadata,
    Column("row_id", String(32), primary_key=True),
    _unit(),
    Column("prompt", LargeBinary, nullable=False),
    Column("answers", LargeBinary, nullable=False),
    Column("judgment", LargeBinary, nullable=False),
)
"""What several people said together of two to four answers: ranks, margin and marks are sealed too."""

imports = Table(
    "imports",
    metadata,
    Column("file_tag", String(32), primary_key=True),
    Column("kind", String, nullable=False),
    Column("rows", Integer, nullable=False),
)

frozen_plans = Table("frozen_plans", metadata, Column("plan", String(64), primary_key=True))

frozen_rows = Table(
    "frozen_rows",
    metadata,
    Column("plan", String(64), ForeignKey("frozen_plans.plan"), primary_key=True),
    Column("row_id", String(32), primary_key=True),
    _unit(),
)

flag_batches = Table(
    "flag_batches",
    metadata,
    Column("batch_id", String(32), primary_key=True),
    Column("ordinal", Integer, nullable=False, unique=True),
    Column("adapter", String(64), nullable=False),
    Column("time", String, nullable=False),
    Column("answers", Integer, nullable=False),
    Column("flagged", Integer, nullable=False),
)
"""How many answers were given and flagged, batch by batch; no patient, no text."""

flags = Table(
    "flags",
    metadata,
    Column("flag_id", String(32), primary_key=True),
    _unit(),
    Column("batch_id", String(32), ForeignKey("flag_batches.batch_id"), nullable=False, index=True),
    Column("reason", String, nullable=False),
    Column("content", LargeBinary, nullable=True),
)
"""Flagged answers; ``content`` is null where the de-identifier held the text back."""

PATIENT_TABLES = (
    flags,
    frozen_rows,
    review_queue,
    review_decisions,
    judgments,
    candidates,
    withheld,
    prompts,
    notes,
    demonstrations,
    preferences,
    rankings,
    quarantine,
)
"""Every table with rows about a patient, children before parents."""
