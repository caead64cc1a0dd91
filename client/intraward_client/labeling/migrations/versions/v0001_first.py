"""The first book: accounts, sessions, items, assignments, votes, drafts, course, events, and the triggers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_SAY = "this table is append-only"


def upgrade() -> None:
    """Make every table, then forbid what must never happen to a row."""
    _people()
    _work()
    _said()
    op.create_table(
        "events",
        sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("time", sa.String(20), nullable=False),
        sa.Column("user", sa.String(100), nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(100), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        _forbid_sqlite("events", "UPDATE")
        _forbid_sqlite("events", "DELETE")
        _forbid_sqlite("votes", "UPDATE")
    else:
        _forbid_postgresql()


def _people() -> None:
    op.create_table(
        "users",
        sa.Column("user_id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(100), nullable=False, unique=True),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("password", sa.String(200), nullable=True),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("locked_until", sa.Float, nullable=False),
        sa.Column("specialties", sa.Text, nullable=False),
        sa.Column("qualified", sa.Float, nullable=True),
        sa.Column("created", sa.Float, nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("token_sha256", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.user_id"), nullable=False, index=True),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("seen", sa.Float, nullable=False),
        sa.Column("ended", sa.Float, nullable=True),
    )
    op.create_table(
        "lessons",
        sa.Column("lesson_id", sa.Integer, primary_key=True),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.user_id"), nullable=False, index=True),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("item", sa.String(64), nullable=False),
        sa.Column("right", sa.Boolean, nullable=False),
        sa.Column("missed", sa.Boolean, nullable=False),
        sa.Column("time", sa.Float, nullable=False),
        sa.UniqueConstraint("user_id", "attempt", "item", name="lessons_once"),
    )


def _work() -> None:
    op.create_table(
        "items",
        sa.Column("item_id", sa.String(32), primary_key=True),
        sa.Column("unit", sa.String(32), nullable=False, index=True),
        sa.Column("prompt_id", sa.String(64), nullable=False),
        sa.Column("candidate_ids", sa.Text, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("specialty", sa.String(100), nullable=False),
        sa.Column("seed", sa.String(64), nullable=False),
        sa.Column("propensity", sa.Float, nullable=False),
        sa.Column("gold", sa.Text, nullable=True),
        sa.Column("priority", sa.Float, nullable=False),
        sa.Column("wanted", sa.Integer, nullable=False),
        sa.Column("given", sa.Integer, nullable=False),
        sa.Column("turns", sa.Integer, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
    )
    op.create_index("items_queue", "items", ["state", "given", "priority", "item_id"])
    op.create_table(
        "assignments",
        sa.Column("assignment_id", sa.String(32), primary_key=True),
        sa.Column("item_id", sa.String(32), sa.ForeignKey("items.item_id"), nullable=False, index=True),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.user_id"), nullable=False),
        sa.Column("stage", sa.String(20), nullable=False),
        sa.Column("shown", sa.Text, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("given", sa.Float, nullable=False),
        sa.Column("opened", sa.Float, nullable=True),
        sa.Column("closed", sa.Float, nullable=True),
        sa.UniqueConstraint("item_id", "user_id", "stage", name="assignments_once"),
    )
    op.create_index("assignments_of_user", "assignments", ["user_id", "state", "closed"])
    op.create_index("assignments_open", "assignments", ["state", "given"])


def _said() -> None:
    op.create_table(
        "votes",
        sa.Column("vote_id", sa.String(32), primary_key=True),
        sa.Column(
            "assignment_id",
            sa.String(32),
            sa.ForeignKey("assignments.assignment_id"),
            nullable=False,
            index=True,
        ),
        sa.Column("item_id", sa.String(32), sa.ForeignKey("items.item_id"), nullable=False, index=True),
        sa.Column("unit", sa.String(32), nullable=False, index=True),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.user_id"), nullable=False, index=True),
        sa.Column("stage", sa.String(20), nullable=False),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("held", sa.String(60), nullable=True),
    )
    op.create_table(
        "withdrawals",
        sa.Column("vote_id", sa.String(32), sa.ForeignKey("votes.vote_id"), primary_key=True),
        sa.Column("time", sa.Float, nullable=False),
    )
    op.create_table(
        "drafts",
        sa.Column(
            "assignment_id", sa.String(32), sa.ForeignKey("assignments.assignment_id"), primary_key=True
        ),
        sa.Column("unit", sa.String(32), nullable=False, index=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("time", sa.Float, nullable=False),
    )


def _forbid_sqlite(table: str, deed: str) -> None:
    op.execute(
        f"CREATE TRIGGER {table}_no_{deed.lower()} BEFORE {deed} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{_SAY}'); END"
    )


def _forbid_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION intraward_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_SAY}'; END $$"
    )
    for table, deeds, each in (
        ("events", "UPDATE OR DELETE", "ROW"),
        ("events", "TRUNCATE", "STATEMENT"),
        ("votes", "UPDATE", "ROW"),
    ):
        name = f"{table}_no_{deeds.split()[0].lower()}"
        op.execute(
            f"CREATE TRIGGER {name} BEFORE {deeds} ON {table} "
            f"FOR EACH {each} EXECUTE FUNCTION intraward_append_only()"
        )
