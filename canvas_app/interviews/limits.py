"""What the ledger has against asking somebody, read from the database; the decisions are the rulebook's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app.interviews import frequency, ledger, rulebook
from canvas_app.interviews.rulebook import History, Limits, No, Rule
from canvas_app.interviews.seen import Person
from canvas_app.interviews.tables import interviews

WEEK = timedelta(days=7)
# How much later than its delay says a message may go out: after a weekend of closed business hours.
_LATER = timedelta(days=14)


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
    if not _is_limited(rule.limits):
        return None
    columns = interviews.c
    others = [] if other_than is None else [columns.id != other_than]
    counted, credits_ = connection.execute(
        sa.select(*_COUNTED).where(columns.rule == rule.slug, *_in_week(sent_at), *others)
    ).one()
    return rulebook.against_week(rule.limits, interviews=int(counted), credits_=int(credits_), cost=cost)


def against_this_week(
    connection: Connection, rules: Sequence[Rule], *, costs: Mapping[str, int], now: datetime
) -> dict[str, No]:
    """Which of the rules may ask no more at this moment, and why; ``costs`` by study. One query."""
    limited = [rule for rule in rules if _is_limited(rule.limits)]
    if not limited:
        return {}
    columns = interviews.c
    longest = max(timedelta(seconds=rule.delay) for rule in limited)
    rows = connection.execute(
        sa.select(columns.rule, *_COUNTED)
        .where(
            columns.rule.in_([rule.slug for rule in limited]),
            # What was asked for longer ago has gone out before this week: so that not all is looked at.
            columns.created_at > now - WEEK - longest - _LATER,
            *_in_week(now),
        )
        .group_by(columns.rule)
    )
    used = {slug: (int(counted), int(credits_)) for slug, counted, credits_ in rows}
    found = {}
    for rule in limited:
        counted, credits_ = used.get(rule.slug, (0, 0))
        no = rulebook.against_week(
            rule.limits, interviews=counted, credits_=credits_, cost=costs.get(rule.study, 0)
        )
        if no is not None:
            found[rule.slug] = no
    return found


_COUNTED = (sa.func.count(), sa.func.coalesce(sa.func.sum(interviews.c.credits), 0))


def _in_week(sent_at: datetime) -> list[sa.ColumnElement[bool]]:
    """What has gone out in the week before, or will have."""
    columns = interviews.c
    moment = sa.func.coalesce(columns.sent_at, columns.not_before, columns.created_at)
    goes_out = sa.or_(frequency.REACHED, columns.state.in_(("queued", "sending")))
    waits = sa.and_(columns.state == "planned", moment <= sent_at)
    return [sa.or_(goes_out, waits), moment > sent_at - WEEK]


def _is_limited(limits: Limits) -> bool:
    return limits.interviews_per_week is not None or limits.credits_per_week is not None
