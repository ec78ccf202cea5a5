"""The steps of a send by themselves: each may be repeated. How they go together, tests/scenarios tells."""

from __future__ import annotations

import dataclasses

import pytest

from canvas_app.interviews import outcomes, send
from canvas_app.interviews.outcomes import Outcome
from tests.support.world import World


@pytest.fixture
def world(sqlite_world: World) -> World:
    sqlite_world.vendors_are_well()
    sqlite_world.initialize()
    sqlite_world.submit("send")
    return sqlite_world


def test_a_repeated_start_keeps_what_the_first_one_stored(world: World) -> None:
    id_ = world.interview().id
    assert send.start(world.services, id_) == outcomes.done()
    assert send.start(world.services, id_) == outcomes.done("started_before")
    assert len(world.calls("POST", "/start$")) == 1


def test_a_repeated_message_is_posted_once(world: World) -> None:
    id_ = world.interview().id
    send.start(world.services, id_)
    assert [send.post(world.services, id_)["reason"] for _ in range(2)] == [None, "done_before"]
    assert len(world.calls("POST", "/reply$")) == 1


@pytest.mark.parametrize("state", ["sent", "opened", "completed", "cancelled", "failed", "written_back"])
def test_what_is_not_to_be_sent_is_not_sent(world: World, state: str) -> None:
    world.set_interview(state=state)
    for step in (send.start, send.post):
        assert step(world.services, world.interview().id) == outcomes.stop("not_to_be_sent")
        assert step(world.services, "gone") == outcomes.stop("not_to_be_sent")
    assert len(world.outside.calls) == 0


@pytest.mark.parametrize(
    "outcome",
    [outcomes.done(), outcomes.later("unreachable"), outcomes.permanent("x"), outcomes.unknown("x")],
)
def test_the_end_of_an_attempt_counts_once(world: World, outcome: Outcome) -> None:
    interview = world.interview()
    world.set_interview(state="sending")
    send.settle(world.services, interview.id, 1, outcome)
    first, jobs = world.interview(), world.pending()
    send.settle(world.services, interview.id, 1, outcomes.permanent("another end"))
    send.settle(world.services, "gone", 1, outcome)
    assert (world.interview(), world.pending()) == (first, jobs)


@pytest.mark.parametrize("opened", [False, True])
def test_a_send_that_is_done_is_sent_or_opened_already(world: World, opened: bool) -> None:
    interview = world.interview()
    world.set_interview(
        state="sending", opened_at=interview.created_at if opened else None, reason="no_answer"
    )
    send.settle(world.services, interview.id, 1, outcomes.done())
    done = world.interview()
    assert (done.state, done.reason) == ("opened" if opened else "sent", None)
    assert done.sent_at is not None


def test_the_next_attempt_is_enqueued_with_the_reason_why(world: World) -> None:
    interview = world.interview()
    world.set_interview(state="sending")
    send.settle(world.services, interview.id, 1, outcomes.later("rate_limited", 30.0))
    assert (world.interview().state, world.interview().reason) == ("sending", "rate_limited")
    [_, (name, pause)] = world.pending()
    assert name == "send"
    assert 29 <= pause <= 31


def test_when_the_time_is_up_a_send_that_has_to_wait_is_given_up_with_the_last_reason(world: World) -> None:
    interview = world.interview()
    world.set_interview(state="sending", send_before=interview.created_at)
    send.settle(world.services, interview.id, 1, outcomes.later("unreachable"))
    assert (world.interview().state, world.interview().reason) == ("failed", "unreachable")
    assert world.pending() == [("send", 0.0)]


def test_without_an_address_of_ours_no_message_is_posted(world: World) -> None:
    send.start(world.services, world.interview().id)
    settings = world.settings.model_copy(update={"public_url": None})
    services = dataclasses.replace(world.services, settings=settings)
    assert send.post(services, world.interview().id)["reason"] == "not_configured"
    assert world.calls("POST", "/reply$") == []
