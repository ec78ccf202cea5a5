"""Deliveries: what came in, stored with its job before it is acknowledged, and what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import store
from canvas_app.engine import Jobs
from canvas_app.intercom.notifications import Event
from canvas_app.interviews import ledger
from canvas_app.interviews.ask import partition
from canvas_app.interviews.seen import Note, no_note
from canvas_app.interviews.tables import deliveries, stored
from canvas_app.interviews.unindexed import unindexed
from canvas_app.koji.events import KojiEvent
from canvas_app.koji.results import KojiResult

# "reconcile" is no door: what the clock has asked Koji for goes the same way as what Koji sends.
Door = Literal["koji", "intercom", "reconcile"]
End = Literal["done", "ignored", "failed"]

# What an attempt may have to do again, each with a budget of its own.
Counter = Literal["waits", "fills", "tries"]

# Beside the event, in a delivery's content.
_SIGNED_FOR: Final = "signed_for"

# Put together once: every result asks for them.
_BY_ID: Final = sa.select(deliveries).where(deliveries.c.id == sa.bindparam("id_"))
_HEARD_AT: Final = sa.select(deliveries.c.received_at).where(deliveries.c.id == sa.bindparam("id_"))
_CHANGE: Final = sa.update(deliveries).where(deliveries.c.id == sa.bindparam("id_"))
_TAKE_ATTEMPT: Final = _CHANGE.where(deliveries.c.attempt == sa.bindparam("attempt_")).values(
    attempt=deliveries.c.attempt + 1
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery that is still to be worked on."""

    id: str
    event: KojiEvent
    # Set once its content has been merged into this interview's result.
    interview_id: str | None
    received_at: datetime
    # The studies with whose own secrets it is signed; None where it may be about any study.
    signed_for: tuple[str, ...] | None = None


def keep(
    engine: Engine,
    jobs: Jobs,
    event: KojiEvent,
    raw: bytes,
    *,
    door: Door = "koji",
    signed_for: Sequence[str] | None = None,
    note: Note = no_note,
) -> bool:
    """Store an event about an interview and the job that forwards it. False when it was stored before.

    One that was given up is taken up again when it is delivered anew. ``signed_for``: see :class:`Delivery`.
    """
    key = _key(event, raw)
    handled = event.kind != "other"
    content = content_of(event) | {_SIGNED_FOR: signed_for and list(signed_for)} if handled else None
    with store.writing(engine) as connection:
        now = store.now(connection)
        attempt = 1
        delivery_id = _insert(
            connection,
            door=door,
            key=key,
            event=event.name,
            reason=None if handled else "unknown_event",
            content=content,
            now=now,
        )
        if delivery_id is None:
            revived = _revive(connection, door, key, content, now)
            if revived is None:
                return False
            delivery_id, attempt = revived
        if handled:
            where = partition_of(connection, event, key)
            enqueue_forward(connection, jobs, delivery_id, attempt=attempt, partition=where)
        note(connection)
    return True


def keep_event(engine: Engine, jobs: Jobs, event: Event) -> bool:
    """Store what has happened in Intercom and the job that reacts to it. False when it was stored before."""
    with store.writing(engine) as connection:
        delivery_id = _insert(
            connection,
            door="intercom",
            key=f"{event.workspace_id}:{event.id}",
            event=event.topic,
            reason=None,
            content=event.model_dump(mode="json"),
            now=store.now(connection),
        )
        if delivery_id is not None:
            enqueue_react(connection, jobs, delivery_id, attempt=1)
    return delivery_id is not None


def keep_unhandled(engine: Engine, *, key: str, event: str, reason: str, door: Door) -> bool:
    """Store that something came which nothing follows from. False when it was stored before."""
    with store.writing(engine) as connection:
        now = store.now(connection)
        id_ = _insert(connection, door=door, key=key, event=event, reason=reason, content=None, now=now)
    return id_ is not None


def is_on_its_way(connection: Connection, event: KojiEvent, raw: bytes, *, door: Door) -> bool:
    """Whether the very same event is stored, and still to be worked on."""
    same = sa.and_(deliveries.c.door == door, deliveries.c.dedupe_key == _key(event, raw))
    return connection.execute(sa.select(deliveries.c.id).where(same, stored)).first() is not None


