"""How the connections, the queue and the set-up stand, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from bench.filled import fill
from canvas_app import store
from canvas_app.errors import CredentialsError
from canvas_app.interviews import alert_address, operators, standing, studies, workspace
from canvas_app.interviews.standing import Standing
from canvas_app.interviews.tables import deliveries
from canvas_app.passages import DatabaseGate
from tests.support.plans import watched
from tests.support.rates import WIDE_OPEN
from tests.support.world import WORKSPACE, World


def read(world: World, workspace_id: str | None = None) -> Standing:
    with store.reading(world.engine) as connection:
        every = studies.listed(connection, world.settings)
        return standing.read(connection, world.settings, every, workspace_id)


def test_of_a_fresh_app_nothing_has_happened(world: World) -> None:
    found = read(world)
    assert (found.workspace_id, found.operators, found.rules_on) == (None, 0, 0)
    assert [(one.kind, one.wire, one.study, one.last_at) for one in found.connections] == [
        ("calls", "intercom", None, None),
        ("calls", "koji", "Customer interview", None),
        ("webhooks", "intercom", None, None),
        ("webhooks", "koji", None, None),
    ]
    assert (found.queue.due, found.queue.oldest) == (0, None)
    assert found.alert_address is None
    assert found.provision.at is None


def test_calls_and_webhooks_leave_when_they_last_succeeded(world: World) -> None:
    world.send()
    world.koji_event(world.result())
    found = read(world)
    intercom, koji, from_intercom, from_koji = found.connections
    assert intercom.last_at is not None
    assert koji.last_at is not None
    assert from_intercom.last_at is None
    assert from_koji.last_at == found.came_in("koji")
    assert found.now - koji.last_at < timedelta(minutes=1)
    assert found.queue.due == 1
    assert found.queue.oldest is not None


def test_the_newest_webhook_counts(world: World) -> None:
    world.send()
    world.koji_event(world.result())
    world.let_time_pass(hours=5)
    world.koji_event(world.result(quality_score=5))
    assert world.count(deliveries) == 2
    newest = read(world).came_in("koji")
    with store.reading(world.engine) as connection:
        assert newest == connection.execute(sa.select(sa.func.max(deliveries.c.received_at))).scalar_one()


def test_each_study_that_is_on_has_its_connection_and_two_may_share_a_key(world: World) -> None:
    world.add_study("leaving")
    world.add_study("twin", api_key="pk_leaving")
    world.add_study("off", enabled=False)
    calls = [one for one in read(world).connections if one.kind == "calls"]
    assert [one.study for one in calls] == [None, "Customer interview", "Leaving, Twin"]


def test_what_is_refused_stands_with_its_connection(world: World) -> None:
    gate = DatabaseGate(world.engine, "koji", "pk_live_key", WIDE_OPEN["koji"])
    for operation in ("GET /x", "POST /x"):
        with pytest.raises(CredentialsError), gate.passage(operation):
            raise CredentialsError(reason="koji_scope_missing", status=403)
    found = read(world)
    assert [pause.operation for pause in found.pauses] == ["GET /x", "POST /x"]
    assert [len(one.pauses) for one in found.connections] == [0, 2, 0, 0]


def test_without_a_token_there_is_no_connection_of_it(world: World) -> None:
    world.deploy(intercom_access_token="")
    assert [one.wire for one in read(world).connections if one.kind == "calls"] == ["koji"]


def test_whoever_comes_without_a_workspace_sees_the_token_s(world: World) -> None:
    world.intercom_knows_us()
    workspace.read(world.services)
    with store.writing(world.engine) as connection:
        operators.add(connection, WORKSPACE, "1", "Ada")
        operators.add(connection, "ws2", "2", "Bo")
        alert_address.enter(connection, world.settings, "https://hooks.example.com/x")
    found = read(world)
    assert (found.workspace_id, found.workspace_name, found.operators) == (WORKSPACE, "Acme", 1)
    assert found.alert_address is not None
    other = read(world, "ws2")
    assert (other.workspace_id, other.workspace_name) == ("ws2", None)


def test_no_query_reads_a_whole_large_table(world: World) -> None:
    fill(world.engine, workspace=WORKSPACE, number=100, received=6_000)
    every = [world.settings.default_study]
    with watched(world.engine) as plans, store.reading(world.engine) as connection:
        standing.read(connection, world.settings, every, WORKSPACE)
    assert any("ix_deliveries_by_door" in plan for plan in plans.texts(world.engine))
    assert plans.whole_reads(world.engine) == []
