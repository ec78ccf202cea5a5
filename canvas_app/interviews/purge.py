"""What is older than it may be kept goes: personal data of the ledger, and the durable engine's history.

It goes in small batches, each one short transaction, with a pause between them, so that nobody who taps
waits for it: on SQLite a batch holds the one lock that there is for writing, on PostgreSQL it locks rows that
nothing else touches. Each function is a step that may be repeated, and returns whether there is more to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import store
from canvas_app.interviews import requested
from canvas_app.interviews.deliveries import waiting_for
from canvas_app.interviews.emptied import NOBODY, about_nobody, nothing_personal
from canvas_app.interviews.services import Services
from canvas_app.interviews.states import UNFINISHED_STATES
from canvas_app.interviews.tables import (
    decisions,
    deliveries,
    imported_links,
    interviews,
    not_emptied,
    unpurged,
)

# Finished jobs are of use to nobody but a developer who looks for a fault. That an attempt is made once does
# not rest on them: attempts are counted in the ledger.
HISTORY_KEPT: Final = timedelta(days=7)

# Rows of one batch; a batch takes some hundredths of a second at most.
BATCH: Final = 100
# Seconds between two batches: longer than a writer of SQLite sleeps before it looks for the lock again.
PAUSE: Final = 0.1
# A step ends after so many, so that the process can end between two steps.
_BATCHES_A_STEP: Final = 20

# The other tables in which a contact is named, and from when on a row of theirs is counted.
_TRACES: Final[dict[sa.Table, sa.Column[datetime]]] = {
    decisions: decisions.c.decided_at,
    imported_links: imported_links.c.imported_at,
}


def purge_ledger(services: Services) -> bool:
    """Ended interviews older than RETENTION_DAYS lose what is personal; one that is still open keeps it."""
    return _in_batches(lambda: _purge_interviews(services))


def purge_deliveries(services: Services) -> bool:
    """Deliveries of that time lose what is left of their content, and what they name the interview by."""
    return _in_batches(lambda: _purge_deliveries(services))


def purge_traces(services: Services) -> bool:
    """What else names a contact goes when it is that old: decisions are about nobody then, imported links
    are deleted."""
    return _in_batches(lambda: sum(_purge_traces(services, table) for table in _TRACES))


def purge_requests(services: Services) -> bool:
    """What tells requests of the API without a key apart goes when it tells nothing any more."""
    return _in_batches(lambda: requested.forget(services.engine, most=BATCH))


def purge_history(services: Services) -> bool:
    """The engine's finished jobs go with their steps; those that wait or run stay, however old they are."""
    with store.reading(services.engine) as connection:
        before = store.now(connection) - HISTORY_KEPT
    return _in_batches(lambda: services.jobs.purge(before=before, most=BATCH))


def _in_batches(batch: Callable[[], int]) -> bool:
    for _ in range(_BATCHES_A_STEP):
        if batch() < BATCH:
            return False
        time.sleep(PAUSE)
    return True


def _purge_interviews(services: Services) -> int:
    # Found before the transaction begins, which then has nothing to look for.
    with store.reading(services.engine) as connection:
        ids = list(
            connection.execute(
                sa.select(interviews.c.id)
                .where(_may_be_purged(services, connection))
                .order_by(interviews.c.created_at)
                .limit(BATCH)
            ).scalars()
        )
    if ids:
        with store.writing(services.engine) as connection:
            these = interviews.c.id.in_(ids)
            # What somebody is changing at this moment has its turn later.
            locked = connection.execute(
                sa.select(interviews.c.id).where(these).with_for_update(skip_locked=True)
            )
            these = interviews.c.id.in_(list(locked.scalars()))
            # Looked at once more, and by another statement, which sees what was committed before the lock
            # was had: a late result may have been merged since.
            rows = connection.execute(
                sa.select(interviews.c.id, interviews.c.result).where(
                    these, _may_be_purged(services, connection)
                )
            ).all()
            now = store.now(connection)
            for row in rows:
                connection.execute(
                    sa.update(interviews)
                    .where(interviews.c.id == row.id)
                    .values(**nothing_personal(row.id, row.result), purged_at=now)
                )
    return len(ids)


def _may_be_purged(services: Services, connection: Connection) -> sa.ColumnElement[bool]:
    return sa.and_(
        unpurged,
        interviews.c.created_at < _cutoff(services, connection),
        interviews.c.state.not_in(UNFINISHED_STATES),
        # A late result needs to know whose it is.
        ~waiting_for(interviews.c.id).exists(),
    )


def _purge_deliveries(services: Services) -> int:
    with store.reading(services.engine) as connection:
        ids = list(
            connection.execute(
                sa.select(deliveries.c.id)
                .where(not_emptied, deliveries.c.received_at < _cutoff(services, connection))
                .order_by(deliveries.c.received_at)
                .limit(BATCH)
            ).scalars()
        )
    if ids:
        with store.writing(services.engine) as connection:
            connection.execute(
                sa.update(deliveries)
                .where(deliveries.c.id.in_(ids), deliveries.c.state != "stored")
                # Koji's id of the interview, or the contact's, is a part of the key.
                .values(content=None, dedupe_key=deliveries.c.id)
            )
    return len(ids)


def _purge_traces(services: Services, table: sa.Table) -> int:
    moment, key = _TRACES[table], next(iter(table.primary_key.columns))
    told = [table.c.contact_id.not_like(f"{NOBODY}%")] if table is decisions else []
    with store.reading(services.engine) as connection:
        old = sa.select(key).where(moment < _cutoff(services, connection), *told)
        ids = list(connection.execute(old.order_by(moment).limit(BATCH)).scalars())
    if ids:
        with store.writing(services.engine) as connection:
            these = key.in_(ids)
            connection.execute(
                sa.update(table).where(these).values(**about_nobody())
                if table is decisions
                else sa.delete(table).where(these)
            )
    return len(ids)


def _cutoff(services: Services, connection: Connection) -> datetime:
    return store.now(connection) - timedelta(days=services.settings.retention_days)
