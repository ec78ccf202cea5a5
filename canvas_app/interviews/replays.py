"""Many deliveries that have failed are taken up again, a few at a time, by a worker.

A replay is a row that says which ones are meant and how far it has come. Each batch is one short transaction
that takes deliveries up and moves that place on, so that a worker that dies in the middle is followed by one
that goes on there. What is taken up goes the usual way, on which a message and a note are made once.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import log, store
from canvas_app.engine import Jobs
from canvas_app.interviews import deliveries, ledger
from canvas_app.interviews.seen import Note, no_note
from canvas_app.interviews.services import Services
from canvas_app.interviews.tables import deliveries as deliveries_table, replays

logger = logging.getLogger(__name__)

# Deliveries of one transaction: on SQLite it holds the lock of all writers.
_AT_ONCE: Final = 25
_BATCHES_A_JOB: Final = 8
# Seconds between two batches, so that somebody who taps gets the lock.
PAUSE: Final = 0.05
# They have their turn one after the other.
_PARTITION: Final = "replays"
_MOST_LISTED: Final = 10


@dataclass(frozen=True, slots=True)
class Which:
    """Deliveries that have failed. ``since`` counts, ``before`` does not."""

    door: str | None = None
    reason: str | None = None
    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """How far it has come. ``seen`` of ``total`` have had their turn; ``not_taken`` could not be taken up."""

    id: str
    started_at: datetime
    total: int
    seen: int
    not_taken: int
    finished_at: datetime | None
    problem: str | None


def conditions(which: Which) -> list[sa.ColumnElement[bool]]:
    columns = deliveries_table.c
    found: list[sa.ColumnElement[bool]] = [columns.state == "failed"]
    for column, wanted in ((columns.door, which.door), (columns.reason, which.reason)):
        if wanted is not None:
            found.append(column == wanted)
    if which.since is not None:
        found.append(columns.received_at >= which.since)
    if which.before is not None:
        found.append(columns.received_at < which.before)
    return found


def begin(engine: Engine, jobs: Jobs, which: Which, *, note: Note = no_note) -> str | None:
    """Write a replay of those that have failed by now, and its first job. None where there are none."""
    with store.writing(engine) as connection:
        now = store.now(connection)
        until = now if which.before is None else min(now, which.before)
        meant = Which(which.door, which.reason, which.since, until)
        count = sa.select(sa.func.count()).select_from(deliveries_table).where(*conditions(meant))
        total = int(connection.execute(count).scalar_one())
        if not total:
            return None
        id_ = ledger.new_id()
        connection.execute(
            sa.insert(replays).values(
                id=id_,
                door=which.door,
                reason=which.reason,
                since=which.since,
                until=until,
                started_at=now,
                total=total,
                seen=0,
                not_taken=0,
                batch=1,
            )
        )
        _enqueue(connection, jobs, id_, 1)
        note(connection)
    return id_


def get(connection: Connection, id_: str) -> Replay | None:
    row = connection.execute(_selected().where(replays.c.id == id_)).first()
    return Replay(*row) if row else None


def newest(connection: Connection) -> list[Replay]:
    """The last ones."""
    query = _selected().order_by(replays.c.started_at.desc()).limit(_MOST_LISTED)
    return [Replay(*row) for row in connection.execute(query)]


def go_on(services: Services, id_: str, batch: int) -> bool:
    """A job's step: take up the next ones, and enqueue the next job; whether there is one.

    May be repeated.
    """
    for number in range(_BATCHES_A_JOB):
        if number:
            time.sleep(PAUSE)
        with store.writing(services.engine) as connection:
            row = connection.execute(sa.select(replays).where(replays.c.id == id_).with_for_update()).first()
            if row is None or row.finished_at is not None or row.batch != batch:
                return False
            ended = _take_up(connection, services.jobs, row)
            if ended:
                break
            if number == _BATCHES_A_JOB - 1:
                connection.execute(sa.update(replays).where(replays.c.id == id_).values(batch=batch + 1))
                _enqueue(connection, services.jobs, id_, batch + 1)
    log.event(logger, logging.INFO, "replayed", replay=id_, batch=batch, ended=ended)
    return not ended


def give_up(services: Services, id_: str, batch: int) -> None:
    """End a replay that a fault of ours has stopped; another one takes up what is left."""
    with store.writing(services.engine) as connection:
        connection.execute(
            sa.update(replays)
            .where(replays.c.id == id_, replays.c.batch == batch, replays.c.finished_at.is_(None))
            .values(finished_at=store.now(connection), problem="internal_error")
        )


def _take_up(connection: Connection, jobs: Jobs, row: sa.Row[Any]) -> bool:
    """Take up the next few and move the place on; whether that was all."""
    columns = deliveries_table.c
    query = sa.select(columns.id, columns.received_at).where(
        *conditions(Which(row.door, row.reason, row.since, row.until)),
        # What has failed since is not what was meant, and would be taken up for ever.
        columns.finished_at <= row.started_at,
    )
    if row.reached_at is not None:
        reached = sa.tuple_(
            sa.literal(row.reached_at, store.UtcDateTime()), sa.literal(row.reached_id, sa.String)
        )
        query = query.where(sa.tuple_(columns.received_at, columns.id) > reached)
    found = connection.execute(query.order_by(columns.received_at, columns.id).limit(_AT_ONCE)).all()
    taken = sum(_one(connection, jobs, one.id) for one in found)
    ended = len(found) < _AT_ONCE
    values: dict[str, Any] = {
        "seen": row.seen + len(found),
        "not_taken": row.not_taken + len(found) - taken,
    }
    if found:
        values |= {"reached_at": found[-1].received_at, "reached_id": found[-1].id}
    if ended:
        values["finished_at"] = store.now(connection)
    connection.execute(sa.update(replays).where(replays.c.id == row.id).values(**values))
    return ended


def _one(connection: Connection, jobs: Jobs, delivery_id: str) -> bool:
    """Take one up. What cannot be read any more does not keep the others from it."""
    try:
        with connection.begin_nested():
            return deliveries.take_up(connection, jobs, delivery_id)
    except ValueError as error:
        log.failure(logger, "delivery_unreadable", error, delivery=delivery_id)
        return False


def _enqueue(connection: Connection, jobs: Jobs, id_: str, batch: int) -> None:
    jobs.enqueue(connection, "replay", id_, batch, job_id=f"replay:{id_}:{batch}", partition=_PARTITION)


def _selected() -> sa.Select[Any]:
    return sa.select(*(replays.c[name] for name in Replay.__dataclass_fields__))
