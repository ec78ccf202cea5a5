"""What failed is taken up again, and nothing is doubled by it."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.cli.samples import SAMPLES, Subject, raw_body
from canvas_app.intercom import notifications
from canvas_app.interviews import ledger, purge, replay
from canvas_app.interviews.replay import Replayed
from canvas_app.interviews.states import STATES
from canvas_app.interviews.tables import deliveries
from tests.interviews.asks import NOW, write
from tests.interviews.results import GET, PUT, attributes, event, notes, receive, sent_and_ready
from tests.support.world import World

RESULT = {"identity": "named", "sentiment": "negative", "quality": 4, "themes": ["Pricing friction"]}


def again(world: World, id_: str) -> Replayed:
    return replay.replay(world.engine, world.services.jobs, id_)


def newest_delivery(world: World) -> Any:
    with store.reading(world.engine) as connection:
        query = sa.select(deliveries).order_by(deliveries.c.received_at.desc()).limit(1)
        return connection.execute(query).one()


def failed(world: World) -> World:
    """A result that Intercom has refused for good."""
    world.send()
    world.intercom_takes("tags")
    world.outside.put(PUT, status=422, json={"type": "error.list", "errors": []})
    receive(world)
    assert (world.interview().state, newest_delivery(world).state) == ("failed", "failed")
    assert len(notes(world)) == 1
    world.outside.upsert("PUT", PUT, json={"type": "contact", "id": "contact1"})
    return world


@pytest.mark.parametrize("by", ["delivery", "interview"])
def test_a_result_that_could_not_be_written_is_written_once_more_and_its_note_is_not(
    world: World, by: str
) -> None:
    failed(world)
    id_ = newest_delivery(world).id if by == "delivery" else world.interview().id
    assert again(world, id_) == ("taken_up" if by == "delivery" else "written_again")
    # Twice at once makes one attempt.
    assert again(world, id_) in ("under_way", "done_before")
    world.run_jobs()
    assert world.interview().state == "written_back"
    assert len(attributes(world)) == 2
    assert len(notes(world)) == 1
    assert again(world, id_) == ("finished" if by == "delivery" else "nothing_failed")


def test_a_result_that_fails_again_can_be_replayed_again(sqlite_world: World) -> None:
    world = failed(sqlite_world)
    world.outside.upsert("PUT", PUT, status=422, json={"type": "error.list", "errors": []})
    for _ in range(2):
        assert again(world, world.interview().id) == "written_again"
        world.run_jobs()
        assert world.interview().state == "failed"


def test_the_tries_of_a_delivery_begin_anew(sqlite_world: World) -> None:
    world = failed(sqlite_world)
    with store.writing(world.engine) as connection:
        connection.execute(sa.update(deliveries).values(tries=10))
    again(world, newest_delivery(world).id)
    row = newest_delivery(world)
    assert (row.state, row.tries, row.reason, row.finished_at) == ("stored", 0, None, None)


@pytest.mark.parametrize(
    ("values", "came"),
    [
        ({"state": "stored"}, "under_way"),
        ({"state": "done"}, "finished"),
        ({"state": "ignored", "content": None}, "finished"),
        ({"state": "failed", "content": None}, "content_gone"),
    ],
)
def test_a_delivery_that_is_not_to_be_taken_up_stays_as_it_is(
    sqlite_world: World, values: dict[str, Any], came: str
) -> None:
    world = failed(sqlite_world)
    with store.writing(world.engine) as connection:
        connection.execute(sa.update(deliveries).values(**values))
    before = newest_delivery(world)
    assert again(world, before.id) == came
    assert newest_delivery(world) == before
    assert world.run_jobs() == []


def test_an_event_of_intercoms_that_could_not_be_reacted_to_is_reacted_to_again(
    sqlite_world: World,
) -> None:
    world = sqlite_world
    content = notifications.parse(raw_body(SAMPLES["intercom-rating"], Subject())).model_dump(mode="json")
    counters = dict.fromkeys(("waits", "fills", "tries"), 10)
    about = {"id": "d" * 32, "door": "intercom", "dedupe_key": "k", "event": "e", "state": "failed"}
    with store.writing(world.engine) as connection:
        connection.execute(
            sa.insert(deliveries).values(**about, **counters, attempt=3, content=content, received_at=NOW)
        )
    assert again(world, "d" * 32) == "taken_up"
    assert world.pending() == [("react", 0.0)]
    assert world.run_jobs() == ["react"]
    assert newest_delivery(world).state == "ignored"


def test_a_failed_or_unknown_send_is_not_repeated(world: World) -> None:
    world.vendors_are_well()
    world.initialize()
    world.submit("send")
    world.run_jobs()
    for state, came in (("failed", "send_failed"), ("unknown", "send_unknown")):
        world.set_interview(state=state)
        assert again(world, world.interview().id) == came
        assert world.run_jobs() == []
    assert len(world.calls("POST", "/reply$")) == 1


@pytest.mark.parametrize("state", sorted({*STATES} - {"failed", "unknown", "completed", "analysed"}))
def test_what_has_not_failed_stays_as_it_is(sqlite_world: World, state: str) -> None:
    row = write(sqlite_world.engine, state=state, result=RESULT)
    assert again(sqlite_world, row.id) == "nothing_failed"
    with store.reading(sqlite_world.engine) as connection:
        assert ledger.get(connection, row.id) == row
    assert sqlite_world.pending() == []


def test_an_analysed_result_that_no_delivery_brings_on_is_written(world: World) -> None:
    sent_and_ready(world)
    world.set_interview(state="analysed", result=RESULT, result_at=NOW)
    assert again(world, world.interview().id) == "written_again"
    world.run_jobs()
    assert world.interview().state == "written_back"


def test_one_that_a_delivery_is_bringing_on_is_left_to_it(sqlite_world: World) -> None:
    world = sent_and_ready(sqlite_world)
    world.koji_event(event(world))
    world.set_interview(state="analysed", result=RESULT)
    with store.writing(world.engine) as connection:
        connection.execute(sa.update(deliveries).values(interview_id=world.interview().id))
    assert again(world, world.interview().id) == "under_way"


def test_koji_is_asked_about_an_answer_whose_analysis_is_not_here(world: World) -> None:
    sent_and_ready(world)
    world.set_interview(state="completed", check_at=None)
    assert again(world, world.interview().id) == "asked_again"
    assert again(world, world.interview().id) == "under_way", "once is enough until the clock has asked"
    world.outside.get(GET, json={"status": "completed", **RESULT, "quality_score": 4})
    world.tick("reconcile")
    world.run_jobs()
    assert world.interview().state == "written_back"


def test_an_answer_that_koji_cannot_be_asked_about_stays(sqlite_world: World) -> None:
    row = write(sqlite_world.engine, state="completed")
    assert again(sqlite_world, row.id) == "nothing_failed"


def test_what_is_purged_or_nobodys_is_said_so(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "PAUSE", 0.0)
    world = failed(sqlite_world)
    world.let_time_pass(days=366)
    purge.purge_ledger(world.services)
    assert again(world, world.interview().id) == "erased"
    assert again(world, "0" * 32) == "not_found"
