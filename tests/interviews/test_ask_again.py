"""Asking a contact who was asked before: how often, on whose word, and what is closed for it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.engine import Jobs
from canvas_app.interviews.ask import Asked, ask
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.seen import seen
from canvas_app.interviews.states import STATES, State
from canvas_app.interviews.tables import interviews
from tests.interviews.asks import make_ask, read
from tests.interviews.test_repair import put
from tests.support.world import World, full_settings


def make(world: World, shown: Interview | None, **changes: Any) -> Asked:
    """Ask with a person's word, in a world where a contact is asked again after thirty days."""
    settings = full_settings(world.settings.database_url, ask_again_days=30)
    values = {"anyway": shown is not None, "conversation_id": "502", **changes}
    on = seen(shown) if shown else None
    return ask(world.engine, world.services.jobs, settings, make_ask(**values), confirmed_on=on)


@pytest.mark.parametrize("state", STATES)
def test_only_an_open_one_that_is_sent_is_closed_for_another(world: World, state: State) -> None:
    old = put(world, state)
    asked = make(world, old)
    now = read(world.engine, old.id)
    if state in ("sent", "opened"):
        assert (asked.created, now.state, now.reason) == (True, "cancelled", "replaced")
    else:
        assert now == old
    if state in ("queued", "sending", "unknown"):
        assert (asked.created, asked.hindrance, asked.interview) == (False, "exists", old)
    if state in ("failed", "skipped"):
        assert asked.hindrance == "changed", "that customer was not asked by it"
    assert world.count(interviews) == (2 if asked.created else 1)
    assert len(world.pending()) == asked.created


@pytest.mark.parametrize("state", ["completed", "written_back", "not_written", "expired", "cancelled"])
def test_without_a_persons_word_who_was_asked_is_not_asked_again(world: World, state: str) -> None:
    old = put(world, state)
    asked = make(world, None)
    assert (asked.created, asked.hindrance, asked.interview) == (False, "asked_recently", old)
    assert (world.count(interviews), world.pending()) == (1, [])
    assert make(world, None, anyway=True).created


@pytest.mark.parametrize("state", ["failed", "skipped"])
def test_whom_nothing_reached_can_be_asked(world: World, state: str) -> None:
    put(world, state)
    assert make(world, None).created


def test_a_newer_one_makes_the_word_void(world: World) -> None:
    first = put(world, "written_back")
    second = make(world, first).interview
    with store.writing(world.engine) as connection:
        connection.execute(
            sa.update(interviews).where(interviews.c.id == second.id).values(state="cancelled")
        )
    asked = make(world, first)
    assert (asked.created, asked.hindrance, asked.interview.id) == (False, "changed", second.id)
    assert world.count(interviews) == 2


def test_nothing_is_closed_unless_the_new_one_is_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_options: Any) -> None:
        raise ZeroDivisionError

    old = put(world, "sent")
    monkeypatch.setattr(Jobs, "enqueue", refuse)
    with pytest.raises(ZeroDivisionError):
        make(world, old)
    assert (world.interview(), world.count(interviews)) == (old, 1)


@pytest.mark.parametrize("state", ["sent", "written_back"])
def test_words_of_many_threads_at_once_make_one_interview(world: World, state: str) -> None:
    old = put(world, state)
    count = 8
    start, results = threading.Barrier(count), []

    def run(number: int) -> None:
        start.wait(10)
        results.append(make(world, old, request_key=f"key {number}"))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [asked.created for asked in results].count(True) == 1
    assert (len(results), world.count(interviews), len(world.pending())) == (count, 2, 1)


def test_nothing_is_closed_for_a_request_that_was_seen_before(world: World) -> None:
    first = put(world, "written_back")
    second = make(world, first, request_key="key").interview
    with store.writing(world.engine) as connection:
        for id_, values in (
            (second.id, {"state": "written_back"}),
            (first.id, {"state": "sent", "sent_at": second.created_at}),
        ):
            connection.execute(sa.update(interviews).where(interviews.c.id == id_).values(values))
    still_open = read(world.engine, first.id)
    asked = make(world, still_open, request_key="key")
    assert (asked.created, asked.hindrance, asked.interview.id) == (False, "exists", second.id)
    assert read(world.engine, first.id) == still_open
