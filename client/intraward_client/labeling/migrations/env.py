"""Alembic's entry: runs the steps on the connection that `labeling.database.migrate` hands over."""

from __future__ import annotations

from alembic import context

from intraward_client.labeling.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
