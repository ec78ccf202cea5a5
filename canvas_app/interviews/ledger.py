"""The ledger: reading and changing interviews. Every change is conditional on the state it starts from."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from canvas_app import store
from canvas_app.interviews.states import AWAITING_RESULT, HAS_RESULT, OPEN_STATES, State
from canvas_app.interviews.tables import interviews, worker_slots, workspaces


@dataclass(frozen=True, slots=True)
class Interview:
    """One row of the ledger. Field names are the table's; see :mod:`canvas_app.interviews.tables`."""

    id: str
    workspace_id: str
    contact_id: str
    conversation_id: str | None
    study: str
    origin: str
    request_key: str | None
    asked_by_id: str | None
    asked_by_name: str | None
    contact_name: str | None
    contact_email: str | None
    personal_line: str | None
    state: State
    reason: str | None
    link_token: str
    koji_interview_id: str | None
    koji_link: str | None
    written_as_id: str | None
    send_attempt: int
    created_at: datetime
    state_since: datetime
    send_before: datetime
    sent_at: datetime | None
    opened_at: datetime | None
    completed_at: datetime | None
    result: dict[str, Any] | None
    result_at: datetime | None
    attributes_written_at: datetime | None
    contact_tags: dict[str, str] | None
    written_back_at: datetime | None


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for an interview, from whichever door."""

    workspace_id: str
    contact_id: str
    conversation_id: str | None
    study: str
    origin: str
    request_key: str | None = None
    asked_by_id: str | None = None
    asked_by_name: str | None = None
    contact_name: str | None = None
    contact_email: str | None = None
    personal_line: str | None = None


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the card needs to know, read in two queries."""

    interview: Interview | None
    timezone: str | None
    token_workspace_id: str | None
    worker_seen_at: datetime | None
    now: datetime


def new_id() -> str:
    return uuid.uuid4().hex


def insert_ignoring_conflicts(connection: Connection, table: sa.Table, values: dict[str, Any]) -> bool:
    """Insert a row unless a unique index has it already; True when it was inserted."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    # A conflicting row returns nothing; an insert's row count is not kept by every driver.
    statement = dialect.insert(table).values(values).on_conflict_do_nothing()
    return connection.execute(statement.returning(*table.primary_key.columns)).first() is not None


def create(
    connection: Connection, ask: Ask, *, id_: str, link_token: str, now: datetime, send_before: datetime
) -> Interview | None:
    """Write a new interview in state ``queued``.

    None when the contact has an open interview already, or when this very request was written before; which
    of the two it is, :func:`blocking` tells.
    """
    inserted = insert_ignoring_conflicts(
        connection,
        interviews,
        {
            "id": id_,
            "workspace_id": ask.workspace_id,
            "contact_id": ask.contact_id,
            "conversation_id": ask.conversation_id,
            "study": ask.study,
            "origin": ask.origin,
            "request_key": ask.request_key,
            "asked_by_id": ask.asked_by_id,
            "asked_by_name": ask.asked_by_name,
            "contact_name": ask.contact_name,
            "contact_email": ask.contact_email,
            "personal_line": ask.personal_line,
            "state": "queued",
            "link_token": link_token,
            "send_attempt": 1,
            "created_at": now,
            "state_since": now,
            "send_before": send_before,
        },
    )
    return get(connection, id_) if inserted else None


def blocking(connection: Connection, ask: Ask) -> Interview | None:
    """Why ``ask`` was not written: the interview of the same request, else the contact's open one."""
    if ask.request_key is not None:
        same = _one(connection, interviews.c.request_key == ask.request_key)
        if same is not None:
            return same
    return _one(
        connection,
        interviews.c.workspace_id == ask.workspace_id,
        interviews.c.contact_id == ask.contact_id,
        interviews.c.state.in_(OPEN_STATES),
    )


def get(connection: Connection, interview_id: str) -> Interview | None:
    return _one(connection, interviews.c.id == interview_id)


def by_token(connection: Connection, token: str) -> Interview | None:
    return _one(connection, interviews.c.link_token == token)


