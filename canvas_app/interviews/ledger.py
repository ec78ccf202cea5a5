"""The ledger: reading and changing interviews. Every change is conditional on the state it starts from."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, TypedDict

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import store
from canvas_app.interviews.ledger_rows import AnInterview, Deliver, Interview, of_row, selected
from canvas_app.interviews.states import (
    EXPIRING_STATES,
    MAY_HAVE_REACHED_CUSTOMER,
    OPEN_STATES,
    State,
)
from canvas_app.interviews.tables import interviews, unfinished
from canvas_app.interviews.unindexed import unindexed
from canvas_app.koji.results import KojiResult

# What a contact's id begins with while only their address is known. Intercom's ids hold no colon.
PLACEHOLDER: Final = "email:"

# How long the last question to Koji is waited for, when an interview's time is over.
LAST_CHECK_WITHIN = timedelta(days=1)


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
    rule: str | None = None
    deliver: Deliver = "conversation"
    language: str | None = None
    contact_role: str | None = None
    credits: int | None = None
    # Not sooner than this long from now; then the limits are looked at once more.
    delay: timedelta | None = None
    # A person has confirmed it, although the contact was asked not long ago.
    anyway: bool = False


# Put together once: every step of a job reads its interview, some of them more than once.
_BY_ID: Final = selected.where(interviews.c.id == sa.bindparam("id_"))
_LOCKED: Final = _BY_ID.with_for_update()


def new_id() -> str:
    return uuid.uuid4().hex


def create(
    connection: Connection,
    ask: Ask,
    *,
    id_: str,
    link_token: str,
    public_url: str | None,
    now: datetime,
    send_before: datetime,
) -> Interview | None:
    """Write a new interview in state ``queued``, or ``planned`` where it is to be sent later.

    None when the contact has an open (or a planned) interview already, or when this very request was written
    before; which of the two it is, :func:`blocking` tells.
    """
    values = {
        **_columns(ask, id_=id_, link_token=link_token, public_url=public_url, now=now),
        "not_before": None if ask.delay is None else now + ask.delay,
        "state": "queued" if ask.delay is None else "planned",
        "send_before": send_before,
    }
    inserted = store.insert_ignoring_conflicts(connection, interviews, values)
    return get(connection, id_) if inserted else None


def record_skipped(
    connection: Connection,
    ask: Ask,
    reason: str,
    *,
    id_: str,
    link_token: str,
    public_url: str | None,
    now: datetime,
) -> Interview:
    """Write down that somebody asked and that a limit said no. It stands in nobody's way."""
    values = _columns(ask, id_=id_, link_token=link_token, public_url=public_url, now=now)
    connection.execute(
        sa.insert(interviews).values(**values, state="skipped", reason=reason, send_before=now)
    )
    return existing(connection, id_)


def _columns(ask: Ask, *, id_: str, link_token: str, public_url: str | None, now: datetime) -> dict[str, Any]:
    """What a row says of the request that it comes from."""
    return {
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
        "rule": ask.rule,
        "deliver": ask.deliver,
        "language": ask.language,
        "contact_role": ask.contact_role,
        "credits": ask.credits,
        "link_token": link_token,
        "public_url": public_url,
        "send_attempt": 1,
        "created_at": now,
        "state_since": now,
    }


def blocking(connection: Connection, ask: Ask) -> Interview | None:
    """Why ``ask`` was not written: the interview of the same request, else the contact's open one."""
    if ask.request_key is not None:
        same = _one(connection, interviews.c.request_key == ask.request_key)
        if same is not None:
            return same
    if ask.delay is not None:
        return planned_one(connection, ask.workspace_id, ask.contact_id)
    return open_one(connection, ask.workspace_id, ask.contact_id)


def planned_one(connection: Connection, workspace_id: str, contact_id: str) -> Interview | None:
    """The contact's planned interview, if there is one."""
    return _one(
        connection,
        interviews.c.workspace_id == workspace_id,
        interviews.c.contact_id == contact_id,
        unindexed(interviews.c.state) == "planned",
    )


def open_one(connection: Connection, workspace_id: str, contact_id: str) -> Interview | None:
    """The contact's open interview, if there is one."""
    return _one(
        connection,
        interviews.c.workspace_id == workspace_id,
        interviews.c.contact_id == contact_id,
        unindexed(interviews.c.state).in_(OPEN_STATES),
    )


def newest_of(connection: Connection, workspace_id: str, contact_id: str) -> Interview | None:
    """The contact's newest interview, whatever became of it."""
    return _one(connection, interviews.c.workspace_id == workspace_id, interviews.c.contact_id == contact_id)


def get(connection: Connection, interview_id: str, *, lock: bool = False) -> Interview | None:
    """The interview; with ``lock`` nobody else changes it until the transaction ends."""
    row = connection.execute(_LOCKED if lock else _BY_ID, {"id_": interview_id}).first()
    return of_row(row) if row else None


def existing(connection: Connection, interview_id: str, *, lock: bool = False) -> Interview:
    """The interview, which is known to be there: the ledger never loses one."""
    interview = get(connection, interview_id, lock=lock)
    if interview is None:
        raise LookupError("an interview of the ledger has vanished")
    return interview


def by_token(connection: Connection, token: str) -> Interview | None:
    return _one(connection, interviews.c.link_token == token)


def change(connection: Connection, interview_id: str, *, only_from: tuple[State, ...], **values: Any) -> bool:
    """Change a row if it is in one of the states ``only_from``; True when it was.

    One whose personal data was removed stays as it is: a job that had read it before must not bring any back.
    """
    return connection.execute(_change(only_from), {"id_": interview_id, **values}).rowcount == 1


