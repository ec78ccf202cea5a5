"""The same request makes one interview, on both databases and with two web processes."""

from __future__ import annotations

import dataclasses
import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.interviews import requested
from canvas_app.interviews.requested import Answered, Requested
from canvas_app.interviews.tables import api_requests, interviews
from canvas_app.settings import Settings
from tests.support.world import CONTACT, CONVERSATION, WORKSPACE, World, full_settings

WANTED = Requested(CONTACT, None, CONVERSATION, "default", "conversation")


def ask(
    world: World,
    wanted: Requested = WANTED,
    key: str | None = None,
    settings: Settings | None = None,
    workspace_id: str = WORKSPACE,
) -> Answered:
    answered = requested.request(
        world.engine, world.services.jobs, settings or world.settings, workspace_id, wanted, key
    )
    assert answered is not None
    return answered


def at_once(world: World, number: int, *calls: Any) -> list[Answered]:
    """Make these calls at once, each ``number`` times, on connections of their own."""
    answers: list[Answered] = []
    engine = store.make_engine(world.settings.database_url, pool_size=number * len(calls))
    ready = threading.Barrier(number * len(calls))

    def call(wanted: Requested, key: str | None) -> None:
        ready.wait()
        answered = requested.request(engine, world.services.jobs, world.settings, WORKSPACE, wanted, key)
        assert answered is not None
        answers.append(answered)

    threads = [threading.Thread(target=call, args=one) for one in calls for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.dispose()
    assert len(answers) == len(threads)
    return answers


@pytest.mark.parametrize("key", [None, "k"])
def test_of_many_at_once_one_is_new(world: World, key: str | None) -> None:
    answers = at_once(world, 6, (WANTED, key))
    assert len({answer.interview.id for answer in answers}) == 1
    assert sorted(answer.new for answer in answers) == [False] * 5 + [True]
    assert (world.count(interviews), world.count(api_requests)) == (1, 1)
    assert len(world.pending()) == 1


def test_of_many_for_one_contact_one_is_sent_and_the_others_are_skipped(world: World) -> None:
    calls = [(dataclasses.replace(WANTED, conversation_id=str(600 + number)), None) for number in range(4)]
    answers = at_once(world, 1, *calls)
    states = sorted(answer.interview.state for answer in answers)
    assert states == ["queued", "skipped", "skipped", "skipped"]
    assert all(answer.new for answer in answers)


def test_when_a_day_is_over_one_of_many_at_once_is_new_again(world: World) -> None:
    first = ask(world)
    world.set_interview(state="expired")
    world.let_time_pass(hours=24, seconds=1)
    answers = at_once(world, 4, (WANTED, None))
    assert len({answer.interview.id for answer in answers}) == 1
    assert answers[0].interview.id != first.interview.id
    assert sum(answer.new for answer in answers) == 1


def test_the_day_begins_with_the_first_request_and_not_with_each(world: World) -> None:
    first = ask(world)
    world.set_interview(state="written_back")
    for _ in range(3):
        world.let_time_pass(hours=7)
        assert ask(world).interview.id == first.interview.id
    world.let_time_pass(hours=3, seconds=1)
    assert ask(world).interview.id != first.interview.id


@pytest.mark.parametrize(
    "changes",
    [
        {"contact_id": "another"},
        {"contact_id": None, "email": CONTACT},
        {"conversation_id": None},
        {"conversation_id": "777"},
        {"study": "another"},
    ],
)
def test_what_makes_another_request(sqlite_world: World, changes: dict[str, Any]) -> None:
    first = ask(sqlite_world)
    other = ask(sqlite_world, dataclasses.replace(WANTED, **changes))
    assert other.new
    assert other.interview.id != first.interview.id


def test_another_workspace_is_another_request(sqlite_world: World) -> None:
    for key in (None, "k"):
        first, other = ask(sqlite_world, key=key), ask(sqlite_world, key=key, workspace_id="ws2")
        assert first.interview.id != other.interview.id


def test_a_key_and_the_content_are_two_names(sqlite_world: World) -> None:
    ask(sqlite_world)
    second = ask(sqlite_world, key="k")
    assert (second.new, second.interview.reason) == (True, "open_interview")


@pytest.mark.parametrize("key", [None, "k"])
def test_a_rotation_of_the_secret_key_repeats_nothing(sqlite_world: World, key: str | None) -> None:
    world = sqlite_world
    url = world.settings.database_url
    by_address = Requested(None, "mia@example.com", None, "default", "none")
    first = ask(world, by_address, key, full_settings(url, secret_key="old-key"))
    during = ask(world, by_address, key, full_settings(url, secret_key="new-key,old-key"))
    after = ask(world, by_address, key, full_settings(url, secret_key="new-key"))
    assert [answer.new for answer in (first, during, after)] == [True, False, False]
    assert {answer.interview.id for answer in (during, after)} == {first.interview.id}
    if key is None:
        world.let_time_pass(hours=25)
        world.set_interview(state="expired")
        assert ask(world, by_address, key).new, "its day began with the first request"


def test_during_a_rotation_another_body_is_refused_and_stays_refused(sqlite_world: World) -> None:
    world = sqlite_world
    both = full_settings(world.settings.database_url, secret_key="new-key,old-key")
    ask(world, key="k", settings=full_settings(world.settings.database_url, secret_key="old-key"))
    other = dataclasses.replace(WANTED, deliver="none")
    for _ in range(2):
        refused = requested.request(world.engine, world.services.jobs, both, WORKSPACE, other, "k")
        assert refused is None
    assert not ask(world, key="k", settings=both).new
    assert not ask(world, key="k", settings=both).new


def test_a_placeholder_cannot_be_guessed_without_the_key(sqlite_world: World) -> None:
    wanted = Requested(None, "mia@example.com", None, "default", "none")
    ids = {
        ask(
            sqlite_world,
            wanted,
            f"{key}",
            full_settings(sqlite_world.settings.database_url, secret_key=key),
        ).interview.contact_id
        for key in ("one-key", "another-key")
    }
    assert len(ids) == 2


def test_a_planned_one_has_its_time_and_its_time_to_be_sent(world: World) -> None:
    interview = ask(world, dataclasses.replace(WANTED, delay=timedelta(days=7))).interview
    assert interview.state == "planned"
    assert interview.not_before == interview.created_at + timedelta(days=7)
    assert interview.send_before == interview.created_at + timedelta(days=8)


class TestForgetting:
    def test_what_tells_nothing_any_more_goes_and_keys_stay(self, world: World) -> None:
        ask(world)
        ask(world, key="k")
        world.let_time_pass(hours=23)
        assert requested.forget(world.engine, most=10) == 0
        world.let_time_pass(hours=2)
        ask(world, dataclasses.replace(WANTED, conversation_id="777"))
        assert requested.forget(world.engine, most=10) == 1
        with store.reading(world.engine) as connection:
            keys = connection.execute(sa.select(api_requests.c.key)).scalars().all()
        assert sorted(key.partition(":")[0] for key in keys) == ["key", "same"]

    def test_the_purge_does_it(self, sqlite_world: World) -> None:
        ask(sqlite_world)
        sqlite_world.let_time_pass(hours=25)
        sqlite_world.tick("purge")
        assert sqlite_world.count(api_requests) == 0
