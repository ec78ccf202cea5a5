from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from canvas_app.canvas import request
from canvas_app.canvas.request import Admin, CanvasRequest, Contact
from canvas_app.errors import BodyRefused

ADMIN = {"type": "admin", "id": "814860", "name": "Sam Okafor", "email": "sam@example.com", "team_ids": []}
CONTACT = {
    "type": "contact",
    "id": "5ba682d23d7cf92bef87bfd4",
    "role": "user",
    "name": "Ana Lopez",
    "email": "ana@example.com",
    "phone": None,
}
INITIALIZE: dict[str, Any] = {
    "workspace_id": "abcd123",
    "workspace_region": "EU",
    "admin": ADMIN,
    "conversation": {"type": "conversation", "id": "215469", "contacts": {"contacts": [{"id": "first"}]}},
    "contact": CONTACT,
}
SUBMIT: dict[str, Any] = {
    **INITIALIZE,
    "component_id": "send",
    "input_values": {"personal_line": "Great to talk to you!"},
    "current_canvas": {"content": {"components": []}, "stored_data": {"nonce": "n-1"}},
}


def parse(payload: object) -> CanvasRequest:
    return CanvasRequest.parse(json.dumps(payload).encode())


def outcome(raw: bytes) -> CanvasRequest | str:
    """Return the request, or the reason why there is none."""
    try:
        return CanvasRequest.parse(raw)
    except BodyRefused as error:
        return error.reason


def refusal(raw: bytes) -> BodyRefused:
    with pytest.raises(BodyRefused) as caught:
        CanvasRequest.parse(raw)
    return caught.value


