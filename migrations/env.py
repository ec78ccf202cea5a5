"""Alembic's environment. The connection is given by ``python -m canvas_app release``, never by a file."""

from __future__ import annotations

from typing import Any

from alembic import context

from canvas_app.interviews.tables import metadata
from canvas_app.migrate import include_object
from canvas_app.store import UtcDateTime


def render_item(kind: str, item: Any, _autogen: Any) -> str | bool:
    """Write our own column type as what it is in the database, so that a migration needs no code of ours."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def run() -> None:
    connection: Any = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_object=include_object,
        render_item=render_item,
        # SQLite cannot alter a column; Alembic then copies the table.
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
