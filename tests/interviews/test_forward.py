"""What a delivery means for its interview: every verdict, every order of events, and when to stop waiting."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
from typing import Any

import pytest
import responses
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from canvas_app import http_outcomes, store
from canvas_app.engine import partition_key
from canvas_app.errors import LaterError
from canvas_app.interviews import emptied, forward, jobs, measures, once
from canvas_app.interviews.ask import partition
from canvas_app.interviews.outcomes import Outcome
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
from tests.support.world import CONTACT, CONVERSATION, INTERCOM, KOJI_ID, WORKSPACE, World, texts

REPLY = f"{INTERCOM}/conversations/{CONVERSATION}/reply"


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


KEPT_OF_ANONYMOUS = {"koji_interview_id", "identity", "quality", "occurred_at"}


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
    assert {name for name, value in (interview.result or {}).items() if value} <= KEPT_OF_ANONYMOUS


def test_an_answer_to_an_anonymous_study_is_anonymous(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Settings, "default_study", property(anonymous_study))
    receive(world)
    interview = world.interview()
    assert (interview.state, interview.reason) == ("not_written", "anonymous")
    assert writes(world) == 0
    # Also where Koji itself does not know that the study is anonymous.
    assert {name for name, value in (interview.result or {}).items() if value} <= KEPT_OF_ANONYMOUS


def test_an_answer_to_an_anonymous_study_keeps_nothing_that_could_be_written_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The customer was promised it: whoever marks the study otherwise afterwards does not take that back."""
    with monkeypatch.context() as marked:
        marked.setattr(Settings, "default_study", property(anonymous_study))
        receive(world)
    kept = world.interview().result or {}
    assert (kept["sentiment"], kept["themes"], kept["transcript_url"]) == (None, [], None)
    receive(world, "quality_scored", quality_score=5)
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


def test_kojis_own_quality_gate_is_final_when_it_speaks_first(world: World) -> None:
    receive(world, "failed_quality_gate", quality_score=...)
    receive(world, quality_score=5, status="completed")
    receive(world, "quality_scored", quality_score=5)
    assert (world.interview().state, world.interview().reason) == ("not_written", "low_quality")
    assert writes(world) == 0


def test_kojis_own_quality_gate_is_final_while_the_result_is_still_waiting(world: World) -> None:
    world.outside.get(GET, json={"id": KOJI_ID, "status": "completed", "quality_score": 5})
    receive(world, "completed", sentiment=..., quality_score=..., themes=..., transcript_url=...)
    receive(world, "failed_quality_gate", quality_score=...)
    while world.pending():
        world.run_jobs(delayed=True)
    assert (world.interview().state, world.interview().reason) == ("not_written", "low_quality")
    assert writes(world) == 0


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("failed_quality_gate", {"quality_score": ...}, "low_quality_after_writing"),
        ("quality_scored", {"quality_score": 1}, "low_quality_after_writing"),
        ("analysis_ready", {"respondent_email": None}, "anonymous_after_writing"),
    ],
)
@pytest.mark.parametrize("written", ["all", "attributes", "note", "contact tags"])
def test_that_nothing_was_written_is_never_claimed_after_something_was(
    world: World, kind: str, changes: dict[str, Any], reason: str, written: str
) -> None:
    if written in ("attributes", "contact tags"):
        world.set_interview(conversation_id=None)
    if written in ("note", "contact tags"):
        world.outside.upsert("PUT", PUT, status=422)
    if written == "note":
        settings = world.settings.model_copy(update={"tag_contact": False})
        world.services = dataclasses.replace(world.services, settings=settings)
    receive(world)
    interview = world.interview()
    assert (interview.attributes_written_at is not None) == (written in ("all", "attributes"))
    before = writes(world)
    receive(world, kind, **changes)
    interview = world.interview()
    assert (interview.state, interview.reason) == ("failed", reason)
    assert writes(world) == before, "and nothing more is written"
    card = texts(world.initialize())
    assert "may have been written to Intercom" in card
    assert "othing was written to Intercom" not in card
    assert "Nothing has reached the customer" not in card
    if kind == "analysis_ready":
        assert "Pricing friction" not in card, "what an anonymous answer said is not kept"
        assert "Pricing friction" not in str(interview.result)


