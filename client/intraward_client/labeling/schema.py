"""The station's own tables: the book. Columns of bytes hold ciphertext under the patient's key.

Sections 5 and 6 of DESIGN.md. Texts stay in the vault; the book names prompts and candidates by their keyed
ids. What a person said of an item is stored sealed by the vault (``votes.content``, ``drafts.content``), so
forgetting a patient makes it unreadable at once. Times are seconds since 1970, UTC. Rows of ``events`` may be
neither changed nor deleted, rows of ``votes`` not changed: triggers of the database hold that
(``migrations``).
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("user_id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    Column("role", String(20), nullable=False),
    Column("password", String(200), nullable=True),
    Column("disabled", Boolean, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("locked_until", Float, nullable=False),
    Column("specialties", Text, nullable=False),
    Column("qualified", Float, nullable=True),
    Column("created", Float, nullable=False),
)
"""Accounts; no password where the proxy logs people in. ``specialties``: JSON list."""

sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("user_id", Integer, ForeignKey("users.user_id"), nullable=False, index=True),
    Column("created", Float, nullable=False),
    Column("seen", Float, nullable=False),
    Column("ended", Float, nullable=True),
)

items = Table(
    "items",
    metadata,
    Column("item_id", String(32), primary_key=True),
    Column("unit", String(32), nullable=False, index=True),
    Column("prompt_id", String(64), nullable=False),
    Column("candidate_ids", Text, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("specialty", String(100), nullable=False),
    Column("seed", String(64), nullable=False),
    Column("propensity", Float, nullable=False),
    Column("gold", Text, nullable=True),
    Column("priority", Float, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("given", Integer, nullable=False),
    Column("turns", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("created", Float, nullable=False),
    Index("items_queue", "state", "given", "priority", "item_id"),
)
"""``wanted`` judgments, ``given`` assignments that are open or done; ``turns`` assignments ever made."""

assignments = Table(
    "assignments",
    metadata,
    Column("assignment_id", String(32), primary_key=True),
    Column("item_id", String(32), ForeignKey("items.item_id"), nullable=False, index=True),
    Column("user_id", Integer, ForeignKey("users.user_id"), nullable=False),
    Column("stage", String(20), nullable=False),
    Column("shown", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("given", Float, nullable=False),
    Column("opened", Float, nullable=True),
    Column("closed", Float, nullable=True),
    UniqueConstraint("item_id", "user_id", "stage", name="assignments_once"),
    Index("assignments_of_user", "user_id", "state", "closed"),
    Index("assignments_open", "state", "given"),
)
"""One person's turn at one item; its id is all that a page or an address names."""

votes = Table(
    "votes",
    metadata,
    Column("vote_id", String(32), primary_key=True),
    Column("assignment_id", String(32), ForeignKey("assignments.assignment_id"), nullable=False, index=True),
    Column("item_id", String(32), ForeignKey("items.item_id"), nullable=False, index=True),
    Column("unit", String(32), nullable=False, index=True),
    Column("user_id", Integer, ForeignKey("users.user_id"), nullable=False, index=True),
    Column("stage", String(20), nullable=False),
    Column("time", Float, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("held", String(60), nullable=True),
)
"""``held``: reason code where the de-identifier kept the free text back; the judgment counts all the same."""

withdrawals = Table(
    "withdrawals",
    metadata,
    Column("vote_id", String(32), ForeignKey("votes.vote_id"), primary_key=True),
    Column("time", Float, nullable=False),
)
"""Votes that their rater took back; the vote stays."""

drafts = Table(
    "drafts",
    metadata,
    Column("assignment_id", String(32), ForeignKey("assignments.assignment_id"), primary_key=True),
    Column("unit", String(32), nullable=False, index=True),
    Column("content", LargeBinary, nullable=False),
    Column("time", Float, nullable=False),
)

lessons = Table(
    "lessons",
    metadata,
    Column("lesson_id", Integer, primary_key=True),
    Column("user_id", Integer, ForeignKey("users.user_id"), nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("item", String(64), nullable=False),
    Column("right", Boolean, nullable=False),
    Column("missed", Boolean, nullable=False),
    Column("time", Float, nullable=False),
    UniqueConstraint("user_id", "attempt", "item", name="lessons_once"),
)
"""Answers in the course; its items are invented, so nothing here is about a patient."""

events = Table(
    "events",
    metadata,
    Column("sequence", Integer, primary_key=True, autoincrement=False),
    Column("time", String(20), nullable=False),
    Column("user", String(100), nullable=False),
    Column("role", String(20), nullable=False),
    Column("action", String(40), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
"""What people did, chained (``labeling.events``); no text of a record."""

PATIENT_TABLES = (drafts, votes)
"""Tables with a unit, children of assignments; ``book.forget`` deletes around them."""