def card_facts(
    connection: Connection, workspace_id: str, contact_id: str, conversation_id: str | None
) -> CardFacts:
    """What the card about a contact shows: this conversation's newest interview, else the contact's."""
    here = sa.case((interviews.c.conversation_id == conversation_id, 0), else_=1)
    row = connection.execute(
        sa.select(interviews)
        .where(interviews.c.workspace_id == workspace_id, interviews.c.contact_id == contact_id)
        .order_by(here, interviews.c.created_at.desc())
        .limit(1)
    ).first()
    newest = sa.select(workspaces).order_by(workspaces.c.read_at.desc()).limit(1).subquery()
    seen = sa.select(sa.func.max(worker_slots.c.renewed_at)).where(worker_slots.c.holder.is_not(None))
    context = connection.execute(
        sa.select(
            newest.c.timezone,
            newest.c.workspace_id,
            sa.type_coerce(seen.scalar_subquery(), worker_slots.c.renewed_at.type),
            store.now_expression(connection),
        ).select_from(sa.select(sa.literal(1)).subquery().outerjoin(newest, sa.true()))
    ).one()
    return CardFacts(
        interview=_interview(row) if row else None,
        timezone=context[0],
        token_workspace_id=context[1],
        worker_seen_at=context[2],
        now=context[3],
    )


def change(connection: Connection, interview_id: str, *, only_from: tuple[State, ...], **values: Any) -> bool:
    """Change a row if it is in one of the states ``only_from``; True when it was."""
    result = connection.execute(
        sa.update(interviews)
        .where(interviews.c.id == interview_id, interviews.c.state.in_(only_from))
        .values(**values)
    )
    return result.rowcount == 1


def move(
    connection: Connection,
    interview_id: str,
    to: State,
    *,
    only_from: tuple[State, ...],
    now: datetime,
    **values: Any,
) -> bool:
    """Put an interview into another state, if it is in one of ``only_from``; True when it was."""
    values = {"reason": None, **values}
    return change(connection, interview_id, only_from=only_from, state=to, state_since=now, **values)


def take_attempt(connection: Connection, interview_id: str, attempt: int) -> bool:
    """Count an attempt as concluded. True for the first who says so, so that its end has one consequence."""
    result = connection.execute(
        sa.update(interviews)
        .where(interviews.c.id == interview_id, interviews.c.send_attempt == attempt)
        .values(send_attempt=attempt + 1)
    )
    return result.rowcount == 1


def for_result(
    connection: Connection, *, ref: str | None, koji_interview_id: str | None, external_id: str | None
) -> Interview | None:
    """The interview a result belongs to: by our reference, then Koji's id, then the contact.

    A contact's id alone fits the interview that still waits for a result of its own, the newest first; one
    that Koji knows under another id is not it.
    """
    if ref is not None and (found := _one(connection, interviews.c.id == ref)) is not None:
        return found
    if koji_interview_id is not None:
        found = _one(connection, interviews.c.koji_interview_id == koji_interview_id)
        if found is not None:
            return found
    if external_id is None:
        return None
    conditions = [
        interviews.c.contact_id == external_id,
        interviews.c.state.in_((*AWAITING_RESULT, *HAS_RESULT)),
    ]
    if koji_interview_id is not None:
        conditions.append(interviews.c.koji_interview_id.is_(None))
    return _one(connection, *conditions)


def newer_result_exists(connection: Connection, interview: Interview) -> bool:
    """Whether a newer interview of this contact has its attributes in Intercom already."""
    if interview.result_at is None:
        return False
    newer = (
        sa.select(sa.literal(1))
        .where(
            interviews.c.workspace_id == interview.workspace_id,
            interviews.c.contact_id == interview.contact_id,
            interviews.c.id != interview.id,
            interviews.c.attributes_written_at.is_not(None),
            interviews.c.result_at > interview.result_at,
        )
        .limit(1)
    )
    return connection.execute(newer).first() is not None


def earlier_contact_tags(connection: Connection, interview: Interview) -> dict[str, dict[str, str]]:
    """Tags of ours that earlier interviews have put on this contact: {interview id: {tag id: name}}."""
    rows = connection.execute(
        sa.select(interviews.c.id, interviews.c.contact_tags).where(
            interviews.c.workspace_id == interview.workspace_id,
            interviews.c.contact_id == interview.contact_id,
            interviews.c.id != interview.id,
            interviews.c.contact_tags.is_not(None),
        )
    )
    return {row.id: row.contact_tags for row in rows}


def _one(connection: Connection, *conditions: sa.ColumnElement[bool]) -> Interview | None:
    query = sa.select(interviews).where(*conditions).order_by(interviews.c.created_at.desc()).limit(1)
    row = connection.execute(query).first()
    return _interview(row) if row else None


def _interview(row: sa.Row[Any]) -> Interview:
    return Interview(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name, underscored to spare columns
