"""How a database goes about queries: whether one of them reads a whole large table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import store

_LARGE = ("interviews", "deliveries")


def plans_of(engine: Engine, ask: Callable[[Connection], object]) -> list[str]:
    """The plan of every query that ``ask`` makes on the connection that it is given."""
    statements: list[tuple[str, Any]] = []

    def remember(*arguments: Any) -> None:
        statements.append((arguments[2], arguments[3]))

    with store.reading(engine) as connection:
        sa.event.listen(engine, "before_cursor_execute", remember)
        ask(connection)
        sa.event.remove(engine, "before_cursor_execute", remember)
        return [_plan(connection, *statement) for statement in statements]


def whole_reads(plans: list[str]) -> list[str]:
    """The lines that read every row of a large table. A partial index is not all of them."""
    return [
        line
        for plan in plans
        for line in plan.splitlines()
        if any(line.strip(" ->").startswith((f"Seq Scan on {table}", f"SCAN {table}")) for table in _LARGE)
        and "ix_interviews_unfinished" not in line
    ]


def _plan(connection: Connection, statement: str, parameters: Any) -> str:
    explain = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    rows = connection.exec_driver_sql(f"{explain} {statement}", parameters)
    return "\n".join(str(row[-1]) for row in rows)
