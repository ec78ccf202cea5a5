"""How often a contact is asked: when they were asked last, and whether it is too early to ask again."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app.interviews import ledger, rules
from canvas_app.interviews.ledger import Interview
from canvas_app.interviews.seen import Person
from canvas_app.interviews.states import MAY_HAVE_REACHED_CUSTOMER
from canvas_app.interviews.tables import interviews


def last_asked(connection: Connection, person: Person, *, other_than: str | None = None) -> Interview | None:
    """The interview by which the contact was asked last, as far as a message may have reached them.

    One that was not answered, or was withdrawn, counts: its message was there. One that could not be sent
    does not. See :func:`asked_at`.
    """
    columns = interviews.c
    moment = sa.func.coalesce(
        columns.sent_at, sa.case((columns.state == "unknown", columns.state_since), else_=columns.created_at)
    )
    # What has failed after it was sent, because its result could not be written, has asked all the same.
    reached = sa.or_(
        columns.state.in_(MAY_HAVE_REACHED_CUSTOMER),
        columns.sent_at.is_not(None),
        columns.result.is_not(None),
    )
    theirs = [columns.workspace_id == person.workspace_id, columns.contact_id == person.contact_id]
    others = [] if other_than is None else [columns.id != other_than]
    return ledger.newest(connection, *theirs, reached, *others, by=moment)


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
