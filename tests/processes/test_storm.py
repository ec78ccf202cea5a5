"""A storm of events, five for each contact, over two web and two worker processes.

The long form is a thousand for two hundred: ``STORM_CONTACTS=200 pytest tests/processes/test_storm.py``.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from canvas_app import store
from canvas_app.intercom import signatures
from canvas_app.interviews import rulestore
from canvas_app.interviews.rulebook import DO_NOT_ASK, REASONS, Rule
from canvas_app.interviews.tables import decisions, deliveries, interviews
from sandbox.processes import App, free_port
from tests.processes.stage import Stage, Talk, until
from tests.support.databases import on_postgresql

pytestmark = pytest.mark.slow

CONTACTS = int(os.environ.get("STORM_CONTACTS", "60"))
# Of these nobody is to be asked: by a tag of theirs, by a tag of their conversation.
LEFT_OUT = {"do_not_ask": 5, "tag_present": 5}
TOPICS = ("conversation.admin.closed", "conversation.rating.added")
RULES = (
    Rule(slug="rated", title="Rated", event="conversation.rating.added", enabled=True),
    Rule.model_validate(
        {
            "slug": "closed",
            "title": "Closed",
            "event": "conversation.admin.closed",
            "enabled": True,
            "conditions": {"tag_not": "no interviews"},
        }
    ),
    Rule(slug="closed-too", title="Closed, too", event="conversation.admin.closed", enabled=True),
)


def events(stage: Stage, talks: list[Talk]) -> Iterator[bytes]:
    """Five events for each contact: three closings and two ratings, in turn, each with an id of its own."""
    for number in range(5):
        for talk in talks:
            contact = {"type": "contact", "id": talk.contact.id}
            item = {
                "type": "conversation",
                "id": talk.conversation.id,
                "contacts": {"type": "contact.list", "contacts": [contact]},
                "conversation_parts": {
                    "conversation_parts": [{"part_type": "close", "author": {"type": "admin", "id": "991"}}]
                },
            }
            yield json.dumps(
                {
                    "type": "notification_event",
                    "id": f"notif_{number}_{talk.contact.id}",
                    "app_id": stage.intercom.workspace_id,
                    "topic": TOPICS[number % 2],
                    "created_at": int(time.time()),
                    "data": {"type": "notification_event_data", "item": item},
                }
            ).encode()


@pytest.fixture
def second_web(stage: Stage, tmp_path: Path) -> Iterator[str]:
    """Another web process over the same database."""
    port = free_port()
    logs = tmp_path / "second"
    logs.mkdir()
    app = App(stage.app.environment, port=port, logs=logs)
    app.start("web")
    yield app.url
    app.kill("web")


def tag(stage: Stage, talks: list[Talk]) -> None:
    """Let some contacts, and some conversations, have tags that forbid asking."""
    never, unwanted = stage.intercom.ensure_tag(DO_NOT_ASK), stage.intercom.ensure_tag("no interviews")
    for talk in talks[: LEFT_OUT["do_not_ask"]]:
        stage.intercom.tag_contact(talk.contact, never)
    for talk in talks[5 : 5 + LEFT_OUT["tag_present"]]:
        stage.intercom.tag_conversation(talk.conversation, unwanted, "991")


# Several web processes and workers are for PostgreSQL.
@on_postgresql
def test_each_contact_is_asked_once_at_most_and_the_record_says_why_not_otherwise(
    stage: Stage, second_web: str
) -> None:
    for _ in range(2):
        stage.start_worker()
    stage.wait_until_healthy()
    with store.writing(stage.engine) as connection:
        for rule in RULES:
            rulestore.save(connection, rule)
    talks = [stage.customer() for _ in range(CONTACTS)]
    tag(stage, talks)
    addresses = [f"{url}/webhooks/intercom" for url in (stage.app.url, second_web)]
    secret = stage.app.environment["INTERCOM_CLIENT_SECRET"]
    with httpx.Client(trust_env=False, timeout=30) as client, ThreadPoolExecutor(8) as pool:

        def deliver(numbered: tuple[int, bytes]) -> bool:
            number, raw = numbered
            header = {"X-Hub-Signature": signatures.sign_hub(raw, secret)}

            def post() -> bool:
                return client.post(addresses[number % 2], content=raw, headers=header).status_code == 200

            # A database that is too busy for a moment is answered with 503, and Intercom tries again.
            until("it is stored", post)
            # Every tenth is delivered twice.
            return number % 10 != 0 or post()

        assert all(pool.map(deliver, enumerate(events(stage, talks))))
    until("everything is decided", lambda: decided(stage), within=100)
    stage.until_nothing_is_left_to_do()

    found = rows(stage, decisions)
    # Three closings with two rules each, and two ratings with one.
    assert len(found) == CONTACTS * (3 * 2 + 2)
    assert all(row.reason in REASONS for row in found if row.verdict == "skipped")
    by_person = Counter(row.contact_id for row in found if row.verdict == "asked")
    # The tag on the conversation keeps one rule from asking, and none of the others.
    assert len(by_person) == CONTACTS - LEFT_OUT["do_not_ask"]
    assert set(by_person.values()) == {1}
    assert {row.state for row in rows(stage, interviews)} == {"sent"}
    links = Counter(len(stage.links(talk)) for talk in talks)
    assert links == {0: LEFT_OUT["do_not_ask"], 1: CONTACTS - LEFT_OUT["do_not_ask"]}
    assert {row.reason for row in found} >= {"open_interview", "another_rule", "do_not_ask"}


def decided(stage: Stage) -> bool:
    with store.reading(stage.engine) as connection:
        query = sa.select(sa.func.count()).where(deliveries.c.state == "stored")
        return connection.execute(query).scalar_one() == 0


def rows(stage: Stage, table: sa.Table) -> list[Any]:
    with store.reading(stage.engine) as connection:
        return list(connection.execute(sa.select(table)))
