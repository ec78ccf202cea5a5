"""What is known here about a contact, as numbers: what would be lost if they were erased."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app.interviews.states import UNFINISHED_STATES
from canvas_app.interviews.tables import decisions, imported_links, interviews


@dataclass(frozen=True, slots=True)
class Losses:
    """``under_way``: interviews that come to nothing more. ``answered``: those whose result is here."""

    interviews: int
    under_way: int
    answered: int
    decisions: int
    imported_links: int


def of_contact(connection: Connection, workspace_id: str, contact_id: str) -> Losses:
    theirs = interviews.c.workspace_id == workspace_id, interviews.c.contact_id == contact_id
    under_way = sa.case((interviews.c.state.in_(UNFINISHED_STATES), 1), else_=0)
    answered = sa.case((interviews.c.completed_at.is_not(None), 1), else_=0)
    row = connection.execute(
        sa.select(
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(under_way), 0),
            sa.func.coalesce(sa.func.sum(answered), 0),
        ).where(*theirs)
    ).one()
    decided = decisions.c.workspace_id == workspace_id, decisions.c.contact_id == contact_id
    of_ids = sa.select(interviews.c.contact_email).where(*theirs, interviews.c.contact_email.is_not(None))
    emails = sorted({email.lower() for email in connection.execute(of_ids).scalars()})
    links = sa.or_(imported_links.c.external_id == contact_id, imported_links.c.email.in_(emails))
    return Losses(
        interviews=int(row[0]),
        under_way=int(row[1]),
        answered=int(row[2]),
        decisions=_count(connection, decisions, sa.and_(*decided)),
        imported_links=_count(connection, imported_links, links),
    )


def _count(connection: Connection, table: sa.Table, which: sa.ColumnElement[bool]) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table).where(which)).scalar_one())
