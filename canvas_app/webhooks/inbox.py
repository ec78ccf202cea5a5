"""Deliveries: stored and enqueued in one transaction, before they are acknowledged."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from sqlalchemy.engine import Connection, Engine

from canvas_app import store
from canvas_app.engine import Jobs
from canvas_app.interviews import ledger
from canvas_app.interviews.ask import partition
from canvas_app.interviews.forward import enqueue_forward
from canvas_app.interviews.tables import deliveries
from canvas_app.koji.events import KojiEvent


def keep_koji(engine: Engine, jobs: Jobs, event: KojiEvent, raw: bytes) -> bool:
    """Store an event of Koji's and the job that forwards it. False when it was stored before."""
    result = event.result
    key = _koji_key(event, raw)
    handled = event.kind != "other"
    with store.writing(engine) as connection:
        delivery_id = _insert(
            connection,
            door="koji",
            key=key,
            event=event.name,
            state="stored" if handled else "ignored",
            reason=None if handled else "unknown_event",
            # The address is not needed once the event is understood, so it is not kept.
            content=event.model_dump(mode="json", exclude={"challenge": True, "result": {"email": True}})
            if handled
            else None,
        )
        if delivery_id is None or not handled:
            return delivery_id is not None
        interview = ledger.for_result(
            connection,
            ref=result.metadata.get("interview_ref"),
            koji_interview_id=result.koji_interview_id,
            external_id=result.external_id,
        )
        if interview is not None:
            key = partition(interview.workspace_id, interview.contact_id)
        enqueue_forward(connection, jobs, delivery_id, attempt=1, partition=key)
    return True


def keep_intercom(engine: Engine, *, notification_id: str, app_id: str, topic: str) -> bool:
    """Store that a notification came. False when it was stored before."""
    with store.writing(engine) as connection:
        stored = _insert(
            connection,
            door="intercom",
            key=f"{app_id}:{notification_id}",
            event=topic,
            state="ignored",
            reason="unknown_topic",
            content=None,
        )
    return stored is not None


def _insert(
    connection: Connection,
    *,
    door: Literal["koji", "intercom"],
    key: str,
    event: str,
    state: str,
    reason: str | None,
    content: dict[str, Any] | None,
) -> str | None:
    id_ = ledger.new_id()
    now = store.now(connection)
    inserted = ledger.insert_ignoring_conflicts(
        connection,
        deliveries,
        {
            "id": id_,
            "door": door,
            "dedupe_key": key,
            "event": event,
            "state": state,
            "reason": reason,
            "content": content,
            "attempt": 1,
            "tries": 0,
            "received_at": now,
            "finished_at": None if state == "stored" else now,
        },
    )
    return id_ if inserted else None


def _koji_key(event: KojiEvent, raw: bytes) -> str:
    """What makes two deliveries the same: event and the sender's own id, else event, interview and bytes.

    The event is part of it: an "id" may be the interview's, and each of its events is a delivery of its own.
    """
    if event.delivery_id is not None:
        return f"id:{event.kind}:{event.delivery_id}"[:200]
    digest = hashlib.sha256(raw).hexdigest()
    return f"{event.kind}:{event.result.koji_interview_id or '-'}:{digest}"[:200]
