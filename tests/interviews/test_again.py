"""What came to nothing is asked for once more: once, on what was seen, and within what the contact wants."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from canvas_app import store
from canvas_app.interviews import again, planning
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.operators import Teammate
from canvas_app.interviews.seen import Seen, seen
from canvas_app.interviews.states import STATES, State
from canvas_app.interviews.tables import interviews
from tests.interviews.asks import read, write
from tests.support.events import intercom_has_contact
from tests.support.world import World

OPERATOR = Teammate("ws1", "992", "Bo")


def send(
    world: World,
    interview: Interview,
    *,
    what: Seen | None = None,
    last: Seen | None = None,
    by: Teammate = OPERATOR,
) -> str:
    with store.reading(world.engine) as connection:
        study = again.study_of(connection, world.settings, interview)
    return again.send_again(
        world.engine,
        world.services.jobs,
        world.settings,
        by,
        interview,
        study,
        what=what or seen(interview),
        line="Once more.",
        last=last,
        record=lambda _connection, _new: None,
    )


def made(world: World, state: str, **changes: Any) -> Interview:
    interview = write(world.engine, state=state, asked_by_id="991", asked_by_name="Ada", **changes)
    an_hour_ago(world)
    return read(world.engine, interview.id)


def an_hour_ago(world: World) -> None:
    with store.reading(world.engine) as connection:
        moment = store.now(connection) - timedelta(hours=1)
    world.set_interview(created_at=moment, state_since=moment)


@pytest.mark.parametrize("state", STATES)
def test_what_reached_nobody_or_was_not_answered_can_be_sent_again(sqlite_world: World, state: State) -> None:
    interview = made(sqlite_world, state)
    repeatable = state in ("failed", "expired", "cancelled")
    assert again.repeatable(interview) is repeatable
    assert send(sqlite_world, interview) == ("queued" if repeatable else "changed")
    assert sqlite_world.count(interviews) == (2 if repeatable else 1)


def test_it_is_another_interview_in_the_name_of_who_asks_again(world: World) -> None:
    interview = made(world, "failed", rule="low", origin="rule")
    assert send(world, interview) == "queued"
    new = world.interview()
    assert (new.origin, new.state, new.rule) == ("console", "queued", None)
    assert (new.asked_by_id, new.asked_by_name, new.personal_line) == ("992", "Bo", "Once more.")
    assert (new.contact_id, new.conversation_id) == (interview.contact_id, interview.conversation_id)
    assert read(world.engine, interview.id) == interview
    # Nobody stands before a card and waits.
    assert new.send_before - new.created_at == timedelta(hours=24)


def test_who_comes_by_the_command_line_writes_in_nobody_s_name(sqlite_world: World) -> None:
    send(sqlite_world, made(sqlite_world, "failed"), by=Teammate(None, "cli", "root", by_command=True))
    assert sqlite_world.interview().asked_by_id is None


def test_twice_is_once(world: World) -> None:
    interview = made(world, "failed")
    assert send(world, interview) == "queued"
    assert send(world, interview) == "exists"
    world.set_interview(state="expired")
    # Also when that one is over: it is the one to be sent again then.
    assert send(world, read(world.engine, interview.id)) == "exists"
    assert world.count(interviews) == 2


def test_one_that_is_not_as_it_was_seen_is_left_alone(sqlite_world: World) -> None:
    interview = made(sqlite_world, "failed")
    old = Seen(interview.id, interview.send_attempt, interview.state_since - timedelta(seconds=1))
    assert send(sqlite_world, interview, what=old) == "changed"
    shown = read(sqlite_world.engine, interview.id)
    sqlite_world.set_interview(send_attempt=9)
    assert send(sqlite_world, shown) == "changed"
    assert sqlite_world.count(interviews) == 1


def test_who_was_asked_not_long_ago_is_asked_only_by_who_has_seen_that(world: World) -> None:
    world.deploy(ask_again_days=30)
    interview = made(world, "expired", sent_at=None)
    with store.reading(world.engine) as connection:
        way = again.in_the_way(connection, world.settings, interview, store.now(connection))
    assert (way.open, way.last) == (None, interview)
    assert send(world, interview) == "asked_recently"
    assert send(world, interview, last=seen(interview)) == "queued"


def test_an_open_interview_is_in_the_way(sqlite_world: World) -> None:
    interview = made(sqlite_world, "cancelled")
    open_one = made(sqlite_world, "sent")
    interview = read(sqlite_world.engine, interview.id)
    with store.reading(sqlite_world.engine) as connection:
        way = again.in_the_way(connection, sqlite_world.settings, interview, open_one.created_at)
    assert way.open == open_one
    assert send(sqlite_world, interview) == "exists"


def test_the_limits_of_rules_do_not_hold_it_and_the_contact_s_wish_does(sqlite_world: World) -> None:
    world = sqlite_world
    world.deploy(ask_again_days=30)
    world.intercom_knows_us()
    intercom_has_contact(world)
    world.intercom_shows()
    interview = made(world, "expired")
    assert send(world, interview, last=seen(interview)) == "queued"
    assert planning.look_again(world.services, world.interview())["kind"] == "done"
    intercom_has_contact(world, unsubscribed_from_emails=True)
    looked = planning.look_again(world.services, world.interview())
    assert (looked["kind"], looked["reason"]) == ("stop", "unsubscribed")


def test_it_is_sent_to_who_wants_to_hear_from_us_and_to_nobody_else(sqlite_world: World) -> None:
    world = sqlite_world
    world.vendors_are_well()
    world.intercom_shows()
    intercom_has_contact(world, unsubscribed_from_emails=True)
    interview = made(world, "failed")
    send(world, interview)
    world.run_jobs()
    assert (world.interview().state, world.interview().reason) == ("skipped", "unsubscribed")
    assert world.calls("POST", "/reply$") == []
    intercom_has_contact(world)
    second = made(world, "failed")
    send(world, second)
    world.run_jobs()
    assert world.interview().state == "sent"
    [message] = world.calls("POST", "/reply$")
    assert message["admin_id"] == "992"
    assert "Once more." in message["body"]


def test_what_leads_to_nobody_any_more_or_has_an_answer_is_not_repeated(sqlite_world: World) -> None:
    for changes in ({"reason": "merged_away"}, {"deliver": "none"}, {"result": {"quality": 4}}):
        interview = made(sqlite_world, "failed", **changes)
        assert not again.repeatable(interview), changes
