"""Requests that were refused at a door, by the hour, for the console. Nothing else of them is kept.

They are counted with all else that a process counts, see :mod:`canvas_app.interviews.measures`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from canvas_app import store
from canvas_app.interviews.tables import refusals

# How long the counts stand in the database.
_KEPT: Final = timedelta(days=90)
_LONGEST: Final = 64


@dataclass(frozen=True, slots=True)
class Refusals:
    """Of one door for one reason, since a moment: how many, and in which hour the last of them came."""

    door: str
    reason: str
    number: int
    last_hour: datetime


def since(connection: Connection, moment: datetime) -> list[Refusals]:
    """What was refused in this hour and those after it, the most frequent first."""
    columns = refusals.c
    number = sa.func.sum(columns.number)
    query = (
        sa.select(columns.door, columns.reason, number, sa.func.max(columns.hour, type_=columns.hour.type))
        .where(columns.hour >= _hour(moment))
        .group_by(columns.door, columns.reason)
        .order_by(number.desc(), columns.door, columns.reason)
    )
    return [Refusals(row[0], row[1], int(row[2]), row[3]) for row in connection.execute(query)]


def write(connection: Connection, counts: Mapping[tuple[str, str], int]) -> None:
    """Add so many of each door and reason to this hour's, and let go of what is too old."""
    if not counts:
        return
    now = store.now(connection)
    connection.execute(sa.delete(refusals).where(refusals.c.hour < now - _KEPT))
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    # In one order, so that two processes that write at once do not wait for each other in a circle.
    for (door, reason), number in sorted(counts.items()):
        row = dialect.insert(refusals).values(
            hour=_hour(now), door=door[:_LONGEST], reason=reason[:_LONGEST], number=number
        )
        more = {"number": refusals.c.number + row.excluded.number}
        keys = list(refusals.primary_key.columns)
        connection.execute(row.on_conflict_do_update(index_elements=keys, set_=more))


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
