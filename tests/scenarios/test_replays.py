"""A request of Intercom's, Koji's or a program's that somebody has captured and sends once more does nothing.

It is rightly signed, so that nothing of it is refused at the door. Taps on Settings: test_console_from_card.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from canvas_app import store
from canvas_app.intercom import signatures as intercom_signatures
from canvas_app.interviews.tables import deliveries, interviews, outside_writes
from canvas_app.koji import signatures as koji_signatures
from tests.api.caller import ASKED, connected
from tests.support.world import CLIENT_SECRET, CONTACT, CONVERSATION, KOJI, KOJI_SECRET, WORKSPACE, World

Send = Callable[[], TestResponse]


def tap(world: World, component_id: str, **changes: Any) -> Send:
    """A tap on the card that was drawn last, to be sent as often as one likes."""
    body = {
        **world.canvas_body(),
        "component_id": component_id,
        "input_values": {},
        "current_canvas": world.last_canvas,
        **changes,
    }
    raw = json.dumps(body).encode()
    return lambda: world.post_canvas("/canvas/submit", raw)


def initialize(world: World) -> Send:
    raw = json.dumps(world.canvas_body()).encode()
    return lambda: world.post_canvas("/canvas/initialize", raw)


def send(world: World) -> Send:
    world.initialize()
    return tap(world, "send", input_values={"personal_line": "Hello."})


def another_one(world: World) -> Send:
    world.send()
    world.deploy(ask_again_days=30)
    world.set_interview(state="written_back")
    world.initialize()
    world.submit("send_again")
    world.submit("send_anyway")
    return tap(world, "confirm_send")


def withdraw(world: World) -> Send:
    world.send()
    world.initialize()
    world.submit("withdraw")
    return tap(world, "confirm_withdraw")


def try_again(world: World) -> Send:
    world.outside.upsert("POST", f"{KOJI}/api/v1/interviews/start", status=422)
    world.initialize()
    world.submit("send")
    world.run_jobs()
    assert world.interview().state == "failed"
    world.koji_starts()
    world.outside.remove("POST", f"{KOJI}/api/v1/interviews/start")
    world.koji_starts()
    world.initialize()
    return tap(world, "try_again")


def not_sent_after_all(world: World) -> Send:
    world.send()
    with store.reading(world.engine) as connection:
        later = store.now(connection) + timedelta(days=1)
    world.set_interview(state="planned", not_before=later, sent_at=None)
    world.initialize()
    return tap(world, "cancel_planned")


def it_is_there(world: World) -> Send:
    world.send()
    world.set_interview(state="unknown", sent_at=None)
    world.initialize()
    return tap(world, "it_is_there")


def sent_after_all(world: World) -> Send:
    world.send()
    world.set_interview(state="unknown", sent_at=None)
    world.let_time_pass(minutes=5)
    world.intercom_shows()
    world.initialize()
    return tap(world, "send_after_all")


def result(world: World) -> Send:
    world.send()
    world.intercom_takes("attributes", "tags")
    raw = json.dumps(world.result()).encode()
    headers = {"X-Koji-Signature": koji_signatures.sign(raw, KOJI_SECRET)}
    return lambda: world.app.test_client().post("/webhooks/koji", data=raw, headers=headers)


def notification(world: World) -> Send:
    # No rule is on, so that nobody is asked about it; what the job does is not what this is about.
    world.faults_wanted = True
    body = {
        "type": "notification_event",
        "id": "notif_1",
        "app_id": WORKSPACE,
        "topic": "conversation.admin.closed",
        "data": {"item": {"type": "conversation", "id": CONVERSATION}},
    }
    raw = json.dumps(body).encode()
    headers = {"X-Hub-Signature": intercom_signatures.sign_hub(raw, CLIENT_SECRET)}
    return lambda: world.app.test_client().post("/webhooks/intercom", data=raw, headers=headers)


def asked_by_a_program(world: World) -> Send:
    world.faults_wanted = True
    caller = connected(world)
    raw = json.dumps({"contact_id": CONTACT, "deliver": "none"}).encode()
    return lambda: world.app.test_client().post(
        ASKED,
        data=raw,
        headers={**caller.headers, "Content-Type": "application/json", "Idempotency-Key": "k"},
    )


WAYS = [
    initialize,
    send,
    another_one,
    withdraw,
    try_again,
    not_sent_after_all,
    it_is_there,
    sent_after_all,
    result,
    notification,
    asked_by_a_program,
]
# What may become of the interview after the request was made, in the order in which it may.
LATER = [
    "sent",
    "opened",
    "completed",
    "written_back",
    "failed",
    "expired",
    "cancelled",
    "unknown",
    "planned",
]


def held(world: World) -> dict[str, list[Any]]:
    """All that could have changed: rows of ours, calls that were made, and jobs that wait."""
    with store.reading(world.engine) as connection:
        rows = {
            table.name: sorted(map(repr, connection.execute(sa.select(table)).all()))
            for table in (interviews, deliveries, outside_writes)
        }
    calls = [f"{call.request.method} {call.request.url}" for call in world.outside.calls]
    return {**rows, "calls": calls, "jobs": world.pending()}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_what_is_sent_once_more_does_nothing(world: World, way: Callable[[World], Send]) -> None:
    world.vendors_are_well()
    captured = way(world)
    before = held(world)
    assert captured().status_code in (200, 201)
    if way is not initialize:
        assert held(world) != before, "the first time it does something"
    # Before its job has run, and afterwards.
    once = held(world)
    assert captured().status_code == 200
    assert held(world) == once
    world.run_jobs()
    done = held(world)
    for _ in range(2):
        assert captured().status_code == 200
    assert held(world) == done
    # Whatever has become of the interview meanwhile.
    for state in LATER if world.count(interviews) else []:
        newest = sa.update(interviews).where(interviews.c.id == world.interview().id)
        with store.writing(world.engine) as connection:
            connection.execute(newest.values(state=state))
        now = held(world)
        assert captured().status_code == 200
        assert held(world) == now, state
    world.let_time_pass(days=2)
    later = held(world)
    assert captured().status_code == 200
    assert held(world) == later
