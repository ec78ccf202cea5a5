"""All that is known of how one interview went, read from every table that tells of it.

Nothing of what was said in the interview is here, and neither is the personal link.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import store
from canvas_app.engine import due
from canvas_app.interviews import ask, inbound, ledger, operators, studies
from canvas_app.interviews.decisions import Verdict
from canvas_app.interviews.inbound import Listed
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.operators import Entry
from canvas_app.interviews.states import SENDING_STATES
from canvas_app.interviews.tables import decisions, deliveries, interviews, outside_writes, rules
from canvas_app.settings import Settings, Study

_MOST: Final = 50


@dataclass(frozen=True, slots=True)
class Write:
    """A write to Intercom. ``begun_at``: when its call was begun last. ``open``: it may be there or not."""

    kind: str
    tries: int
    begun_at: datetime | None
    done_at: datetime | None
    open: bool


@dataclass(frozen=True, slots=True)
class Decided:
    """What a rule has decided about what happened in Intercom, here named as a topic of Intercom's."""

    at: datetime
    rule: str
    title: str | None
    verdict: Verdict
    reason: str | None
    detail: str | None
    topic: str | None


@dataclass(frozen=True, slots=True)
class Other:
    """Another interview of the same contact."""

    id: str
    created_at: datetime
    state: str


@dataclass(frozen=True, slots=True)
class Story:
    """``interview`` is as it stands at ``now``. ``next_try``: when the next attempt to send it has its turn,
    where one waits. ``study`` is None where there is none of this name any more."""

    interview: Interview
    now: datetime
    study: Study | None
    writes: dict[str, Write]
    decided: tuple[Decided, ...]
    deliveries: tuple[Listed, ...]
    entries: tuple[Entry, ...]
    others: tuple[Other, ...]
    next_try: datetime | None


def read(connection: Connection, settings: Settings, workspace_id: str, interview_id: str) -> Story | None:
    """The story of an interview of this workspace. It takes eight queries."""
    interview = ledger.get(connection, interview_id)
    if interview is None or interview.workspace_id != workspace_id:
        return None
    now = store.now(connection)
    shown = ledger.as_of(interview, now, open_days=settings.open_days)
    return Story(
        interview=shown,
        now=now,
        study=studies.find(connection, settings, interview.study),
        writes=_writes(connection, interview_id),
        decided=tuple(_decided(connection, interview_id)),
        deliveries=tuple(inbound.about(connection, interview_id, most=_MOST)),
        entries=tuple(operators.entries_about(connection, interview_id, most=_MOST)),
        others=tuple(_others(connection, interview)),
        next_try=_next_try(connection, interview),
    )


def _writes(connection: Connection, interview_id: str) -> dict[str, Write]:
    columns = outside_writes.c
    rows = connection.execute(sa.select(outside_writes).where(columns.interview_id == interview_id))
    return {
        row.kind: Write(row.kind, row.tries, row.claimed_at, row.done_at, row.claim is not None)
        for row in rows
    }


def _decided(connection: Connection, interview_id: str) -> list[Decided]:
    columns = decisions.c
    query = (
        sa.select(
            columns.decided_at,
            columns.rule,
            rules.c.title,
            columns.verdict,
            columns.reason,
            columns.detail,
            deliveries.c.event,
        )
        .outerjoin(rules, rules.c.slug == columns.rule)
        .outerjoin(deliveries, deliveries.c.id == columns.delivery_id)
        .where(columns.interview_id == interview_id)
        .order_by(columns.decided_at)
        .limit(_MOST)
    )
    return [Decided(*row) for row in connection.execute(query)]


def _others(connection: Connection, interview: Interview) -> list[Other]:
    if interview.purged_at is not None:
        return []
    columns = interviews.c
    query: sa.Select[Any] = (
        sa.select(columns.id, columns.created_at, columns.state)
        .where(
            columns.workspace_id == interview.workspace_id,
            columns.contact_id == interview.contact_id,
            columns.id != interview.id,
        )
        .order_by(columns.created_at.desc())
        .limit(10)
    )
    return [Other(*row) for row in connection.execute(query)]


def _next_try(connection: Connection, interview: Interview) -> datetime | None:
    if interview.state not in (*SENDING_STATES, "planned"):
        return None
    job = ask.send_job(interview.id, interview.send_attempt)
    return due(connection, [job]).get(job)
