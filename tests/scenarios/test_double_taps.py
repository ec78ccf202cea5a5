"""However often and from wherever somebody taps, the customer gets one message."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from canvas_app.interviews.tables import interviews
from tests.support.world import CONVERSATION, KOJI_ID, World, component, texts

SECOND_CONTACT = {"type": "contact", "id": "contact2", "name": "Noah Park", "email": "noah@example.com"}


def messages(world: World) -> int:
    replies = world.calls("POST", f"/conversations/{CONVERSATION}/reply")
    return sum(reply["message_type"] == "comment" for reply in replies)


def tap_body(world: World, **changes: Any) -> bytes:
    """The request of a tap on the card that was drawn last, as captured on its way."""
    body = world.canvas_body(
        component_id="send", input_values={}, current_canvas=world.last_canvas, **changes
    )
    return json.dumps(body).encode()


def test_two_taps_on_one_card_are_one_interview(world: World) -> None:
    world.vendors_are_well()
    world.initialize()
    first = tap_body(world)
    for _ in range(3):
        assert world.post_canvas("/canvas/submit", first).status_code == 200
    world.run_jobs()
    assert world.post_canvas("/canvas/submit", first).status_code == 200
    assert world.run_jobs() == []
    assert (world.count(interviews), messages(world)) == (1, 1)


def test_taps_in_two_tabs_are_one_interview(world: World) -> None:
    world.vendors_are_well()
    tabs = [world.initialize(), world.initialize()]
    assert tabs[0]["stored_data"] != tabs[1]["stored_data"]
    rep = {"type": "admin", "id": "992", "name": "Bo Lind"}
    world.submit("send", current_canvas=tabs[0])
    world.submit("send", current_canvas=tabs[1], admin=rep)
    assert "Ada Byrne" in texts(world.last_canvas)
    world.run_jobs()
    assert (world.count(interviews), messages(world)) == (1, 1)


def test_taps_without_stored_data_are_one_interview_while_it_is_open(world: World) -> None:
    world.vendors_are_well()
    for _ in range(2):
        world.submit("send", current_canvas=None)
    world.run_jobs()
    world.submit("send", current_canvas=None)
    assert world.run_jobs() == []
    assert (world.count(interviews), messages(world)) == (1, 1)


def test_two_contacts_of_one_group_conversation_are_two_interviews(world: World) -> None:
    world.vendors_are_well()
    canvas = world.initialize()
    world.submit("send", current_canvas=canvas)
    # The very same card: the inbox may keep it while another participant is selected. Whose name they read on
    # it is not who is selected now, so that it is drawn anew.
    world.submit("send", current_canvas=canvas, contact=SECOND_CONTACT)
    assert component(world.last_canvas, "send") is not None
    assert world.count(interviews) == 1
    world.submit("send", contact=SECOND_CONTACT)
    assert component(world.last_canvas, "send") is None
    assert world.run_jobs() == ["send", "send"]
    assert (world.count(interviews), messages(world)) == (2, 2)
    started = world.calls("POST", "/interviews/start")
    assert [start["respondent"]["external_id"] for start in started] == ["contact1", "contact2"]


@pytest.mark.parametrize("same_card", [True, False])
def test_taps_of_many_threads_at_once_are_one_interview(world: World, same_card: bool) -> None:
    world.vendors_are_well()
    count = 8
    bodies: list[bytes] = []
    for _ in range(count):
        if not same_card or not bodies:
            world.initialize()
        bodies.append(tap_body(world))
    start = threading.Barrier(count)
    statuses: list[int] = []

    def tap(body: bytes) -> None:
        start.wait(10)
        statuses.append(world.post_canvas("/canvas/submit", body).status_code)

    threads = [threading.Thread(target=tap, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert statuses == [200] * count
    assert world.run_jobs() == ["send"]
    assert (world.count(interviews), messages(world)) == (1, 1)


def test_a_captured_tap_that_comes_again_later_does_nothing(world: World) -> None:
    world.vendors_are_well()
    world.initialize()
    captured = tap_body(world)
    world.post_canvas("/canvas/submit", captured)
    world.run_jobs()
    for state in ("completed", "written_back", "failed", "expired", "cancelled"):
        world.set_interview(state=state)
        world.let_time_pass(days=20)
        assert world.post_canvas("/canvas/submit", captured).status_code == 200
        assert world.run_jobs(delayed=True) == []
    assert (world.count(interviews), messages(world)) == (1, 1)


def test_try_again_on_the_failed_card_sends_once(world: World) -> None:
    world.intercom_knows_us()
    world.intercom_takes("reply")
    world.outside.post("https://koji.so/api/v1/interviews/start", status=422)
    world.initialize()
    world.submit("send", {"personal_line": "Nice to meet you."})
    world.run_jobs()
    failed = world.initialize()
    assert "Nothing has reached the customer." in texts(failed)
    world.outside.upsert(
        "POST",
        "https://koji.so/api/v1/interviews/start",
        status=201,
        json={"interview_id": KOJI_ID, "interview_url": "https://koji.so/i/1"},
    )
    for _ in range(3):
        world.submit("try_again", current_canvas=failed)
    assert world.run_jobs() == ["send"]
    world.submit("try_again", current_canvas=failed)
    assert world.run_jobs() == []
    assert (world.count(interviews), messages(world)) == (2, 1)
    [reply] = world.calls("POST", "/reply$")
    assert "Nice to meet you." in reply["body"]
    assert world.interview().state == "sent"


def test_a_tap_that_an_interview_in_another_conversation_blocks_says_so(world: World) -> None:
    first = world.initialize()
    world.send()
    world.set_interview(state="written_back", result={"identity": "named", "sentiment": "positive"})
    world.initialize(conversation={"id": "502"})
    world.submit("send_again", conversation={"id": "502"})
    world.submit("send", conversation={"id": "502"})
    assert world.count(interviews) == 2
    # Back in the first conversation, whose own interview is over.
    world.submit("send_again")
    assert component(world.last_canvas, "send") is None
    assert "In another conversation" in texts(world.last_canvas)
    world.submit("send", current_canvas=first)
    assert world.count(interviews) == 2
    assert "In another conversation" in texts(world.last_canvas)
    assert "Sending" in texts(world.last_canvas)
