"""How often a contact is asked: when they were asked last, and whether it is too early to ask again."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app.interviews import ledger, rules
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.seen import Person
from canvas_app.interviews.states import MAY_HAVE_REACHED_CUSTOMER
from canvas_app.interviews.tables import interviews
from canvas_app.interviews.unindexed import unindexed

# What has failed after it was sent, because its result could not be written, has asked all the same.
REACHED = sa.or_(
    interviews.c.state.in_(MAY_HAVE_REACHED_CUSTOMER),
    interviews.c.sent_at.is_not(None),
    interviews.c.result.is_not(None),
)
# The same as asked_at, for a query.
ASKED_AT = sa.func.coalesce(
    interviews.c.sent_at,
    sa.case((interviews.c.state == "unknown", interviews.c.state_since), else_=interviews.c.created_at),
)


def last_asked(connection: Connection, person: Person, *, other_than: str | None = None) -> Interview | None:
    """The interview by which the contact was asked last, as far as a message may have reached them.

    One that was not answered, or was withdrawn, counts: its message was there. One that could not be sent
    does not. See :func:`asked_at`.
    """
    columns = interviews.c
    theirs = [columns.workspace_id == person.workspace_id, columns.contact_id == person.contact_id]
    others = [] if other_than is None else [columns.id != other_than]
    return ledger.newest(connection, *theirs, REACHED, *others, by=ASKED_AT)


def asked_in(
    connection: Connection, workspace_id: str, conversation_id: str, *, other_than: str | None = None
) -> bool:
    """Whether somebody was asked in this conversation, or is about to be."""
    columns = interviews.c
    on_its_way = columns.state.in_(("planned", "queued", "sending"))
    others = [] if other_than is None else [columns.id != other_than]
    query = sa.select(sa.literal(1)).where(
        columns.workspace_id == workspace_id,
        columns.conversation_id == conversation_id,
        sa.or_(REACHED, on_its_way),
        *others,
    )
    return connection.execute(query.limit(1)).first() is not None


def answered_since(connection: Connection, interview: Interview) -> bool:
    """Whether the contact has answered another interview since this one was asked for."""
    columns = interviews.c
    query = sa.select(sa.literal(1)).where(
        columns.workspace_id == interview.workspace_id,
        columns.contact_id == interview.contact_id,
        columns.id != interview.id,
        unindexed(columns.completed_at) > interview.created_at,
    )
    return connection.execute(query.limit(1)).first() is not None


def asked_at(interview: Interview) -> datetime:
    """When the customer was asked; where no answer of Intercom's dates that, as closely as is known."""
    if interview.sent_at is not None:
        return interview.sent_at
    return interview.state_since if interview.state == "unknown" else interview.created_at


def too_early(interview: Interview | None, now: datetime, *, ask_again_days: int) -> bool:
    """Whether a contact who was last asked by ``interview`` is asked again only on a person's word."""
    if interview is None:
        return False
    return rules.asked_recently(asked_at(interview), now, ask_again_days=ask_again_days)
