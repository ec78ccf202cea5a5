"""What a person does about an interview: on what they saw, once, and in one transaction."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.engine import Jobs
from canvas_app.interviews import once, repair
from canvas_app.interviews.ask import ask
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.seen import Person, Seen, seen
from canvas_app.interviews.states import STATES, State
from canvas_app.interviews.tables import outside_writes
from tests.interviews.asks import make_ask, read
from tests.support.world import World

MIA = Person("ws1", "contact1")


def put(world: World, state: str, **values: Any) -> Interview:
    """The one interview, in this state; its job is done."""
    made = ask(world.engine, world.services.jobs, world.settings, make_ask()).interview
    while world._take_job(delayed=True):
        pass
    world.set_interview(state=state, **values)
    return read(world.engine, made.id)


def claim(world: World, interview: Interview, *, age: float, done: bool = False) -> None:
    with store.writing(world.engine) as connection:
        now = store.now(connection)
        connection.execute(
            sa.insert(outside_writes).values(
                interview_id=interview.id,
                kind="message",
                claim=None if done else "c1",
                claimed_at=now - timedelta(seconds=age),
                tries=1,
                done_at=now if done else None,
            )
        )


def act(world: World, way: str, what: Seen, *, person: Person = MIA, conversation: str | None = "501") -> str:
    engine, settings = world.engine, world.settings
    if way == "withdraw":
        return repair.withdraw(engine, world.services.jobs, settings, person, what)
    if way == "it_is_there":
        return repair.it_is_there(engine, settings, person, what, conversation_id=conversation)
    return repair.send_after_all(
        engine, world.services.jobs, settings, person, what, conversation_id=conversation
    )


WAYS = {"withdraw": ("sent", "opened"), "it_is_there": ("unknown",), "send_after_all": ("unknown",)}
EFFECTS = {"withdraw": "withdrawn", "it_is_there": "sent", "send_after_all": "queued"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("state", STATES)
def test_each_way_starts_from_its_own_states_only(sqlite_world: World, way: str, state: State) -> None:
    interview = put(sqlite_world, state)
    effect = act(sqlite_world, way, seen(interview))
    if state in WAYS[way]:
        assert effect == EFFECTS[way]
    else:
        assert (effect, read(sqlite_world.engine, interview.id)) == ("changed", interview)
        assert sqlite_world.pending() == []


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", ["interview_id", "send_attempt", "state_since", "person", "workspace"])
def test_what_is_not_as_it_was_seen_is_left_alone(world: World, way: str, what: str) -> None:
    interview = put(world, WAYS[way][0])
    shown, person = seen(interview), MIA
    match what:
        case "interview_id":
            shown = replace(shown, interview_id="0" * 32)
        case "send_attempt":
            shown = replace(shown, send_attempt=2)
        case "state_since":
            shown = replace(shown, state_since=shown.state_since - timedelta(microseconds=1))
        case "person":
            person = Person("ws1", "contact2")
        case _:
            person = Person("ws2", "contact1")
    assert act(world, way, shown, person=person) == "changed"
    assert (read(world.engine, interview.id), world.pending()) == (interview, [])


@pytest.mark.parametrize("way", WAYS)
def test_what_has_expired_is_left_alone(world: World, way: str) -> None:
    put(world, WAYS[way][0])
    world.let_time_pass(days=world.settings.open_days + 1)
    interview = world.interview()
    assert act(world, way, seen(interview)) == "changed"
    assert (world.interview(), world.pending()) == (interview, [])


@pytest.mark.parametrize("way", ["it_is_there", "send_after_all"])
@pytest.mark.parametrize("conversation", ["502", None])
def test_only_who_looks_at_its_conversation_can_know(
    sqlite_world: World, way: str, conversation: str | None
) -> None:
    interview = put(sqlite_world, "unknown")
    assert act(sqlite_world, way, seen(interview), conversation=conversation) == "changed"
    assert sqlite_world.interview() == interview


@pytest.mark.parametrize("way", WAYS)
def test_of_many_at_once_one_has_an_effect(world: World, way: str) -> None:
    interview = put(world, WAYS[way][0])
    claim(world, interview, age=once.CLAIM_SECONDS + 1)
    count = 6
    start, effects = threading.Barrier(count), []

    def run() -> None:
        start.wait(10)
        effects.append(act(world, way, seen(interview)))

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(effects) == sorted([EFFECTS[way]] + ["changed"] * (count - 1))
    assert len(world.pending()) == (1 if way == "send_after_all" else 0)


def test_sending_after_all_is_the_next_attempt_with_time_of_its_own(world: World) -> None:
    interview = put(world, "unknown", reason="no_answer", send_attempt=4)
    world.let_time_pass(hours=5)
    claim(world, interview, age=once.CLAIM_SECONDS + 1)
    assert act(world, "send_after_all", seen(world.interview())) == "queued"
    queued = world.interview()
    assert (queued.state, queued.reason, queued.send_attempt) == ("queued", None, 5)
    assert queued.send_before - queued.state_since == timedelta(minutes=world.settings.send_within_minutes)
    [job] = world._waiting(("ENQUEUED",))
    assert job.workflow_id == f"send:{interview.id}:5"
    assert job.input is not None
    assert list(job.input["args"]) == [interview.id, 5]
    with store.reading(world.engine) as connection:
        [write] = connection.execute(sa.select(outside_writes)).all()
    assert (write.claim, write.claimed_at, write.done_at, write.tries) == (None, None, None, 1)


def test_without_its_job_nothing_of_it_is_done(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_options: Any) -> None:
        raise ZeroDivisionError

    interview = put(world, "unknown")
    claim(world, interview, age=once.CLAIM_SECONDS + 1)
    interview = world.interview()
    monkeypatch.setattr(Jobs, "enqueue", refuse)
    with pytest.raises(ZeroDivisionError):
        act(world, "send_after_all", seen(interview))
    assert world.interview() == interview
    with store.reading(world.engine) as connection:
        assert connection.execute(sa.select(outside_writes.c.claim)).scalar_one() == "c1"


@pytest.mark.parametrize(("age", "effect"), [(-1.0, "too_early"), (1.0, "queued")])
def test_a_call_that_may_be_under_way_is_waited_out(world: World, age: float, effect: str) -> None:
    interview = put(world, "unknown")
    claim(world, interview, age=once.CLAIM_SECONDS + 2 * age)
    assert act(world, "send_after_all", seen(interview)) == effect
    assert len(world.pending()) == (effect == "queued")


@pytest.mark.parametrize("known_by", ["done", "opened"])
def test_what_is_known_to_be_there_is_not_sent_again(world: World, known_by: str) -> None:
    interview = put(world, "unknown")
    claim(world, interview, age=100, done=known_by == "done")
    if known_by == "opened":
        world.set_interview(opened_at=interview.state_since)
    noted: list[object] = []
    effect = repair.send_after_all(
        world.engine,
        world.services.jobs,
        world.settings,
        MIA,
        seen(interview),
        conversation_id="501",
        note=noted.append,
    )
    assert (effect, len(noted)) == ("sent", 1), "it is a person's word that has settled it"
    sent = world.interview()
    assert sent.state == ("sent" if known_by == "done" else "opened")
    assert sent.sent_at is not None
    assert sent.sent_at == sent.tried_at
    assert sent.sent_at < interview.state_since
    assert world.pending() == []


def test_what_is_there_is_settled(world: World) -> None:
    interview = put(world, "unknown")
    claim(world, interview, age=0)
    assert act(world, "it_is_there", seen(interview)) == "sent"
    with store.reading(world.engine) as connection:
        [write] = connection.execute(sa.select(outside_writes)).all()
    assert write.claim is None
    assert write.done_at is not None
