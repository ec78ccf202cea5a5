"""What the ledger has against asking somebody, read from the database; the decisions are the rulebook's."""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app.interviews import frequency, ledger, rulebook
from canvas_app.interviews.rulebook import History, No, Rule
from canvas_app.interviews.seen import Person
from canvas_app.interviews.tables import interviews

WEEK = timedelta(days=7)


def history(
    connection: Connection,
    person: Person,
    conversation_id: str | None,
    *,
    now: datetime,
    open_days: int,
    other_than: str | None = None,
) -> History:
    """What was asked before, and what is under way; ``other_than`` leaves one interview out of it."""
    open_one = ledger.open_one(connection, person.workspace_id, person.contact_id)
    planned = ledger.planned_one(connection, person.workspace_id, person.contact_id)
    last = frequency.last_asked(connection, person, other_than=other_than)
    in_conversation = conversation_id is not None and frequency.asked_in(
        connection, person.workspace_id, conversation_id, other_than=other_than
    )
    return History(
        # Nobody may have looked since its time was over.
        open=open_one is not None
        and open_one.id != other_than
        and ledger.as_of(open_one, now, open_days=open_days).state == open_one.state,
        planned=planned is not None and planned.id != other_than,
        asked_at=None if last is None else frequency.asked_at(last),
        asked_in_conversation=in_conversation,
    )


def against_week(
    connection: Connection, rule: Rule, *, sent_at: datetime, cost: int, other_than: str | None = None
) -> No | None:
    """Whether the rule's weekly limits are used up at ``sent_at``. The rule's row is to be locked.

    What is planned until then counts. Credits count as if every interview were answered well, so that the
    limit is never exceeded.
    """
    if rule.limits.interviews_per_week is None and rule.limits.credits_per_week is None:
        return None
    columns = interviews.c
    moment = sa.func.coalesce(columns.sent_at, columns.not_before, columns.created_at)
    goes_out = sa.or_(frequency.REACHED, columns.state.in_(("queued", "sending")))
    waits = sa.and_(columns.state == "planned", moment <= sent_at)
    others = [] if other_than is None else [columns.id != other_than]
    counted, credits_ = connection.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(columns.credits), 0)).where(
            columns.rule == rule.slug, sa.or_(goes_out, waits), moment > sent_at - WEEK, *others
        )
    ).one()
    return rulebook.against_week(rule.limits, interviews=int(counted), credits_=int(credits_), cost=cost)