class TestParse:
    def test_initialize(self) -> None:
        assert parse(INITIALIZE) == CanvasRequest(
            workspace_id="abcd123",
            admin=Admin(id="814860", name="Sam Okafor"),
            conversation_id="215469",
            contact=Contact(
                id="5ba682d23d7cf92bef87bfd4", name="Ana Lopez", email="ana@example.com", role="user"
            ),
        )

    def test_submit(self) -> None:
        request = parse(SUBMIT)
        assert request.component_id == "send"
        assert request.input_values == {"personal_line": "Great to talk to you!"}
        assert request.stored_data == {"nonce": "n-1"}

    @pytest.mark.parametrize("nothing", [None, "", {}, [], 0, False, "odd", 7])
    def test_only_the_workspace_has_to_be_named(self, nothing: object) -> None:
        fields = dict.fromkeys(SUBMIT, nothing) | {
            "context": nothing,
            "customer": nothing,
            "stored_data": nothing,
        }
        request = parse(fields | {"workspace_id": "abcd123", "component_id": None})
        assert request == CanvasRequest(workspace_id="abcd123")

    def test_the_contact_of_the_request_is_the_selected_participant(self) -> None:
        selected = parse(INITIALIZE).contact
        assert selected is not None
        assert selected.id == CONTACT["id"]

    @pytest.mark.parametrize("contact", [None, {}, "odd"])
    def test_the_contact_s_old_name_is_read_too(self, contact: object) -> None:
        assert (
            parse({**INITIALIZE, "contact": contact, "customer": CONTACT}).contact
            == parse(INITIALIZE).contact
        )

    def test_the_contact_s_new_name_comes_first(self) -> None:
        request = parse({**INITIALIZE, "customer": {"id": "other"}})
        assert request.contact == parse(INITIALIZE).contact

    def test_what_describes_a_person_may_be_missing_or_odd(self) -> None:
        contact = {"id": "c-1", "name": None, "email": "", "role": ["user"]}
        request = parse({**INITIALIZE, "contact": contact, "admin": {"id": 814860, "name": {}}})
        assert request.contact == Contact(id="c-1")
        assert request.admin == Admin(id="814860")

    @pytest.mark.parametrize(
        ("known", "language"),
        [
            ({"language_override": "de", "browser_language": "en-US"}, "de"),
            ({"language_override": None, "browser_language": "pt_br"}, "pt-BR"),
            ({"language_override": "", "browser_locale": "fr"}, "fr"),
            ({"language_override": {"de": 1}, "language": "es-419"}, "es-419"),
            ({"language_override": "German", "browser_language": "it"}, "it"),
            ({"language": "<b>", "browser_language": 7}, None),
            ({}, None),
        ],
    )
    def test_the_contact_s_language_is_the_first_that_is_one(
        self, known: dict[str, object], language: str | None
    ) -> None:
        contact = parse({**INITIALIZE, "contact": {**CONTACT, **known}}).contact
        assert contact is not None
        assert contact.language == language

    @pytest.mark.parametrize(
        ("places", "found"),
        [
            ({"conversation": {"id": "12"}}, "12"),
            ({"conversation": {"id": 12}}, "12"),
            ({"conversation": {"id": "12"}, "context": {"conversation_id": "34"}}, "12"),
            ({"conversation": {"id": None}, "context": {"conversation_id": "34"}}, "34"),
            ({"conversation": None, "context": {"conversation_id": 34}}, "34"),
            ({"conversation": {"id": "9" * 15}}, "9" * 15),
            ({"conversation": {}, "context": {}}, None),
        ],
    )
    def test_conversation_id(self, places: dict[str, object], found: str | None) -> None:
        assert parse({**INITIALIZE, **places}).conversation_id == found

    @pytest.mark.parametrize(
        ("top", "in_canvas", "found"),
        [
            ({"a": 1}, {"b": 2}, {"a": 1}),
            ({}, {"b": 2}, {"b": 2}),
            (None, {"b": 2}, {"b": 2}),
            ("odd", ["odd"], {}),
            ({"a": {"b": [None, 1.5]}}, None, {"a": {"b": [None, 1.5]}}),
        ],
    )
    def test_stored_data(self, top: object, in_canvas: object, found: dict[str, object]) -> None:
        payload = {**SUBMIT, "stored_data": top, "current_canvas": {"stored_data": in_canvas}}
        assert parse(payload).stored_data == found

    def test_odd_inputs_are_dropped(self) -> None:
        given_values = {
            "text": "hi",
            "empty": "",
            "checkbox": ["1", "2"],
            "none chosen": [],
            "null": None,
            "number": 3,
            "flag": True,
            "object": {"a": "b"},
            "mixed": ["1", 2],
        }
        kept = {"text": "hi", "empty": "", "checkbox": ["1", "2"], "none chosen": []}
        assert parse({**SUBMIT, "input_values": given_values}).input_values == kept

    def test_what_a_database_cannot_store_is_taken_out(self) -> None:
        odd = "A\0n\ud800a"
        request = parse(
            {
                **SUBMIT,
                "contact": {"id": "c-1", "name": odd, "email": "\0"},
                "component_id": odd,
                "input_values": {odd: [odd]},
                "stored_data": {odd: {"a": [odd, 1]}},
            }
        )
        assert request.contact == Contact(id="c-1", name="Ana")
        assert request.component_id == "Ana"
        assert request.input_values == {"Ana": ["Ana"]}
        assert request.stored_data == {"Ana": {"a": ["Ana", 1]}}


