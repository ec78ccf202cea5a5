"""After an automatic message a closed conversation is closed again, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from canvas_app.interviews import jobs, rules
from canvas_app.interviews.ask import ask
from canvas_app.interviews.ledger_rows import Interview
from tests.interviews.asks import make_ask
from tests.support.events import intercom_has_contact
from tests.support.world import CONVERSATION, INTERCOM, OWN_ADMIN, World

PARTS = f"{INTERCOM}/conversations/{CONVERSATION}/parts"


def asked_by_nobody(world: World) -> Interview:
    """An interview that a rule has asked for."""
    intercom_has_contact(world)
    return ask(world.engine, world.services.jobs, world.settings, make_ask(origin="rule")).interview


def say(world: World, *said: Callable[[str], str], state: str = "open") -> None:
    """What stands in the conversation after our message: ``said`` makes each part from the link's token."""
    world.intercom_shows(*(part(world.interview().link_token) for part in said), state=state)


def ours(token: str) -> str:
    return f'<p>Hello <a href="https://x/i/{token}">Start</a></p>'


def theirs(_token: str) -> str:
    return "<p>Who is that?</p>"


def closings(world: World) -> list[dict[str, Any]]:
    return world.calls("POST", r"/parts$")


@pytest.fixture
def sent(world: World) -> World:
    """A message went out by itself into a closed conversation, and the closing is to come."""
    world.vendors_are_well()
    world.intercom_shows(state="closed")
    interview = asked_by_nobody(world)
    name, args = world._take_job(delayed=False) or ("", [])
    assert (name, args[0]) == ("send", interview.id)
    jobs.send(world._call, world.services, interview.id, 1)
    assert world.interview().state == "sent"
    assert world.interview().was_closed is True
    world.outside.post(PARTS, json={"type": "conversation", "id": CONVERSATION})
    return world


def test_it_is_closed_by_our_admin_while_our_message_is_the_last(sent: World) -> None:
    say(sent, theirs, ours)
    assert sent.run_jobs() == ["close_again"]
    assert closings(sent) == [{"message_type": "close", "type": "admin", "admin_id": OWN_ADMIN}]
    assert sent.interview().closed_again_at is not None
    assert sent.pending() == []


def test_it_stays_open_when_somebody_has_written_since(sent: World) -> None:
    say(sent, ours, theirs)
    sent.run_jobs()
    assert closings(sent) == []
    assert sent.interview().closed_again_at is None
    assert sent.pending() == []


def test_it_is_left_alone_when_the_message_did_not_reopen_it(sent: World) -> None:
    say(sent, ours, state="closed")
    sent.run_jobs()
    assert closings(sent) == []


@pytest.mark.parametrize("status", [500, 429, 401])
def test_it_is_tried_again_when_intercom_cannot_just_now(sent: World, status: int) -> None:
    say(sent, ours)
    sent.outside.replace("POST", PARTS, status=status, json={})
    sent.run_jobs()
    assert [name for name, _ in sent.pending()] == ["close_again"]
    assert sent.interview().state == "sent"
    sent.outside.replace("POST", PARTS, json={"type": "conversation", "id": CONVERSATION})
    # So that the gate lets it through again.
    sent.let_time_pass(minutes=1)
    sent.run_jobs(delayed=True)
    assert sent.interview().closed_again_at is not None


def test_it_is_given_up_after_a_while_and_the_interview_does_not_mind(
    sent: World, log_lines: Callable[[], list[dict[str, Any]]]
) -> None:
    say(sent, ours)
    sent.outside.replace("POST", PARTS, status=500, json={})
    sent.run_jobs()
    while sent.pending():
        sent.run_jobs(delayed=True)
    assert len(closings(sent)) == len(rules._CLOSING_PAUSES)
    lines = [line for line in log_lines() if line["event"] == "close_again_attempt"]
    assert [line["given_up"] for line in lines] == [False] * 4 + [True]
    assert sent.interview().state == "sent"


def test_what_will_never_work_is_not_repeated(sent: World) -> None:
    say(sent, ours)
    sent.outside.replace("POST", PARTS, status=404, json={})
    sent.run_jobs()
    assert sent.pending() == []


def test_a_fault_of_ours_is_tried_again(sent: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("canvas_app.interviews.closing.workspace.known", None)
    sent.faults_wanted = True
    sent.run_jobs()
    assert [name for name, _ in sent.pending()] == ["close_again"]


def test_an_open_conversation_stays_open(world: World) -> None:
    world.vendors_are_well()
    world.intercom_shows(state="open")
    asked_by_nobody(world)
    assert world.run_jobs() == ["send"]
    assert world.interview().was_closed is False
    assert closings(world) == []


def test_a_reps_own_message_may_reopen_it_and_nothing_is_read_for_it(world: World) -> None:
    world.send()
    assert world.interview().was_closed is None
    assert world.calls("GET", "/conversations/") == []
    assert world.pending() == []


def test_nothing_is_sent_before_it_is_known_whether_the_conversation_is_closed(world: World) -> None:
    world.vendors_are_well()
    world.outside.upsert("GET", f"{INTERCOM}/conversations/{CONVERSATION}", status=503, json={})
    asked_by_nobody(world)
    world.run_jobs()
    assert world.calls("POST", "/reply") == []
    assert world.interview().state == "queued"
    world.intercom_shows(state="closed")
    world.run_jobs(delayed=True)
    assert len(world.calls("POST", "/reply")) == 1
    # What our own message has made of it since does not count.
    assert world.interview().was_closed is True
