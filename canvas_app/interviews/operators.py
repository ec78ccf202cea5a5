"""Who may change things in the console, who has signed in with which link, and who has changed what."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import store
from canvas_app.interviews import options
from canvas_app.interviews.tables import audit, operators, options as options_table, sign_ins, workspaces

# Longer than any sign-in link is valid.
# A card is good for a day, and leads to links of one nonce until then.
_NONCES_KEPT: Final = timedelta(days=2)
# The option that ends every session when it is raised.
_EPOCH: Final = "console_epoch"


@dataclass(frozen=True, slots=True)
class Teammate:
    """Somebody of the workspace. ``by_command``: on the command line, without an account."""

    workspace_id: str | None
    id: str
    name: str | None
    by_command: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """``epoch``: what their session must carry to count. ``timezone``: their workspace's, as far as known."""

    epoch: int
    may_change: bool
    timezone: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of the audit log. ``before`` and ``after`` are JSON values."""

    at: datetime
    teammate_id: str
    teammate_name: str | None
    what: str
    subject: str | None
    before: Any
    after: Any


def listed(connection: Connection, workspace_id: str) -> list[Teammate]:
    """The operators of a workspace, the first one first."""
    rows = connection.execute(
        sa.select(operators).where(operators.c.workspace_id == workspace_id).order_by(operators.c.added_at)
    )
    return [Teammate(row.workspace_id, row.teammate_id, row.name) for row in rows]


def standing(connection: Connection, teammate: Teammate) -> Standing:
    """How a teammate stands at this moment, in one query."""
    theirs = sa.and_(
        operators.c.workspace_id == teammate.workspace_id, operators.c.teammate_id == teammate.id
    )
    row = connection.execute(
        sa.select(
            sa.select(options_table.c.value).where(options_table.c.name == _EPOCH).scalar_subquery(),
            sa.select(sa.literal(1)).where(theirs).scalar_subquery(),
            sa.select(workspaces.c.timezone)
            .where(workspaces.c.workspace_id == teammate.workspace_id)
            .scalar_subquery(),
        )
    ).one()
    epoch = row[0] if isinstance(row[0], int) else 0
    # Whoever has the command line has the database and the settings anyway.
    return Standing(epoch, teammate.by_command or row[1] is not None, row[2])


def add(connection: Connection, workspace_id: str, teammate_id: str, name: str | None) -> bool:
    """Make a teammate an operator; False when they are one."""
    values = {
        "workspace_id": workspace_id,
        "teammate_id": teammate_id,
        "name": name,
        "added_at": store.now(connection),
    }
    return store.insert_ignoring_conflicts(connection, operators, values)


def remove(connection: Connection, workspace_id: str, teammate_id: str) -> bool:
    """Let a teammate only look from now on; False when they could do no more."""
    theirs = sa.and_(operators.c.workspace_id == workspace_id, operators.c.teammate_id == teammate_id)
    return connection.execute(sa.delete(operators).where(theirs)).rowcount == 1


def use_nonce(connection: Connection, nonce: str) -> bool:
    """Take a sign-in link's nonce; False when it was used before."""
    now = store.now(connection)
    connection.execute(sa.delete(sign_ins).where(sign_ins.c.used_at < now - _NONCES_KEPT))
    return store.insert_ignoring_conflicts(connection, sign_ins, {"nonce": nonce, "used_at": now})


def epoch(connection: Connection) -> int:
    """The number that a session must carry to count."""
    value = options.raw(connection, _EPOCH)
    return value if isinstance(value, int) else 0


def end_all_sessions(connection: Connection) -> int:
    """Let no session count any more that was begun before; the new epoch."""
    # Of two at once the second ends what began after the first one, too.
    options.lock(connection, _EPOCH)
    now = epoch(connection) + 1
    options.write(connection, _EPOCH, now)
    return now


def note(
    connection: Connection,
    teammate: Teammate,
    what: str,
    *,
    subject: str | None = None,
    before: Any = None,
    after: Any = None,
) -> None:
    """Write into the audit log, in the transaction that makes the change. Nothing personal, no secret."""
    connection.execute(
        sa.insert(audit).values(
            id=uuid.uuid4().hex,
            at=store.now(connection),
            teammate_id=teammate.id,
            teammate_name=teammate.name,
            what=what,
            subject=subject and subject[:120],
            before=before,
            after=after,
        )
    )


def note_change(
    connection: Connection,
    teammate: Teammate,
    what: str,
    *,
    subject: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
) -> None:
    """Write what is different: from what, to what, by field. What is the same is left out."""
    names = [name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)]
    note(
        connection,
        teammate,
        what,
        subject=subject,
        before={name: before[name] for name in names if name in before} or None,
        after={name: after[name] for name in names if name in after} or None,
    )


def newest_entries(connection: Connection, *, most: int, before: datetime | None = None) -> list[Entry]:
    """The audit log, newest first; with ``before`` what is older than that."""
    query = sa.select(audit).order_by(audit.c.at.desc(), audit.c.id).limit(most)
    if before is not None:
        query = query.where(audit.c.at < before)
    return _entries(connection, query)


def entries_about(connection: Connection, subject: str, *, most: int) -> list[Entry]:
    """What was changed about this, the oldest first."""
    query = sa.select(audit).where(audit.c.subject == subject).order_by(audit.c.at, audit.c.id)
    return _entries(connection, query.limit(most))


def _entries(connection: Connection, query: sa.Select[Any]) -> list[Entry]:
    return [
        Entry(row.at, row.teammate_id, row.teammate_name, row.what, row.subject, row.before, row.after)
        for row in connection.execute(query)
    ]