def content_of(event: KojiEvent) -> dict[str, Any]:
    """What is kept of an event until it is taken in: no address, and nothing of an anonymous answer."""
    event = event.model_copy(update={"result": kept(event.result)})
    return event.model_dump(mode="json", exclude={"challenge": True, "result": {"email": True}})


def kept(result: KojiResult) -> KojiResult:
    """What may be kept of a result. The content of an anonymous answer is not tied to the contact."""
    if result.identity != "anonymous":
        return result
    return KojiResult(
        koji_interview_id=result.koji_interview_id,
        external_id=result.external_id,
        metadata=result.metadata,
        identity="anonymous",
        quality=result.quality,
        occurred_at=result.occurred_at,
    )


def take_up(connection: Connection, jobs: Jobs, delivery_id: str) -> bool:
    """Give a delivery that has failed its next attempt, and its tries anew; False when it has not."""
    row = _anew(connection, deliveries.c.id == delivery_id, deliveries.c.content.is_not(None))
    if row is None:
        return False
    if row.door == "intercom":
        enqueue_react(connection, jobs, row.id, attempt=row.attempt)
        return True
    delivery = load(connection, row.id)
    if delivery is None:
        return False
    where = partition_of(connection, delivery.event, row.dedupe_key)
    enqueue_forward(connection, jobs, row.id, attempt=row.attempt, partition=where)
    return True


def load(connection: Connection, delivery_id: str) -> Delivery | None:
    """The delivery, if there is still something to be done about it."""
    row = connection.execute(_BY_ID, {"id_": delivery_id}).first()
    if row is None or row.state != "stored" or row.content is None or row.door == "intercom":
        return None
    signed_for = row.content.get(_SIGNED_FOR)
    return Delivery(
        row.id,
        KojiEvent.model_validate(row.content),
        row.interview_id,
        row.received_at,
        None if signed_for is None else tuple(signed_for),
    )


def load_event(connection: Connection, delivery_id: str) -> Event | None:
    """What has happened in Intercom, if there is still something to be done about it."""
    row = connection.execute(_BY_ID, {"id_": delivery_id}).first()
    if row is None or row.state != "stored" or row.content is None or row.door != "intercom":
        return None
    return Event.model_validate(row.content)


def heard_at(connection: Connection, delivery_id: str) -> datetime:
    """When it came in."""
    received_at: datetime = connection.execute(_HEARD_AT, {"id_": delivery_id}).scalar_one()
    return received_at


def waiting_for(interview_id: str | sa.ColumnElement[str]) -> sa.Select[str]:
    """The deliveries about an interview that are still to be worked on."""
    columns = deliveries.c
    return sa.select(columns.id).where(
        columns.interview_id == interview_id, unindexed(columns.state) == "stored"
    )


def is_stored(connection: Connection, delivery_id: str) -> bool:
    """Whether there is still something to be done about it; until the transaction ends it stays so."""
    this = sa.and_(deliveries.c.id == delivery_id, stored)
    return connection.execute(sa.select(deliveries.c.id).where(this).with_for_update()).first() is not None


def assign(connection: Connection, delivery_id: str, interview_id: str) -> None:
    """Write down which interview it is about, and that its content is in the ledger now."""
    connection.execute(_CHANGE, {"id_": delivery_id, "interview_id": interview_id})


def take_attempt(connection: Connection, delivery_id: str, attempt: int) -> bool:
    """Count an attempt as concluded. True for the first who says so, so that its end has one consequence."""
    return connection.execute(_TAKE_ATTEMPT, {"id_": delivery_id, "attempt_": attempt}).rowcount == 1


def count(connection: Connection, delivery_id: str, counter: Counter, *, by: int = 1) -> int:
    """One more of these, or one less; returns how many there are now."""
    column = deliveries.c[counter]
    this = deliveries.c.id == delivery_id
    connection.execute(sa.update(deliveries).where(this).values({column: column + by}))
    return int(connection.execute(sa.select(column).where(this)).scalar_one())


def finish(connection: Connection, delivery_id: str, end: End, reason: str | None, now: datetime) -> None:
    values: dict[str, Any] = {"state": end, "reason": reason, "finished_at": now}
    if end != "failed":
        # What it said is in the ledger now, as far as it is kept at all, or is about nobody that we know.
        values["content"] = None
    connection.execute(_CHANGE, {"id_": delivery_id, **values})


