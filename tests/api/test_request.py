"""What is read from a body, and what a person is told about what cannot be used."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from canvas_app.api import request as reading
from canvas_app.errors import BodyRefused, FieldsRefused
from canvas_app.interviews.requested import Requested
from tests.api.caller import connected, refusal
from tests.support.world import CONTACT, CONVERSATION, World


def parse(**fields: Any) -> Requested:
    return reading.parse(json.dumps(fields).encode(), "application/json")


def refused(**fields: Any) -> str:
    with pytest.raises(FieldsRefused) as caught:
        parse(**fields)
    return str(caught.value)


def test_the_least_that_is_needed() -> None:
    assert parse(contact_id=CONTACT) == Requested(CONTACT, None, None, "default", "none")
    assert parse(email="Mia@Example.com ") == Requested(None, "mia@example.com", None, "default", "none")


@pytest.mark.parametrize(
    ("given_way", "conversation_id", "way"),
    [
        (None, None, "none"),
        (None, CONVERSATION, "conversation"),
        ("", CONVERSATION, "conversation"),
        ("none", CONVERSATION, "none"),
        ("message", None, "message"),
        (" Attribute ", None, "attribute"),
        ("CONVERSATION", CONVERSATION, "conversation"),
    ],
)
def test_nothing_is_sent_unless_there_is_a_conversation_or_a_word(
    given_way: str | None, conversation_id: str | None, way: str
) -> None:
    found = parse(contact_id=CONTACT, conversation_id=conversation_id, deliver=given_way)
    assert found.deliver == way


def test_numbers_may_come_as_text_and_texts_as_numbers() -> None:
    expected = Requested("42", None, "501", "s1", "conversation", timedelta(hours=1))
    assert parse(contact_id=42, conversation_id=501, study="s1", delay=3600) == expected
    assert parse(contact_id="42", conversation_id="501", study=" s1 ", delay="3600") == expected
    assert parse(contact_id="42", conversation_id="501", study="s1", delay=3600.0) == expected
    assert parse(contact_id="42", conversation_id="501", study="s1", delay="3600.0") == expected


@pytest.mark.parametrize("absent", ["", "  ", None])
def test_an_empty_field_is_a_missing_one(absent: str | None) -> None:
    found = parse(
        contact_id=CONTACT, email=absent, conversation_id=absent, study=absent, deliver=absent, delay=absent
    )
    assert found == parse(contact_id=CONTACT)


def test_what_says_nothing_about_a_person_may_stand_in_the_address() -> None:
    body = json.dumps({"contact_id": CONTACT, "study": "s1"}).encode()
    query = [("deliver", "attribute"), ("delay", "60"), ("study", "s2"), ("other", "x"), ("delay", "")]
    found = reading.parse(body, "application/json", query)
    assert found == parse(contact_id=CONTACT, study="s1", deliver="attribute", delay=60)
    # The body counts for more.
    again = reading.parse(json.dumps({"contact_id": CONTACT, "deliver": "none"}).encode(), "", query)
    assert (again.deliver, again.study) == ("none", "s2")


def test_nobody_is_named_in_the_address() -> None:
    with pytest.raises(FieldsRefused, match="contact_id"):
        reading.parse(b"{}", "application/json", [("contact_id", CONTACT), ("email", "mia@example.com")])


def test_what_stands_in_the_address_twice_or_wrong_is_refused() -> None:
    body = json.dumps({"contact_id": CONTACT}).encode()
    with pytest.raises(FieldsRefused, match="more than once"):
        reading.parse(body, "application/json", [("study", "s1"), ("study", "s2")])
    with pytest.raises(FieldsRefused, match="deliver must be one of"):
        reading.parse(body, "application/json", [("deliver", "pigeon")])


def test_no_delay_is_no_delay() -> None:
    assert parse(contact_id=CONTACT, delay=0).delay is None
    assert parse(contact_id=CONTACT, delay="0").delay is None


def test_what_is_not_known_is_passed_over() -> None:
    assert parse(contact_id=CONTACT, name="Mia", company={"id": 1}, tags=[]) == parse(contact_id=CONTACT)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"contact_id": "mia@example.com"}, "contact_id must be the id that Intercom gives"),
        ({"contact_id": "{{contact.id}}"}, "contact_id must be"),
        ({"contact_id": ["x"]}, "contact_id must be a text"),
        ({"contact_id": True}, "contact_id must be a text"),
        ({"contact_id": "x" * 65}, "contact_id must be"),
        ({"email": "mia"}, "email must be one e-mail address"),
        ({"email": "mia@x.de, bo@x.de"}, "email must be one e-mail address"),
        ({"email": "mia\u0000@x.de"}, "email must be one e-mail address"),
        ({"email": "mia\ud800@x.de"}, "email must be one e-mail address"),
        ({"email": "a" * 250 + "@x.de"}, "email must be one e-mail address"),
        ({"contact_id": "1", "email": "mia@x.de"}, "not both"),
        ({"contact_id": "1", "conversation_id": "last"}, "conversation_id must be the number"),
        ({"contact_id": "1", "conversation_id": "1" * 16}, "conversation_id must be the number"),
        ({"contact_id": "1", "conversation_id": 1.5}, "conversation_id must be a text"),
        ({"contact_id": "1", "study": "my study"}, "study must be the short name"),
        ({"contact_id": "1", "deliver": "email"}, "one of conversation, message, attribute, none"),
        ({"contact_id": "1", "deliver": "conversation"}, "conversation_id is needed as well"),
        ({"contact_id": "1", "delay": -1}, "delay must be a whole number of seconds from 0 to 7776000"),
        ({"contact_id": "1", "delay": "1h"}, "delay must be a whole number"),
        ({"contact_id": "1", "delay": 1.5}, "delay must be a whole number"),
        ({"contact_id": "1", "delay": True}, "delay must be a whole number"),
        ({"contact_id": "1", "delay": 7_776_001}, "(90 days)"),
        ({"contact_id": "1", "delay": "9" * 30}, "(90 days)"),
        ({}, "contact_id (Intercom's id of the contact) or email is missing"),
        ({"contact_id": ""}, "is missing or empty"),
        ({"Contact": "1", "e-mail": "x"}, "These fields have come: Contact, e-mail."),
    ],
)
def test_what_is_wrong_is_said_for_a_person(fields: dict[str, Any], told: str) -> None:
    message = refused(**fields)
    assert told in message
    assert message.endswith(".")


def test_every_mistake_is_told_at_once_and_no_value_is_repeated() -> None:
    message = refused(
        contact_id="planted one", deliver="planted two", delay="planted three", study="pl anted"
    )
    assert all(f"{name} must be" in message for name in ("contact_id", "deliver", "delay", "study"))
    assert "planted" not in message


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "body_missing"),
        (b"  \n", "body_missing"),
        (b"{", "body_unreadable"),
        (b'{"contact_id": NaN}', "body_unreadable"),
        (b"[]", "body_unreadable"),
        (b'"contact"', "body_unreadable"),
        (b"\xff\xfe{}", "body_unreadable"),
        (b'{"a":' * 100_000, "body_unreadable"),
        (b'{"contact_id": ' + b"1" * 5000 + b"}", "body_unreadable"),
        (b"contact_id=1", "body_unreadable"),
    ],
)
def test_a_body_that_is_not_json(raw: bytes, reason: str) -> None:
    with pytest.raises(BodyRefused) as caught:
        reading.parse(raw, "application/json")
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("raw", "content_type"),
    [
        (b'{"contact_id": "a1", "contact_id": "b2"}', "application/json"),
        (b'{"contact_id": "a1", "x": 1, "x": 2, "contact_id": ["b2"]}', "application/json"),
        (b"contact_id=a1&x=1&contact_id=b2", "application/x-www-form-urlencoded"),
    ],
)
def test_a_field_that_comes_twice_and_differs_is_refused(
    sqlite_world: World, raw: bytes, content_type: str
) -> None:
    """Nobody can know which of two customers is meant."""
    answer = connected(sqlite_world).send(raw, content_type=content_type)
    assert refusal(answer) == (422, "fields_invalid")
    assert "contact_id is there more than once, with different values." in answer.get_json()["message"]


def test_a_field_that_comes_twice_and_is_the_same_does_no_harm(sqlite_world: World) -> None:
    caller = connected(sqlite_world)
    form = "application/x-www-form-urlencoded"
    assert (
        caller.send(b"contact_id=a1&contact_id=a1&contact_id=&x=1&x=2", content_type=form).status_code == 201
    )
    raw = b'{"contact_id": "b2", "x": {"contact_id": "a"}, "contact_id": "b2"}'
    assert caller.send(raw, content_type="application/json").status_code == 201


def test_a_byte_order_mark_does_no_harm() -> None:
    raw = b"\xef\xbb\xbf" + json.dumps({"contact_id": CONTACT}).encode()
    assert reading.parse(raw, "application/json") == parse(contact_id=CONTACT)


@given(
    st.dictionaries(
        st.sampled_from(reading.FIELDS),
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text())),
    )
)
def test_whatever_comes_is_read_or_refused(fields: dict[str, Any]) -> None:
    try:
        found = parse(**fields)
    except (FieldsRefused, BodyRefused):
        return
    assert (found.contact_id is None) != (found.email is None)
    assert found.deliver != "conversation" or found.conversation_id


@pytest.mark.parametrize("key", ["a", "x" * 200, "order 7 / mia", "{}"])
def test_a_key_is_printable_and_short(key: str) -> None:
    assert reading.idempotency_key(key) == key


@pytest.mark.parametrize("key", [None, "", "  "])
def test_no_key(key: str | None) -> None:
    assert reading.idempotency_key(key) is None


@pytest.mark.parametrize("key", ["x" * 201, "a\tb", "é", "a\x00"])
def test_a_key_that_cannot_be_used(key: str) -> None:
    with pytest.raises(FieldsRefused) as caught:
        reading.idempotency_key(key)
    assert caught.value.reason == "idempotency_key_invalid"


class TestForms:
    """What a tool without code sends in place of JSON."""

    def test_a_form(self, sqlite_world: World) -> None:
        caller = connected(sqlite_world)
        form = {"contact_id": CONTACT, "conversation_id": "", "deliver": "message", "delay": "60", "x": "y"}
        answer = caller.send(form)
        assert (answer.status_code, answer.get_json()["status"]) == (201, "planned")
        assert sqlite_world.interview().deliver == "message"

    def test_a_form_in_parts(self, sqlite_world: World) -> None:
        caller = connected(sqlite_world)
        form = {"email": "mia@example.com", "deliver": "none"}
        answer = caller.send(form, content_type="multipart/form-data; boundary=b")
        assert answer.status_code == 201
        assert sqlite_world.interview().contact_email == "mia@example.com"

    def test_json_that_calls_itself_a_form_or_nothing(self, sqlite_world: World) -> None:
        caller = connected(sqlite_world)
        raw = json.dumps({"contact_id": CONTACT}).encode()
        assert caller.send(raw, content_type="application/x-www-form-urlencoded").status_code == 201
        assert caller.send(raw, content_type="text/plain").status_code == 200
        assert caller.send(raw).status_code == 200

    def test_an_empty_form_says_what_is_missing(self, sqlite_world: World) -> None:
        caller = connected(sqlite_world)
        answer = caller.send(b"", content_type="application/x-www-form-urlencoded")
        assert refusal(answer) == (422, "fields_invalid")
        broken = caller.send(b"--nothing", content_type="multipart/form-data; boundary=b")
        assert refusal(broken) == (422, "fields_invalid")

    @pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded"])
    def test_a_body_over_a_megabyte_is_refused(self, sqlite_world: World, content_type: str) -> None:
        caller = connected(sqlite_world)
        answer = caller.send(b"contact_id=" + b"1" * 1024 * 1024, content_type=content_type)
        assert refusal(answer) == (413, "body_too_large")
