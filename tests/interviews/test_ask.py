"""Asking for an interview: the row and its job, on both databases."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.engine import Engine

from canvas_app import store
from canvas_app.engine import Jobs
from canvas_app.interviews import ledger, links
from canvas_app.interviews.ask import Asked, ask
from canvas_app.interviews.ledger import Ask
from canvas_app.interviews.tables import interviews
from canvas_app.settings import Settings
from tests.interviews.asks import make_ask, read
from tests.support.world import World


def make(world: World, request: Ask) -> Asked:
    return ask(world.engine, world.services.jobs, world.settings, request)


def test_the_row_and_its_job_are_written_together(world: World) -> None:
    asked = make(world, make_ask())
    assert asked.created
    assert world.pending() == [("send", 0.0)]
    assert asked.interview.send_before - asked.interview.created_at == timedelta(
        minutes=world.settings.send_within_minutes
    )
    token = asked.interview.link_token
    assert links.read_token(token, world.settings.secret_key) == asked.interview.id


@pytest.mark.parametrize(
    ("study", "given", "cost"),
    [("default", None, 1), ("exit", None, 3), ("exit", 7, 7), ("exit", 0, 0), ("gone", None, None)],
)
def test_what_it_costs_is_kept_with_it(world: World, study: str, given: int | None, cost: int | None) -> None:
    world.add_study("exit", mode="voice")
    assert make(world, make_ask(study=study, credits=given)).interview.credits == cost
    # What the study costs later is no matter.
    world.add_study("exit", mode="text")
    assert world.interview().credits == cost


def test_without_its_job_there_is_no_row(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_options: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Jobs, "enqueue", refuse)
    with pytest.raises(ZeroDivisionError):
        make(world, make_ask())
    assert world.count(interviews) == 0


def test_a_request_that_was_seen_before_makes_no_row_and_no_job(world: World) -> None:
    first = make(world, make_ask(request_key="key"))
    again = make(world, make_ask(request_key="key"))
    other = make(world, make_ask(request_key="other"))
    assert [again.created, other.created] == [False, False]
    assert {again.interview.id, other.interview.id} == {first.interview.id}
    assert (world.count(interviews), len(world.pending())) == (1, 1)


@pytest.mark.parametrize("same_key", [True, False])
def test_requests_of_many_threads_at_once_make_one_interview(world: World, same_key: bool) -> None:
    count = 12
    results: list[Asked] = []
    start = threading.Barrier(count)

    def run(number: int) -> None:
        start.wait(10)
        results.append(make(world, make_ask(request_key="key" if same_key else f"key {number}")))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [asked.created for asked in results].count(True) == 1
    assert len(results) == count
    assert len({asked.interview.id for asked in results}) == 1
    assert (world.count(interviews), len(world.pending())) == (1, 1)


def test_the_address_of_the_web_process_goes_with_the_request(world: World) -> None:
    assert make(world, make_ask()).interview.public_url == world.settings.public_url


@pytest.mark.parametrize("state", ["sent", "opened", "unknown"])
def test_what_was_not_answered_in_time_is_expired_and_a_new_one_made(world: World, state: str) -> None:
    first = make(world, make_ask()).interview
    world.set_interview(state=state)
    world.let_time_pass(days=world.settings.open_days - 1)
    assert not make(world, make_ask()).created
    world.let_time_pass(days=2)
    second = make(world, make_ask())
    assert second.created
    expired = read(world.engine, first.id)
    assert (expired.state, expired.reason) == ("expired", None)
    # Asked for fifteen days ago, and open for fourteen.
    assert expired.state_since == first.state_since - timedelta(days=1)


@pytest.mark.parametrize("state", ["queued", "sending"])
def test_what_is_not_sent_yet_does_not_expire(world: World, state: str) -> None:
    make(world, make_ask())
    world.set_interview(state=state)
    world.let_time_pass(days=100)
    assert not make(world, make_ask()).created
    assert world.interview().state == state


def test_nothing_expires_unless_the_new_one_is_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_options: Any) -> None:
        raise ZeroDivisionError

    make(world, make_ask())
    world.set_interview(state="sent")
    world.let_time_pass(days=100)
    monkeypatch.setattr(Jobs, "enqueue", refuse)
    with pytest.raises(ZeroDivisionError):
        make(world, make_ask())
    assert (world.interview().state, world.count(interviews)) == ("sent", 1)


def test_what_stood_in_the_way_and_ended_meanwhile_is_not_in_the_way(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = Jobs(engine)
    first = ask(engine, jobs, settings, make_ask())
    real = ledger.blocking

    def ends_just_now(connection: Any, request: Ask) -> Any:
        monkeypatch.setattr(ledger, "blocking", real)
        now = store.now(connection)
        ledger.move(connection, first.interview.id, "failed", only_from=("queued",), now=now)
        return real(connection, request)

    monkeypatch.setattr(ledger, "blocking", ends_just_now)
    second = ask(engine, jobs, settings, make_ask())
    assert second.created
    assert second.interview.id != first.interview.id
