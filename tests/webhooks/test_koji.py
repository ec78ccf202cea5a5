from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from werkzeug.test import TestResponse

from canvas_app import create_app, hmacs, store
from canvas_app.interviews.tables import deliveries
from canvas_app.koji import signatures
from tests.support.world import KOJI_ID, KOJI_SECRET, World, full_settings

PATH = "/webhooks/koji"
DATA = {"interview_id": KOJI_ID, "sentiment": "negative", "quality_score": 4, "themes": ["Pricing"]}
EVENT: dict[str, Any] = {"event": "interview.analysis_ready", "data": DATA}


@pytest.fixture
def world(sqlite_world: World) -> World:
    return sqlite_world


def deliver(world: World, body: object, **headers: str) -> TestResponse:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return world.app.test_client().post(PATH, data=raw, headers=headers)


def signed(body: object) -> dict[str, str]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return {"X-Koji-Signature": signatures.sign(raw, KOJI_SECRET)}


def stored(world: World) -> list[Any]:
    with store.reading(world.engine) as connection:
        return list(connection.execute(sa.select(deliveries).order_by(deliveries.c.received_at)).all())


class TestSettingUp:
    """Saving the address makes Koji send a request of unknown form that must be answered with 200."""

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_the_address_may_be_looked_at(self, world: World, method: str) -> None:
        assert world.app.test_client().open(PATH, method=method).status_code == 200

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"  \n",
            b"{}",
            b'{"type": "ping"}',
            b'{"event": "test"}',
            b'{"event": "webhook.test", "data": {}}',
            b'{"event_type": "verification"}',
            b'{"type": "url_verification", "challenge": "c4-ll_enge"}',
            b'{"challenge": "c4-ll_enge"}',
            b'{"event": null, "data": null}',
        ],
    )
    @pytest.mark.parametrize("with_signature", [False, True], ids=["unsigned", "signed"])
    def test_a_request_that_names_no_event_is_answered_and_has_no_effect(
        self, world: World, body: bytes, with_signature: bool
    ) -> None:
        answer = deliver(world, body, **(signed(body) if with_signature else {}))
        assert answer.status_code == 200
        challenge = {"challenge": "c4-ll_enge"} if b"challenge" in body else {}
        assert answer.get_json() == {"status": "ok"} | challenge
        assert stored(world) == []
        assert world.pending() == []

    @pytest.mark.parametrize(
        "body",
        [
            b'{"event": "webhook.verify_endpoint"}',
            b'{"event": "handshake", "challenge": "c4-ll_enge"}',
            b'{"type": "webhook_verification"}',
            b"ping",
            b"challenge=abc",
            b"[]",
        ],
    )
    def test_a_request_of_an_unforeseen_form_is_answered_without_a_signature(
        self, world: World, body: bytes
    ) -> None:
        answer = deliver(world, body)
        assert answer.status_code == 200
        assert answer.get_json().get("challenge") == ("c4-ll_enge" if b"c4-ll" in body else None)
        assert stored(world) == []
        unset = full_settings(world.settings.database_url, koji_webhook_secret="")
        assert create_app(unset).test_client().post(PATH, data=body).status_code == 200

    @pytest.mark.parametrize(
        "body", [b"ping", b"challenge=abc", b"[]", b'{"event": "hi", "challenge": "abc"}']
    )
    def test_a_signed_one_is_answered_as_well_and_has_no_effect(self, world: World, body: bytes) -> None:
        assert deliver(world, body, **signed(body)).get_json()["status"] == "ok"
        assert stored(world) == []

    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize(
        ("challenge", "echoed"), [("c4-ll_enge", True), ("<script>", False), ("", False)]
    )
    def test_a_challenge_in_the_address_is_repeated_if_it_is_a_plain_word(
        self, world: World, method: str, challenge: str, echoed: bool
    ) -> None:
        answer = world.app.test_client().open(PATH, method=method, query_string={"challenge": challenge})
        assert answer.get_json() == {"status": "ok"} | ({"challenge": challenge} if echoed else {})

    @pytest.mark.parametrize("challenge", ["<script>", "a b", "x" * 201, 7, ["x"], ""])
    def test_a_challenge_that_is_no_plain_word_is_not_repeated(self, world: World, challenge: object) -> None:
        answer = deliver(world, {"challenge": challenge})
        assert (answer.status_code, answer.get_json()) == (200, {"status": "ok"})

    @pytest.mark.parametrize(
        "body",
        [
            {"event": "interview.completed", "data": {}},
            {"type": "analysis_ready"},
            {"event_type": "interview.quality_scored"},
            {"event": "INTERVIEW.ANALYSIS_READY"},
            {"event": {"type": "interview.analysis_ready"}},
            {"type": "ping", "event": "interview.analysis_ready"},
            {"type": "interview.analysis_ready", "event": "ping", "challenge": "x"},
            {"event": "study.published"},
            {"data": DATA},
            {"event": "handshake", "data": DATA},
            [{"event": "interview.analysis_ready", "data": DATA}],
        ],
        ids=lambda body: json.dumps(body)[:60],
    )
    def test_an_unsigned_event_is_refused_however_it_is_dressed(self, world: World, body: object) -> None:
        answer = deliver(world, body)
        assert answer.status_code == 401
        assert answer.get_json()["error"] == "signature_missing"
        assert stored(world) == []


