"""What operators have chosen in the console, beside the settings.

It is read anew whenever it is used, so that a change takes effect at once in all processes.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import store
from canvas_app.interviews.tables import options


def raw(connection: Connection, name: str) -> Any:
    """The JSON value of an option; None where nothing was chosen."""
    return connection.execute(sa.select(options.c.value).where(options.c.name == name)).scalar()


def write(connection: Connection, name: str, value: Any) -> None:
    """Choose; None takes the choice back."""
    now = store.now(connection)
    values = {"value": value, "updated_at": now}
    if store.insert_ignoring_conflicts(connection, options, {"name": name, **values}):
        return
    connection.execute(sa.update(options).where(options.c.name == name).values(**values))
