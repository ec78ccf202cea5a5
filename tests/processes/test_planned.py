"""A delayed send outlives its worker, however that ends, and goes out once, at its time."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.intercom import signatures
from canvas_app.interviews import rulestore
from canvas_app.interviews.rulebook import DO_NOT_ASK, Rule
from canvas_app.interviews.tables import decisions, deliveries
from tests.processes.stage import Stage, Talk, until
from tests.support.databases import on_sqlite

pytestmark = pytest.mark.slow

DELAY = 8


def close(stage: Stage, talk: Talk) -> None:
    """Intercom tells that a teammate has closed a conversation."""
    item = {
        "type": "conversation",
        "id": talk.conversation.id,
        "contacts": {"type": "contact.list", "contacts": [{"type": "contact", "id": talk.contact.id}]},
    }
    raw = json.dumps(
        {
            "type": "notification_event",
            "id": f"notif_{talk.conversation.id}",
            "app_id": stage.intercom.workspace_id,
            "topic": "conversation.admin.closed",
            "created_at": int(time.time()),
            "data": {"type": "notification_event_data", "item": item},
        }
    ).encode()
    header = {"X-Hub-Signature": signatures.sign_hub(raw, stage.app.environment["INTERCOM_CLIENT_SECRET"])}
    with httpx.Client(trust_env=False, timeout=30) as client:
        answer = client.post(f"{stage.app.url}/webhooks/intercom", content=raw, headers=header)
    assert answer.status_code == 200


def row_of(stage: Stage, talk: Talk) -> Any:
    return next((row for row in stage.interviews() if row.contact_id == talk.contact.id), None)


def state_of(stage: Stage, talk: Talk) -> str | None:
    row = row_of(stage, talk)
    return row.state if row is not None else None


def plan(stage: Stage, *talks: Talk) -> None:
    rule = Rule(slug="later", title="L", event="conversation.admin.closed", enabled=True, delay=DELAY)
    with store.writing(stage.engine) as connection:
        rulestore.save(connection, rule)
    for talk in talks:
        close(stage, talk)
    until("they are planned", lambda: {state_of(stage, talk) for talk in talks} == {"planned"})


@pytest.mark.parametrize(
    ("database_url", "ended"),
    [
        pytest.param("postgresql", "killed", marks=pytest.mark.postgres),
        pytest.param("sqlite", "stopped"),
    ],
    indirect=["database_url"],
)
def test_a_planned_send_goes_out_once_after_its_worker_is_gone(stage: Stage, ended: str) -> None:
    worker = stage.start_worker()
    stage.wait_until_healthy()
    wanted, unwanted = stage.customer(), stage.customer()
    plan(stage, wanted, unwanted)
    if ended == "killed":
        stage.kill_worker(worker)
    else:
        # A restart, as at a deploy.
        worker.terminate()
        assert worker.wait(15) == 0
        stage.workers.remove(worker)
    assert state_of(stage, wanted) == "planned"
    stage.intercom.tag_contact(unwanted.contact, stage.intercom.ensure_tag(DO_NOT_ASK))
    for _ in range(2):
        stage.start_worker()
    until("it is sent", lambda: state_of(stage, wanted) == "sent")
    until("the other is not", lambda: state_of(stage, unwanted) == "skipped")
    stage.until_nothing_is_left_to_do()
    assert len(stage.links(wanted)) == 1
    assert stage.links(unwanted) == []
    with store.reading(stage.engine) as connection:
        found = {one.contact_id: one for one in connection.execute(sa.select(decisions))}
        this = deliveries.c.id == found[wanted.contact.id].delivery_id
        heard_at = connection.execute(sa.select(deliveries.c.received_at).where(this)).scalar_one()
    # The delay counts from when the event was heard of, which is before it was decided on.
    assert row_of(stage, wanted).sent_at - heard_at >= timedelta(seconds=DELAY)
    assert found[wanted.contact.id].verdict == "asked"
    assert (found[unwanted.contact.id].verdict, found[unwanted.contact.id].reason) == (
        "skipped",
        "do_not_ask",
    )


@on_sqlite
def test_a_worker_that_dies_while_it_begins_leaves_one_message(stage: Stage) -> None:
    worker = stage.start_worker()
    stage.wait_until_healthy()
    talk = stage.customer()
    fault = stage.spoil("koji", "POST", ".*/interviews/start", "latency", delay=3.0)
    plan(stage, talk)
    assert fault.reached.wait(30)
    stage.kill_worker(worker)
    stage.start_worker()
    until("it is sent", lambda: state_of(stage, talk) == "sent")
    stage.until_nothing_is_left_to_do()
    assert len(stage.links(talk)) == 1