class TestRefusals:
    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"{",
            b"null",
            b"[]",
            b'"text"',
            b"workspace_id=abcd123",
            b'{"workspace_id": "abcd123", "n": NaN}',
            b'{"workspace_id": "abcd123", "n": -Infinity}',
            b'{"workspace_id": "abcd\xff"}',
            json.dumps(INITIALIZE).encode("utf-16"),
            b"\xef\xbb\xbf" + json.dumps(INITIALIZE).encode(),
            b'{"n":' + b"9" * 5000 + b"}",
            b"[" * 100_000,
            b'{"workspace_id": "abcd123", "stored_data": ' + b'{"a":' * 100_000,
        ],
        ids=lambda raw: repr(raw[:24]),
    )
    def test_no_json_object_in_utf_8(self, raw: bytes) -> None:
        assert refusal(raw).reason == "body_unreadable"

    @pytest.mark.parametrize("depth", [100, 400, 600, 800])
    def test_depth_is_refused_or_read_but_never_an_error(self, depth: int) -> None:
        nested = '{"a":' * depth + "1" + "}" * depth
        raw = f'{{"workspace_id": "abcd123", "stored_data": {nested}}}'.encode()
        result = outcome(raw)
        assert result == "body_unreadable" or (isinstance(result, CanvasRequest) and result.stored_data)

    @pytest.mark.parametrize(
        "change",
        [
            {"workspace_id": None},
            {"workspace_id": ""},
            {"contact": {"name": "Ana"}},
            {"contact": {"id": None, "name": "Ana"}},
            {"admin": {"name": "Sam"}},
        ],
    )
    def test_somebody_without_an_id(self, change: dict[str, object]) -> None:
        assert refusal(json.dumps({**INITIALIZE, **change}).encode()).reason == "body_incomplete"

    def test_no_workspace(self) -> None:
        error = refusal(b"{}")
        assert error.reason == "body_incomplete"
        assert str(error) == "workspace_id is missing."

    @pytest.mark.parametrize(
        "odd", ["../me", "a/b", "a b", "é", "1" * 65, "12\n", "\ud800", True, 1.5, ["1"], {"a": 1}]
    )
    def test_an_id_of_another_shape(self, odd: object) -> None:
        for change in (
            {"workspace_id": odd},
            {"contact": {"id": odd}},
            {"admin": {"id": odd}},
            {"conversation": {"id": odd}},
            {"conversation": None, "context": {"conversation_id": odd}},
        ):
            assert refusal(json.dumps({**INITIALIZE, **change}).encode()).reason == "id_malformed"

    @pytest.mark.parametrize("odd", ["abc", "1-2", "-1", -1, "1" * 16, 10**15, "１２"])  # noqa: RUF001 - not our digits.
    def test_a_conversation_id_is_a_number(self, odd: object) -> None:
        assert (
            refusal(json.dumps({**INITIALIZE, "conversation": {"id": odd}}).encode()).reason == "id_malformed"
        )

    def test_an_error_repeats_no_value(self) -> None:
        error = refusal(json.dumps({**INITIALIZE, "contact": {**CONTACT, "id": "ana@example.com"}}).encode())
        assert str(error) == "contact.id is not an id as Intercom makes them."
        assert error.__context__ is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


# What JSON is made of, and what some readers take for it and others do not.
NEARLY_JSON = [
    *(
        b'"',
        b"\\",
        b"\\u",
        b"d83d",
        b"de00",
        b"\\ud800",
        b"\\/",
        b"\\x41",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
    ),
    *(b'"a":1,', b'"b":', b'"text"', b"null", b"true", b"tru", b"NaN", b"Infinity", b"nan", b"//", b"'a'"),
    *(b"-", b"+", b".", b"e", b"0", b"01", b"-0.0", b"1e999", b"1e-999", b"0.1", b"9" * 20, b"9" * 4300),
    *(b"9" * 4301, b"1_0", b"0x1", b" ", b"\n", b"\t", b"\x0b", b"\x0c", b"\0", b"\x7f", b"\xa0", b"\xff"),
    *(b"\xc3\xa9", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf"),
    *(b"[" * 150, b"]" * 150, b"[" * 210 + b"]" * 210),
]


def as_python_reads(raw: bytes) -> str:
    try:
        return repr(json.loads(raw.decode(), parse_constant=request._refuse_constant))
    except ValueError:
        return "refused"


def as_read(raw: bytes) -> str:
    try:
        return repr(request._read(raw))
    except ValueError:
        return "refused"


class TestAnything:
    @given(JSON, st.booleans())
    def test_both_readers_read_the_same(self, value: object, ascii_only: bool) -> None:
        raw = json.dumps({"a": value}, ensure_ascii=ascii_only).encode(errors="ignore")
        assert as_read(raw) == as_python_reads(raw) != "refused"

    @settings(max_examples=1000)
    @given(st.lists(st.sampled_from(NEARLY_JSON), max_size=6).map(b"".join))
    def test_both_readers_refuse_the_same(self, nearly: bytes) -> None:
        for raw in (nearly, b"[%b]" % nearly, b'{"a":%b}' % nearly, b'["%b"]' % nearly):
            assert as_read(raw) == as_python_reads(raw)

    @given(st.binary())
    def test_bytes_are_read_or_refused(self, raw: bytes) -> None:
        assert refusal(raw).reason in {"body_unreadable", "body_incomplete", "id_malformed"}

    @given(
        st.fixed_dictionaries(
            {}, optional=dict.fromkeys([*SUBMIT, "customer", "context", "stored_data"], JSON)
        )
    )
    def test_values_are_read_or_refused(self, fields: dict[str, object]) -> None:
        result = outcome(json.dumps({**SUBMIT, **fields}).encode())
        assert (
            result in {"body_incomplete", "id_malformed"}
            if isinstance(result, str)
            else json.dumps(asdict(result), ensure_ascii=False).encode()
        )
