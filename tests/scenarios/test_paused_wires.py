"""A dead token, a missing permission, a limit: all hold back, nothing is lost, and it goes on by itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from canvas_app import gates, store
from canvas_app.interviews import card_facts
from canvas_app.interviews.tables import deliveries, gates as gates_table
from tests.interviews.results import attributes, notes, receive, sent_and_ready
from tests.support.said import statements
from tests.support.world import CONTACT, CONVERSATION, INTERCOM, KOJI, KOJI_ID, WORKSPACE, World, texts

Logged = Callable[[], list[dict[str, Any]]]

PUT = f"{INTERCOM}/contacts/{CONTACT}"
REPLY = f"{INTERCOM}/conversations/{CONVERSATION}/reply"
START = f"{KOJI}/api/v1/interviews/start"
GET = f"{KOJI}/api/v1/interviews/{KOJI_ID}"
REPLY_OPERATION = "POST /conversations/{id}/reply"
REFUSED: dict[str, Any] = {"type": "error.list", "errors": []}


@pytest.fixture
def sent(world: World) -> World:
    return sent_and_ready(world)


def events(log_lines: Logged) -> list[tuple[str, str, str]]:
    lines = [line for line in log_lines() if line["event"].startswith("wire_")]
    return [(line["event"], line.get("operation", ""), line.get("reason", "")) for line in lines]


def card_says_paused(world: World) -> str | None:
    return card_facts.read(
        world.engine,
        world.settings,
        WORKSPACE,
        CONTACT,
        CONVERSATION,
        token_fingerprint="",
        gate_keys=gates.keys_of(world.settings),
    ).paused


def shown(world: World) -> dict[str, list[tuple[str, str]]]:
    answer = world.get("/healthz").get_json()
    return {
        wire: [(pause["operation"], pause["reason"]) for pause in found]
        for wire, found in answer["paused"].items()
    }


def counters(world: World) -> tuple[int, int]:
    with store.reading(world.engine) as connection:
        row = connection.execute(sa.select(deliveries.c.fills, deliveries.c.tries)).one()
    return row.fills, row.tries


def test_a_dead_token_is_met_once_shown_everywhere_and_gone_with_a_new_one(
    sent: World, log_lines: Logged
) -> None:
    world = sent
    world.outside.upsert("PUT", PUT, status=401, json=REFUSED)
    assert (card_says_paused(world), shown(world)) == (None, {})
    log_lines()
    receive(world)
    assert events(log_lines) == [("wire_paused", "*", "intercom_token_refused")]
    assert card_says_paused(world) == "intercom_token_refused"
    assert shown(world) == {"intercom": [("*", "intercom_token_refused")]}
    assert "INTERCOM_ACCESS_TOKEN" in world.get("/").get_data(as_text=True)
    calls = len(world.outside.calls)
    for _ in range(5):
        world.run_jobs(delayed=True)
        world.initialize()
    # Ten minutes lie between two attempts, so that each is the one that tries; it makes one call, not five.
    assert len(world.outside.calls) == calls + 5
    assert events(log_lines) == []

    world.outside.upsert("PUT", PUT, json={"type": "contact", "id": CONTACT})
    world.deploy(intercom_access_token="the-new-token")
    assert (card_says_paused(world), shown(world)) == (None, {})
    world.run_jobs(delayed=True)
    assert world.interview().state == "written_back"
    assert len(notes(world)) == 1


def test_a_token_that_is_taken_again_goes_on_by_itself(sent: World, log_lines: Logged) -> None:
    world = sent
    world.outside.upsert("PUT", PUT, status=401, json=REFUSED)
    receive(world)
    log_lines()
    world.outside.upsert("PUT", PUT, json={"type": "contact", "id": CONTACT})
    world.run_jobs(delayed=True)
    assert events(log_lines) == [("wire_resumed", "*", "intercom_token_refused")]
    assert world.interview().state == "written_back"
    assert (card_says_paused(world), shown(world)) == (None, {})
    assert len(notes(world)) == 1


def test_while_a_token_is_dead_no_customer_is_written_to_and_a_send_ends_in_its_time(world: World) -> None:
    world.intercom_knows_us()
    world.koji_starts()
    world.outside.post(REPLY, status=401, json=REFUSED)
    world.initialize()
    world.submit("send")
    world.run_jobs()
    assert (world.interview().state, world.interview().reason) == ("sending", "intercom_token_refused")
    for _ in range(3):
        world.run_jobs(delayed=True)
    assert len(world.calls("POST", "/reply$")) == 1
    world.let_time_pass(minutes=16)
    world.run_jobs(delayed=True)
    assert (world.interview().state, world.interview().reason) == ("failed", "intercom_token_refused")
    assert world.pending() == []
    assert "Nothing has reached the customer." in texts(world.initialize())


def test_a_send_that_waited_for_its_token_posts_one_message(world: World) -> None:
    world.intercom_knows_us()
    world.koji_starts()
    world.outside.post(REPLY, status=401, json=REFUSED)
    world.initialize()
    world.submit("send")
    world.run_jobs()
    world.run_jobs(delayed=True)
    world.outside.upsert("POST", REPLY, json={"type": "conversation", "id": CONVERSATION})
    world.let_time_pass(minutes=1)
    world.run_jobs(delayed=True)
    assert world.interview().state == "sent"
    assert len(world.calls("POST", "/reply$")) == 2, "the one that was refused, and the one that was taken"


def test_without_the_permission_to_reply_all_else_is_written_and_the_note_follows(sent: World) -> None:
    world = sent
    world.outside.upsert("POST", REPLY, status=403, json=REFUSED)
    receive(world)
    assert shown(world) == {"intercom": [(REPLY_OPERATION, "intercom_scope_missing")]}
    assert (world.interview().state, world.interview().reason) == ("analysed", "intercom_scope_missing")
    assert len(attributes(world)) == 1
    assert len(world.calls("POST", f"/contacts/{CONTACT}/tags$")) == 1
    refused = len(notes(world))
    world.outside.upsert("POST", REPLY, json={"type": "conversation", "id": CONVERSATION})
    world.run_jobs(delayed=True)
    assert world.interview().state == "written_back"
    assert len(notes(world)) == refused + 1
    assert shown(world) == {}


@pytest.mark.parametrize("status", [401, 403])
def test_a_week_without_a_token_or_a_permission_loses_no_result(sent: World, status: int) -> None:
    world = sent
    world.outside.upsert("PUT", PUT, status=status, json=REFUSED)
    receive(world)
    for _ in range(28):
        world.let_time_pass(hours=6)
        assert world.run_jobs(delayed=True) == ["forward"]
    assert world.interview().state == "analysed"
    assert counters(world)[1] == 0
    world.outside.upsert("PUT", PUT, json={"type": "contact", "id": CONTACT})
    world.let_time_pass(hours=6)
    world.run_jobs(delayed=True)
    assert world.interview().state == "written_back"
    assert len(notes(world)) == 1


def test_a_week_without_a_key_does_not_make_do_with_half_a_result(sent: World) -> None:
    world = sent
    world.outside.get(GET, status=401, json={"error": "unauthorized"})
    receive(world, quality_score=...)
    for _ in range(28):
        world.let_time_pass(hours=6)
        assert world.run_jobs(delayed=True) == ["forward"]
    assert (world.interview().state, world.interview().reason) == ("completed", "koji_token_refused")
    assert counters(world) == (0, 0)
    assert shown(world) == {"koji": [("*", "koji_token_refused")]}
    assert card_says_paused(world) == "koji_token_refused"
    world.outside.upsert("GET", GET, json={"interview_id": KOJI_ID, "quality_score": 4})
    world.let_time_pass(hours=6)
    world.run_jobs(delayed=True)
    assert world.interview().state == "written_back"
    assert shown(world) == {}


def test_without_credits_nothing_is_started_and_results_still_come(sent: World) -> None:
    world = sent
    world.outside.upsert("POST", START, status=402, json={"error": "credits_exhausted"})
    other = {"contact": {"type": "contact", "id": "contact2"}, "conversation": {"id": "502", "state": "open"}}
    world.initialize(**other)
    world.submit("send", **other)
    world.run_jobs()
    world.run_jobs(delayed=True)
    assert len(world.calls("POST", "/start$")) == 2, "the one that was sent before, and the one refused"
    world.outside.get(GET, json={"interview_id": KOJI_ID, "quality_score": 4})
    body = world.result(
        quality_score=None, external_id=CONTACT, metadata={"interview_ref": interview_of(world, CONTACT)}
    )
    world.koji_event(body)
    world.run_jobs()
    assert len(world.calls("GET", f"/interviews/{KOJI_ID}")) == 1
    assert len(notes(world)) == 1


def interview_of(world: World, contact_id: str) -> str:
    found = card_facts.read(
        world.engine, world.settings, WORKSPACE, contact_id, None, token_fingerprint=""
    ).interview
    assert found is not None
    return found.id


def test_a_429_is_obeyed_by_every_worker_and_costs_no_second_try(sent: World) -> None:
    world = sent
    world.outside.upsert("PUT", PUT, status=429, headers={"Retry-After": "900"})
    receive(world)
    assert counters(world)[1] == 1
    another_engine = store.make_engine(world.settings.database_url, pool_size=2)
    world.services = world.make_services(world.settings, engine=another_engine)
    calls = len(world.outside.calls)
    receive(world, note="a second delivery of it")
    assert len(world.outside.calls) == calls, "the other worker has made no call"
    [first, second] = sorted(pause for _, pause in world.pending())
    assert 880 < first <= second <= 1100
    world.outside.upsert("PUT", PUT, json={"type": "contact", "id": CONTACT})
    world.let_time_pass(seconds=901)
    world.run_jobs(delayed=True)
    world.run_jobs(delayed=True)
    assert world.interview().state == "written_back"
    assert len(notes(world)) == 1
    another_engine.dispose()


def test_a_result_that_a_gate_puts_off_again_and_again_is_not_given_up(sent: World) -> None:
    world = sent
    world.outside.upsert("PUT", PUT, status=429, headers={"Retry-After": "900"})
    receive(world)
    for _ in range(20):
        with store.writing(world.engine) as connection:
            later = store.now(connection) + timedelta(hours=2)
            connection.execute(sa.update(gates_table).values(blocked_until=later))
        assert world.run_jobs(delayed=True) == ["forward"]
        assert world.interview().reason == "gate_blocked"
    assert counters(world)[1] == 1
    assert "it goes on by itself" in texts(world.initialize())


def test_the_card_still_reads_twice_while_a_wire_is_paused(
    sent: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = sent
    world.outside.upsert("PUT", PUT, status=401, json=REFUSED)
    receive(world)
    with statements(world, monkeypatch) as said:
        world.initialize()
    assert len(said) <= 2
    assert any("pauses" in statement for statement in said)


def test_a_message_that_was_posted_is_sent_whatever_keeps_the_gate_from_being_told(
    world: World, monkeypatch: pytest.MonkeyPatch, log_lines: Logged
) -> None:
    world.intercom_knows_us()
    world.koji_starts()
    world.outside.post(REPLY, status=401, json=REFUSED)
    world.initialize()
    world.submit("send")
    world.run_jobs()
    world.outside.upsert("POST", REPLY, json={"type": "conversation", "id": CONVERSATION})
    world.let_time_pass(minutes=1)

    def gone(*_arguments: object) -> None:
        raise OperationalError("DELETE", {}, Exception("the database is away"))

    monkeypatch.setattr("canvas_app.passages.DatabaseGate._resume", gone)
    log_lines()
    world.run_jobs(delayed=True)
    assert "gate_not_told" in [line["event"] for line in log_lines()]
    assert world.interview().state == "sent"
    world.let_time_pass(hours=1)
    world.run_jobs(delayed=True)
    assert len(world.calls("POST", "/reply$")) == 2, "the one that was refused, and the one that was posted"