@pytest.mark.parametrize("path", ["attributes", "tags"])
@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        # It may have had its effect, whatever the answer.
        (500, "failed", "anonymous_after_writing"),
        # The contact was surely not changed, and nothing else could be written.
        (422, "not_written", "anonymous"),
    ],
)
def test_a_write_of_unknown_outcome_may_have_been_made(
    world: World, path: str, status: int, state: str, reason: str
) -> None:
    world.set_interview(conversation_id=None)
    if path == "attributes":
        world.outside.upsert("PUT", PUT, status=status, json={})
        world.outside.upsert("POST", f"{INTERCOM}/tags", status=422, json={})
    else:
        world.outside.upsert("PUT", PUT, status=422, json={})
        where = f"{INTERCOM}/contacts/{CONTACT}/tags" if status == 500 else f"{INTERCOM}/tags"
        world.outside.upsert("POST", where, status=status, json={})
    receive(world)
    assert world.interview().attributes_written_at is None
    receive(world, respondent_email=None)
    assert (world.interview().state, world.interview().reason) == (state, reason)


def test_a_write_that_never_had_its_turn_at_the_gate_was_not_made(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = LaterError(reason=http_outcomes.GATE_FULL, retry_after=30.0)

    def no_turn(*_args: Any) -> None:
        raise full

    monkeypatch.setattr(world.services.intercom, "update_contact", no_turn)
    receive(world)
    assert (world.interview().state, world.interview().reason) == ("analysed", "gate_full")
    receive(world, respondent_email=None)
    assert (world.interview().state, world.interview().reason) == ("not_written", "anonymous")


def test_a_write_that_was_surely_refused_was_not_made_also_where_the_database_was_away_then(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.set_interview(conversation_id=None)
    world.outside.upsert("PUT", PUT, status=422, json={})
    world.outside.upsert("POST", f"{INTERCOM}/tags", status=422, json={})
    was_not_made, away = once.was_not_made, [True]

    def take_back(*args: Any) -> None:
        if away:
            away.pop()
            raise OperationalError("DELETE", {}, Exception("gone"))
        was_not_made(*args)

    monkeypatch.setattr(once, "was_not_made", take_back)
    monkeypatch.setattr("canvas_app.store.time.sleep", lambda _seconds: None)
    receive(world)
    assert not away
    assert len(attributes(world)) == 1, "it is not asked once more what the answer was"
    receive(world, respondent_email=None)
    assert (world.interview().state, world.interview().reason) == ("not_written", "anonymous")


def test_a_note_that_this_machine_is_too_slow_for_costs_no_try_for_a_day_and_then_ends_as_any_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(*_args: Any, **_options: Any) -> None:
        raise http_outcomes.too_slow()

    monkeypatch.setattr(world.services.intercom, "note", too_late)
    receive(world)
    pauses = []
    for _ in range(15):
        [(_name, pause)] = world.pending()
        pauses.append(pause)
        world.run_jobs(delayed=True)
    assert all(30 <= pause <= 37 for pause in pauses)
    assert (world.interview().state, world.interview().reason) == ("analysed", "too_slow")
    world.let_time_pass(days=1)
    tries = 0
    while world.pending() and tries < 20:
        world.run_jobs(delayed=True)
        tries += 1
    assert (world.interview().state, world.interview().reason) == ("failed", "too_slow")
    assert tries == 11


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


@pytest.mark.parametrize("answer", [{"status": 404}, {"status": 400}, {"status": 500}])
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


NOT_ANALYSED: dict[str, Any] = {"sentiment": ..., "quality_score": ..., "themes": ..., "transcript_url": ...}


def test_completed_alone_asks_for_the_analysis_at_ever_longer_pauses_for_days(world: World) -> None:
    world.outside.get(GET, json={"id": KOJI_ID, "status": "completed"})
    receive(world, "completed", **NOT_ANALYSED)
    pauses = []
    while world.pending():
        assert world.interview().state == "completed"
        assert "analysing" in texts(world.initialize())
        [(_, pause)] = world.pending()
        pauses.append(pause)
        world.run_jobs(delayed=True)
    assert pauses == sorted(pauses)
    assert sum(pauses) > 3 * 86_400
    assert len(pauses) == len(world.calls("GET", "/api/v1/interviews/"))
    assert (world.interview().state, world.interview().reason) == ("not_written", "quality_unknown")
    assert writes(world) == 0


def test_an_analysis_that_koji_has_days_later_is_written(world: World) -> None:
    world.outside.get(GET, json={"id": KOJI_ID, "status": "completed"})
    receive(world, "completed", **NOT_ANALYSED)
    for _ in range(7):
        world.run_jobs(delayed=True)
    assert world.interview().state == "completed"
    analysis = {"id": KOJI_ID, "quality_score": 4, "sentiment": "mixed", "themes": ["SSO"]}
    world.outside.upsert("GET", GET, json=analysis)
    world.run_jobs(delayed=True)
    assert world.interview().state == "written_back"
    assert attributes(world)[0]["last_interview_sentiment"] == "mixed"


@pytest.mark.parametrize("status", [400, 404])
def test_where_koji_refuses_to_tell_completed_alone_waits_for_the_event_with_the_analysis(
    world: World, status: int
) -> None:
    world.outside.get(GET, status=status)
    receive(world, "completed", **NOT_ANALYSED)
    assert (world.interview().state, world.pending()) == ("completed", [])
    assert (delivery(world).state, delivery(world).reason) == ("done", "awaiting_analysis")
    assert "analysing" in texts(world.initialize())
    receive(world)
    assert world.interview().state == "written_back"


def test_each_budget_of_a_delivery_is_its_own(world: World) -> None:
    # It waits for its interview, then for Koji, then for Intercom; none of them uses up another's time.
    world.set_interview(koji_interview_id=None, contact_id="not recorded yet")
    world.outside.get(GET, json={"id": KOJI_ID, "status": "completed"})
    receive(world, metadata=..., themes=...)
    for _ in range(2):
        world.run_jobs(delayed=True)
    assert (delivery(world).waits, delivery(world).fills, delivery(world).tries) == (3, 0, 0)
    world.set_interview(koji_interview_id=KOJI_ID, contact_id=CONTACT)
    world.outside.upsert("PUT", PUT, status=503)
    while world.pending():
        world.run_jobs(delayed=True)
    assert (delivery(world).waits, delivery(world).tries) == (3, 11)
    assert len(world.calls("GET", "/api/v1/interviews/")) == 4
    assert len(world.calls("PUT", "/contacts/")) == 11


@pytest.mark.parametrize(
    ("webhook", "state"), [("mia@example.com", "written_back"), (..., "not_written")], ids=["named", "silent"]
)
@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_address_in_kojis_answer_makes_no_named_answer_anonymous(
    world: World, webhook: Any, state: str, empty: str | None
) -> None:
    world.outside.get(GET, json={"id": KOJI_ID, "quality_score": 4.5, "respondent_email": empty})
    receive(world, quality_score=..., respondent_email=webhook)
    assert world.interview().state == state
    if state == "not_written":
        assert world.interview().reason == "anonymous"
        assert writes(world) == 0


def test_what_comes_while_koji_is_being_asked_is_not_lost(world: World) -> None:
    def answer(_request: Any) -> tuple[int, dict[str, str], str]:
        world.koji_event(event(world, "quality_scored", quality_score=5, themes=...))
        forward.take_in(world.services, delivery(world).id)
        return 200, {}, json.dumps({"id": KOJI_ID, "quality_score": 3.5, "themes": ["From the answer"]})

    world.outside.add_callback("GET", GET, callback=answer)
    receive(world, "completed", **{**NOT_ANALYSED, "sentiment": "mixed"})
    known = world.interview().result or {}
    assert (known["quality"], known["themes"]) == (5.0, ["From the answer"])
    assert world.interview().state == "written_back"


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
    world.let_time_pass(seconds=15)
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


def test_a_corrected_result_is_known_to_be_unwritten_as_soon_as_it_is_merged(world: World) -> None:
    receive(world)
    assert world.interview().state == "written_back"
    world.koji_event(event(world, sentiment="positive"))
    assert forward.take_in(world.services, delivery(world).id)["verdict"] == "write"
    assert (world.interview().state, (world.interview().result or {})["sentiment"]) == (
        "analysed",
        "positive",
    )
    # The worker died before it wrote anything: the attempt is repeated, and finds its own merging done.
    assert world.run_jobs() == ["forward"]
    assert world.interview().state == "written_back"
    assert [put["last_interview_sentiment"] for put in attributes(world)] == ["negative", "positive"]


def test_a_correction_that_could_not_be_merged_leaves_the_interview_as_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(world)
    before = world.interview()
    world.koji_event(event(world, sentiment="positive"))
    with monkeypatch.context() as broken:
        broken.setattr(forward, "_decide", lambda *_args, **_options: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            forward.take_in(world.services, delivery(world).id)
    assert world.interview() == before
    assert delivery(world).interview_id is None, "so that it is merged by the next attempt"


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
    forward.take_in(world.services, delivery(world).id)
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


def test_a_result_of_another_workspace_is_not_the_contacts_of_ours(world: World) -> None:
    receive(world, interview_id=..., metadata={"intercom_workspace_id": "ws2"})
    assert world.interview().state == "sent"
    assert writes(world) == 0


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
    world.outside.upsert("PUT", PUT, status=400)
    receive(world)
    assert world.interview().state == "failed"
    world.outside.upsert("PUT", PUT, json={"type": "contact", "id": CONTACT})
    receive(world, note="once more")
    assert world.interview().state == "written_back"
    assert len(notes(world)) == 1


ANONYMOUS = {
    "interview_id": KOJI_ID,
    "status": "completed",
    "respondent": None,
    "analysis": {"sentiment": "mixed"},
}


def test_what_koji_answers_about_a_failed_result_that_is_delivered_anew_counts(world: World) -> None:
    error = {"type": "error.list", "errors": []}
    world.outside.upsert("PUT", PUT, status=400, json=error)
    world.outside.upsert("POST", REPLY, status=400, json=error)
    world.outside.upsert("GET", GET, status=404, json={})
    body = event(world, respondent_email=..., themes=...)
    world.koji_event(body)
    world.run_jobs()
    assert world.interview().state == "failed"
    before = writes(world)
    world.outside.upsert("GET", GET, json=ANONYMOUS)
    world.koji_event(body)
    world.run_jobs()
    assert (world.interview().state, world.interview().reason) == ("failed", "anonymous_after_writing")
    assert (world.interview().result or {})["identity"] == "anonymous"
    assert writes(world) == before


def test_what_koji_answers_counts_also_where_another_delivery_has_failed_meanwhile(world: World) -> None:
    def answer(_request: Any) -> tuple[int, dict[str, str], str]:
        world.set_interview(state="failed", reason="intercom_refused")
        return 200, {}, json.dumps(ANONYMOUS)

    world.outside.add_callback("GET", GET, callback=answer)
    receive(world, respondent_email=..., themes=...)
    assert (world.interview().state, world.interview().reason) == ("not_written", "anonymous")
    assert writes(world) == 0


def test_once_it_has_turned_out_anonymous_a_delivery_that_still_waits_says_the_same(world: World) -> None:
    world.outside.upsert("PUT", PUT, status=503)
    receive(world)
    receive(world, respondent_email=None)
    before = writes(world)
    world.run_jobs(delayed=True)
    assert (world.interview().state, world.interview().reason) == ("failed", "anonymous_after_writing")
    assert writes(world) == before


def test_what_is_purged_while_koji_is_asked_is_about_nobody(world: World) -> None:
    def answer(_request: Any) -> tuple[int, dict[str, str], str]:
        world.set_interview(purged_at=world.interview().created_at, contact_id=emptied.NOBODY)
        return 200, {}, json.dumps({**ANONYMOUS, "respondent": {}, "transcript_url": "https://koji.so/t/1"})

    world.outside.add_callback("GET", GET, callback=answer)
    receive(world, themes=..., transcript_url=...)
    assert (world.interview().result or {})["transcript_url"] is None
    assert (delivery(world).state, delivery(world).reason) == ("ignored", "unknown_interview")
    assert writes(world) == 0


def test_something_else_under_the_id_of_a_failed_delivery_is_merged(world: World) -> None:
    world.outside.upsert("PUT", PUT, status=400)
    body = {**event(world), "webhook_id": "wh_1"}
    world.koji_event(body)
    world.run_jobs()
    assert world.interview().state == "failed"
    world.outside.upsert("PUT", PUT, json={"type": "contact", "id": CONTACT})
    body["data"] |= {"sentiment": "positive"}
    world.koji_event(body)
    world.run_jobs()
    assert attributes(world)[-1]["last_interview_sentiment"] == "positive"
    assert world.interview().state == "written_back"


def test_the_very_same_delivered_anew_does_not_bring_back_what_has_been_corrected(world: World) -> None:
    world.outside.upsert("PUT", PUT, status=400)
    body = event(world)
    world.koji_event(body)
    world.run_jobs()
    receive(world, "quality_scored", sentiment="positive")
    world.outside.upsert("PUT", PUT, json={"type": "contact", "id": CONTACT})
    world.koji_event(body)
    world.run_jobs()
    assert attributes(world)[-1]["last_interview_sentiment"] == "positive"


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
    [job] = world._waiting(("ENQUEUED", "DELAYED"))
    assert job.queue_partition_key == partition_key(partition(WORKSPACE, CONTACT))
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
        assert forward.take_in(world.services, id_)["reason"] == "nothing_to_do"


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
    without_key = world.settings.model_copy(update={"koji_api_key": None})
    world.services = dataclasses.replace(world.services, settings=without_key)
    receive(world, quality_score=...)
    assert (world.interview().state, world.interview().reason) == ("not_written", "quality_unknown")


def test_without_kojis_id_nothing_more_can_be_asked_for(world: World) -> None:
    world.set_interview(koji_interview_id=None)
    receive(world, quality_score=..., interview_id=...)
    assert (world.interview().state, world.interview().reason) == ("not_written", "quality_unknown")
    assert world.pending() == []


# Two at once


def taken_in_and_written(world: World, **changes: Any) -> tuple[str, forward.TakenIn, Outcome]:
    """A delivery whose attempt has been made, but for its end."""
    world.koji_event(event(world, **changes))
    id_ = delivery(world).id
    taken = forward.take_in(world.services, id_)
    interview_id = taken["interview_id"]
    assert interview_id is not None
    if taken["verdict"] != "write":
        return id_, taken, forward.outcome_without_writing(taken)
    return id_, taken, jobs._write_all(world._call, world.services, interview_id)


def test_a_correction_that_still_has_to_be_written_is_not_ended_by_an_older_attempt(world: World) -> None:
    first = taken_in_and_written(world)
    world.outside.upsert("PUT", PUT, status=503)
    second = taken_in_and_written(world, sentiment="positive")
    for id_, taken, outcome in (first, second):
        forward.settle(world.services, id_, 1, taken, outcome)
    assert world.interview().state == "analysed"
    world.outside.upsert("PUT", PUT, json={"type": "contact", "id": CONTACT})
    while world.pending():
        world.run_jobs(delayed=True)
    assert attributes(world)[-1]["last_interview_sentiment"] == "positive"
    assert world.interview().state == "written_back"


@pytest.mark.parametrize("remembers", [True, False], ids=["with its digest", "of an older version"])
def test_that_it_turned_out_anonymous_is_not_hidden_by_an_older_attempt(
    world: World, remembers: bool
) -> None:
    id_, taken, outcome = taken_in_and_written(world)
    taken_in_and_written(world, respondent_email=None)
    if not remembers:
        del taken["digest"]
    forward.settle(world.services, id_, 1, taken, outcome)
    assert (world.interview().state, world.interview().reason) == ("failed", "anonymous_after_writing")
    assert delivery(world).state == "stored", "the newer one ends by itself"


@pytest.mark.parametrize("remembers", [True, False], ids=["with its digest", "of an older version"])
def test_what_has_been_written_after_another_attempt_gave_up_is_written(
    world: World, remembers: bool
) -> None:
    id_, taken, outcome = taken_in_and_written(world)
    world.set_interview(state="failed", reason="intercom_refused")
    if not remembers:
        del taken["digest"]
    forward.settle(world.services, id_, 1, taken, outcome)
    assert (world.interview().state, world.interview().reason) == ("written_back", None)


def test_two_deliveries_that_are_merged_at_once_lose_nothing(
    app: Flask,
    engine: Engine,
    settings: Settings,
    outside: responses.RequestsMock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On both databases; in all other tests here the kind does not matter.
    world = World(app=app, engine=engine, settings=settings, outside=outside)
    world.send()
    world.koji_event(event(world, "completed", **{**NOT_ANALYSED, "sentiment": "mixed", "themes": ["SSO"]}))
    first = delivery(world).id
    world.koji_event(event(world, "quality_scored", **{**NOT_ANALYSED, "quality_score": 5}))
    second = delivery(world).id
    # Both have read the interview before either writes it, if nothing keeps them from it.
    both_have_read = threading.Barrier(2)
    merge = forward._merge

    def wait_and_merge(*args: Any) -> Any:
        with contextlib.suppress(threading.BrokenBarrierError):
            both_have_read.wait(0.5)
        return merge(*args)

    monkeypatch.setattr(forward, "_merge", wait_and_merge)
    world.outside.get(GET, json={"id": KOJI_ID, "status": "completed"})
    threads = [
        threading.Thread(target=forward.take_in, args=(world.services, id_)) for id_ in (first, second)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    known = world.interview().result or {}
    assert (known["sentiment"], known["themes"], known["quality"]) == ("mixed", ["SSO"], 5.0)


def test_the_time_from_a_result_to_its_note_is_measured_once(world: World) -> None:
    world.send()
    world.intercom_takes("reply", "attributes", "tags")
    for changes in ({}, {"themes": ["Something else"]}, {"themes": ["Something else"]}):
        world.koji_event(world.result(**changes))
        world.run_jobs()
    assert world.interview().state == "written_back"
    world.services.tally.keep(world.engine)
    with store.reading(world.engine) as connection:
        found = measures.totals(connection)["result_seconds"]
    assert 0 <= found.pop((measures.SUM,)) < 60
    assert sum(found.values()) == 1, "a corrected result is written without another note"