def enqueue_forward(
    connection: Connection,
    jobs: Jobs,
    delivery_id: str,
    *,
    attempt: int,
    partition: str,
    delay: float = 0.0,
) -> None:
    jobs.enqueue(
        connection,
        "forward",
        delivery_id,
        attempt,
        job_id=f"forward:{delivery_id}:{attempt}",
        partition=partition,
        delay=delay,
    )


def enqueue_react(
    connection: Connection, jobs: Jobs, delivery_id: str, *, attempt: int, delay: float = 0.0
) -> None:
    """Events of one contact are reacted to one at a time; a delivery is loaded for that."""
    event = load_event(connection, delivery_id)
    about = event and (event.contact_ids[0] if event.contact_ids else event.conversation_id)
    jobs.enqueue(
        connection,
        "react",
        delivery_id,
        attempt,
        job_id=f"react:{delivery_id}:{attempt}",
        partition=partition(event.workspace_id, about) if event and about else delivery_id,
        delay=delay,
    )


def newest_job() -> sa.ColumnElement[str]:
    """The id of a delivery's newest job, as the two above name it, for use in a query."""
    name = sa.case((deliveries.c.door == "intercom", "react:"), else_="forward:")
    return name + deliveries.c.id + ":" + sa.cast(deliveries.c.attempt, sa.String)


def partition_of(connection: Connection, event: KojiEvent, otherwise: str) -> str:
    """The partition of the contact whom an event is about; ``otherwise`` where that is not known (yet)."""
    interview = ledger.for_result(connection, **ledger.addressees(event.result))
    return partition(interview.workspace_id, interview.contact_id) if interview else otherwise


def _insert(
    connection: Connection,
    *,
    door: Door,
    key: str,
    event: str,
    reason: str | None,
    content: dict[str, Any] | None,
    now: datetime,
) -> str | None:
    id_ = ledger.new_id()
    inserted = store.insert_ignoring_conflicts(
        connection,
        deliveries,
        {
            "id": id_,
            "door": door,
            "dedupe_key": key,
            "event": event,
            "state": "ignored" if content is None else "stored",
            "reason": reason,
            "content": content,
            "attempt": 1,
            "waits": 0,
            "fills": 0,
            "tries": 0,
            "received_at": now,
            "finished_at": now if content is None else None,
        },
    )
    return id_ if inserted else None


def _revive(
    connection: Connection, door: Door, key: str, content: dict[str, Any] | None, now: datetime
) -> tuple[str, int] | None:
    """Take a delivery up again that was given up: its id and the number of its next attempt."""
    same = sa.and_(deliveries.c.door == door, deliveries.c.dedupe_key == key)
    row = _anew(connection, same, content=content, received_at=now)
    return None if row is None else (row.id, row.attempt)


def _anew(
    connection: Connection, *which: sa.ColumnElement[bool], **values: Any
) -> sa.Row[tuple[str, int, str, str]] | None:
    given_up = sa.or_(
        deliveries.c.state == "failed",
        sa.and_(deliveries.c.state == "ignored", deliveries.c.reason == "unknown_interview"),
    )
    this = sa.and_(*which, given_up)
    found = connection.execute(sa.select(deliveries).where(this).with_for_update()).first()
    if found is None:
        return None
    if "content" in values and values["content"] != found.content:
        # The very same was merged before, and may have been corrected since. Whatever else comes under the
        # sender's own id is still to be merged.
        values["interview_id"] = None
    return connection.execute(
        sa.update(deliveries)
        .where(this)
        .values(state="stored", reason=None, waits=0, fills=0, tries=0, finished_at=None, **values)
        .returning(deliveries.c.id, deliveries.c.attempt, deliveries.c.dedupe_key, deliveries.c.door)
    ).first()


def _key(event: KojiEvent, raw: bytes) -> str:
    """What makes two deliveries the same: event, interview, and the sender's own id or else the bytes.

    The event and the interview are always part of it: an "id" may be the interview's or the subscription's.
    """
    own = event.delivery_id or hashlib.sha256(raw).hexdigest()
    result = event.result
    about = result.koji_interview_id or result.metadata.get("interview_ref")
    if about is None and result.external_id is not None:
        # The contact's own id would stay here after they are erased.
        about = hashlib.sha256(result.external_id.encode()).hexdigest()
    about = about or "-"
    return f"{event.kind}:{about[:128]}:{own}"
