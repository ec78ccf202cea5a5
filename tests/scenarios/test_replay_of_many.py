"""A thousand deliveries that have failed are run again, by two people at once: nothing is done twice."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import timedelta
from typing import Any, cast

import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.intercom import notifications
from canvas_app.interviews import options, replays
from canvas_app.interviews.replays import Which
from canvas_app.interviews.tables import decisions, deliveries, interviews, outside_writes
from canvas_app.worker import make_services
from tests.interviews import many
from tests.support.events import add_rule, closed, intercom_has_contact, intercom_has_conversation
from tests.support.httpx_responses import ResponsesTransport
from tests.support.rates import WIDE_OPEN
from tests.support.world import _TASKS, INTERCOM, WORKSPACE, World

RESULTS, EVENTS = 960, 40
# Of the results, these have their note in Intercom already: something after it had failed.
WITH_NOTE = 720
# And of these all of it: another delivery has brought it there since.
WRITTEN = 480


@pytest.fixture
def failed(world: World) -> World:
    """A thousand deliveries have failed while Intercom was in trouble; now all is well again."""
    with store.reading(world.engine) as connection:
        moment = store.now(connection) - timedelta(hours=2)
    rows, said, writes = [], [], []
    for number in range(RESULTS):
        rows.append(_answered(number, moment))
        said.append(_result(number, moment))
        writes.append(_write(number, "message", moment))
        if number < WITH_NOTE:
            writes.append(_write(number, "note", moment))
    with store.writing(world.engine) as connection:
        connection.execute(sa.insert(interviews), rows)
        connection.execute(sa.insert(deliveries), said)
        connection.execute(sa.insert(outside_writes), writes)
        # Fewer calls take less time, and tags can be put on twice.
        options.write(connection, options.WRITE_BACK, {"tags": dict.fromkeys(options.SENTIMENTS)})
    outside = world.outside
    world.intercom_knows_us()
    # That a call is as Intercom describes it is tried elsewhere, and takes as long as the call.
    world.services = make_services(
        world.settings, world.engine, transport=ResponsesTransport(), rates=WIDE_OPEN
    )
    outside.put(re.compile(rf"{INTERCOM}/contacts/.*"), json={"type": "contact", "id": "any"})
    outside.post(
        re.compile(rf"{INTERCOM}/conversations/[^/]+/reply"), json={"type": "conversation", "id": "any"}
    )
    return world


@pytest.mark.timeout(400)
def test_the_replay_of_a_thousand_doubles_neither_a_message_nor_a_note(
    failed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = failed
    monkeypatch.setattr(replays, "PAUSE", 0.0)
    _events_that_have_asked_before(world)
    before = _said(world)
    first, second = _begin(world), _begin(world)
    _work(world)
    for id_ in (first, second):
        with store.reading(world.engine) as connection:
            run = replays.get(connection, id_)
        assert run is not None
        assert run.finished_at is not None
    assert _states(world) == {"done": RESULTS + EVENTS}
    said = _said(world)
    said.subtract(before)
    notes = {talk: number for (kind, talk), number in said.items() if kind == "note" and number}
    assert set(notes.values()) == {1}
    assert len(notes) == RESULTS - WITH_NOTE
    assert not [talk for (kind, talk), number in said.items() if kind == "comment" and number]
    with store.reading(world.engine) as connection:
        written = sa.select(sa.func.count()).where(interviews.c.state == "written_back")
        assert connection.execute(written).scalar_one() == RESULTS
    # Nothing has failed any more, and once more is nothing more.
    assert replays.begin(world.engine, world.services.jobs, Which()) is None
    assert world.pending() == []


def _events_that_have_asked_before(world: World) -> None:
    """Events whose rule had asked when the rest of their attempt failed: another one may not ask again."""
    add_rule(world)
    intercom_has_contact(world)
    intercom_has_conversation(world)
    world.koji_starts()
    world.intercom_event(closed())
    _work(world)
    assert world.interview().state == "sent"
    with store.writing(world.engine) as connection:
        [row] = connection.execute(sa.select(deliveries).where(deliveries.c.door == "intercom")).mappings()
        [decision] = connection.execute(sa.select(decisions)).mappings()
        event = {**row, "state": "failed", "reason": "given_up", "content": _event(), "tries": 10}
        connection.execute(sa.delete(deliveries).where(deliveries.c.id == row["id"]))
        connection.execute(
            sa.insert(deliveries),
            [
                {**event, "id": many.id_of(number, "e"), "dedupe_key": f"e{number}"}
                for number in range(EVENTS)
            ],
        )
        # The first of them is the one that has asked.
        this = decisions.c.id == decision["id"]
        connection.execute(sa.update(decisions).where(this).values(delivery_id=many.id_of(0, "e")))


def _event() -> dict[str, Any]:
    return notifications.parse(json.dumps(closed()).encode()).model_dump(mode="json")


def _begin(world: World) -> str:
    id_ = replays.begin(world.engine, world.services.jobs, Which())
    assert id_ is not None
    return id_


def _work(world: World) -> None:
    """Run all that is due, a batch of jobs at a time: to list them all before each would take minutes."""
    durable = world._durable
    while waiting := durable.list_workflows(status=["ENQUEUED"]):
        for job in waiting:
            durable.cancel_workflow(job.workflow_id)
            assert job.input is not None
            _TASKS[job.name](world._call, world.services, *job.input["args"])
        assert not world.faults, world.faults[0]


def _said(world: World) -> Counter[tuple[str, str]]:
    """How often each kind of part was posted in each conversation."""
    found: Counter[tuple[str, str]] = Counter()
    for call in world.outside.calls:
        talk = re.search(r"/conversations/([^/]+)/reply$", str(call.request.url))
        if talk and call.request.method == "POST":
            body = json.loads(cast(bytes, call.request.body))
            found[body["message_type"], talk[1]] += 1
    return found


def _states(world: World) -> dict[str, int]:
    with store.reading(world.engine) as connection:
        query = sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state)
        return {row[0]: row[1] for row in connection.execute(query)}


def _answered(number: int, moment: Any) -> dict[str, Any]:
    result = {"identity": "named", "sentiment": "negative", "quality": 4, "themes": ["Pricing"]}
    return many.interview(
        number,
        workspace_id=WORKSPACE,
        conversation_id=str(10_000 + number),
        study="default",
        state="written_back" if number < WRITTEN else "failed",
        reason=None if number < WRITTEN else "intercom_refused",
        written_back_at=moment if number < WRITTEN else None,
        result=result,
        result_at=moment,
        created_at=moment,
        completed_at=moment,
        state_since=moment,
    )


def _result(number: int, moment: Any) -> dict[str, Any]:
    content = {
        "kind": "analysis_ready",
        "name": "interview.analysis_ready",
        "result": {"koji_interview_id": f"koji-{number}", "sentiment": "negative", "quality": 4},
    }
    return many.delivery(
        number,
        door="koji",
        state="failed",
        reason="intercom_refused",
        content=content,
        interview_id=many.id_of(number),
        received_at=moment,
        finished_at=moment,
    )


def _write(number: int, kind: str, moment: Any) -> dict[str, Any]:
    return {
        "interview_id": many.id_of(number),
        "kind": kind,
        "claim": None,
        "claimed_at": moment,
        "tries": 1,
        "done_at": moment,
    }
