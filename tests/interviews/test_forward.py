"""What a delivery means for its interview: every verdict, every order of events, and when to stop waiting."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.interviews import forward
from canvas_app.interviews.tables import deliveries
from canvas_app.settings import Settings
from tests.interviews.results import (
    GET,
    PUT,
    anonymous_study,
    attributes,
    event,
    notes,
    receive,
    sent_and_ready,
    writes,
)
from tests.support.world import CONTACT, KOJI_ID, World, texts


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sent_and_ready(sqlite_world)


def delivery(world: World) -> Any:
    """The newest delivery."""
    with store.reading(world.engine) as connection:
        return connection.execute(
            sa.select(deliveries).order_by(deliveries.c.received_at.desc()).limit(1)
        ).one()


# Verdicts


@pytest.mark.parametrize(
    "changes",
    [
        {"respondent_email": None},
        {"respondent_email": ""},
        {"respondent_email": ..., "anonymous": True},
        {"anonymous": True},
        {"respondent_email": None, "quality_score": 1},
    ],
    ids=["null", "empty", "flag", "flag and address", "null and low quality"],
)
def test_an_anonymous_answer_is_recorded_without_its_content_and_nothing_is_written(
    world: World, changes: dict[str, Any]
) -> None:
    receive(world, **changes)
    interview = world.interview()
    assert (interview.state, interview.reason) == ("not_written", "anonymous")
    assert writes(world) == 0
    assert "anonymously" in texts(world.initialize())
    kept = interview.result or {}
    assert {name for name, value in kept.items() if value} <= {
        "koji_interview_id",
        "identity",
        "quality",
        "occurred_at",
    }


def test_an_answer_to_an_anonymous_study_is_anonymous(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "default_study", property(anonymous_study))
    receive(world)
    assert (world.interview().state, world.interview().reason) == ("not_written", "anonymous")
    assert writes(world) == 0


def test_once_anonymous_a_result_stays_anonymous(world: World) -> None:
    receive(world, respondent_email=None)
    receive(world, "quality_scored", quality_score=5)
    assert (world.interview().state, world.interview().reason) == ("not_written", "anonymous")
    assert writes(world) == 0


def test_an_address_that_is_not_spoken_of_is_not_anonymity(world: World) -> None:
    receive(world, respondent_email=...)
    assert world.interview().state == "written_back"


@pytest.mark.parametrize(
    ("quality", "state"), [(2.9, "not_written"), (3, "written_back"), (1, "not_written")]
)
def test_a_result_below_the_quality_bar_is_recorded_only(world: World, quality: float, state: str) -> None:
    receive(world, quality_score=quality)
    assert world.interview().state == state
    if state == "not_written":
        assert writes(world) == 0
        assert world.interview().reason == "low_quality"
        assert "nothing was written to Intercom" in texts(world.initialize())


def test_what_failed_kojis_own_quality_gate_is_recorded_only(world: World) -> None:
    receive(world, "failed_quality_gate", quality_score=...)
    assert (world.interview().state, world.interview().reason) == ("not_written", "low_quality")
    assert writes(world) == 0
    assert len(world.calls("GET", "/api/v1/interviews/")) == 0


# What is missing is asked for


def test_a_missing_quality_is_asked_for_and_then_the_result_is_written(world: World) -> None:
    world.outside.get(
        GET, json={"id": KOJI_ID, "quality_score": 4.5, "sentiment": "positive", "transcript": []}
    )
    receive(world, quality_score=...)
    [written] = attributes(world)
    assert written["last_interview_quality"] == 4.5
    assert written["last_interview_sentiment"] == "negative", "what the event said is not overwritten"
    assert world.interview().state == "written_back"


def test_a_missing_quality_is_asked_for_ever_more_rarely_and_then_the_result_is_recorded_only(
    world: World,
) -> None:
    world.outside.get(GET, json={"id": KOJI_ID, "status": "completed"})
    receive(world, quality_score=...)
    pauses = []
    while world.pending():
        assert world.interview().state == "completed"
        [(_, pause)] = world.pending()
        pauses.append(pause)
        world.run_jobs(delayed=True)
    assert pauses == sorted(pauses)
    assert pauses[0] >= 30
    assert len(pauses) == len(world.calls("GET", "/api/v1/interviews/")) == 4
    assert (world.interview().state, world.interview().reason) == ("not_written", "quality_unknown")
    assert writes(world) == 0
    assert "without a quality score" in texts(world.initialize())


def test_a_quality_that_comes_after_all_is_written(world: World) -> None:
    world.outside.get(GET, status=404)
    receive(world, quality_score=...)
    assert world.interview().reason == "quality_unknown"
    receive(world, "quality_scored", quality_score=4)
    assert world.interview().state == "written_back"
    assert len(notes(world)) == 1


@pytest.mark.parametrize("answer", [{"status": 404}, {"status": 401}, {"status": 500}])
def test_when_koji_does_not_tell_what_is_missing_a_result_with_a_quality_is_written_all_the_same(
    world: World, answer: dict[str, Any]
) -> None:
    world.outside.get(GET, **answer)
    receive(world, themes=...)
    for _ in range(6):
        world.run_jobs(delayed=True)
    assert world.interview().state == "written_back"
    assert "last_interview_top_theme" not in attributes(world)[0]


# The order of events


def test_completed_first_and_the_analysis_afterwards(world: World) -> None:
    world.outside.get(GET, json={"id": KOJI_ID, "status": "completed"})
    receive(world, "completed", sentiment=..., quality_score=..., themes=..., transcript_url=...)
    assert world.interview().state == "completed"
    assert "analysing" in texts(world.initialize())
    assert writes(world) == 0
    receive(world)
    assert world.interview().state == "written_back"
    before = writes(world)
    world.run_jobs(delayed=True)
    assert world.pending() == []
    assert writes(world) == before, "the event that was waiting finds nothing new"


def test_completed_alone_waits_for_the_analysis(world: World) -> None:
    world.outside.get(GET, json={"id": KOJI_ID, "status": "completed"})
    receive(world, "completed", sentiment=..., quality_score=..., themes=..., transcript_url=...)
    while world.pending():
        world.run_jobs(delayed=True)
    assert world.interview().state == "completed"
    assert delivery(world).reason == "awaiting_analysis"


def test_a_score_after_the_analysis_renews_the_attributes_and_leaves_one_note(world: World) -> None:
    receive(world)
    receive(world, "quality_scored", quality_score=5, themes=..., sentiment=...)
    assert [put["last_interview_quality"] for put in attributes(world)] == [4.0, 5.0]
    assert attributes(world)[1]["last_interview_sentiment"] == "negative"
    assert len(notes(world)) == 1
    assert world.interview().state == "written_back"


def test_a_renewal_that_has_to_wait_is_not_lost(world: World) -> None:
    receive(world)
    world.outside.upsert("PUT", PUT, status=429)
    receive(world, "quality_scored", quality_score=5)
    assert (world.interview().state, world.interview().reason) == ("analysed", "rate_limited")
    world.outside.upsert("PUT", PUT, json={"type": "contact", "id": CONTACT})
    assert world.run_jobs(delayed=True) == ["forward"]
    assert attributes(world)[-1]["last_interview_quality"] == 5.0
    assert world.interview().state == "written_back"


def test_an_event_that_waits_does_not_bring_back_what_a_later_one_has_corrected(world: World) -> None:
    world.outside.get(GET, json={"id": KOJI_ID, "status": "completed"})
    receive(world, quality_score=..., sentiment="neutral")
    receive(world, sentiment="negative")
    assert world.interview().state == "written_back"
    world.run_jobs(delayed=True)
    assert (world.interview().result or {})["sentiment"] == "negative"
    assert [put["last_interview_sentiment"] for put in attributes(world)] == ["negative"]


def test_the_same_result_in_another_delivery_writes_nothing_new(world: World) -> None:
    receive(world)
    before = writes(world)
    receive(world, delivery_note="another body")
    assert delivery(world).reason == "nothing_new"
    assert writes(world) == before


def test_the_time_of_an_interview_is_when_it_was_answered_and_not_when_it_was_scored(world: World) -> None:
    receive(world, completed_at="2026-11-20T10:00:00Z")
    receive(world, "quality_scored", quality_score=5, completed_at=..., timestamp="2026-11-21T09:00:00Z")
    assert {put["last_interview_at"] for put in attributes(world)} == {1795168800}


def test_a_result_that_comes_before_the_send_is_recorded_ends_the_send(sqlite_world: World) -> None:
    world = sqlite_world
    world.vendors_are_well()
    world.intercom_takes("attributes", "tags")
    world.initialize()
    world.submit("send")
    world.set_interview(state="sending", koji_link="https://koji.so/i/1")
    # Oldest first: the send's job stands before the result's, so that the result is taken in by hand.
    world.koji_event(event(world))
    forward.take_in(world.services, delivery(world).id, 1)
    assert world.interview().state == "analysed"
    assert world.run_jobs() == ["send", "forward"]
    assert world.interview().state == "written_back"
    assert [reply["message_type"] for reply in world.calls("POST", "/reply$")] == ["note"]


@pytest.mark.parametrize("state", ["failed", "expired", "cancelled", "unknown", "opened"])
def test_a_result_counts_whatever_became_of_the_interview_meanwhile(world: World, state: str) -> None:
    world.set_interview(state=state)
    receive(world)
    assert world.interview().state == "written_back"


# Which interview


@pytest.mark.parametrize(
    "changes",
    [
        {"external_id": ..., "interview_id": ...},
        {"metadata": ..., "external_id": ...},
        {"metadata": {"interview_ref": "0" * 32}, "external_id": "stranger"},
        {"metadata": ..., "interview_id": ...},
    ],
    ids=["reference", "Koji's id", "Koji's id and a reference of nobody's", "contact"],
)
def test_a_result_is_known_by_any_of_its_names(world: World, changes: dict[str, Any]) -> None:
    receive(world, **changes)
    assert world.interview().state == "written_back"


def test_an_address_alone_names_no_interview(world: World) -> None:
    receive(world, metadata=..., external_id=..., interview_id=...)
    assert world.interview().state == "sent"
    assert writes(world) == 0


def test_a_result_of_an_unknown_interview_is_held_for_a_while_and_then_ignored(world: World) -> None:
    stranger: dict[str, Any] = {"metadata": ..., "external_id": "stranger", "interview_id": "k9"}
    receive(world, **stranger)
    tries = 1
    while world.pending():
        assert delivery(world).state == "stored"
        world.run_jobs(delayed=True)
        tries += 1
    assert tries == 4
    assert (delivery(world).state, delivery(world).reason) == ("ignored", "unknown_interview")
    assert delivery(world).content is None
    assert writes(world) == 0


def test_a_result_that_was_held_is_written_when_its_interview_is_known(world: World) -> None:
    world.set_interview(koji_interview_id=None, contact_id="not recorded yet")
    receive(world, metadata=...)
    assert delivery(world).interview_id is None
    world.set_interview(koji_interview_id=KOJI_ID, contact_id=CONTACT)
    world.run_jobs(delayed=True)
    assert world.interview().state == "written_back"
    assert delivery(world).interview_id == world.interview().id


# What is kept


def test_the_ledger_keeps_the_result_without_the_address_and_without_what_we_sent_ourselves(
    world: World,
) -> None:
    receive(world, respondent_email="another@example.com")
    kept = world.interview().result or {}
    assert kept["sentiment"] == "negative"
    assert not {"email", "external_id", "metadata"} & set(kept)
    assert "another@example.com" not in str(kept)


# Ends and retries


def test_a_finished_delivery_keeps_nothing_of_what_it_said(world: World) -> None:
    receive(world)
    row = delivery(world)
    assert (row.state, row.content) == ("done", None)
    assert row.finished_at is not None


def test_a_result_is_tried_for_days_and_then_it_has_failed_and_the_card_shows_it_with_the_reason(
    world: World,
) -> None:
    world.outside.upsert("PUT", PUT, status=503)
    receive(world)
    waited = 0.0
    while world.pending():
        assert world.interview().state == "analysed"
        assert world.interview().reason == "server_error"
        [(_, pause)] = world.pending()
        waited += pause
        world.run_jobs(delayed=True)
    assert waited > 76 * 3600
    assert (world.interview().state, world.interview().reason) == ("failed", "server_error")
    assert (delivery(world).state, delivery(world).content is None) == ("failed", False)
    card = texts(world.initialize())
    assert "Pricing friction" in card
    assert "had a fault" in card


def test_a_failed_result_is_written_when_it_is_delivered_anew(world: World) -> None:
    world.outside.upsert("PUT", PUT, status=403)
    receive(world)
    while world.pending():
        world.run_jobs(delayed=True)
    assert world.interview().state == "failed"
    world.outside.upsert("PUT", PUT, json={"type": "contact", "id": CONTACT})
    receive(world, note="once more")
    assert world.interview().state == "written_back"
    assert len(notes(world)) == 1


def test_after_429_the_result_waits_as_long_as_intercom_says(world: World) -> None:
    world.outside.upsert("PUT", PUT, status=429, headers={"Retry-After": "1234"})
    receive(world)
    [(_, pause)] = world.pending()
    assert pause >= 1234


def test_a_fault_of_ours_loses_no_result(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.faults_wanted = True
    with monkeypatch.context() as broken:
        broken.setattr("canvas_app.interviews.forward._merge", lambda *_: 1 / 0)
        receive(world)
    assert world.interview().state == "sent"
    assert len(world.pending()) == 1
    world.run_jobs(delayed=True)
    assert world.interview().state == "written_back"


def test_an_attempt_that_ended_before_changes_nothing(world: World) -> None:
    receive(world)
    row = delivery(world)
    forward.settle(
        world.services,
        row.id,
        1,
        forward.NOT_TAKEN_IN,
        {"kind": "later", "reason": "late", "after": None},
    )
    assert world.pending() == []
    assert delivery(world) == row


def test_a_delivery_that_is_gone_or_done_means_nothing(world: World) -> None:
    receive(world)
    for id_ in ("gone", delivery(world).id):
        assert forward.take_in(world.services, id_, 1)["reason"] == "nothing_to_do"


# What is not set up


def test_without_intercoms_token_a_result_waits_and_is_not_lost(world: World) -> None:
    complete = world.services
    world.services = dataclasses.replace(
        complete,
        intercom_client=None,
        settings=world.settings.model_copy(update={"intercom_access_token": None}),
    )
    receive(world)
    assert (world.interview().state, world.interview().reason) == ("analysed", "not_configured")
    world.services = complete
    world.run_jobs(delayed=True)
    assert world.interview().state == "written_back"


def test_without_kojis_key_nothing_more_is_asked_for(world: World) -> None:
    world.services = dataclasses.replace(world.services, koji_client=None)
    receive(world, quality_score=...)
    assert (world.interview().state, world.interview().reason) == ("not_written", "quality_unknown")


def test_without_kojis_id_nothing_more_can_be_asked_for(world: World) -> None:
    world.set_interview(koji_interview_id=None)
    receive(world, quality_score=..., interview_id=...)
    assert (world.interview().state, world.interview().reason) == ("not_written", "quality_unknown")
    assert world.pending() == []
