"""What dry runs of rules have found, for whoever looks at it within a day.

Of the contacts it holds ids alone, and not for long: a dry run goes after a day, and what it says about a
contact goes with the contact.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import engine, store
from canvas_app.engine import Jobs
from canvas_app.interviews import ledger, rulebook, rulestore
from canvas_app.interviews.rulebook import No
from canvas_app.interviews.services import Services
from canvas_app.interviews.tables import rehearsal_lines, rehearsals

RehearsalState = Literal["waiting", "running", "done", "failed"]
UNDER_WAY: Final = ("waiting", "running")

# How far back a dry run looks, and how long it is kept.
SPAN: Final = timedelta(days=30)
KEPT: Final = timedelta(days=1)
# Lines that are kept of it, the newest: of those that would have been asked, and of those that would not.
MOST_ASKED: Final = 200
MOST_NOT_ASKED: Final = 100

_JOB: Final = "rehearse:"
# Nobody's job is at it any more: its worker has died for good, or the engine has given it up.
LOST: Final = "given_up"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """``seen`` of ``total`` conversations have been read. ``not_asked``: how many for which reason."""

    id: str
    workspace_id: str
    rule: str
    fingerprint: str
    state: RehearsalState
    reason: str | None
    asked_at: datetime
    since: datetime
    total: int
    seen: int
    asked: int
    not_asked: dict[str, int]


@dataclass(frozen=True, slots=True)
class Line:
    """What the rule would have said about one event; ``no`` is None where it would have asked."""

    contact_id: str
    conversation_id: str
    happened_at: datetime
    sent_at: datetime
    no: No | None


@dataclass(frozen=True, slots=True)
class Kept:
    """A line as it is kept."""

    contact_id: str
    conversation_id: str
    happened_at: datetime
    sent_at: datetime | None
    reason: str | None
    detail: str | None


def begin(connection: Connection, jobs: Jobs, workspace_id: str, slug: str) -> str | None:
    """Write a dry run of a rule and its job; its id. One that is under way is not begun again.

    None where there is no such rule.
    """
    # Locked, so that of two who begin it at once the second finds the first one's.
    rule = rulestore.find(connection, slug, lock=True)
    if rule is None:
        return None
    last = newest(connection, workspace_id, slug)
    if last is not None and last.state in UNDER_WAY:
        return last.id
    now = store.now(connection)
    id_ = ledger.new_id()
    connection.execute(
        sa.insert(rehearsals).values(
            id=id_,
            workspace_id=workspace_id,
            rule=slug,
            fingerprint=rulebook.fingerprint(rule),
            state="waiting",
            asked_at=now,
            since=now - SPAN,
            moved_at=now,
            total=0,
            seen=0,
            asked=0,
            not_asked={},
            left_out=[],
        )
    )
    # One at a time: each asks Intercom about every conversation.
    jobs.enqueue(connection, "rehearse", id_, job_id=f"{_JOB}{id_}", partition=f"rehearsals:{workspace_id}")
    return id_


def get(connection: Connection, workspace_id: str, id_: str) -> Rehearsal | None:
    return _first(connection, rehearsals.c.workspace_id == workspace_id, rehearsals.c.id == id_)


def newest(connection: Connection, workspace_id: str, slug: str) -> Rehearsal | None:
    """The last dry run of a rule."""
    return _first(connection, rehearsals.c.workspace_id == workspace_id, rehearsals.c.rule == slug)


def lines(connection: Connection, id_: str) -> list[Kept]:
    """The lines that are kept: those that would have been asked first, each kind newest first."""
    query = sa.select(*(rehearsal_lines.c[name] for name in Kept.__dataclass_fields__))
    rows = connection.execute(
        query.where(rehearsal_lines.c.rehearsal_id == id_).order_by(rehearsal_lines.c.number)
    )
    return [Kept(*row) for row in rows]


# What the job does with it


def take(connection: Connection, id_: str) -> Rehearsal | None:
    """Let it be running, from its beginning; None where it is over, or was forgotten."""
    if not _move(connection, id_, state="running", total=0, seen=0):
        return None
    run = _first(connection, rehearsals.c.id == id_)
    rule = rulestore.find(connection, run.rule) if run is not None else None
    if rule is not None:
        # It may have been changed while it waited.
        _move(connection, id_, fingerprint=rulebook.fingerprint(rule))
    return run


def advance(connection: Connection, id_: str, *, seen: int, total: int) -> bool:
    """Write down how far it has come; False where it is over, or was forgotten."""
    return _move(connection, id_, seen=seen, total=total)


def finish(connection: Connection, id_: str, found: Sequence[Line]) -> bool:
    """Keep what it has found; False where it was over, or was forgotten."""
    row = connection.execute(_living(sa.select(rehearsals), id_).with_for_update()).first()
    if row is None:
        return False
    told = [line for line in found if _digest(id_, line.contact_id) not in row.left_out]
    asked = [line for line in told if line.no is None]
    nos = [line for line in told if line.no is not None]
    kept = [*_newest(asked, MOST_ASKED), *_newest(nos, MOST_NOT_ASKED)]
    if kept:
        connection.execute(
            sa.insert(rehearsal_lines),
            [_values(row, number, line) for number, line in enumerate(kept)],
        )
    reasons = Counter(line.no.reason for line in nos if line.no is not None)
    return _move(connection, id_, state="done", asked=len(asked), not_asked=dict(reasons.most_common()))


def fail(connection: Connection, id_: str, reason: str | None) -> bool:
    """End it without a finding."""
    return _move(connection, id_, state="failed", reason=reason)


# Who is to be forgotten


def leave_out(connection: Connection, workspace_id: str, contact_id: str) -> int:
    """Keep nothing about a contact, in those that run as well; how many lines there were."""
    theirs = rehearsal_lines.c.workspace_id == workspace_id, rehearsal_lines.c.contact_id == contact_id
    count = connection.execute(sa.delete(rehearsal_lines).where(*theirs)).rowcount
    _tell_running(connection, workspace_id, contact_id)
    return count


def follow(connection: Connection, workspace_id: str, old_id: str, new_id: str) -> None:
    """Let what is kept about a contact be about the one that they were merged into."""
    theirs = rehearsal_lines.c.workspace_id == workspace_id, rehearsal_lines.c.contact_id == old_id
    connection.execute(sa.update(rehearsal_lines).where(*theirs).values(contact_id=new_id))
    _tell_running(connection, workspace_id, old_id)


def forget(services: Services) -> int:
    """A step of the clock's: what is a day old goes; how many. May be repeated."""
    with store.writing(services.engine) as connection:
        old = rehearsals.c.asked_at < store.now(connection) - KEPT
        ids = list(connection.execute(sa.select(rehearsals.c.id).where(old)).scalars())
        connection.execute(sa.delete(rehearsal_lines).where(rehearsal_lines.c.rehearsal_id.in_(ids)))
        connection.execute(sa.delete(rehearsals).where(rehearsals.c.id.in_(ids)))
    return len(ids)


