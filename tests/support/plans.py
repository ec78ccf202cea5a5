"""How the database goes about the queries of a piece of code: does one of them read a whole large table?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

LARGE: Final = ("interviews", "deliveries")
# What is not over is little, however long the history: an index of that alone may be read to its end.
_SMALL: Final = frozenset(
    {
        "ix_interviews_unfinished",
        "ix_interviews_remind_at",
        "ix_interviews_link_attribute",
        "ix_deliveries_unfinished",
        "uq_interviews_open",
        "uq_interviews_planned",
    }
)
# How SQLite tells of one look at a table: SCAN or SEARCH, the table, and the index, if any.
_LOOK: Final = re.compile(r"(SCAN|SEARCH) (\w+)(?: USING (?:COVERING )?INDEX (\w+))?")
# What is the same in few rows: what belongs to one of these is looked up by it.
_NARROW: Final = re.compile(
    r"\b(id|contact_id|conversation_id|interview_id|link_token|koji_interview_id|dedupe_key|request_key"
    r"|external_id|rowid)=\?"
)
# The steps of PostgreSQL's that want all rows below them before they give away the first one.
_TAKE_ALL: Final = frozenset({"Sort", "Aggregate", "Hash", "Materialize", "SetOp", "WindowAgg"})


@dataclass
class Plans:
    """The queries that were made. What only writes is left out."""

    queries: list[tuple[str, Any]] = field(default_factory=list)

    def texts(self, engine: Engine) -> list[str]:
        """The plan of each query, as the database tells it."""
        with engine.connect() as connection:
            return [_plan(connection, *query) for query in self.queries]

    def whole_reads(self, engine: Engine, *, large: tuple[str, ...] = LARGE) -> list[str]:
        """The queries, with their plans, that read each row of a large table or of an index of all its rows.

        To walk along an index from its end until there are enough is not that.
        """
        tells = _whole_postgresql if engine.dialect.name == "postgresql" else _whole_sqlite
        plans = zip(self.queries, self.texts(engine), strict=True)
        return [f"{query}\n{plan}" for (query, _), plan in plans if tells(query, plan, large)]

    def wide_searches(self, engine: Engine, *, large: tuple[str, ...] = LARGE) -> list[str]:
        """On SQLite, the queries with their plans that look at more of a large table than at what belongs to
        one contact, conversation or interview: at all of a workspace, of a study, in a state."""
        plans = zip(self.queries, self.texts(engine), strict=True)
        return [f"{query}\n{plan}" for (query, _), plan in plans if _is_wide(plan, large)]


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


def _plan(connection: Connection, statement: str, parameters: Any) -> str:
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return "\n".join(str(row[-1]) for row in rows)
    plan = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters).scalar_one()
    return json.dumps(plan, indent=1)


def _whole_sqlite(statement: str, plan: str, large: tuple[str, ...]) -> bool:
    for line in plan.splitlines():
        found = _LOOK.match(line)
        if not found or found[1] != "SCAN" or found[2] not in large or found[3] in _SMALL:
            continue
        walks = found[3] is not None and "LIMIT" in statement.upper() and "USE TEMP B-TREE" not in plan
        if not walks:
            return True
    return False


def _is_wide(plan: str, large: tuple[str, ...]) -> bool:
    looks = ((_LOOK.match(line), line) for line in plan.splitlines())
    return any(
        found and found[2] in large and found[3] not in _SMALL and not _NARROW.search(line)
        for found, line in looks
    )


def _whole_postgresql(_statement: str, plan: str, large: tuple[str, ...]) -> bool:
    return any(_reads_all(one["Plan"], large, limited=False) for one in json.loads(plan))


def _reads_all(node: dict[str, Any], large: tuple[str, ...], *, limited: bool) -> bool:
    kind = node["Node Type"]
    if node.get("Relation Name") in large:
        # Where nothing has to be in order it ends with the first rows that are wanted.
        if kind == "Seq Scan" and not limited:
            return True
        whole_index = kind in ("Index Scan", "Index Only Scan") and "Index Cond" not in node
        if whole_index and not limited and node["Index Name"] not in _SMALL:
            return True
    limited = kind == "Limit" or (limited and kind not in _TAKE_ALL)
    return any(_reads_all(below, large, limited=limited) for below in node.get("Plans", ()))
