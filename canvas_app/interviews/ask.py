"""Asking for an interview: the ledger row and its job, written together or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.engine import Connection, Engine

from canvas_app import store
from canvas_app.engine import Jobs
from canvas_app.interviews import ledger, links
from canvas_app.interviews.ledger import Ask, Interview
from canvas_app.settings import Settings


@dataclass(frozen=True, slots=True)
class Asked:
    """``interview`` is the one that was asked for, or the one because of which no new one was made."""

    interview: Interview
    created: bool


def ask(engine: Engine, jobs: Jobs, settings: Settings, request: Ask) -> Asked:
    """Write an interview and the job that sends it, unless one stands in its way: see ledger.blocking."""
    id_ = ledger.new_id()
    token = links.make_token(id_, settings.secret_key)
    while True:
        with store.writing(engine) as connection:
            now = store.now(connection)
            ledger.expire(connection, request, open_days=settings.open_days, now=now)
            created = ledger.create(
                connection,
                request,
                id_=id_,
                link_token=token,
                public_url=settings.public_url,
                now=now,
                send_before=now + timedelta(minutes=settings.send_within_minutes),
            )
            if created is not None:
                enqueue_send(connection, jobs, created, attempt=1)
                return Asked(created, created=True)
            existing = ledger.blocking(connection, request)
            if existing is not None:
                return Asked(existing, created=False)
        # What stood in the way ended between the two statements; ask again.


def enqueue_send(
    connection: Connection, jobs: Jobs, interview: Interview, *, attempt: int, delay: float = 0.0
) -> None:
    jobs.enqueue(
        connection,
        "send",
        interview.id,
        attempt,
        job_id=f"send:{interview.id}:{attempt}",
        partition=partition(interview.workspace_id, interview.contact_id),
        delay=delay,
        fast=True,
    )


def partition(workspace_id: str, contact_id: str) -> str:
    """Jobs of one contact run one at a time."""
    return f"{workspace_id}:{contact_id}"