def _tell_running(connection: Connection, workspace_id: str, contact_id: str) -> None:
    running = sa.select(rehearsals.c.id, rehearsals.c.left_out).where(
        rehearsals.c.workspace_id == workspace_id, rehearsals.c.state.in_(UNDER_WAY)
    )
    for row in connection.execute(running.with_for_update()).all():
        left_out = [*row.left_out, _digest(row.id, contact_id)]
        connection.execute(sa.update(rehearsals).where(rehearsals.c.id == row.id).values(left_out=left_out))


def _digest(rehearsal_id: str, contact_id: str) -> str:
    """Names a contact to one dry run alone."""
    return hashlib.sha256(f"{rehearsal_id}\0{contact_id}".encode()).hexdigest()


def _first(connection: Connection, *conditions: sa.ColumnElement[bool]) -> Rehearsal | None:
    columns = rehearsals.c
    nobodys = sa.and_(
        columns.state.in_(UNDER_WAY), engine.has_no_job(connection, sa.literal(_JOB) + columns.id)
    )
    names = [name for name in Rehearsal.__dataclass_fields__ if name not in ("state", "reason")]
    row = (
        connection.execute(
            sa.select(
                *(columns[name] for name in names),
                sa.case((nobodys, "failed"), else_=columns.state).label("state"),
                sa.case((nobodys, LOST), else_=columns.reason).label("reason"),
            )
            .where(*conditions)
            .order_by(columns.asked_at.desc(), columns.id)
            .limit(1)
        )
        .mappings()
        .first()
    )
    return None if row is None else Rehearsal(**row)


def _living(query: Any, id_: str) -> Any:
    return query.where(rehearsals.c.id == id_, rehearsals.c.state.in_(UNDER_WAY))


def _move(connection: Connection, id_: str, **values: Any) -> bool:
    change = _living(sa.update(rehearsals), id_).values(**values, moved_at=store.now(connection))
    return bool(connection.execute(change).rowcount)


def _newest(found: Iterable[Line], most: int) -> list[Line]:
    return sorted(found, key=lambda line: line.happened_at, reverse=True)[:most]


def _values(row: sa.Row[Any], number: int, line: Line) -> dict[str, Any]:
    return {
        "rehearsal_id": row.id,
        "number": number,
        "workspace_id": row.workspace_id,
        "contact_id": line.contact_id,
        "conversation_id": line.conversation_id,
        "happened_at": line.happened_at,
        "sent_at": line.sent_at if line.no is None else None,
        "reason": line.no and line.no.reason,
        "detail": line.no and line.no.detail and line.no.detail[:200],
    }
