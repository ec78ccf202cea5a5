"""Leases: which workers are alive.

Each worker works under an executor id of its own, which no other process ever has again, and renews its
lease on it. The durable engine's unfinished work belongs to an executor; what belongs to one without a living
lease is abandoned, and a living worker takes it back into the queue. A worker that finds its lease taken away
ends at once, because its work is being done by others.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.interviews.tables import workers

RENEW_SECONDS = 10.0
SILENT_SECONDS = 30.0


def take(engine: Engine) -> str:
    """Begin a lease; returns the new executor id."""
    executor_id = uuid.uuid4().hex
    with store.writing(engine) as connection:
        now = store.now(connection)
        connection.execute(sa.insert(workers).values(executor_id=executor_id, renewed_at=now))
    return executor_id


def renew(engine: Engine, executor_id: str) -> bool:
    """Say that the worker is alive. False when the lease was taken away from it."""
    with store.writing(engine) as connection:
        result = connection.execute(
            sa.update(workers)
            .where(workers.c.executor_id == executor_id)
            .values(renewed_at=store.now(connection))
        )
    return result.rowcount == 1


def end(engine: Engine, executor_id: str) -> None:
    """Give the lease back. What the worker has not finished is abandoned from now on."""
    with store.writing(engine) as connection:
        connection.execute(sa.delete(workers).where(workers.c.executor_id == executor_id))


def end_silent(engine: Engine) -> list[str]:
    """Take their leases from workers that have been silent for too long; returns their executor ids.

    A worker that could not reach the database itself must not call this before it has been in touch again for
    as long as that: the others could not renew theirs either.
    """
    with store.writing(engine) as connection:
        now = store.now(connection)
        span = timedelta(seconds=SILENT_SECONDS)
        # Renewed before the clock was set back: who lives renews it again; who is dead is silent from now on.
        ahead = sa.update(workers).where(workers.c.renewed_at > now + span)
        connection.execute(ahead.values(renewed_at=now))
        silent = sa.delete(workers).where(workers.c.renewed_at < now - span).returning(workers.c.executor_id)
        return list(connection.execute(silent).scalars())


def living(engine: Engine) -> set[str]:
    """The executor ids that have a lease."""
    with store.reading(engine) as connection:
        return set(connection.execute(sa.select(workers.c.executor_id)).scalars())