def _timestamped(raw: bytes, at: float) -> str:
    moment = str(int(at))
    return f"t={moment},v1=" + hmacs.sha256(KOJI_SECRET.encode(), moment.encode() + b"." + raw).hex()


def _digest(raw: bytes) -> bytes:
    return hmacs.sha256(KOJI_SECRET.encode(), raw)


FORMS: dict[str, Callable[[bytes], str]] = {
    "hex": lambda raw: _digest(raw).hex(),
    "hex in capitals": lambda raw: _digest(raw).hex().upper(),
    "hex with a prefix": lambda raw: "sha256=" + _digest(raw).hex(),
    "base64": lambda raw: base64.b64encode(_digest(raw)).decode(),
    "url-safe base64": lambda raw: base64.urlsafe_b64encode(_digest(raw)).decode().rstrip("="),
    "hex with a prefix in capitals": lambda raw: "SHA256=" + _digest(raw).hex(),
    "with a time and a space": lambda raw: _timestamped(raw, time.time()).replace(",", ", "),
    "with a time": lambda raw: _timestamped(raw, time.time()),
    "with a time, beside an old scheme": lambda raw: _timestamped(raw, time.time()) + ",v0=abc",
}


class TestSignature:
    @pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
    def test_may_have_any_usual_form(self, world: World, form: Callable[[bytes], str]) -> None:
        raw = json.dumps(EVENT).encode()
        answer = deliver(world, raw, **{"X-Koji-Signature": form(raw)})
        assert (answer.status_code, answer.get_json()) == (200, {"status": "stored"})

    @pytest.mark.parametrize("off", [-400, 400])
    def test_with_a_time_that_is_long_ago_or_to_come_is_refused(self, world: World, off: float) -> None:
        raw = json.dumps(EVENT).encode()
        answer = deliver(world, raw, **{"X-Koji-Signature": _timestamped(raw, time.time() + off)})
        assert (answer.status_code, answer.get_json()["error"]) == (401, "signature_stale")
        assert stored(world) == []

    def test_stands_in_the_header_that_is_set(self, sqlite_url: str) -> None:
        settings = full_settings(sqlite_url, koji_signature_header="X-Webhook-Signature")
        client = create_app(settings).test_client()
        raw = json.dumps(EVENT).encode()
        signature = signatures.sign(raw, KOJI_SECRET)
        statuses = [
            client.post(PATH, data=raw, headers={header: signature}).status_code
            for header in ("X-Koji-Signature", "X-Webhook-Signature")
        ]
        assert statuses == [401, 200]


class TestEnvelope:
    @pytest.mark.parametrize(
        ("body", "name"),
        [
            (EVENT, "interview.analysis_ready"),
            ({"type": "analysis_ready", "payload": DATA}, "analysis_ready"),
            ({"event_type": "interview.completed", "data": DATA}, "interview.completed"),
            ({"event": "interview.quality_scored", **DATA}, "interview.quality_scored"),
            ({"event": {"type": "failed_quality_gate"}, "interview": {"id": KOJI_ID}}, "failed_quality_gate"),
        ],
        ids=lambda value: json.dumps(value)[:60],
    )
    def test_of_any_usual_form_is_stored_with_its_job(
        self, world: World, body: dict[str, Any], name: str
    ) -> None:
        assert deliver(world, body, **signed(body)).get_json() == {"status": "stored"}
        [row] = stored(world)
        assert (row.door, row.event, row.state, row.reason) == ("koji", name, "stored", None)
        assert row.content["result"]["koji_interview_id"] == KOJI_ID
        assert [job for job, _ in world.pending()] == ["forward"]

    def test_begins_with_a_byte_order_mark_where_it_must(self, world: World) -> None:
        raw = b"\xef\xbb\xbf" + json.dumps(EVENT).encode()
        assert deliver(world, raw, **signed(raw)).get_json() == {"status": "stored"}

    @pytest.mark.parametrize("name", ["study.published", "report.generated", "interview.archived"])
    def test_with_an_unknown_event_is_noted_and_nothing_follows(self, world: World, name: str) -> None:
        body = {"event": name, "data": DATA}
        assert deliver(world, body, **signed(body)).get_json() == {"status": "stored"}
        [row] = stored(world)
        assert (row.event, row.state, row.reason, row.content) == (name, "ignored", "unknown_event", None)
        assert row.finished_at is not None
        assert world.pending() == []

    def test_that_names_no_event_but_holds_a_result_is_noted_and_not_guessed_at(self, world: World) -> None:
        body = {"data": DATA}
        assert deliver(world, body, **signed(body)).status_code == 200
        [row] = stored(world)
        assert (row.event, row.state, row.reason) == ("", "ignored", "unknown_event")
        assert world.pending() == []

    def test_with_a_key_given_twice_is_refused(self, world: World) -> None:
        raw = b'{"event": "interview.analysis_ready", "event": "ping"}'
        answer = deliver(world, raw, **signed(raw))
        assert (answer.status_code, answer.get_json()["error"]) == (400, "body_unreadable")
