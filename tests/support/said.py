"""What the web process says to its database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app.prepared import Prepared
from tests.support.world import World


@contextmanager
def statements(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Each statement, transactions included."""
    engine = world.app.extensions["koji_for_intercom"].engine
    said: list[str] = []
    rows = Prepared.rows

    def noted(query: Prepared, *args: Any) -> Any:
        said.append(query.text)
        return rows(query, *args)

    def before(_connection: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        said.append(statement)

    sa.event.listen(engine, "before_cursor_execute", before)
    sa.event.listen(engine, "commit", lambda _connection: said.append("COMMIT"))
    with monkeypatch.context() as patched:
        patched.setattr(Prepared, "rows", noted)
        yield said
    sa.event.remove(engine, "before_cursor_execute", before)
