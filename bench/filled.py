"""A database as it stands after a busy year: for benchmarks and tests of what reads a large ledger.

Everything is made up, and the same in every run.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.interviews.tables import deliveries, interviews

_CHUNK: Final = 2_000
# What differs between any two interviews.
# Made by the database itself.
_MADE: Final = frozenset({"stage", "sentiment", "quality"})
_OWN: Final = frozenset({"contact_id", "link_token", "koji_interview_id", "request_key"})
_THEMES: Final = tuple(
    f"{what} {how}"
    for what in ("Pricing", "Exports", "Onboarding", "Support", "Search", "Billing", "Mobile", "Reports")
    for how in ("friction", "speed", "clarity", "missing", "praise")
)
_SENTIMENTS: Final = ("positive", "positive", "neutral", "mixed", "negative")
_ENDS: Final = (
    *(("written_back", None),) * 35,
    *(("expired", None),) * 30,
    *(("not_written", "low_quality"),) * 6,
    *(("not_written", "anonymous"),) * 3,
    *(("cancelled", "withdrawn"),) * 6,
    *(("skipped", "asked_recently"),) * 10,
    *(("failed", "intercom_refused"),) * 4,
    *(("opened", None),) * 3,
    *(("sent", None),) * 3,
)


def fill(
    engine: Engine,
    *,
    workspace: str,
    number: int = 100_000,
    received: int = 300_000,
    days: int = 365,
    studies: tuple[str, ...] = ("default", "leaving", "onboarding"),
) -> None:
    """Write so many interviews and deliveries, spread evenly over so many days until now."""
    chance = random.Random(1)  # noqa: S311 -- the same rows in every run
    with store.reading(engine) as connection:
        now = store.now(connection)
    step = timedelta(days=days) / max(number, 1)
    rows = (
        _interview(chance, f"{index:032x}", workspace, studies, now - step * (number - index))
        for index in range(number)
    )
    _write(engine, interviews, rows)
    step = timedelta(days=days) / max(received, 1)
    events = (
        _delivery(chance, f"{index:032x}", now - step * (received - index)) for index in range(received)
    )
    _write(engine, deliveries, events)
    tidy_up(engine)


def multiply(engine: Engine, times: int) -> None:
    """Write each interview ``times - 1`` times more, about other contacts and at the same moments.

    The database does it by itself, which takes seconds where writing a million rows from here takes minutes.
    """
    columns = [column for column in interviews.c if column.name not in _MADE]
    values = ", ".join(
        # Ids are 32 hexadecimal characters, and so high a first one is free.
        f"printf('%02x', 16 + n) || substr({column.name}, 3)"
        if column.name == "id"
        else f"{column.name} || '-' || n"
        if column.name in _OWN
        else f"CAST(CAST({column.name} AS BIGINT) + n * 10000000 AS VARCHAR(15))"
        if column.name == "conversation_id"
        else column.name
        for column in columns
    )
    if engine.dialect.name == "postgresql":
        values = values.replace("printf('%02x', 16 + n)", "lpad(to_hex(16 + n), 2, '0')")
    names = ", ".join(column.name for column in columns)
    with engine.connect() as connection:
        hurried = connection.dialect.name == "sqlite"
        if hurried:
            # All indexes are written to at random places: with two megabytes it would read most of them anew.
            connection.exec_driver_sql("PRAGMA cache_size=-400000")
            connection.exec_driver_sql("PRAGMA synchronous=OFF")
        for number in range(1, times):
            # Ids written here begin with something else than the first ones, which are small numbers.
            connection.exec_driver_sql(
                f"INSERT INTO interviews ({names}) SELECT {values} "  # noqa: S608 -- no value from outside
                f"FROM interviews, (SELECT {number} AS n) AS times WHERE id < '10'"
            )
            connection.commit()
        if hurried:
            connection.exec_driver_sql("PRAGMA cache_size=-2000")
            connection.exec_driver_sql("PRAGMA synchronous=FULL")
    tidy_up(engine)


def tidy_up(engine: Engine) -> None:
    """Let the database learn what there is, as it does by itself after a while."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        vacuum = "VACUUM ANALYZE" if engine.dialect.name == "postgresql" else "ANALYZE"
        connection.exec_driver_sql(vacuum)


