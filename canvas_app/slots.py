"""Leased slots: which worker is which, for the durable engine.

DBOS takes back the unfinished work of its own executor id when it launches, so a restarted worker must get
the id of the one that died, and no two living workers may share one. A worker therefore holds a numbered
slot by a lease that it renews. A slot whose holder has been silent too long is taken by the next worker that
starts; if none starts, a living worker adopts the slot's unfinished work.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.interviews.ledger import insert_ignoring_conflicts
from canvas_app.interviews.tables import worker_slots

RENEW_SECONDS = 10.0
SILENT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot this process holds, until :func:`renew` says otherwise."""

    number: int
    holder: str

    @property
    def executor_id(self) -> str:
        return f"slot-{self.number}"


def take(engine: Engine, *, silent_seconds: float | None = None) -> Slot:
    """Take the lowest slot that is free or silent, or make a new one."""
    holder = uuid.uuid4().hex
    silent = timedelta(seconds=SILENT_SECONDS if silent_seconds is None else silent_seconds)
    while True:
        with store.writing(engine) as connection:
            now = store.now(connection)
            rows = connection.execute(sa.select(worker_slots).order_by(worker_slots.c.slot)).all()
            for row in rows:
                free = row.holder is None or now - row.renewed_at > silent
                if free and _replace_holder(connection, row.slot, row.holder, holder, now):
                    return Slot(row.slot, holder)
            number = next(n for n in range(1, len(rows) + 2) if n not in {row.slot for row in rows})
            values = {"slot": number, "holder": holder, "renewed_at": now}
            if insert_ignoring_conflicts(connection, worker_slots, values):
                return Slot(number, holder)
            # Another worker made this slot in the same moment; look again.


def renew(engine: Engine, slot: Slot) -> bool:
    """Say that the holder is alive. False when the slot was taken from it: it must stop at once."""
    with store.writing(engine) as connection:
        return _replace_holder(connection, slot.number, slot.holder, slot.holder, store.now(connection))


def release(engine: Engine, slot: Slot) -> None:
    """Give the slot back, so that the next worker need not wait for the silence."""
    with store.writing(engine) as connection:
        _replace_holder(connection, slot.number, slot.holder, None, store.now(connection))


def adopt_abandoned(engine: Engine, *, silent_seconds: float | None = None) -> list[Slot]:
    """Take over every slot that nobody holds or whose holder is silent. The caller re-enqueues the
    unfinished work of each, and then calls :func:`discard`."""
    holder = uuid.uuid4().hex
    silent = timedelta(seconds=SILENT_SECONDS if silent_seconds is None else silent_seconds)
    with store.writing(engine) as connection:
        now = store.now(connection)
        return [
            Slot(row.slot, holder)
            for row in connection.execute(sa.select(worker_slots)).all()
            # A slot that was given back is left for a while to the worker that a deploy starts.
            if now - row.renewed_at > silent
            and _replace_holder(connection, row.slot, row.holder, holder, now)
        ]


def discard(engine: Engine, slot: Slot) -> None:
    with store.writing(engine) as connection:
        connection.execute(
            sa.delete(worker_slots).where(
                worker_slots.c.slot == slot.number, worker_slots.c.holder == slot.holder
            )
        )


def _replace_holder(
    connection: sa.Connection, number: int, old: str | None, new: str | None, now: object
) -> bool:
    result = connection.execute(
        sa.update(worker_slots)
        .where(worker_slots.c.slot == number, worker_slots.c.holder.is_not_distinct_from(old))
        .values(holder=new, renewed_at=now)
    )
    return result.rowcount == 1
