"""How it stands at this moment, for `GET /metrics`: told by the database alone, in a few queries.

Each of them is answered from an index, or is about what is little however long the history: a ledger of
100,000 interviews is counted in some hundredths of a second.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, get_args

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import engine as durable, gates, rates, store
from canvas_app.engine import Waiting
from canvas_app.gates import RATES, Pause, Wire
from canvas_app.interviews import studies, workspace
from canvas_app.interviews.deliveries import Door
from canvas_app.interviews.states import STATES
from canvas_app.interviews.tables import alerts, deliveries, gates as gate_rows, interviews, stored, workers
from canvas_app.leases import SILENT_SECONDS
from canvas_app.settings import Settings

_DOORS: Final[tuple[Door, ...]] = get_args(Door)
# Of deliveries: still to be worked on, and given up.
_OPEN_ENDED: Final = ("stored", "failed")


@dataclass(frozen=True, slots=True)
class Gauges:
    """``waits``: seconds that the oldest job of a queue waits for a worker, 0 where none does. ``rooms``: the
    calls that a wire could make at once. ``alerts``: how many of each kind last. ``interviews`` by state, and
    None while nobody knows whose the access token is. ``deliveries`` by door and state."""

    workers: int
    queues: Mapping[str, Waiting]
    waits: Mapping[str, float]
    rooms: Mapping[Wire, int]
    pauses: list[Pause]
    alerts: Mapping[str, int]
    interviews: Mapping[str, int] | None
    deliveries: Mapping[tuple[str, str], int]


def read(connection: Connection, settings: Settings) -> Gauges:
    """All of them. Ten queries."""
    now = store.now(connection)
    keys = studies.gate_keys(connection, settings)
    queues = durable.queues(connection)
    return Gauges(
        workers=_workers(connection, now),
        queues=queues,
        waits={
            name: 0.0 if queue.oldest_since is None else max(time.time() - queue.oldest_since, 0.0)
            for name, queue in queues.items()
        },
        rooms=_rooms(connection, keys, now),
        pauses=gates.paused(connection, keys),
        alerts=_alerts(connection),
        interviews=_interviews(connection, settings),
        deliveries=_deliveries(connection),
    )


def _workers(connection: Connection, now: datetime) -> int:
    alive = workers.c.renewed_at > now - timedelta(seconds=SILENT_SECONDS)
    query = sa.select(sa.func.count()).select_from(workers).where(alive)
    return int(connection.execute(query).scalar_one())


def _rooms(connection: Connection, keys: Mapping[str, Wire], now: datetime) -> dict[Wire, int]:
    """Of several keys of a wire the room of the one that has least."""
    columns = gate_rows.c
    query = sa.select(columns.key, columns.due_at, columns.blocked_until).where(columns.key.in_(list(keys)))
    rows = {row.key: row for row in connection.execute(query)}
    found: dict[Wire, int] = {}
    for key, wire in keys.items():
        rate, row = RATES[wire], rows.get(key)
        # A key that was not used yet has all of it.
        room = (
            rates.room(rate, due_at=row.due_at, blocked_until=row.blocked_until, now=now)
            if row is not None
            else rate.burst
        )
        found[wire] = min(room, found.get(wire, room))
    return found


def _alerts(connection: Connection) -> dict[str, int]:
    query = sa.select(alerts.c.kind, sa.func.count().label("number")).where(alerts.c.over_at.is_(None))
    return {row.kind: row.number for row in connection.execute(query.group_by(alerts.c.kind))}


def _interviews(connection: Connection, settings: Settings) -> dict[str, int] | None:
    workspace_id = workspace.of_token(connection, settings)
    if workspace_id is None:
        return None
    columns = interviews.c
    # Both columns stand at the beginning of one index, which is all that is read.
    query = (
        sa.select(columns.state, sa.func.count().label("number"))
        .where(columns.workspace_id == workspace_id)
        .group_by(columns.state)
    )
    return dict.fromkeys(STATES, 0) | {row.state: row.number for row in connection.execute(query)}


def _deliveries(connection: Connection) -> dict[tuple[str, str], int]:
    columns = deliveries.c
    # As a bare column SQLite would rather walk the index of doors, and with it all deliveries.
    door_ = columns.door.concat(sa.literal_column("''"))
    counted = sa.select(door_, columns.state, sa.func.count()).group_by(door_, columns.state)
    query = sa.union_all(counted.where(stored), counted.where(columns.state == "failed"))
    found = {(door, state): 0 for door in _DOORS for state in _OPEN_ENDED}
    return found | {(door, state): number for door, state, number in connection.execute(query)}
