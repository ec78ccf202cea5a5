"""What the clock does about pauses where nothing else happens on their wire."""

from __future__ import annotations

import logging

import pytest
import sqlalchemy as sa

from canvas_app import gates, store
from canvas_app.errors import CredentialsError
from canvas_app.gates import EVERYTHING
from canvas_app.interviews import probing, workspace
from canvas_app.interviews.tables import pauses, workspaces
from canvas_app.passages import DatabaseGate
from tests.support.rates import WIDE_OPEN
from tests.support.world import INTERCOM, KOJI, KOJI_ID, World

ME = f"{INTERCOM}/me"
GET = f"{KOJI}/api/v1/interviews/{KOJI_ID}"
REPLY = "POST /conversations/{id}/reply"


def pause(world: World, wire: gates.Wire, operation: str = "GET /me", status: int = 401) -> None:
    token = {"intercom": "intercom-token", "koji": "pk_live_key"}[wire]
    gate = DatabaseGate(world.engine, wire, token, WIDE_OPEN[wire])
    with pytest.raises(CredentialsError), gate.passage(operation):
        raise CredentialsError(reason=f"{wire}_refused_it", status=status)
    world.let_time_pass(minutes=1)


@pytest.fixture
def known_world(world: World) -> World:
    """One in which the token has told its workspace, and nobody has been called since."""
    world.intercom_knows_us()
    workspace.read(world.services)
    world.outside.reset()
    return world


def paused(world: World) -> list[tuple[str, str]]:
    with store.reading(world.engine) as connection:
        found = gates.paused(connection, gates.keys_of(world.settings))
    return [(each.wire, each.operation) for each in found]


def test_while_nothing_is_paused_nobody_is_called(known_world: World) -> None:
    assert probing.probe(known_world.services) == 0
    assert len(known_world.outside.calls) == 0


@pytest.mark.parametrize("status", [200, 503])
def test_a_token_whose_workspace_is_not_known_is_asked_for_it(world: World, status: int) -> None:
    world.intercom_knows_us()
    if status != 200:
        world.outside.upsert("GET", ME, status=status, json={"type": "error.list", "errors": []})
    assert [probing.probe(world.services) for _ in range(2)] == [1, 0 if status == 200 else 1]
    assert world.count(workspaces) == (1 if status == 200 else 0)
    assert len(world.outside.calls) == (1 if status == 200 else 2)


def test_without_a_token_nobody_is_asked(world: World) -> None:
    world.deploy(intercom_access_token="")
    assert probing.probe(world.services) == 0


@pytest.mark.parametrize("status", [200, 401, 503])
def test_a_dead_token_is_tried_with_a_question_that_changes_nothing(world: World, status: int) -> None:
    pause(world, "intercom")
    world.intercom_knows_us()
    if status != 200:
        world.outside.upsert("GET", ME, status=status, json={"type": "error.list", "errors": []})
    probing.probe(world.services)
    assert [call.request.url for call in world.outside.calls] == [ME]
    assert paused(world) == ([] if status == 200 else [("intercom", EVERYTHING)])
    assert world.count(workspaces) == (1 if status == 200 else 0)


def test_it_is_tried_once_a_minute_at_most(world: World) -> None:
    pause(world, "intercom")
    world.outside.get(ME, status=401, json={"type": "error.list", "errors": []})
    for _ in range(3):
        probing.probe(world.services)
    assert len(world.outside.calls) == 1
    world.let_time_pass(minutes=1)
    probing.probe(world.services)
    assert len(world.outside.calls) == 2


@pytest.mark.parametrize("status", [200, 404, 401])
def test_a_dead_key_is_tried_with_the_newest_interview_that_koji_knows(world: World, status: int) -> None:
    world.send()
    calls = len(world.outside.calls)
    pause(world, "koji")
    world.outside.get(GET, status=status, json={"interview_id": KOJI_ID, "status": "in_progress"})
    probing.probe(world.services)
    assert [call.request.url for call in world.outside.calls][calls:] == [GET]
    assert paused(world) == ([("koji", EVERYTHING)] if status == 401 else [])
    assert world.interview().state == "sent"


def test_where_koji_knows_no_interview_the_next_real_call_tries_it(known_world: World) -> None:
    world = known_world
    pause(world, "koji")
    probing.probe(world.services)
    assert len(world.outside.calls) == 0
    assert paused(world) == [("koji", EVERYTHING)]


def test_a_missing_permission_that_nobody_has_met_for_an_hour_is_not_told_any_more(
    known_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world = known_world
    pause(world, "intercom", REPLY, status=403)
    probing.probe(world.services)
    assert paused(world) == [("intercom", REPLY)]
    world.let_time_pass(minutes=61)
    with caplog.at_level(logging.WARNING):
        probing.probe(world.services)
    assert paused(world) == []
    assert "wire_pause_forgotten" in caplog.messages
    assert len(world.outside.calls) == 0


def test_pauses_of_a_token_that_is_not_ours_any_more_are_left_alone(world: World) -> None:
    pause(world, "intercom")
    world.deploy(intercom_access_token="another-token")
    world.let_time_pass(days=1)
    world.intercom_knows_us()
    probing.probe(world.services)
    # The new one is asked whose it is.
    assert len(world.outside.calls) == 1
    with store.reading(world.engine) as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(pauses)).scalar_one() == 1
