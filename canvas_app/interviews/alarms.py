"""The clock looks for what needs a person: one line in the log for each new alert, and one message.

Each function is a step that may be repeated. A message is claimed before it is posted, so that none is posted
twice whatever happens in between; the claim is given back where it surely was not taken.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from canvas_app import log, notices, store
from canvas_app.errors import UnknownOutcomeError, WireError
from canvas_app.interviews import alert_address, alert_facts
from canvas_app.interviews.alerts import LONGEST_REMEDY, LONGEST_TITLE, Alert
from canvas_app.interviews.services import Services
from canvas_app.interviews.tables import alerts

logger = logging.getLogger(__name__)

# However often an alert comes and goes, it is told of once within this time.
TOLD_ONCE_WITHIN: Final = timedelta(days=1)
# What is over is kept for this long, so that it is not told of again too soon.
_KEPT: Final = timedelta(days=30)
_MOST_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class _Claim:
    """An alert whose beginning or end is being told; ``column`` had the value ``before``."""

    key: str
    title: str
    remedy: str
    column: str
    before: datetime | None


def look(services: Services) -> int:
    """Write down what there is now, and log what is new; how many are new."""
    with store.reading(services.engine) as connection:
        found = alert_facts.look(connection, services.settings)
    with store.writing(services.engine) as connection:
        new, over = _write(connection, found)
    for alert in new:
        log.event(logger, logging.WARNING, "alert", kind=alert.kind, key=alert.key)
    for key in over:
        log.event(logger, logging.INFO, "alert_over", key=key)
    return len(new)


def tell(services: Services) -> int:
    """Post one message about what is new and what is over, if an operator wants that; how many it names."""
    with store.writing(services.engine) as connection:
        address = alert_address.current(connection, services.settings)
        if address is None:
            return 0
        claims = _claim(connection)
    if not claims and address.greeted:
        return 0
    problem, taken_back = None, False
    try:
        with services.make_alert_client() as http:
            notices.post(http, address.url, message(claims, greeting=not address.greeted))
    except UnknownOutcomeError as error:
        problem = error.reason
    except WireError as error:
        problem, taken_back = error.reason, True
    # Patiently: were the whole step repeated after an outage, the claims would be taken for another's.
    store.patiently(
        _write_outcome,
        services.engine,
        problem,
        claims if taken_back else [],
        greeted=address.greeted or not taken_back,
    )
    if problem is not None:
        log.event(logger, logging.WARNING, "alerts_not_told", reason=problem, tried_again=taken_back)
    return 0 if taken_back else len(claims)


def message(claims: Sequence[Any], *, greeting: bool) -> dict[str, object]:
    """The message as Slack takes it, and whatever else reads "text".

    https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
    """
    lines = ["Alerts of Koji for Intercom are posted here."] if greeting else []
    for claim in claims[:_MOST_LINES]:
        if claim.column == "told_at":
            lines.append(f":warning: *{_escaped(claim.title)}*\n{_escaped(claim.remedy)}")
        else:
            lines.append(f":white_check_mark: Resolved: {_escaped(claim.title)}")
    if len(claims) > _MOST_LINES:
        lines.append(f"And {len(claims) - _MOST_LINES} more: see the console.")
    return {"text": "\n".join(lines)}


def listed(connection: Connection) -> list[Alert]:
    """The alerts that last, as the clock has found them, the oldest first."""
    rows = connection.execute(
        sa.select(alerts).where(alerts.c.over_at.is_(None)).order_by(alerts.c.since, alerts.c.key)
    )
    return [Alert(row.key, row.kind, row.title, row.remedy, row.since) for row in rows]


def _write(connection: Connection, found: Iterable[Alert]) -> tuple[list[Alert], list[str]]:
    """What is new, and the keys of what is over."""
    now = store.now(connection)
    new, keys = [], []
    for alert in found:
        keys.append(alert.key)
        words = {"title": alert.title[:LONGEST_TITLE], "remedy": alert.remedy[:LONGEST_REMEDY]}
        fresh = {"key": alert.key, "kind": alert.kind, "since": now, **words}
        this = alerts.c.key == alert.key
        if store.insert_ignoring_conflicts(connection, alerts, fresh):
            new.append(alert)
            continue
        again = sa.update(alerts).where(this, alerts.c.over_at.is_not(None))
        if connection.execute(again.values(since=now, over_at=None, **words)).rowcount:
            new.append(alert)
        else:
            changed = sa.or_(alerts.c.title != words["title"], alerts.c.remedy != words["remedy"])
            connection.execute(sa.update(alerts).where(this, changed).values(**words))
    gone = sa.update(alerts).where(alerts.c.over_at.is_(None), alerts.c.key.not_in(keys))
    over = connection.execute(gone.values(over_at=now).returning(alerts.c.key)).scalars().all()
    connection.execute(sa.delete(alerts).where(alerts.c.over_at < now - _KEPT))
    return new, sorted(over)


def _claim(connection: Connection) -> list[_Claim]:
    now = store.now(connection)
    columns = alerts.c
    # This time of it was not told, and no other one was lately.
    untold = sa.and_(
        columns.over_at.is_(None),
        sa.or_(
            columns.told_at.is_(None),
            sa.and_(columns.told_at < columns.since, columns.told_at <= now - TOLD_ONCE_WITHIN),
        ),
    )
    # Its end is told where its beginning was.
    ended = sa.and_(
        columns.over_at.is_not(None),
        columns.told_at >= columns.since,
        sa.or_(columns.told_over_at.is_(None), columns.told_over_at < columns.told_at),
    )
    claims = []
    for column, which in (("told_at", untold), ("told_over_at", ended)):
        rows = connection.execute(
            sa.select(alerts).where(which).order_by(columns.since, columns.key).with_for_update()
        ).all()
        for row in rows:
            claims.append(_Claim(row.key, row.title, row.remedy, column, getattr(row, column)))
            connection.execute(sa.update(alerts).where(columns.key == row.key).values({column: now}))
    return claims


def _write_outcome(engine: Engine, problem: str | None, given_back: list[_Claim], *, greeted: bool) -> None:
    with store.writing(engine) as connection:
        _take_back(connection, given_back)
        alert_address.write_outcome(connection, problem, greeted=greeted)


def _take_back(connection: Connection, claims: Iterable[_Claim]) -> None:
    for claim in claims:
        connection.execute(
            sa.update(alerts).where(alerts.c.key == claim.key).values({claim.column: claim.before})
        )


def _escaped(text: str) -> str:
    """Slack's own three: without them a study's name could make a link, or call everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