def _interview(
    chance: random.Random, id_: str, workspace: str, studies: tuple[str, ...], asked: datetime
) -> dict[str, Any]:
    state, reason = chance.choice(_ENDS)
    sent = None if state in ("skipped", "failed") else asked + timedelta(seconds=chance.uniform(1, 60))
    answered = state in ("written_back", "not_written")
    opened = completed = None
    if sent and (answered or state == "opened" or chance.random() < 0.3):
        opened = sent + timedelta(hours=chance.expovariate(1 / 8))
    if sent and answered:
        completed = sent + timedelta(hours=chance.expovariate(1 / 20))
    themes = chance.sample(_THEMES, chance.randint(3, 7))
    anonymous = reason == "anonymous"
    result = {
        "koji_interview_id": f"koji-{id_}",
        "study_id": None,
        "identity": "anonymous" if anonymous else "named",
        "sentiment": None if anonymous else chance.choice(_SENTIMENTS),
        "quality": float(chance.choice((2,) if reason == "low_quality" else (3, 4, 4, 5))),
        "themes": [] if anonymous else themes,
        "top_theme": None if anonymous else themes[0],
        "transcript_url": None if anonymous else f"https://koji.so/t/{id_}",
        "occurred_at": completed and completed.isoformat(),
        "status": None,
    }
    return {
        "id": id_,
        "workspace_id": workspace,
        "contact_id": f"contact-{id_}",
        "conversation_id": str(int(id_, 16) + 1000),
        "study": chance.choice(studies),
        "origin": chance.choice(("card", "rule", "api")),
        "asked_by_id": "991",
        "asked_by_name": "Ada Byrne",
        "contact_name": "Mia Chen",
        "contact_email": "mia@example.com",
        "state": state,
        "reason": reason,
        "link_token": f"token-{id_}-{'x' * 60}",
        "koji_interview_id": sent and f"koji-{id_}",
        "koji_link": sent and f"https://koji.so/interview/abc?rid={id_}",
        "send_attempt": 1,
        "created_at": asked,
        "state_since": completed or opened or sent or asked,
        "send_before": asked + timedelta(minutes=15),
        "sent_at": sent,
        "opened_at": opened,
        "completed_at": completed,
        "result": result if completed else None,
        "result_at": completed,
        "attributes_written_at": completed if state == "written_back" else None,
        "written_back_at": completed + timedelta(seconds=9)
        if completed and state == "written_back"
        else None,
        "rule": chance.choice((None, "rated-badly")),
        "credits": 5,
    }


def _delivery(chance: random.Random, id_: str, received: datetime) -> dict[str, Any]:
    door = chance.choice(("intercom", "intercom", "koji"))
    failed = chance.random() < 0.002
    return {
        "id": id_,
        "door": door,
        "dedupe_key": f"key-{id_}",
        "event": "interview.analysis_ready" if door == "koji" else "conversation.admin.closed",
        "interview_id": id_ if door == "koji" else None,
        "state": "failed" if failed else chance.choice(("done", "done", "ignored")),
        "reason": "intercom_refused" if failed else None,
        "content": {"kind": "analysis_ready"} if failed else None,
        "attempt": 2,
        "waits": 0,
        "fills": 0,
        "tries": 0,
        "received_at": received,
        "finished_at": received + timedelta(seconds=2),
    }


def _write(engine: Engine, table: sa.Table, rows: Iterator[dict[str, Any]]) -> None:
    while chunk := list(islice(rows, _CHUNK)):
        with store.writing(engine) as connection:
            connection.execute(sa.insert(table), chunk)
