"""What rules have decided, yes or no, with the reason: one row for each delivery, rule and contact."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import store
from canvas_app.interviews import ledger
from canvas_app.interviews.rulebook import No
from canvas_app.interviews.search import Place
from canvas_app.interviews.tables import decisions

# "asked": at once. "planned": it is sent later. "skipped": it is not.
Verdict = Literal["asked", "planned", "skipped"]


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a decision is about."""

    delivery_id: str
    workspace_id: str
    contact_id: str
    conversation_id: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """A row, newest first where they are listed."""

    decided_at: datetime
    rule: str
    verdict: Verdict
    reason: str | None
    detail: str | None
    contact_id: str
    conversation_id: str | None
    interview_id: str | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A decision in a list that goes on."""

    id: str
    decision: Decision

    @property
    def place(self) -> Place:
        """Where it stands in the list."""
        return Place(self.decision.decided_at, self.id)


def record_no(connection: Connection, occasion: Occasion, rule: str, no: No) -> None:
    """Write down that this rule does not ask, unless it has decided before."""
    _record(connection, occasion, rule, verdict="skipped", reason=no.reason, detail=no.detail)


def record_yes(
    connection: Connection, occasion: Occasion, rule: str, interview_id: str, *, planned: bool
) -> None:
    """Write down that this rule asks: in the transaction that writes the interview."""
    verdict: Verdict = "planned" if planned else "asked"
    _record(connection, occasion, rule, verdict=verdict, interview_id=interview_id)


def so_far(connection: Connection, delivery_id: str) -> dict[str, Verdict]:
    """What was decided about a delivery by a former attempt: {rule: verdict}."""
    query = sa.select(decisions.c.rule, decisions.c.verdict).where(decisions.c.delivery_id == delivery_id)
    return {row.rule: row.verdict for row in connection.execute(query)}


def turn(
    connection: Connection,
    interview_id: str,
    verdict: Verdict,
    reason: str | None = None,
    detail: str | None = None,
) -> None:
    """Let the decision tell what has become of its interview before anything was sent."""
    connection.execute(
        sa.update(decisions)
        .where(decisions.c.interview_id == interview_id)
        .values(verdict=verdict, reason=reason, detail=detail)
    )


def skip_planned(
    connection: Connection, workspace_id: str, contact_id: str, *, now: datetime, reason: str
) -> None:
    """What is planned for this contact is not sent, and its decision tells why."""
    planned = ledger.planned_one(connection, workspace_id, contact_id)
    if planned is None:
        return
    if ledger.move(connection, planned.id, "skipped", only_from=("planned",), now=now, reason=reason):
        turn(connection, planned.id, "skipped", reason)


def newest(
    connection: Connection,
    *,
    most: int,
    rule: str | None = None,
    verdict: Verdict | None = None,
    since: datetime | None = None,
) -> list[Decision]:
    """The newest decisions, of one rule or with one verdict where these are given."""
    query = sa.select(*(decisions.c[name] for name in Decision.__dataclass_fields__))
    if rule is not None:
        query = query.where(decisions.c.rule == rule)
    if verdict is not None:
        query = query.where(decisions.c.verdict == verdict)
    if since is not None:
        query = query.where(decisions.c.decided_at >= since)
    rows = connection.execute(query.order_by(decisions.c.decided_at.desc()).limit(most))
    return [Decision(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's documented name


def page(
    connection: Connection,
    workspace_id: str,
    *,
    most: int,
    rule: str | None = None,
    verdict: Verdict | None = None,
    before: Place | None = None,
) -> list[Listed]:
    """A workspace's decisions, newest first; ``before``: where the page before ended."""
    columns = decisions.c
    query = sa.select(*(columns[name] for name in ("id", *Decision.__dataclass_fields__)))
    query = query.where(columns.workspace_id == workspace_id)
    if rule is not None:
        query = query.where(columns.rule == rule)
    if verdict is not None:
        query = query.where(columns.verdict == verdict)
    if before is not None:
        place = sa.tuple_(sa.literal(before.at, store.UtcDateTime()), sa.literal(before.id, sa.String))
        query = query.where(sa.tuple_(columns.decided_at, columns.id) < place)
    rows = connection.execute(query.order_by(columns.decided_at.desc(), columns.id.desc()).limit(most))
    return [Listed(id_, Decision(*rest)) for id_, *rest in rows]


def _record(
    connection: Connection,
    occasion: Occasion,
    rule: str,
    *,
    verdict: Verdict,
    reason: str | None = None,
    detail: str | None = None,
    interview_id: str | None = None,
) -> None:
    store.insert_ignoring_conflicts(
        connection,
        decisions,
        {
            "id": ledger.new_id(),
            "delivery_id": occasion.delivery_id,
            "rule": rule,
            "workspace_id": occasion.workspace_id,
            "contact_id": occasion.contact_id,
            "conversation_id": occasion.conversation_id,
            "verdict": verdict,
            "reason": reason,
            "detail": detail and detail[:200],
            "interview_id": interview_id,
            "decided_at": store.now(connection),
        },
    )
