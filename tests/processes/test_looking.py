"""A worker dies around the message, and the one that looks for it meets whatever Intercom answers.

The same answers without a death, and in more detail: :mod:`tests.scenarios.test_sending`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox.state import Part
from tests.processes.stage import Stage, Talk, until
from tests.support.databases import on_postgresql
from tests.support.dying import Point

pytestmark = pytest.mark.slow

MOST_PARTS = 500
"""So many parts Intercom shows of a conversation, the newest."""


@dataclass(frozen=True)
class Case:
    """Where a worker dies, what the next one meets when it looks, and what must come of it."""

    moment: str
    spoiled: dict[str, Any] | None
    card: str
    messages: int
    long: bool = False


SENT, UNKNOWN = "Interview sent", "could not find out whether the message reached"
CASES = {
    "there": Case("after_call", None, SENT, 1),
    "not there": Case("before_call", None, SENT, 1),
    "503, then there": Case("after_call", {"kind": "status", "status": 503}, SENT, 1),
    "503, then not there": Case("before_call", {"kind": "status", "status": 503}, SENT, 1),
    "dead token, then there": Case("after_call", {"kind": "status", "status": 401}, SENT, 1),
    "dead token, then not there": Case("before_call", {"kind": "status", "status": 401}, SENT, 1),
    "gone": Case("after_call", {"kind": "status", "status": 404, "times": 99}, UNKNOWN, 1),
    "gone, not there": Case("before_call", {"kind": "status", "status": 404, "times": 99}, UNKNOWN, 0),
    "more parts than are shown": Case("after_call", None, UNKNOWN, 1, long=True),
}


# What a vendor answers is no matter of the database.
@on_postgresql
def test_what_the_next_worker_meets_when_it_looks_for_the_message(stage: Stage) -> None:
    talks = {name: stage.customer(f"Customer {number}") for number, name in enumerate(CASES)}
    points = [Point("message", case.moment, talks[name].conversation.id) for name, case in CASES.items()]
    for _ in range(2):
        stage.start_worker(dying_at=points)
    until("the web knows of a worker", lambda: stage.logged(1, "worker_started"))
    taps = []
    for (name, case), point in zip(CASES.items(), points, strict=True):
        talk = talks[name]
        if case.spoiled:
            stage.spoil("intercom", "GET", f"/conversations/{talk.conversation.id}", **case.spoiled)
        taps.append(stage.tap_aside(talk))
        stage.until_one_has_died(point)
        if case.long:
            talk_on(stage, talk)
    for tap in taps:
        tap.join()
    for name, case in CASES.items():
        stage.until_card(talks[name], case.card)
    stage.until_nothing_is_left_to_do()
    found = {name: len(stage.links(talks[name])) for name in CASES}
    assert found == {name: case.messages for name, case in CASES.items()}
    assert stage.intercom.canvas_problems == []


def talk_on(stage: Stage, talk: Talk) -> None:
    """The customer says so much that the message is no longer among the parts that Intercom shows."""
    with stage.intercom.lock:
        talk.conversation.parts += [
            Part(stage.intercom.next_id(), "comment", "<p>And</p>", "user", talk.contact.id, now, "open")
            for now in [int(time.time())] * MOST_PARTS
        ]
