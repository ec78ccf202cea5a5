from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from canvas_app.errors import BodyRefused
from canvas_app.koji.events import KojiEvent, harmless, parse, plain_challenge
from tests.koji.forms import EXPECTED, KEYS, VALUES, WHOLE


def raw(obj: object) -> bytes:
    return json.dumps(obj).encode()


class TestKind:
    @pytest.mark.parametrize("key", ["event", "type", "event_type"])
    @pytest.mark.parametrize("prefix", ["interview.", "", "Interview."])
    @pytest.mark.parametrize("kind", ["completed", "analysis_ready", "quality_scored", "failed_quality_gate"])
    def test_interview_events(self, key: str, prefix: str, kind: str) -> None:
        body = raw({key: prefix + kind, "data": WHOLE})
        event = parse(body)
        assert (event.kind, event.name, event.result) == (kind, prefix + kind, EXPECTED)
        assert harmless(body) is None

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"  ",
            b"{}",
            raw({"event": "ping"}),
            raw({"type": "test"}),
            raw({"event": "webhook.test", "data": {}}),
            raw({"event": "endpoint.verification", "challenge": "abc"}),
            raw({"challenge": "abc"}),
            raw({"event": None}),
            raw({"event": ""}),
            raw({"hello": "world"}),
        ],
    )
    def test_set_up_pings(self, body: bytes) -> None:
        event = parse(body)
        assert event.kind == "ping"
        assert event.name in {"", "ping", "test", "webhook.test", "endpoint.verification"}
        assert harmless(body) == event

    @pytest.mark.parametrize("name", ["study.published", "report.generated", "interview.started", "x" * 500])
    def test_others(self, name: str) -> None:
        event = parse(raw({"event": name}))
        assert (event.kind, event.name) == ("other", name[:64])
        assert (harmless(raw({"event": name})) is None) is ("." in name)

    def test_an_interview_without_a_name_of_what_happened(self) -> None:
        event = parse(raw(WHOLE))
        assert (event.kind, event.name) == ("other", "")

    @pytest.mark.parametrize("body", [{"interview_id": "iv"}, {"sentiment": "positive"}])
    def test_half_an_interview_without_a_name_is_a_ping(self, body: dict[str, Any]) -> None:
        event = parse(raw(body))
        assert (event.kind, event.name) == ("ping", "")

    def test_a_general_word_beside_the_exact_one(self) -> None:
        assert parse(raw({"event": "event", "type": "interview.completed"})).kind == "completed"
        assert parse(raw({"event": {"type": "interview.completed"}})).kind == "completed"
        assert parse(raw({"event": {"name": "interview.completed"}})).kind == "completed"

    @pytest.mark.parametrize("body", [b"[]", b"null", b"event=interview.completed", b"\xff"])
    def test_unreadable(self, body: bytes) -> None:
        with pytest.raises(BodyRefused):
            parse(body)


class TestHarmless:
    """What may be answered with 200 whoever has sent it: nothing that is about an interview."""

    @pytest.mark.parametrize(
        "body",
        [
            raw({"event": "webhook.verify_endpoint"}),
            raw({"event": "handshake", "challenge": "abc"}),
            raw({"type": "webhook_verification", "id": "evt_1"}),
            raw({"id": "evt_1", "type": "webhook_verification", "data": {}}),
            raw({"event": "interviewer.created"}),
            b"ping",
            b"challenge=abc",
            b"[]",
            b"null",
            b"\xff",
            b"{",
        ],
    )
    def test_a_request_of_an_unforeseen_form(self, body: bytes) -> None:
        assert harmless(body) is not None

    def test_its_challenge_is_told(self) -> None:
        event = harmless(raw({"event": "handshake", "challenge": "abc"}))
        assert event is not None
        assert event.challenge == "abc"

    @pytest.mark.parametrize(
        "body",
        [
            raw({"event": "study.published"}),
            raw({"event": "Report_generated"}),
            raw({"event": "interview"}),
            raw({"event": "message", "type": "interview.archived"}),
            raw({"event": "response.finished", "data": {"interview_id": "iv"}}),
            raw({"event": "response.finished", "data": {"sentiment": "positive"}}),
            raw({"event": "response.finished", "metadata": {"interview_ref": "ref"}}),
            raw({"data": WHOLE}),
            raw([{"event": "interview.completed"}]),
            b"event=interview.completed",
            b'{"type": "analysis_ready", "type": "ping"}',
            b'{"event": "COMPLETED"',
            b"interview_id=iv",
            json.dumps({"event": "interview.analysis_ready"}).encode("utf-16"),
        ],
    )
    def test_what_is_about_an_interview_or_is_an_event_of_kojis_is_not(self, body: bytes) -> None:
        assert harmless(body) is None


class TestDelivery:
    @pytest.mark.parametrize(
        ("obj", "expected"),
        [
            ({"id": "evt_1", "data": {"interview_id": "iv"}}, "evt_1"),
            ({"id": "evt_1", "interview_id": "iv"}, "evt_1"),
            ({"id": "iv"}, None),
            ({"id": "iv", "delivery_id": "d"}, "d"),
            ({"event_id": "e", "id": "evt_1", "data": {}}, "e"),
            ({"id": "not an id", "data": {}}, None),
            # The subscription's, and the same for every delivery.
            ({"webhook_id": "wh_1", "data": {}}, None),
            ({}, None),
        ],
    )
    def test_id(self, obj: dict[str, Any], expected: str | None) -> None:
        assert parse(raw({"event": "completed", **obj})).delivery_id == expected


class TestChallenge:
    @pytest.mark.parametrize("value", ["abc", "a.B-9_~+/=", "x" * 200])
    @pytest.mark.parametrize("nested", [False, True])
    def test_a_plain_word(self, value: str, nested: bool) -> None:
        obj = {"challenge": value}
        assert parse(raw({"data": obj} if nested else obj)).challenge == value

    @pytest.mark.parametrize(
        "value", ["", "x" * 201, "<b>", "a b", "a\n", "caf\u00e9", 5, None, ["a"], {"a": "b"}]
    )
    def test_nothing_else_is_echoed(self, value: object) -> None:
        assert parse(raw({"challenge": value})).challenge is None
        assert plain_challenge(value) is None


def test_it_survives_json() -> None:
    event = parse(raw({"id": "evt_1", "event": "interview.analysis_ready", "data": WHOLE}))
    dumped = json.dumps(event.model_dump(mode="json"))
    assert KojiEvent.model_validate_json(dumped) == event
    assert event.delivery_id == "evt_1"


def storable(body: bytes) -> None:
    try:
        event = parse(body)
    except BodyRefused:
        return
    assert json.loads(json.dumps(event.model_dump(mode="json"), allow_nan=False))
    interview_kinds = {"completed", "analysis_ready", "quality_scored", "failed_quality_gate"}
    if event.kind in interview_kinds:
        assert harmless(body) is None
    if event.kind == "ping":
        assert harmless(body) == event


@given(st.binary())
def test_any_bytes(body: bytes) -> None:
    storable(body)


@given(
    st.dictionaries(
        st.one_of(KEYS, st.sampled_from(["event", "type", "event_type", "challenge"])),
        st.one_of(VALUES, st.sampled_from(["interview.completed", "analysis_ready", "ping"])),
    )
)
def test_any_json(obj: dict[str, Any]) -> None:
    # Huge whole numbers cannot be written as JSON text by Python either.
    try:
        body = raw(obj)
    except ValueError:
        body = b'{"n":' + b"9" * 5000 + b"}"
    storable(body)
