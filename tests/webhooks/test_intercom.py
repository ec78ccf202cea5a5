from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from canvas_app import store
from canvas_app.intercom import signatures
from canvas_app.interviews.tables import deliveries
from tests.support.world import CLIENT_SECRET, World

PATH = "/webhooks/intercom"
NOTIFICATION: dict[str, Any] = {
    "type": "notification_event",
    "id": "notif_1",
    "app_id": "ws1",
    "topic": "conversation.admin.closed",
    "created_at": 1780000000,
    "data": {"type": "notification_event_data", "item": {"source": {"body": "planted words"}}},
}


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


def deliver(world: World, body: dict[str, Any]) -> TestResponse:
    raw = json.dumps(body).encode()
    header = {"X-Hub-Signature": signatures.sign_hub(raw, CLIENT_SECRET)}
    return world.app.test_client().post(PATH, data=raw, headers=header)


def stored(world: World) -> list[Any]:
    with store.reading(world.engine) as connection:
        return list(connection.execute(sa.select(deliveries)).all())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_address_may_be_looked_at(world: World, method: str) -> None:
    answer = world.app.test_client().open(PATH, method=method)
    assert answer.status_code == 200
    assert stored(world) == []


def test_a_topic_that_nobody_reacts_to_is_noted_and_nothing_follows_from_it(world: World) -> None:
    answer = deliver(world, NOTIFICATION | {"topic": "conversation.user.replied"})
    assert (answer.status_code, answer.get_json()) == (200, {"status": "stored"})
    [row] = stored(world)
    assert (row.door, row.event, row.state, row.reason) == (
        "intercom",
        "conversation.user.replied",
        "ignored",
        "unknown_topic",
    )
    assert row.content is None
    assert row.finished_at == row.received_at
    assert "planted" not in repr(row)
    assert world.pending() == []


def test_one_that_a_rule_may_be_about_is_stored_with_its_job(world: World) -> None:
    answer = deliver(world, NOTIFICATION)
    assert (answer.status_code, answer.get_json()) == (200, {"status": "stored"})
    [row] = stored(world)
    assert (row.door, row.event, row.state, row.reason) == (
        "intercom",
        "conversation.admin.closed",
        "stored",
        None,
    )
    assert "planted" not in repr(row)
    assert world.pending() == [("react", 0.0)]


def test_the_row_and_its_job_are_written_together_or_not_at_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("canvas_app.engine.Jobs.enqueue", fail)
        assert deliver(world, NOTIFICATION).status_code == 500
    assert stored(world) == []
    assert deliver(world, NOTIFICATION).get_json() == {"status": "stored"}


def test_a_notification_that_comes_again_is_noted_once(world: World) -> None:
    statuses = [deliver(world, NOTIFICATION | {"delivery_attempts": number}) for number in (1, 2)]
    assert [answer.get_json()["status"] for answer in statuses] == ["stored", "seen_before"]
    assert len(stored(world)) == 1


def test_the_same_id_in_another_workspace_is_another_notification(world: World) -> None:
    for changes in ({}, {"app_id": "ws2"}, {"id": "notif_2"}):
        assert deliver(world, NOTIFICATION | changes).get_json() == {"status": "stored"}
    assert len(stored(world)) == 3


@pytest.mark.parametrize("id_", [None, "notif_ping"])
def test_a_ping_has_no_effect(world: World, id_: str | None) -> None:
    answer = deliver(world, NOTIFICATION | {"topic": "ping", "id": id_})
    assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})
    assert stored(world) == []


def test_an_unsigned_ping_is_refused_once_there_is_a_secret(world: World) -> None:
    answer = world.app.test_client().post(PATH, json=NOTIFICATION | {"topic": "ping"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"id": None}, "body_incomplete"),
        ({"topic": None}, "body_unreadable"),
        ({"app_id": None}, "body_unreadable"),
        ({"topic": ["x"]}, "body_unreadable"),
        ({"topic": ""}, "body_unreadable"),
        ({"topic": "x" * 65}, "body_unreadable"),
        ({"topic": "conversation\nforged"}, "body_unreadable"),
        ({"topic": "conversation\0"}, "body_unreadable"),
        ({"app_id": "wörk"}, "body_unreadable"),
        ({"id": "x" * 101}, "body_unreadable"),
        ({"id": "a b"}, "body_unreadable"),
    ],
)
def test_a_notification_without_its_names_is_refused(
    world: World, changes: dict[str, Any], code: str
) -> None:
    answer = deliver(world, NOTIFICATION | changes)
    # Never 410: Intercom would end the subscription.
    assert (answer.status_code, answer.get_json()["error"]) == (400, code)
    assert stored(world) == []


def test_the_longest_names_fit(world: World) -> None:
    longest = {"id": "i" * 100, "app_id": "a" * 64, "topic": "t" * 64}
    assert deliver(world, NOTIFICATION | longest).status_code == 200
    [row] = stored(world)
    assert row.dedupe_key == "a" * 64 + ":" + "i" * 100
