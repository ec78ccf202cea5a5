"""Interviews as a person looks for them: newest first, picked by what is known of them, a page at a time.

A page begins behind the last row of the one before it, so that the last page costs what the first one does.
Each way to pick has an index, see :mod:`canvas_app.interviews.tables`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import store
from canvas_app.interviews import ledger_rows
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.states import State
from canvas_app.interviews.tables import interviews

# Behind every text that begins alike.
_LAST: Final = "\U0010ffff"
_SEARCHED: Final = (interviews.c.contact_name, interviews.c.contact_email)
_MOST_TEAMMATES: Final = 200
# With more of them the list is walked along: among so many, the newest that are meant are soon found.
_MANY: Final = 2_000
# Rows that are read at a time where all of them are wanted.
BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ends: the moment and the id of its last row."""

    at: datetime
    id: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which interviews. ``since`` counts, ``before`` does not. ``text`` is how a name or an address begins,
    in whatever case, or an id: ours, the contact's, the conversation's or Koji's."""

    state: State | None = None
    study: str | None = None
    origin: str | None = None
    teammate: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """``next`` is where the next page begins, None where there is none."""

    rows: tuple[Interview, ...]
    next: Place | None


def page(
    connection: Connection, workspace_id: str, which: Filter, *, after: Place | None = None, most: int
) -> Page:
    """The newest interviews behind ``after``."""
    columns = interviews.c
    conditions = _conditions(workspace_id, which)
    if after is not None:
        conditions.append(behind(columns.created_at, columns.id, after))
    if which.text:
        # Found first: joined with their rows, the database might rather read all of those.
        ids = _named(connection, workspace_id, which.text, conditions).limit(most + 1)
        conditions = [columns.id.in_(list(connection.execute(ids).scalars()))]
    query = ledger_rows.selected.where(*conditions)
    query = query.order_by(columns.created_at.desc(), columns.id.desc()).limit(most + 1)
    rows = tuple(ledger_rows.of_row(row) for row in connection.execute(query))
    if len(rows) <= most:
        return Page(rows, None)
    last = rows[most - 1]
    return Page(rows[:most], Place(last.created_at, last.id))


def every(engine: Engine, workspace_id: str, which: Filter) -> Iterator[Interview]:
    """All of them, newest first, read in batches: no connection is held while somebody takes a batch in."""
    after: Place | None = None
    while True:
        with store.reading(engine) as connection:
            found = page(connection, workspace_id, which, after=after, most=BATCH)
        yield from found.rows
        if found.next is None:
            return
        after = found.next


def teammates(connection: Connection, workspace_id: str) -> list[tuple[str, str | None]]:
    """Who has asked for interviews here: id and name. Goes from one to the next along an index."""
    columns, here = interviews.c, interviews.c.workspace_id == workspace_id
    found = sa.select(sa.func.min(columns.asked_by_id).label("id")).where(here).cte("found", recursive=True)
    following = (
        sa.select(sa.func.min(columns.asked_by_id))
        .where(here, columns.asked_by_id > found.c.id)
        .scalar_subquery()
    )
    found = found.union_all(sa.select(following).where(found.c.id.is_not(None)))
    name = (
        sa.select(columns.asked_by_name)
        .where(here, columns.asked_by_id == found.c.id)
        .order_by(columns.created_at.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = sa.select(found.c.id, name).where(found.c.id.is_not(None)).limit(_MOST_TEAMMATES)
    listed = [(row[0], row[1]) for row in connection.execute(query)]
    return sorted(listed, key=lambda one: ((one[1] or "").casefold(), one[0]))


def behind(moment: sa.Column[Any], id_: sa.Column[Any], place: Place) -> sa.ColumnElement[bool]:
    """What stands behind a place in a list that begins with the newest."""
    return sa.tuple_(moment, id_) < sa.tuple_(
        sa.literal(place.at, store.UtcDateTime()), sa.literal(place.id, sa.String)
    )


def _conditions(workspace_id: str, which: Filter) -> list[sa.ColumnElement[bool]]:
    """What the rows say themselves; what :attr:`Filter.text` names is looked up."""
    columns = interviews.c
    found = [columns.workspace_id == workspace_id]
    for column, wanted in (
        (columns.state, which.state),
        (columns.study, which.study),
        (columns.origin, which.origin),
        (columns.asked_by_id, which.teammate),
    ):
        if wanted is not None:
            found.append(column == wanted)
    if which.since is not None:
        found.append(columns.created_at >= which.since)
    if which.before is not None:
        found.append(columns.created_at < which.before)
    return found


def _named(
    connection: Connection, workspace_id: str, text: str, conditions: Sequence[sa.ColumnElement[bool]]
) -> sa.Select[tuple[str]]:
    """The ids of those whose name, address or id is meant, the newest first.

    Each is looked up in an index of its own, unless a great many begin like that.
    """
    columns, here = interviews.c, interviews.c.workspace_id == workspace_id
    exact = (
        sa.and_(here, columns.contact_id == text),
        sa.and_(here, columns.conversation_id == text),
        columns.koji_interview_id == text,
        columns.id == text.lower(),
    )
    begins = [sa.and_(here, _begins(connection, column, text)) for column in _SEARCHED]
    if _are_many(connection, begins):
        meant: sa.ColumnElement[bool] = sa.or_(*exact, *begins)
        if connection.dialect.name == "sqlite":
            # Which would gather all of them by the indexes of names and addresses, if it saw what is asked.
            meant = sa.case((meant, 1), else_=0) == 1
        along = sa.select(columns.id).where(meant, *conditions)
        return along.order_by(columns.created_at.desc(), columns.id.desc())
    # One that is named in two ways is one.
    named = sa.union(
        *(sa.select(columns.id, columns.created_at).where(one, *conditions) for one in (*exact, *begins))
    ).subquery()
    return sa.select(named.c.id).order_by(named.c.created_at.desc(), named.c.id.desc())


def _are_many(connection: Connection, begins: Sequence[sa.ColumnElement[bool]]) -> bool:
    some = (sa.select(interviews.c.id).where(one).limit(_MANY + 1).subquery() for one in begins)
    counts = (sa.select(sa.func.count()).select_from(one).scalar_subquery() for one in some)
    return any(number > _MANY for number in connection.execute(sa.select(*counts)).one())


def _begins(connection: Connection, column: sa.Column[Any], text: str) -> sa.ColumnElement[bool]:
    """Whether a column begins so, in whatever case, in the words that the database's own index knows."""
    if connection.dialect.name == "sqlite":
        whatever_case = sa.collate(column, "NOCASE")
        return sa.and_(whatever_case >= text, whatever_case < text + _LAST)
    lower = sa.func.lower(column)
    # The operators compare byte by byte, as the index does, whatever the database's language.
    from_, to = sa.func.lower(sa.literal(text)), sa.func.lower(sa.literal(text + _LAST))
    return sa.and_(lower.op("~>=~", is_comparison=True)(from_), lower.op("~<~", is_comparison=True)(to))
