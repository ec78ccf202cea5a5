"""How the database goes about the queries of a piece of code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

# A table that may be large and is read from its beginning to its end, without an index.
_SCAN_SQLITE = re.compile(r"SCAN (interviews|deliveries)\b(?! USING)")
_SCAN_POSTGRESQL = re.compile(r"Seq Scan on (interviews|deliveries)\b")


@dataclass
class Plans:
    """The queries that were made, and which of them scan a large table."""

    queries: list[tuple[str, Any]] = field(default_factory=list)

    def scans(self, engine: Engine) -> list[str]:
        """A line for each scan of a table that may be large: the query and its plan."""
        prefix, scan = (
            ("EXPLAIN QUERY PLAN ", _SCAN_SQLITE)
            if engine.dialect.name == "sqlite"
            else ("EXPLAIN ", _SCAN_POSTGRESQL)
        )
        found = []
        with engine.connect() as connection:
            for statement, parameters in self.queries:
                rows = connection.exec_driver_sql(prefix + statement, parameters).all()
                plan = "\n".join(str(row[-1]) for row in rows)
                if scan.search(plan):
                    found.append(f"{statement}\n{plan}")
        return found


@contextmanager
def watched(engine: Engine) -> Iterator[Plans]:
    """Collects the queries that are made through an engine meanwhile."""
    plans = Plans()

    def collect(
        _connection: object, _cursor: object, statement: str, parameters: Any, *_args: object
    ) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            plans.queries.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", collect)
    try:
        yield plans
    finally:
        sa.event.remove(engine, "before_cursor_execute", collect)
