"""The facts that alerts are decided by, read from the database; the decisions are ``alerts``'."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import engine as durable, gates, store
from canvas_app.interviews import alerts, limits, rulestore, studies, workspace
from canvas_app.interviews.alerts import Alert, Answers, Full, Heard, Refusals
from canvas_app.interviews.tables import deliveries, interviews, refusals, unfinished
from canvas_app.settings import Settings, Study

_DAY: Final = timedelta(days=1)
# A delivery is given up about a hundred hours after it came, or after it was taken up again.
_FAILS_WITHIN: Final = timedelta(days=8)
# How many of Koji's webhooks tell what is usual, and how old they may be.
_MOST_HEARD: Final = 200
_HEARD_WITHIN: Final = timedelta(days=60)
_MADE_UP_WITHIN: Final = timedelta(days=7)
_ANSWERED_WITHIN: Final = timedelta(days=30)
_SIGNATURES: Final = ("signature_mismatch", "signature_missing", "signature_malformed", "signature_stale")
# Why a result was not written (or should not have been): it names nobody.
_ANONYMOUS: Final = ("anonymous", "anonymous_after_writing")


def look(connection: Connection, settings: Settings) -> list[Alert]:
    """Every alert that a worker can tell of at this moment."""
    now = store.now(connection)
    every = studies.listed(connection, settings)
    workspace_id = workspace.of_token(connection, settings)
    results, events = _failures(connection, now)
    return [
        *alerts.of_pauses(gates.paused(connection, studies.gate_keys(connection, settings))),
        *alerts.of_lost_secrets(study.slug for study in every if study.secrets_lost),
        *alerts.of_queue(oldest_wait(durable.waiting(connection))),
        *alerts.of_failures(results=results, events=events),
        *alerts.of_silence(_heard(connection, now), now),
        *alerts.of_answers(_answers(connection, workspace_id, every, now) if workspace_id else ()),
        *alerts.of_rules(_full(connection, every, now)),
        *alerts.of_refusals(_refusals(connection, now)),
    ]


def oldest_wait(waiting: durable.Waiting) -> timedelta | None:
    """How long the oldest job waits whose turn has come."""
    if waiting.oldest_since is None:
        return None
    return timedelta(seconds=max(time.time() - waiting.oldest_since, 0.0))


def _failures(connection: Connection, now: datetime) -> tuple[int, int]:
    columns = deliveries.c
    events = sa.func.coalesce(sa.func.sum(sa.case((columns.door == "intercom", 1), else_=0)), 0)
    number, of_intercom = connection.execute(
        sa.select(sa.func.count(), events).where(
            columns.state == "failed",
            columns.received_at > now - _FAILS_WITHIN,
            columns.finished_at > now - _DAY,
        )
    ).one()
    return int(number - of_intercom), int(of_intercom)


def _heard(connection: Connection, now: datetime) -> Heard:
    columns = deliveries.c
    moments = list(
        connection.execute(
            sa.select(columns.received_at)
            .where(columns.door == "koji", columns.received_at > now - _HEARD_WITHIN)
            .order_by(columns.received_at.desc())
            .limit(_MOST_HEARD)
        ).scalars()
    )
    since = max([now - _MADE_UP_WITHIN, *moments[:1]])
    made_up_for = sa.select(sa.func.count()).where(columns.door == "reconcile", columns.received_at > since)
    open_ones = (
        sa.select(sa.literal(1))
        .where(unfinished, interviews.c.state.in_(("sent", "opened")))
        .limit(alerts.OPEN_AT_LEAST)
        .subquery()
    )
    number_open, number = connection.execute(
        sa.select(
            sa.select(sa.func.count()).select_from(open_ones).scalar_subquery(), made_up_for.scalar_subquery()
        )
    ).one()
    return Heard(moments, number_open, number)


def _answers(
    connection: Connection, workspace_id: str, every: Sequence[Study], now: datetime
) -> list[Answers]:
    columns = interviews.c
    # As a bare column SQLite would rather walk the index of studies, and with it the whole ledger.
    study = columns.study.concat(sa.literal_column("''")).label("study")
    nameless = sa.func.sum(sa.case((columns.reason.in_(_ANONYMOUS), 1), else_=0)).label("nameless")
    rows = connection.execute(
        sa.select(study, sa.func.count().label("number"), nameless)
        .where(
            columns.workspace_id == workspace_id,
            columns.completed_at > now - _ANSWERED_WITHIN,
            columns.result.is_not(None),
        )
        .group_by(study)
        .order_by(study)
    )
    named = {study.slug: study.name for study in every if not study.anonymous}
    return [
        Answers(row.study, named[row.study], row.number, row.nameless) for row in rows if row.study in named
    ]


def _full(connection: Connection, every: Sequence[Study], now: datetime) -> list[Full]:
    costs = {study.slug: study.cost for study in every}
    open_rules = [rule for rule in rulestore.listed(connection) if rule.enabled]
    found = limits.against_this_week(connection, open_rules, costs=costs, now=now)
    return [Full(rule.slug, rule.title, found[rule.slug]) for rule in open_rules if rule.slug in found]


def _refusals(connection: Connection, now: datetime) -> list[Refusals]:
    columns = refusals.c
    number = sa.func.sum(columns.number).label("number")
    # Counted by the hour: this one and the one before.
    since = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    rows = connection.execute(
        sa.select(columns.door, columns.reason, number)
        .where(columns.hour >= since, columns.reason.in_(_SIGNATURES))
        .group_by(columns.door, columns.reason)
        .order_by(columns.door, columns.reason)
    )
    return [Refusals(row.door, row.reason, int(row.number)) for row in rows]