@functools.cache
def _change(only_from: tuple[State, ...]) -> sa.Update:
    """The change of one row; what it sets are the names of the values that it is executed with."""
    return sa.update(interviews).where(
        interviews.c.id == sa.bindparam("id_"),
        interviews.c.state.in_(only_from),
        interviews.c.purged_at.is_(None),
    )


def move(
    connection: Connection,
    interview_id: str,
    to: State,
    *,
    only_from: tuple[State, ...],
    now: datetime,
    **values: Any,
) -> bool:
    """Put an interview into another state, if it is in one of ``only_from``; True when it was.

    Where there is nothing more to wait for, Koji is not asked about it any more either.
    """
    values = {"reason": None, **({} if to in EXPIRING_STATES else {"check_at": None}), **values}
    return change(connection, interview_id, only_from=only_from, state=to, state_since=now, **values)


def take_attempt(connection: Connection, interview_id: str, attempt: int) -> bool:
    """Count an attempt as concluded. True for the first who says so, so that its end has one consequence."""
    result = connection.execute(
        sa.update(interviews)
        .where(interviews.c.id == interview_id, interviews.c.send_attempt == attempt)
        .values(send_attempt=attempt + 1)
    )
    return result.rowcount == 1


def as_of(interview: AnInterview, now: datetime, *, open_days: int) -> AnInterview:
    """The interview as it stands at ``now``: one that was not answered in time has expired."""
    if interview.state not in EXPIRING_STATES:
        return interview
    over_at = (interview.sent_at or interview.state_since) + timedelta(days=open_days)
    return interview if now <= over_at else replace(interview, state="expired", state_since=over_at)


class Addressees(TypedDict):
    """What a result may name its interview by."""

    ref: str | None
    koji_interview_id: str | None
    external_id: str | None
    workspace_id: str | None


def addressees(result: KojiResult) -> Addressees:
    return {
        "ref": result.metadata.get("interview_ref"),
        "koji_interview_id": result.koji_interview_id,
        "external_id": result.external_id,
        "workspace_id": result.metadata.get("intercom_workspace_id"),
    }


def for_result(
    connection: Connection,
    *,
    ref: str | None,
    koji_interview_id: str | None,
    external_id: str | None,
    workspace_id: str | None = None,
    not_of: Collection[str] = (),
    lock: bool = False,
) -> Interview | None:
    """The interview a result belongs to: by our reference, then Koji's id, then the contact.

    A contact's id alone fits the newest interview whose link the customer can have; one that Koji knows under
    another id is not it. One whose personal data was removed is nobody's any more. ``not_of``: slugs of
    studies whose interviews are not meant.
    """
    if ref is not None and (found := get(connection, ref, lock=lock)) is not None:
        return found if found.purged_at is None and found.study not in not_of else None
    meant = interviews.c.study.not_in(not_of) if not_of else sa.true()
    if koji_interview_id is not None:
        found = _one(connection, interviews.c.koji_interview_id == koji_interview_id, meant, lock=lock)
        if found is not None:
            return found
    if external_id is None:
        return None
    conditions = [
        interviews.c.contact_id == external_id,
        interviews.c.state.in_(MAY_HAVE_REACHED_CUSTOMER),
        interviews.c.purged_at.is_(None),
        meant,
    ]
    if workspace_id is not None:
        conditions.append(interviews.c.workspace_id == workspace_id)
    if koji_interview_id is not None:
        conditions.append(interviews.c.koji_interview_id.is_(None))
    return _one(connection, *conditions, lock=lock)


def expire(
    connection: Connection, *, open_days: int, now: datetime, ask: Ask | None = None, most: int = 100
) -> list[str]:
    """End interviews that were not answered in time, at the moment when their time was over; their ids.

    With ``ask`` only those of its contact, so that another can be asked for.
    """
    since = sa.func.coalesce(interviews.c.sent_at, interviews.c.state_since)
    conditions: list[sa.ColumnExpressionArgument[bool]] = [
        unindexed(interviews.c.state).in_(EXPIRING_STATES),
        since < now - timedelta(days=open_days),
    ]
    if ask is None:
        # Koji is to be asked one last time; what it could not be asked for a whole day is not waited for.
        long_over = since < now - timedelta(days=open_days) - LAST_CHECK_WITHIN
        conditions += [unfinished, sa.or_(interviews.c.check_at.is_(None), long_over)]
    else:
        theirs = interviews.c.workspace_id == ask.workspace_id, interviews.c.contact_id == ask.contact_id
        conditions += theirs
    query = selected.where(*conditions).order_by(interviews.c.state_since).limit(most)
    # What somebody else is changing at this moment is no matter of the clock's; its own turn comes again.
    rows = connection.execute(query.with_for_update(skip_locked=ask is None)).all()
    for row in rows:
        over_at = as_of(of_row(row), now, open_days=open_days).state_since
        move(connection, row.id, "expired", only_from=EXPIRING_STATES, now=over_at)
    return [row.id for row in rows]


def newest(
    connection: Connection, *conditions: sa.ColumnElement[bool], by: sa.ColumnElement[datetime]
) -> Interview | None:
    """The interview among these that is the last one by a moment of its own."""
    row = connection.execute(selected.where(*conditions).order_by(by.desc()).limit(1)).first()
    return of_row(row) if row else None


def _one(connection: Connection, *conditions: sa.ColumnElement[bool], lock: bool = False) -> Interview | None:
    query = selected.where(*conditions).order_by(interviews.c.created_at.desc()).limit(1)
    row = connection.execute(query.with_for_update() if lock else query).first()
    return of_row(row) if row else None
