"""Requests that were refused at a door, counted by the hour. Nothing else of them is kept.

Each web process counts for itself and writes what it has counted now and then, one row for each door and
reason, so that a flood of refused requests makes no more writes than a single one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from canvas_app import log, store
from canvas_app.interviews.tables import refusals

logger = logging.getLogger(__name__)

# How long a process keeps what it has counted for itself.
KEPT_BACK_SECONDS: Final = 15.0
# How long the counts stand in the database.
_KEPT: Final = timedelta(days=90)


class Tally:
    """What one process has counted and not written yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str]] = Counter()
        self._not_before = 0.0

    def add(self, door: str, reason: str) -> None:
        """``door`` is a route and no path, and ``reason`` one of our codes, so that there are few of them."""
        with self._lock:
            self._counts[door[:64], reason[:64]] += 1

    def keep(self, engine: Engine, *, at_once: bool = False) -> None:
        """Write what was counted, where its time has come. Where that fails, it is kept for the next time."""
        with self._lock:
            now = time.monotonic()
            if not self._counts or (now < self._not_before and not at_once):
                return
            # Before it is tried, so that a database that is away is not waited for by every request.
            self._not_before = now + KEPT_BACK_SECONDS
            counts, self._counts = self._counts, Counter()
        try:
            with store.writing(engine) as connection:
                _add(connection, counts)
        except SQLAlchemyError as error:
            log.failure(logger, "refusals_not_kept", error)
            with self._lock:
                self._counts.update(counts)


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


def _add(connection: Connection, counts: Counter[tuple[str, str]]) -> None:
    now = store.now(connection)
    connection.execute(sa.delete(refusals).where(refusals.c.hour < now - _KEPT))
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    # In one order, so that two processes that write at once do not wait for each other in a circle.
    for (door, reason), number in sorted(counts.items()):
        row = dialect.insert(refusals).values(hour=_hour(now), door=door, reason=reason, number=number)
        more = {"number": refusals.c.number + row.excluded.number}
        keys = list(refusals.primary_key.columns)
        connection.execute(row.on_conflict_do_update(index_elements=keys, set_=more))


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
