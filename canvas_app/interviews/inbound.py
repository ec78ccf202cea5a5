"""What came in, as a person looks through it: deliveries, failed or not, newest first, a page at a time.

Nothing of what a delivery said is read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app.engine import due
from canvas_app.interviews import deliveries, search
from canvas_app.interviews.search import Place
from canvas_app.interviews.tables import deliveries as deliveries_table

State = Literal["stored", "done", "ignored", "failed"]
STATES: Final[tuple[State, ...]] = get_args(State)
DOORS: Final[tuple[deliveries.Door, ...]] = get_args(deliveries.Door)
_MOST_REASONS: Final = 50


@dataclass(frozen=True, slots=True)
class Filter:
    """Which deliveries. ``since`` counts, ``before`` does not."""

    door: str | None = None
    state: State | None = None
    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One delivery. ``tries`` counts the attempts to write to Intercom or to let the rules decide.

    ``next_try`` is when its job has its turn; None where that has come, or where there is no job.
    ``replayable``: it can be taken up again.
    """

    id: str
    door: str
    event: str
    state: str
    reason: str | None
    attempt: int
    tries: int
    received_at: datetime
    finished_at: datetime | None
    interview_id: str | None
    replayable: bool
    next_try: datetime | None = None
    has_job: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    rows: tuple[Listed, ...]
    next: Place | None


def page(connection: Connection, which: Filter, *, after: Place | None = None, most: int) -> Page:
    """The newest deliveries behind ``after``, with when those have their turn that wait for it."""
    columns = deliveries_table.c
    query = _selected().where(*_conditions(which))
    if after is not None:
        query = query.where(search.behind(columns.received_at, columns.id, after))
    query = query.order_by(columns.received_at.desc(), columns.id.desc()).limit(most + 1)
    rows = connection.execute(query).all()
    more = len(rows) > most
    shown = tuple(_listed(connection, rows[:most]))
    return Page(shown, Place(shown[-1].received_at, shown[-1].id) if more else None)


def about(connection: Connection, interview_id: str, *, most: int = 100) -> list[Listed]:
    """The deliveries about an interview, the oldest first."""
    columns = deliveries_table.c
    query = _selected().where(columns.interview_id == interview_id).order_by(columns.received_at, columns.id)
    return _listed(connection, connection.execute(query.limit(most)).all())


def failed_reasons(connection: Connection, *, most: int = 10_000) -> list[tuple[str, int]]:
    """Why deliveries have failed, the most frequent reason first, counted over the newest ones."""
    columns = deliveries_table.c
    newest = (
        sa.select(columns.reason)
        .where(columns.state == "failed")
        .order_by(columns.received_at.desc())
        .limit(most)
        .subquery()
    )
    number = sa.func.count()
    query = sa.select(newest.c.reason, number).group_by(newest.c.reason).order_by(number.desc())
    return [(row[0] or "", int(row[1])) for row in connection.execute(query.limit(_MOST_REASONS))]


def _conditions(which: Filter) -> list[sa.ColumnElement[bool]]:
    columns = deliveries_table.c
    found: list[sa.ColumnElement[bool]] = []
    if which.door is not None:
        found.append(columns.door == which.door)
    if which.state is not None:
        found.append(columns.state == which.state)
    if which.since is not None:
        found.append(columns.received_at >= which.since)
    if which.before is not None:
        found.append(columns.received_at < which.before)
    return found


def _selected() -> sa.Select[Any]:
    columns = deliveries_table.c
    plain = [
        columns[name]
        for name in Listed.__dataclass_fields__
        if name not in ("replayable", "next_try", "has_job")
    ]
    replayable = sa.and_(columns.state == "failed", columns.content.is_not(None)).label("replayable")
    return sa.select(*plain, replayable, deliveries.newest_job().label("job"))


def _listed(connection: Connection, rows: Any) -> list[Listed]:
    waiting = [row.job for row in rows if row.state == "stored"]
    turns = due(connection, waiting) if waiting else {}
    listed = []
    for row in rows:
        values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name
        job = values.pop("job")
        values["replayable"] = bool(values["replayable"])
        listed.append(Listed(**values, next_try=turns.get(job), has_job=job in turns))
    return listed
