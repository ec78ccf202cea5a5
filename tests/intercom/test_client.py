"""What every call has in common: headers, time limits, and what becomes of each status and accident."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from email.utils import formatdate
from typing import TYPE_CHECKING

import httpx
import pytest
import requests
import responses

from canvas_app.errors import (
    ContactMerged,
    CredentialsError,
    LaterError,
    PermanentError,
    UnknownOutcomeError,
    WireError,
)
from canvas_app.http_outcomes import MOST_ANSWER_BYTES, make_http_client
from canvas_app.intercom.client import IntercomClient
from tests.intercom.calls import CALLS, Call, fails
from tests.intercom.conftest import BASE, NOW, TOKEN, error_list, sample
from tests.support.httpx_responses import ResponsesTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())


@every_call
class TestEveryCall:
    def test_headers(self, client: IntercomClient, intercom: responses.RequestsMock, call: Call) -> None:
        intercom.add(call.method, BASE + call.path, json=call.answer)
        call.make(client)
        headers = intercom.calls[0].request.headers
        assert headers["Authorization"] == f"Bearer {TOKEN}"
        assert headers["Intercom-Version"] == "2.16"
        assert headers["Accept"] == "application/json"
        assert headers["User-Agent"] == "koji-for-intercom"

    def test_all_covered(self, call: Call) -> None:
        public = {name for name in vars(IntercomClient) if not name.startswith("_")}
        assert public == set(CALLS)

    @pytest.mark.parametrize(
        ("status", "kind", "reason"),
        [
            (400, PermanentError, "intercom_refused"),
            (401, CredentialsError, "intercom_token_refused"),
            (403, CredentialsError, "intercom_scope_missing"),
            (409, PermanentError, "intercom_refused"),
            (422, PermanentError, "intercom_refused"),
            (429, LaterError, "rate_limited"),
        ],
    )
    def test_statuses(
        self,
        client: IntercomClient,
        intercom: responses.RequestsMock,
        call: Call,
        status: int,
        kind: type[WireError],
        reason: str,
    ) -> None:
        if status == 400 and call.path == "/data_attributes" and call.method == "POST":
            intercom.get(BASE + "/data_attributes", json={"data": []})
            intercom.post(BASE + call.path, status=400, json=error_list("a_code", "text"))
            with pytest.raises(PermanentError) as caught:
                call.make(client)
            error: WireError = caught.value
        else:
            error = fails(client, intercom, call, status=status, json=error_list("a_code", "joe@bloggs.com"))
        assert type(error) is kind
        assert error.reason == reason
        assert error.status == status
        assert error.request_id == "req-42"
        assert "a_code" in str(error)
        assert "joe@bloggs.com" not in str(error)

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_redirects_are_never_followed(
        self, client: IntercomClient, intercom: responses.RequestsMock, call: Call, status: int
    ) -> None:
        headers = {"Location": "https://elsewhere.example/"}
        error = fails(client, intercom, call, status=status, headers=headers)
        assert type(error) is PermanentError
        assert error.reason == "redirected"

    @pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
    def test_server_errors(
        self, client: IntercomClient, intercom: responses.RequestsMock, call: Call, status: int
    ) -> None:
        error = fails(client, intercom, call, status=status, body="<html>down</html>")
        assert type(error) is (LaterError if call.repeatable else UnknownOutcomeError)
        assert error.reason == "server_error"

    @pytest.mark.parametrize(
        "error", [httpx.ReadTimeout, httpx.WriteTimeout, httpx.RemoteProtocolError, httpx.ReadError]
    )
    def test_no_answer(
        self,
        client: IntercomClient,
        intercom: responses.RequestsMock,
        call: Call,
        error: type[Exception],
    ) -> None:
        found = fails(client, intercom, call, body=error("slow"))
        assert type(found) is (LaterError if call.repeatable else UnknownOutcomeError)
        assert found.reason == "no_answer"

    @pytest.mark.parametrize(
        "error", [requests.ConnectionError("no"), httpx.ConnectTimeout("no"), httpx.PoolTimeout("full")]
    )
    def test_unreachable(
        self, client: IntercomClient, intercom: responses.RequestsMock, call: Call, error: Exception
    ) -> None:
        found = fails(client, intercom, call, body=error)
        assert type(found) is LaterError
        assert found.reason == "unreachable"

    @pytest.mark.parametrize("status", [200, 400, 401, 402, 403, 404, 409, 410, 422])
    @pytest.mark.parametrize(
        "page",
        [
            {"body": "Please wait", "content_type": "text/html; charset=utf-8"},
            {"body": "\n<!doctype html><title>Please wait</title>", "content_type": "application/json"},
        ],
        ids=["by its type", "by its content"],
    )
    def test_a_page_for_people_is_no_answer_of_intercoms(
        self,
        client: IntercomClient,
        intercom: responses.RequestsMock,
        call: Call,
        page: dict[str, str],
        status: int,
    ) -> None:
        found = fails(client, intercom, call, status=status, **page)
        # A message is looked for then, and neither taken for sent nor sent again.
        assert type(found) is (LaterError if call.repeatable else UnknownOutcomeError)
        assert found.reason == "answer_unreadable"

    @pytest.mark.parametrize("body", ["", "[]", '{"unfinished'])
    def test_a_success_that_cannot_be_read(
        self, client: IntercomClient, intercom: responses.RequestsMock, call: Call, body: str
    ) -> None:
        if call.needs_answer:
            found = fails(client, intercom, call, body=body)
            assert type(found) is LaterError
            assert found.reason == "answer_unreadable"
        else:
            # It had its effect; for a reply, an error here would make somebody post it twice.
            intercom.add(call.method, BASE + call.path, body=body)
            assert call.make(client) in (None, True)

    def test_an_answer_that_is_too_large(
        self, client: IntercomClient, intercom: responses.RequestsMock, call: Call
    ) -> None:
        body = b" " * (MOST_ANSWER_BYTES + 1)
        if call.needs_answer:
            assert fails(client, intercom, call, body=body).reason == "answer_too_large"
        else:
            intercom.add(call.method, BASE + call.path, body=body)
            assert call.make(client) in (None, True)

    def test_not_found(self, client: IntercomClient, intercom: responses.RequestsMock, call: Call) -> None:
        if call.forgives_404:
            intercom.add(call.method, BASE + call.path, status=404, json=error_list("not_found"))
            assert not call.make(client)
        else:
            error = fails(client, intercom, call, status=404, json=error_list("not_found"))
            assert type(error) is PermanentError
            assert error.reason == "not_found"

    def test_gone(self, client: IntercomClient, intercom: responses.RequestsMock, call: Call) -> None:
        error = fails(
            client,
            intercom,
            call,
            status=410,
            json=sample("contact_merged.json"),
            headers={"Link": '</contacts/canonical-1>; rel="canonical"'},
        )
        if call.path.startswith("/contacts/"):
            assert isinstance(error, ContactMerged)
            assert error.canonical_id == "canonical-1"
        else:
            assert type(error) is PermanentError

    def test_a_plan_that_does_not_allow_it(
        self, client: IntercomClient, intercom: responses.RequestsMock, call: Call
    ) -> None:
        error = fails(client, intercom, call, status=403, json=error_list("api_plan_restricted"))
        assert type(error) is PermanentError
        assert error.reason == "intercom_plan_restricted"

    @pytest.mark.parametrize("token", ["", "two words", "line\nfeed", "caf\u00e9"])
    def test_a_token_that_cannot_be_sent(self, call: Call, token: str) -> None:
        with make_http_client(ResponsesTransport()) as http:
            client = IntercomClient(base_url=BASE, token=token, version="2.16", http=http)
            with pytest.raises(CredentialsError) as caught:
                call.make(client)
        assert caught.value.reason == "intercom_token_malformed"
        assert not token or token not in str(caught.value)


class TestRateLimit:
    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"X-RateLimit-Reset": str(int(NOW) + 8)}, 8),
            ({"X-RateLimit-Reset": str(int(NOW) - 8)}, 0),
            ({"X-RateLimit-Reset": str(int(NOW) + 10**6)}, 3600),
            ({"X-RateLimit-Reset": "soon"}, None),
            ({"X-RateLimit-Reset": "soon", "Retry-After": "4"}, 4),
            ({"X-RateLimit-Reset": str(int(NOW) + 8), "Retry-After": "4"}, 8),
            # By Intercom's own clock, which is two minutes behind ours.
            ({"X-RateLimit-Reset": str(int(NOW) - 112), "Date": formatdate(NOW - 120, usegmt=True)}, 8),
            ({"X-RateLimit-Reset": str(int(NOW) + 8), "Date": "today"}, 8),
            ({}, None),
        ],
    )
    def test_when_to_come_back(
        self,
        client: IntercomClient,
        intercom: responses.RequestsMock,
        headers: dict[str, str],
        seconds: float | None,
    ) -> None:
        error = fails(client, intercom, CALLS["me"], status=429, headers=headers)
        assert isinstance(error, LaterError)
        assert error.retry_after == seconds

    def test_a_fault_is_waited_for_as_long_as_it_says_and_not_until_the_window_of_the_limit_ends(
        self, client: IntercomClient, intercom: responses.RequestsMock
    ) -> None:
        headers = {"X-RateLimit-Reset": str(int(NOW) + 8), "Retry-After": "120"}
        error = fails(client, intercom, CALLS["me"], status=503, headers=headers)
        assert isinstance(error, LaterError)
        assert error.retry_after == 120


class TestErrorBodies:
    @pytest.mark.parametrize(
        "body",
        [
            "",
            "[]",
            "{}",
            '{"errors": null}',
            '{"errors": [null, {"code": 5}, {"code": "Bad Code!"}]}',
        ],
    )
    def test_any_body_will_do(
        self, client: IntercomClient, intercom: responses.RequestsMock, body: str
    ) -> None:
        error = fails(client, intercom, CALLS["update_contact"], status=400, body=body)
        assert type(error) is PermanentError
        assert error.request_id is None
        assert str(error) == "Intercom answered 400."

    def test_a_request_id_from_the_header(
        self, client: IntercomClient, intercom: responses.RequestsMock
    ) -> None:
        error = fails(client, intercom, CALLS["me"], status=500, headers={"X-Request-Id": "abc-1"})
        assert error.request_id == "abc-1"


class TestIds:
    @pytest.mark.parametrize(
        "bad", ["", "last", "1/2", "..", "1 ", "1\n", "12345678901234567", "\u0661", "-1", "1?x=1"]
    )
    def test_of_conversations(self, client: IntercomClient, bad: str) -> None:
        calls: list[Callable[[], object]] = [
            lambda: client.reply(bad, admin_id="7", body="x"),
            lambda: client.note(bad, admin_id="7", body="x"),
            lambda: client.get_conversation(bad),
            lambda: client.close_conversation(bad, "7"),
            lambda: client.tag_conversation(bad, "80", "7"),
            lambda: client.untag_conversation(bad, "80", "7"),
        ]
        for call in calls:
            with pytest.raises(PermanentError) as caught:
                call()
            assert caught.value.reason == "id_malformed"

    @pytest.mark.parametrize(
        "bad", ["", "a/b", "..", "a b", "a\n", "a" * 65, "caf\u00e9", "a%2Fb", "?a=1", "a#b"]
    )
    def test_of_contacts_and_tags(self, client: IntercomClient, bad: str) -> None:
        calls: list[Callable[[], object]] = [
            lambda: client.get_contact(bad),
            lambda: client.update_contact(bad, {}),
            lambda: client.contact_tags(bad),
            lambda: client.tag_contact(bad, "80"),
            lambda: client.untag_contact(bad, "80"),
            lambda: client.untag_contact("abc", bad),
            lambda: client.untag_conversation("503", bad, "7"),
        ]
        for call in calls:
            with pytest.raises(PermanentError) as caught:
                call()
            assert caught.value.reason == "id_malformed"

    @pytest.mark.parametrize("bad", ["", "x", "1/../2", "1 "])
    def test_of_admins(self, client: IntercomClient, bad: str) -> None:
        with pytest.raises(PermanentError) as caught:
            client.admin_exists(bad)
        assert caught.value.reason == "id_malformed"


class RecordingGate:
    """Lets every call through, after having done something, and remembers which."""

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self.passed: list[str] = []
        self.ended: list[str | None] = []
        self.before = before

    @contextmanager
    def passage(self, operation: str) -> Iterator[None]:
        self.passed.append(operation)
        self.before()
        try:
            yield
        except WireError as error:
            self.ended.append(error.reason)
            raise
        self.ended.append(None)


def through(gate: RecordingGate, http: httpx.Client, token: str = TOKEN) -> IntercomClient:
    return IntercomClient(base_url=BASE, token=token, version="2.16", http=http, gate=gate)


class TestTheGate:
    @pytest.mark.parametrize("name", CALLS)
    def test_every_call_passes_it_under_a_name_without_ids(
        self, intercom: responses.RequestsMock, name: str
    ) -> None:
        call, gate = CALLS[name], RecordingGate()
        intercom.add(call.method, BASE + call.path, json=call.answer)
        with make_http_client(ResponsesTransport()) as http:
            call.make(through(gate, http))
        [operation] = gate.passed
        method, path = operation.split(" ")
        assert method == call.method
        assert re.fullmatch(path.replace("{id}", "[0-9a-f]+"), call.path)
        assert not re.search("[0-9]", path)
        assert gate.ended == [None]

    def test_is_told_what_came_of_the_call(self, intercom: responses.RequestsMock) -> None:
        intercom.get(f"{BASE}/me", status=401, json=error_list("unauthorized"))
        gate = RecordingGate()
        with make_http_client(ResponsesTransport()) as http:
            for token in (TOKEN, "not a token"):
                with pytest.raises(CredentialsError):
                    through(gate, http, token).me()
        assert gate.ended == ["intercom_token_refused", "intercom_token_malformed"]

    @pytest.mark.parametrize("say", ["reply", "note"])
    @pytest.mark.parametrize("waits", [4.0, 5.1])
    def test_a_message_that_had_to_wait_there_for_too_long_is_not_made(
        self, intercom: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch, say: str, waits: float
    ) -> None:
        intercom.assert_all_requests_are_fired = False
        intercom.post(f"{BASE}/conversations/503/reply", json=CALLS["reply"].answer)
        now = time.monotonic()
        gate = RecordingGate(
            before=lambda: monkeypatch.setattr(
                "canvas_app.intercom.client.time.monotonic", lambda: now + waits
            )
        )
        with make_http_client(ResponsesTransport()) as http:
            write = getattr(through(gate, http), say)
            if waits < 5:
                write("503", admin_id="7", body="<p>hi</p>", begin_by=now + 5.0)
            else:
                with pytest.raises(LaterError) as refused:
                    write("503", admin_id="7", body="<p>hi</p>", begin_by=now + 5.0)
                assert refused.value.reason == "too_slow"
        assert len(intercom.calls) == (1 if waits < 5 else 0)
