"""What came in: stored once with its job, taken up again when given up, and no more of it than is needed."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from canvas_app import store
from canvas_app.engine import partition_key
from canvas_app.interviews import deliveries
from canvas_app.interviews.tables import deliveries as table
from canvas_app.koji import events
from canvas_app.koji.results import KojiResult
from tests.interviews.results import PUT, event as result_event, notes, sent_and_ready
from tests.support.world import CONTACT, KOJI_ID, WORKSPACE, World

DATA: dict[str, Any] = {"interview_id": KOJI_ID, "sentiment": "negative", "quality_score": 4}


def keep(world: World, body: dict[str, Any]) -> bool:
    raw = json.dumps(body).encode()
    return deliveries.keep(world.engine, world.services.jobs, events.parse(raw), raw)


def event(
    name: str = "interview.analysis_ready", *, data: dict[str, Any] | None = None, **envelope: Any
) -> Any:
    return {"event": name, "data": DATA if data is None else data, **envelope}


def _of(**names: Any) -> dict[str, Any]:
    return {"sentiment": "negative", "quality_score": 4, **names}


def rows(world: World) -> list[Any]:
    with store.reading(world.engine) as connection:
        return list(connection.execute(sa.select(table).order_by(table.c.received_at)).all())


class TestTheSameDelivery:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            # By its own id, whatever else has changed.
            (event(id="evt_1"), event(id="evt_1", attempt=2)),
            (event(delivery_id="d1"), event(delivery_id="d1", sent_at="2026-01-01T00:00:00Z")),
            # Without an id by its content.
            (event(), event()),
        ],
        ids=["id", "delivery id", "content"],
    )
    def test_is_kept_once(self, sqlite_world: World, first: Any, second: Any) -> None:
        assert keep(sqlite_world, first)
        assert not keep(sqlite_world, second)
        assert len(rows(sqlite_world)) == 1
        assert len(sqlite_world.pending()) == 1

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (event(id="evt_1"), event(id="evt_2")),
            (event(), event(data=DATA | {"quality_score": 5})),
            (event(), event("interview.quality_scored")),
            # An id that names the interview is not the delivery's: each of its events is one of its own.
            (event("interview.completed", id=KOJI_ID), event("interview.analysis_ready", id=KOJI_ID)),
            (event("interview.completed", id="run_1"), event("interview.analysis_ready", id="run_1")),
            # Nor is one that names the subscription.
            (
                event("interview.completed", webhook_id="wh_1"),
                event("interview.analysis_ready", webhook_id="wh_1"),
            ),
            (
                event(webhook_id="wh_1"),
                event(webhook_id="wh_1", data=DATA | {"interview_id": "another"}),
            ),
            (event(webhook_id="wh_1"), event(webhook_id="wh_1", data=DATA | {"quality_score": 5})),
            # Where Koji's id is missing, ours tells the interviews apart, or the contact's.
            (
                event(event_id="evt_1", data=_of(metadata={"interview_ref": "a" * 32})),
                event(event_id="evt_1", data=_of(metadata={"interview_ref": "b" * 32})),
            ),
            (
                event(event_id="evt_1", data=_of(external_id="contact1")),
                event(event_id="evt_1", data=_of(external_id="contact2")),
            ),
            (
                {"event": "interview.completed", **DATA, "id": KOJI_ID},
                {"event": "interview.analysis_ready", **DATA, "id": KOJI_ID},
            ),
        ],
        ids=[
            "other id",
            "other content",
            "other event",
            "interview's id",
            "same id",
            "subscription's id",
            "subscription's id, other interview",
            "subscription's id, corrected",
            "our reference",
            "contact",
            "interview's id, flat",
        ],
    )
    def test_is_not_another_one(self, sqlite_world: World, first: Any, second: Any) -> None:
        assert keep(sqlite_world, first)
        assert keep(sqlite_world, second)
        assert len(rows(sqlite_world)) == 2

    def test_is_kept_once_by_threads_that_come_together(self, world: World) -> None:
        with ThreadPoolExecutor(4) as threads:
            kept = list(threads.map(lambda _: keep(world, event(id="evt_1")), range(8)))
        assert sorted(kept) == [False] * 7 + [True]
        assert len(rows(world)) == 1
        assert len(world.pending()) == 1


class TestWhatIsKept:
    SECRETS = ("mia@example.com", "planted words", "another@example.com", "+49 30 1234")

    @pytest.mark.parametrize(
        "dress",
        [
            lambda data: {"event": "interview.analysis_ready", "data": data},
            lambda data: {"event": "interview.analysis_ready", **data},
            lambda data: {"event": "study.published", "data": data},
        ],
        ids=["envelope", "flat", "unknown event"],
    )
    def test_is_neither_the_address_nor_the_transcript_nor_the_body(
        self, world: World, dress: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> None:
        data = {
            **DATA,
            "respondent_email": "mia@example.com",
            "respondent": {"email": "another@example.com", "display_name": "planted words"},
            "metadata": {"respondent_email": "mia@example.com", "phone": "+49 30 1234"},
            "transcript": [{"role": "participant", "text": "planted words"}],
            "summary": "planted words",
            "answers": {"q1": "planted words"},
        }
        assert keep(world, dress(data))
        [row] = rows(world)
        for secret in self.SECRETS:
            assert secret not in repr(row)
            assert secret not in repr(world._waiting(("ENQUEUED",)))

    def test_is_what_the_work_needs(self, world: World) -> None:
        metadata = {"interview_ref": "r" * 32, "intercom_conversation_id": 501, "other": "x"}
        assert keep(world, event(data={**DATA, "respondent_email": "mia@example.com", "metadata": metadata}))
        [row] = rows(world)
        result = row.content["result"]
        assert "email" not in result
        assert result["identity"] == "named"
        assert result["metadata"] == {"interview_ref": "r" * 32, "intercom_conversation_id": "501"}
        assert (row.attempt, row.waits, row.fills, row.tries, row.finished_at) == (1, 0, 0, 0, None)

    @pytest.mark.parametrize(
        "how", [{"respondent_email": None}, {"respondent_email": "", "anonymous": True}, {"respondent": None}]
    )
    def test_of_an_anonymous_answer_is_nothing_of_its_content(
        self, world: World, how: dict[str, Any]
    ) -> None:
        said = {
            "themes": ["told-anonymously"],
            "top_theme": "told-anonymously",
            "transcript_url": "https://koji.so/t/told-anonymously",
            "status": "completed",
            "study_id": "study-told",
        }
        metadata = {"interview_ref": "r" * 32}
        assert keep(world, event(data={**DATA, **said, **how, "metadata": metadata}))
        [row] = rows(world)
        assert "told" not in repr(row)
        assert "negative" not in repr(row)
        result = row.content["result"]
        assert result["identity"] == "anonymous"
        # What it is found by, and what is decided by.
        assert (result["koji_interview_id"], result["quality"]) == (KOJI_ID, 4.0)
        assert result["metadata"] == metadata

    @pytest.mark.parametrize("size", [64, 128])
    def test_fits_its_columns_however_long_the_names_are(self, world: World, size: int) -> None:
        assert keep(world, event("e" * size, id="i" * size))
        assert keep(world, event("analysis_ready", data=DATA | {"interview_id": "i" * size}))
        long = DATA | {"interview_id": "i" * size, "external_id": "x" * 255}
        assert keep(world, event("analysis_ready", data=long, id="d" * (size - 1) + "1"))
        # However long they are, no two become one by being cut.
        assert keep(world, event("analysis_ready", data=long, id="d" * (size - 1) + "2"))
        nameless = {"external_id": "x" * 255}
        assert keep(world, event("analysis_ready", data=nameless, id="d" * (size - 1) + "1"))
        assert keep(world, event("analysis_ready", data=nameless, id="d" * (size - 1) + "2"))
        assert all(len(row.dedupe_key) <= 300 and len(row.event) <= 64 for row in rows(world))


class TestItsJob:
    def test_waits_in_line_with_the_contacts_other_jobs(self, sqlite_world: World) -> None:
        interview = sqlite_world.send()
        assert keep(sqlite_world, event(data=DATA | {"metadata": {"interview_ref": interview.id}}))
        [job] = sqlite_world._waiting(("ENQUEUED",))
        assert job.queue_partition_key == partition_key(f"{WORKSPACE}:{CONTACT}")

    def test_of_an_interview_that_is_not_known_waits_in_a_line_of_its_own(self, sqlite_world: World) -> None:
        assert keep(sqlite_world, event(id="evt_1"))
        [job] = sqlite_world._waiting(("ENQUEUED",))
        assert job.queue_partition_key
        assert CONTACT not in job.queue_partition_key

    def test_and_the_delivery_are_written_together(self, world: World) -> None:
        schema = "dbos." if world.engine.dialect.name == "postgresql" else ""
        with world.engine.begin() as connection:
            connection.execute(sa.text(f"ALTER TABLE {schema}workflow_status RENAME TO away"))
        with pytest.raises(SQLAlchemyError):
            keep(world, event(id="evt_1"))
        assert rows(world) == []
        with world.engine.begin() as connection:
            connection.execute(sa.text(f"ALTER TABLE {schema}away RENAME TO workflow_status"))
        # What was answered with an error comes again, and is not taken for seen.
        assert keep(world, event(id="evt_1"))


class TestGivenUp:
    """What is delivered anew after it was given up: a person, or Koji, tries once more."""

    @pytest.fixture
    def world(self, sqlite_world: World) -> World:
        return sent_and_ready(sqlite_world)

    def until_the_end(self, world: World) -> None:
        while world.pending():
            world.run_jobs(delayed=True)

    def test_because_its_interview_was_unknown_it_is_taken_up_and_written(self, world: World) -> None:
        world.set_interview(koji_interview_id=None, contact_id="not recorded yet")
        body = result_event(world, metadata=...)
        assert keep(world, body)
        self.until_the_end(world)
        [row] = rows(world)
        assert (row.state, row.reason, row.waits) == ("ignored", "unknown_interview", 4)
        # What it said is not kept: it may be about somebody who is no business of ours.
        assert row.content is None
        world.set_interview(koji_interview_id=KOJI_ID, contact_id=CONTACT)
        assert keep(world, body)
        [again] = rows(world)
        assert (again.id, again.state, again.reason, again.attempt) == (row.id, "stored", None, row.attempt)
        assert (again.waits, again.finished_at) == (0, None)
        assert again.received_at > row.received_at
        [job] = world._waiting(("ENQUEUED",))
        assert job.workflow_id == f"forward:{row.id}:{row.attempt}"
        assert world.run_jobs() == ["forward"]
        assert world.interview().state == "written_back"
        assert len(notes(world)) == 1

    def test_because_writing_failed_it_is_taken_up_and_written(self, world: World) -> None:
        body = result_event(world)
        world.outside.upsert("PUT", PUT, status=400)
        assert keep(world, body)
        self.until_the_end(world)
        assert (rows(world)[0].state, world.interview().state) == ("failed", "failed")
        world.outside.upsert("PUT", PUT, json={"type": "contact", "id": CONTACT})
        assert keep(world, body)
        [row] = rows(world)
        assert (row.state, row.waits, row.fills, row.tries) == ("stored", 0, 0, 0)
        assert world.run_jobs() == ["forward"]
        assert (rows(world)[0].state, world.interview().state) == ("done", "written_back")
        assert len(notes(world)) == 1

    def test_and_fails_once_more_it_has_its_whole_time_again(self, world: World) -> None:
        body = result_event(world)
        world.outside.upsert("PUT", PUT, status=503)
        assert keep(world, body)
        self.until_the_end(world)
        first = len(world.calls("PUT", "/contacts/"))
        assert keep(world, body)
        self.until_the_end(world)
        assert len(world.calls("PUT", "/contacts/")) == 2 * first
        assert rows(world)[0].state == "failed"

    def test_is_taken_up_once_by_threads_that_come_together(self, world: World) -> None:
        world.set_interview(koji_interview_id=None, contact_id="not recorded yet")
        body = result_event(world, metadata=...)
        keep(world, body)
        self.until_the_end(world)
        with ThreadPoolExecutor(4) as threads:
            kept = list(threads.map(lambda _: keep(world, body), range(8)))
        assert sorted(kept) == [False] * 7 + [True]
        assert len(world.pending()) == 1

    def test_is_not_what_is_done(self, world: World) -> None:
        body = result_event(world)
        assert keep(world, body)
        assert world.run_jobs() == ["forward"]
        before = rows(world)
        assert not keep(world, body)
        assert (rows(world), world.pending()) == (before, [])

    def test_is_not_what_still_waits_for_its_next_attempt(self, world: World) -> None:
        body = result_event(world)
        world.outside.upsert("PUT", PUT, status=503)
        assert keep(world, body)
        world.run_jobs()
        before = rows(world)
        assert not keep(world, body)
        assert rows(world) == before
        assert len(world.pending()) == 1

    def test_is_not_what_nothing_follows_from(self, world: World) -> None:
        assert keep(world, event("study.published"))
        before = rows(world)
        assert not keep(world, event("study.published"))
        assert (rows(world), world.pending()) == (before, [])


class TestTheStepsOfAnAttempt:
    def test_an_attempt_is_concluded_once(self, world: World) -> None:
        keep(world, event())
        [row] = rows(world)
        with store.writing(world.engine) as connection:
            taken = [deliveries.take_attempt(connection, row.id, number) for number in (1, 1, 3, 2, 2)]
        assert taken == [True, False, False, True, False]

    def test_each_budget_is_counted_by_itself(self, world: World) -> None:
        keep(world, event())
        [row] = rows(world)
        with store.writing(world.engine) as connection:
            counted = [
                deliveries.count(connection, row.id, counter)
                for counter in ("waits", "waits", "fills", "tries", "waits")
            ]
        assert counted == [1, 2, 1, 1, 3]

    def test_what_is_stored_is_read_back_as_it_came_without_the_address(self, world: World) -> None:
        keep(world, event(data={**DATA, "respondent_email": "mia@example.com", "external_id": CONTACT}))
        [row] = rows(world)
        with store.writing(world.engine) as connection:
            loaded = deliveries.load(connection, row.id)
            assert loaded is not None
            assert (loaded.event.kind, loaded.interview_id) == ("analysis_ready", None)
            assert loaded.event.result == KojiResult(
                koji_interview_id=KOJI_ID,
                external_id=CONTACT,
                identity="named",
                sentiment="negative",
                quality=4.0,
            )
            deliveries.assign(connection, row.id, "i" * 32)
            again = deliveries.load(connection, row.id)
            assert again is not None
            assert again.interview_id == "i" * 32

    @pytest.mark.parametrize(
        ("end", "content_stays"), [("done", False), ("ignored", False), ("failed", True)]
    )
    def test_what_is_finished_is_not_worked_on_and_kept_only_where_it_may_be_needed(
        self, sqlite_world: World, end: deliveries.End, content_stays: bool
    ) -> None:
        world = sqlite_world
        keep(world, event())
        [row] = rows(world)
        with store.writing(world.engine) as connection:
            deliveries.finish(connection, row.id, end, "because", store.now(connection))
            assert deliveries.load(connection, row.id) is None
            assert deliveries.load(connection, "gone") is None
        [finished] = rows(world)
        assert (finished.state, finished.reason) == (end, "because")
        assert finished.finished_at is not None
        assert (finished.content is not None) is content_stays


def keep_notification(world: World, id_: str, app_id: str) -> bool:
    return deliveries.keep_unhandled(
        world.engine,
        key=f"{app_id}:{id_}",
        event="ticket.created",
        reason="unknown_topic",
        door="intercom",
    )


def test_a_notification_is_kept_once_for_its_workspace(world: World) -> None:
    assert [keep_notification(world, "n1", app_id) for app_id in ("ws1", "ws1", "ws2")] == [True, False, True]
    for row in rows(world):
        assert (row.door, row.state, row.reason, row.content) == (
            "intercom",
            "ignored",
            "unknown_topic",
            None,
        )
        assert row.finished_at is not None
    assert world.pending() == []


def test_doors_do_not_mistake_each_others_ids(sqlite_world: World) -> None:
    assert keep(sqlite_world, event(id="evt_1"))
    [row] = rows(sqlite_world)
    assert deliveries.keep_unhandled(
        sqlite_world.engine, key=row.dedupe_key, event="x", reason="unknown_topic", door="intercom"
    )


def test_what_may_be_kept_of_a_named_answer_is_all_of_it() -> None:
    result = KojiResult(identity="named", sentiment="mixed", themes=("SSO",), email="mia@example.com")
    assert deliveries.kept(result) is result
    assert deliveries.kept(result.model_copy(update={"identity": "absent"})).themes == ("SSO",)
