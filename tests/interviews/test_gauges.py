"""How it stands at a moment, read from the database."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from canvas_app import gates, store
from canvas_app.interviews import gauges
from canvas_app.interviews.gauges import Gauges
from canvas_app.interviews.tables import deliveries, gates as gate_rows, workspaces
from tests.interviews.asks import write
from tests.support.world import WORKSPACE, World


def read(world: World) -> Gauges:
    with store.reading(world.engine) as connection:
        return gauges.read(connection, world.settings)


def test_an_empty_database_tells_noughts(world: World) -> None:
    found = read(world)
    assert (found.workers, found.pauses, found.alerts, found.interviews) == (0, [], {}, None)
    assert found.rooms == {wire: rate.burst for wire, rate in gates.RATES.items()}
    assert set(found.deliveries) == {
        (door, state) for door in ("koji", "intercom", "reconcile") for state in ("stored", "failed")
    }
    assert not any(found.deliveries.values())


def test_interviews_of_another_workspace_are_not_counted(world: World) -> None:
    with store.writing(world.engine) as connection:
        connection.execute(
            sa.insert(workspaces).values(
                workspace_id=WORKSPACE,
                admin_id="7",
                read_at=store.now(connection),
                token_fingerprint=gates.token_fingerprint(world.settings),
            )
        )
    write(world.engine, contact_id="c1", state="failed")
    write(world.engine, contact_id="c2", state="failed")
    write(world.engine, contact_id="c3", workspace_id="another", state="failed")
    found = read(world).interviews
    assert found is not None
    assert {state: number for state, number in found.items() if number} == {"failed": 2}


def test_of_several_keys_the_one_with_the_least_room_counts(world: World) -> None:
    study = world.add_study("churn")
    assert study.api_key is not None
    key = gates.key_of("koji", study.api_key)
    with store.writing(world.engine) as connection:
        now = store.now(connection)
        until = now + timedelta(minutes=1)
        connection.execute(sa.insert(gate_rows).values(key=key, due_at=now, blocked_until=until))
        # Of a key that is in use no more.
        gone = {"key": "intercom:gone", "due_at": now, "blocked_until": until}
        connection.execute(sa.insert(gate_rows).values(**gone))
    assert read(world).rooms == {"intercom": gates.RATES["intercom"].burst, "koji": 0}


def test_a_delivery_that_waits_is_counted_and_one_that_is_done_is_not(world: World) -> None:
    world.send()
    world.koji_event(world.result())
    assert read(world).deliveries["koji", "stored"] == 1
    with store.writing(world.engine) as connection:
        connection.execute(sa.update(deliveries).values(state="failed"))
    assert read(world).deliveries["koji", "failed"] == 1
    with store.writing(world.engine) as connection:
        connection.execute(sa.update(deliveries).values(state="done"))
    assert not any(read(world).deliveries.values())
