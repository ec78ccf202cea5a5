"""Many rows, as a workspace has them after some years, written at once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.interviews.tables import deliveries, interviews
from tests.interviews.asks import NOW
from tests.support.world import WORKSPACE

STATES = ("written_back",) * 12 + ("expired",) * 4 + ("not_written", "skipped", "failed", "cancelled")
NAMES = ("Mia Chen", "Łukasz Nowak", "Priya Raman", "mia lower", "O'Neil", "100% Real", None)


def fill(engine: Engine, *, interviews_: int = 0, deliveries_: int = 0) -> None:
    """Write rows of all kinds, one a minute back from NOW."""
    with store.writing(engine) as connection:
        for begin in range(0, max(interviews_, deliveries_), 5_000):
            if rows := [interview(number) for number in range(begin, min(begin + 5_000, interviews_))]:
                connection.execute(sa.insert(interviews), rows)
            if rows := [delivery(number) for number in range(begin, min(begin + 5_000, deliveries_))]:
                connection.execute(sa.insert(deliveries), rows)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE"))


def id_of(number: int, kind: str = "a") -> str:
    return f"{kind}{number:031x}"


def interview(number: int, **changes: Any) -> dict[str, Any]:
    # Some at the same moment, which only their ids tell apart.
    at = NOW - timedelta(minutes=number - number % 3)
    rep = number % 4 == 0
    return {
        "id": id_of(number),
        "workspace_id": WORKSPACE if number % 50 else "ws2",
        "contact_id": f"c{number}",
        "conversation_id": str(number),
        "study": ("default", "leaving", "leaving", "leaving")[number % 4],
        "origin": ("card", "rule", "api", "rule")[number % 4],
        "rule": "low" if number % 2 else None,
        "asked_by_id": str(990 + number % 3) if rep else None,
        "asked_by_name": f"Rep {number % 3}" if rep else None,
        "contact_name": NAMES[number % len(NAMES)] if number < 500 else f"Customer {number}",
        "contact_email": f"Person{number}@example.com",
        "state": STATES[number % len(STATES)],
        "reason": None,
        "link_token": id_of(number),
        "koji_interview_id": f"koji-{number}",
        "send_attempt": 2,
        "created_at": at,
        "state_since": at,
        "send_before": at,
        "sent_at": at,
        "deliver": "conversation",
        "checks": 0,
        **changes,
    }


def delivery(number: int, **changes: Any) -> dict[str, Any]:
    at = NOW - timedelta(minutes=number - number % 3)
    return {
        "id": id_of(number, "d"),
        "door": "koji" if number % 3 else "intercom",
        "dedupe_key": str(number),
        "event": "interview.analysis_ready",
        "interview_id": id_of(number) if number % 2 else None,
        "state": "failed" if number % 100 == 0 else "done",
        "reason": "intercom_refused" if number % 100 == 0 else None,
        "content": {"kind": "other"} if number % 100 == 0 else None,
        "attempt": 2,
        "waits": 0,
        "fills": 0,
        "tries": 1,
        "received_at": at,
        "finished_at": at,
        **changes,
    }
