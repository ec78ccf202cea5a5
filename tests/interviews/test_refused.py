"""Refused requests are counted by the hour, and a flood of them is no flood of writes."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.interviews import refused
from canvas_app.interviews.measures import Tally
from canvas_app.interviews.tables import refusals
from tests.support.world import World


def counted(engine: Engine) -> dict[tuple[str, str], int]:
    with store.reading(engine) as connection:
        found = refused.since(connection, store.now(connection) - timedelta(hours=1))
    return {(one.door, one.reason): one.number for one in found}


def test_counts_of_several_processes_are_added_up(engine: Engine) -> None:
    for _ in range(2):
        tally = Tally()
        for _ in range(3):
            tally.refuse("/webhooks/koji", "signature_mismatch")
        tally.refuse("/api/interviews", "token_wrong")
        tally.keep(engine)
    assert counted(engine) == {
        ("/webhooks/koji", "signature_mismatch"): 6,
        ("/api/interviews", "token_wrong"): 2,
    }


def test_each_hour_has_a_row_of_its_own_and_old_ones_go(engine: Engine) -> None:
    for age in (timedelta(hours=2), timedelta(days=91)):
        tally = Tally()
        tally.refuse("/x", "y")
        tally.keep(engine)
        with store.writing(engine) as connection:
            moved = sa.update(refusals).values(hour=refused._hour(store.now(connection) - age))
            connection.execute(moved.where(refusals.c.hour >= store.now(connection) - timedelta(hours=1)))
    tally = Tally()
    tally.refuse("/x", "y")
    tally.keep(engine)
    with store.reading(engine) as connection:
        rows = connection.execute(sa.select(refusals.c.hour, refusals.c.number)).all()
        assert [row.number for row in rows] == [1, 1]
        [one] = refused.since(connection, store.now(connection) - timedelta(days=7))
    assert one.number == 2
    assert one.last_hour == max(row.hour for row in rows)


def test_a_flood_is_written_once_and_no_request_waits_for_it(sqlite_world: World) -> None:
    client, writes = sqlite_world.app.test_client(), []
    engine = sqlite_world.app.extensions["koji_for_intercom"].engine
    sa.event.listen(
        engine,
        "before_cursor_execute",
        lambda _c, _cursor, statement, *_rest: (
            writes.append(statement) if "INTO refusals" in statement else 0
        ),
    )
    for number in range(200):
        answer = client.post(
            "/webhooks/koji",
            data=b'{"event": "interview.completed"}',
            headers={"X-Koji-Signature": "no", "X-Forwarded-For": f"203.0.113.{number}"},
        )
        assert answer.status_code == 401
    assert writes == []
    sqlite_world.app.extensions["koji_for_intercom"].tally.keep(engine)
    assert len(writes) == 1
    assert sum(counted(engine).values()) == 200
