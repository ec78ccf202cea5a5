from __future__ import annotations

import json
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests
import responses

from canvas_app.errors import CredentialsError, LaterError, PermanentError, WireError
from canvas_app.http_outcomes import MOST_ANSWER_BYTES, make_http_client
from canvas_app.koji.client import KojiClient, Started
from tests.koji.forms import EXPECTED, WHOLE
from tests.support.httpx_responses import ResponsesTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BASE = "https://koji.so"
START = BASE + "/api/v1/interviews/start"
GET = BASE + "/api/v1/interviews/iv_1"
KEY = "pk_live_0123456789abcdef0123456789abcdef"
NOW = 1_780_000_000.0
METADATA = {"interview_ref": "ref-1", "intercom_contact_id": "abc"}


@pytest.fixture
def koji() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def client() -> Iterator[KojiClient]:
    with make_http_client(ResponsesTransport()) as http:
        yield KojiClient(base_url=BASE + "/", key=KEY, http=http, clock=lambda: NOW)


def start(client: KojiClient) -> Started:
    return client.start(external_id="abc", display_name="Zo\u00eb", metadata=METADATA)


def get(client: KojiClient) -> object:
    return client.get_interview("iv_1")


both_calls = pytest.mark.parametrize(
    ("method", "url", "make"), [("POST", START, start), ("GET", GET, get)], ids=["start", "get"]
)


@both_calls
class TestBothCalls:
    def fails(
        self,
        client: KojiClient,
        koji: responses.RequestsMock,
        method: str,
        url: str,
        make: Callable[[KojiClient], object],
        **answer: Any,
    ) -> WireError:
        koji.add(method, url, **answer)
        with pytest.raises(WireError) as caught:
            make(client)
        assert len(koji.calls) == 1
        return caught.value

    @pytest.mark.parametrize(
        ("status", "kind", "reason"),
        [
            (301, PermanentError, "redirected"),
            (308, PermanentError, "redirected"),
            (400, PermanentError, "koji_refused"),
            (401, CredentialsError, "koji_token_refused"),
            (402, CredentialsError, "koji_credits"),
            (403, CredentialsError, "koji_scope_missing"),
            (405, PermanentError, "koji_refused"),
            (408, LaterError, "server_error"),
            (422, PermanentError, "koji_refused"),
            (429, LaterError, "rate_limited"),
            (500, LaterError, "server_error"),
            (503, LaterError, "server_error"),
        ],
    )
    @pytest.mark.parametrize(
        "body",
        ["", '{"error": "a_code", "message": "zoe@example.com"}', "[]", '{"error": {"a": 1}}'],
    )
    def test_statuses(
        self,
        client: KojiClient,
        koji: responses.RequestsMock,
        method: str,
        url: str,
        make: Callable[[KojiClient], object],
        status: int,
        kind: type[WireError],
        reason: str,
        body: str,
    ) -> None:
        headers = {"X-Request-Id": "req-1"}
        error = self.fails(client, koji, method, url, make, status=status, body=body, headers=headers)
        assert type(error) is kind
        assert (error.reason, error.status, error.request_id) == (reason, status, "req-1")
        assert str(error).startswith("Koji ")
        # What a code adds is for a person who has to find out why Koji refuses.
        assert ("(a_code)" in str(error)) is ("a_code" in body and status >= 400 and status != 402)
        assert "zoe@example.com" not in str(error)
        assert KEY not in str(error)

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (requests.ConnectionError("no"), "unreachable"),
            (httpx.ConnectTimeout("no"), "unreachable"),
            (httpx.ReadTimeout("slow"), "no_answer"),
            (httpx.WriteTimeout("slow"), "no_answer"),
            (httpx.RemoteProtocolError("gone"), "no_answer"),
        ],
    )
    def test_no_answer(
        self,
        client: KojiClient,
        koji: responses.RequestsMock,
        method: str,
        url: str,
        make: Callable[[KojiClient], object],
        error: Exception,
        reason: str,
    ) -> None:
        found = self.fails(client, koji, method, url, make, body=error)
        assert type(found) is LaterError
        assert found.reason == reason
        assert str(found).startswith("Koji ")

    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            *((status, "answer_unreadable") for status in (200, 400, 401, 402, 403, 404, 409, 422)),
            (301, "redirected"),
            (408, "server_error"),
            (429, "rate_limited"),
            (503, "server_error"),
        ],
    )
    @pytest.mark.parametrize(
        "page",
        [
            {"body": "No credits left", "content_type": "text/html; charset=utf-8"},
            {"body": "\n<!doctype html><title>404</title>", "content_type": "application/json"},
        ],
        ids=["by its type", "by its content"],
    )
    def test_a_page_for_people_is_no_answer_of_kojis(
        self,
        client: KojiClient,
        koji: responses.RequestsMock,
        method: str,
        url: str,
        make: Callable[[KojiClient], object],
        status: int,
        reason: str,
        page: dict[str, str],
    ) -> None:
        headers = {"X-Request-Id": "req-1"}
        found = self.fails(client, koji, method, url, make, status=status, headers=headers, **page)
        assert type(found) is (PermanentError if reason == "redirected" else LaterError)
        assert (found.reason, found.status, found.request_id) == (reason, status, "req-1")
        said = f"A page for people came with status {status} where Koji should have answered."
        assert (str(found) == said) is (reason == "answer_unreadable")

    @pytest.mark.parametrize("body", ["", "[]", "{}", "null"])
    def test_a_success_that_cannot_be_read(
        self,
        client: KojiClient,
        koji: responses.RequestsMock,
        method: str,
        url: str,
        make: Callable[[KojiClient], object],
        body: str,
    ) -> None:
        found = self.fails(client, koji, method, url, make, body=body, headers={"X-Request-Id": "req-1"})
        assert type(found) is LaterError
        assert (found.reason, found.request_id) == ("answer_unreadable", "req-1")
        assert str(found) == "Koji answered 200 with a body that cannot be used."

    def test_an_answer_that_is_too_large(
        self,
        client: KojiClient,
        koji: responses.RequestsMock,
        method: str,
        url: str,
        make: Callable[[KojiClient], object],
    ) -> None:
        found = self.fails(client, koji, method, url, make, body=b" " * (MOST_ANSWER_BYTES + 1))
        assert found.reason == "answer_too_large"

    @pytest.mark.parametrize(
        ("value", "seconds"), [("7", 7), ("Thu, 28 May 2026 20:27:10 GMT", 30), ("x", None), (None, None)]
    )
    @pytest.mark.parametrize("status", [429, 503])
    def test_when_to_come_back(
        self,
        client: KojiClient,
        koji: responses.RequestsMock,
        method: str,
        url: str,
        make: Callable[[KojiClient], object],
        value: str | None,
        seconds: float | None,
        status: int,
    ) -> None:
        headers = {"Retry-After": value} if value else {}
        found = self.fails(client, koji, method, url, make, status=status, headers=headers)
        assert isinstance(found, LaterError)
        assert found.retry_after == seconds

    def test_a_moment_is_meant_by_the_clock_that_names_it(
        self,
        client: KojiClient,
        koji: responses.RequestsMock,
        method: str,
        url: str,
        make: Callable[[KojiClient], object],
    ) -> None:
        # Koji's clock is ten minutes behind ours.
        headers = {"Date": "Thu, 28 May 2026 20:16:40 GMT", "Retry-After": "Thu, 28 May 2026 20:17:10 GMT"}
        found = self.fails(client, koji, method, url, make, status=429, headers=headers)
        assert isinstance(found, LaterError)
        assert found.retry_after == 30

    @pytest.mark.parametrize(
        "body",
        [
            {"error": "insufficient_credits"},
            {"error": "forbidden", "message": "You have no credits left."},
            {"error": "forbidden", "message": "Credits exhausted"},
        ],
    )
    @pytest.mark.parametrize("status", [400, 403, 409, 422, 429])
    def test_credits_under_another_status(
        self,
        client: KojiClient,
        koji: responses.RequestsMock,
        method: str,
        url: str,
        make: Callable[[KojiClient], object],
        body: dict[str, str],
        status: int,
    ) -> None:
        found = self.fails(client, koji, method, url, make, status=status, json=body)
        assert type(found) is CredentialsError
        assert found.reason == "koji_credits"
        assert str(found) == "Koji has no credits left for this study, or the plan does not allow the call."

    @pytest.mark.parametrize(("spaces", "reason"), [(491, "koji_credits"), (492, "koji_scope_missing")])
    def test_the_beginning_of_a_message_is_searched_for_credits(
        self,
        client: KojiClient,
        koji: responses.RequestsMock,
        method: str,
        url: str,
        make: Callable[[KojiClient], object],
        spaces: int,
        reason: str,
    ) -> None:
        body = {"message": " " * spaces + "no credit"}
        assert self.fails(client, koji, method, url, make, status=403, json=body).reason == reason

    @pytest.mark.parametrize("key", ["", "two words", "line\nfeed"])
    def test_a_key_that_cannot_be_sent(
        self, method: str, url: str, make: Callable[[KojiClient], object], key: str
    ) -> None:
        with make_http_client(ResponsesTransport()) as http, pytest.raises(CredentialsError) as caught:
            make(KojiClient(base_url=BASE, key=key, http=http))
        assert caught.value.reason == "koji_token_malformed"
        assert str(caught.value) == "The Koji API key is empty or holds a character that no key has."


class TestStart:
    def test_the_request(self, client: KojiClient, koji: responses.RequestsMock) -> None:
        koji.post(START, status=201, json={"interview_id": "iv_1"})
        client.start(external_id="abc", display_name="Zo\u00eb", metadata=METADATA, mode="voice", locale="de")
        request = koji.calls[0].request
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        assert isinstance(request.body, bytes)
        assert json.loads(request.body) == {
            "respondent": {"external_id": "abc", "display_name": "Zo\u00eb", "metadata": METADATA},
            "mode": "voice",
            "locale": "de",
        }

    def test_what_is_not_known_is_left_out(self, client: KojiClient, koji: responses.RequestsMock) -> None:
        koji.post(START, json={"interview_id": "iv_1"})
        client.start(external_id="abc", display_name=None, metadata={})
        body = koji.calls[0].request.body
        assert isinstance(body, bytes)
        assert json.loads(body) == {"respondent": {"external_id": "abc", "metadata": {}}}

    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            ({"interview_id": "iv_1"}, "iv_1"),
            ({"id": "iv_1"}, "iv_1"),
            ({"conversation_id": "conv_1"}, "conv_1"),
            ({"id": "request-1", "data": {"interview_id": "iv_1"}}, "iv_1"),
            ({"interview": {"id": "iv_1"}, "respondent": {"id": "r"}}, "iv_1"),
            ({"interview_id": 17}, "17"),
            ({"interview_id": "a/b", "id": "iv_1"}, "iv_1"),
        ],
    )
    def test_the_id(
        self, client: KojiClient, koji: responses.RequestsMock, answer: dict[str, Any], expected: str
    ) -> None:
        koji.post(START, status=201, json=answer)
        assert start(client).interview_id == expected

    @pytest.mark.parametrize(
        "answer", [{"ok": True}, {"interview_id": "a/b"}, {"respondent": {"id": "r"}}, {"interview_id": None}]
    )
    def test_without_an_id(
        self, client: KojiClient, koji: responses.RequestsMock, answer: dict[str, Any]
    ) -> None:
        koji.post(START, status=201, json=answer, headers={"X-Request-Id": "req-1"})
        with pytest.raises(PermanentError) as caught:
            start(client)
        error = caught.value
        assert (error.reason, error.status, error.request_id) == ("koji_no_id", 201, "req-1")
        assert str(error) == "Koji started an interview but did not name it."

    def test_links_in_order_each_once(self, client: KojiClient, koji: responses.RequestsMock) -> None:
        koji.post(
            START,
            json={
                "interview_id": "iv_1",
                "session_token": "https://koji.so/secret",
                "initial_message": "https://koji.so/hello",
                "url": "https://koji.so/c",
                "interview_url": "https://koji.so/a",
                "link": None,
                "data": {"interview_link": "https://koji.so/b", "url": 5},
                "interview": {"interview_url": "https://koji.so/a2"},
                "respondent": {"personal_link": "https://koji.so/d", "share_url": "https://koji.so/a"},
            },
        )
        started = start(client)
        assert started.links == (
            "https://koji.so/a",
            "https://koji.so/a2",
            "https://koji.so/b",
            "https://koji.so/d",
            "https://koji.so/c",
        )
        assert "koji.so" not in repr(started)

    def test_no_link(self, client: KojiClient, koji: responses.RequestsMock) -> None:
        koji.post(START, json={"interview_id": "iv_1", "session_token": "t"})
        assert start(client) == Started("iv_1")

    def test_started_before(self, client: KojiClient, koji: responses.RequestsMock) -> None:
        body = {"error": "conflict", "interview_id": "iv_1", "interview_url": "https://koji.so/a"}
        koji.post(START, status=409, json=body)
        assert start(client) == Started("iv_1", ("https://koji.so/a",))

    @pytest.mark.parametrize("body", ["", "{}", '{"error": "conflict", "message": "exists"}'])
    def test_started_before_but_not_named(
        self, client: KojiClient, koji: responses.RequestsMock, body: str
    ) -> None:
        koji.post(START, status=409, body=body, headers={"X-Request-Id": "req-1"})
        with pytest.raises(PermanentError) as caught:
            start(client)
        error = caught.value
        assert (error.reason, error.status, error.request_id) == ("koji_already_started", 409, "req-1")
        assert str(error) == "Koji says that this interview was started before, but not which one it is."

    def test_not_found(self, client: KojiClient, koji: responses.RequestsMock) -> None:
        koji.post(START, status=404, json={"error": "not_found"})
        with pytest.raises(PermanentError) as caught:
            start(client)
        assert caught.value.reason == "not_found"


class TestGet:
    @pytest.mark.parametrize("body", [WHOLE, {"data": WHOLE}, {"interview": WHOLE}])
    def test_the_result(self, client: KojiClient, koji: responses.RequestsMock, body: dict[str, Any]) -> None:
        koji.get(GET, json=body)
        assert client.get_interview("iv_1") == EXPECTED
        assert koji.calls[0].request.headers["Authorization"] == f"Bearer {KEY}"

    def test_the_id_is_the_one_asked_for(self, client: KojiClient, koji: responses.RequestsMock) -> None:
        koji.get(GET, json={"id": "something_else", "status": "active"})
        result = client.get_interview("iv_1")
        assert (result.koji_interview_id, result.status, result.analysed) == ("iv_1", "active", False)

    def test_unknown(self, client: KojiClient, koji: responses.RequestsMock) -> None:
        koji.get(GET, status=404, headers={"X-Request-Id": "req-1"})
        with pytest.raises(PermanentError) as caught:
            client.get_interview("iv_1")
        error = caught.value
        assert (error.reason, error.status, error.request_id) == ("koji_interview_not_found", 404, "req-1")
        assert str(error) == "Koji does not know this interview (any more)."

    @pytest.mark.parametrize("bad", ["", "..", "a/b", "a b", "a\n", "a" * 129, "caf\u00e9", "a?b"])
    def test_bad_ids_are_not_asked_for(self, client: KojiClient, bad: str) -> None:
        with pytest.raises(PermanentError) as caught:
            client.get_interview(bad)
        assert caught.value.reason == "id_malformed"
        assert str(caught.value) == "An id is not of Koji's form; no call was made."

    @pytest.mark.parametrize("slashes", ["", "/", "//"])
    def test_the_base_address_may_end_with_slashes(self, koji: responses.RequestsMock, slashes: str) -> None:
        koji.get("https://gateway.example/X/api/v1/interviews/iv_1", json=WHOLE)
        with make_http_client(ResponsesTransport()) as http:
            client = KojiClient(base_url="https://gateway.example/X" + slashes, key=KEY, http=http)
            assert client.get_interview("iv_1") == EXPECTED

    @pytest.mark.parametrize("body", [b'{"quality": NaN}', b'{"a": 1, "a": 2}', b"[" * 100_000])
    def test_odd_json(self, client: KojiClient, koji: responses.RequestsMock, body: bytes) -> None:
        koji.get(GET, body=body)
        with pytest.raises(LaterError) as caught:
            client.get_interview("iv_1")
        assert caught.value.reason == "answer_unreadable"


def test_each_call_passes_the_gate_under_a_name_without_ids(koji: responses.RequestsMock) -> None:
    passed: list[str] = []

    class Gate:
        def passage(self, operation: str) -> AbstractContextManager[None]:
            passed.append(operation)
            return nullcontext()

    koji.post(START, status=201, json={"interview_id": "iv_1"})
    koji.get(GET, json={"interview_id": "iv_1"})
    with make_http_client(ResponsesTransport()) as http:
        client = KojiClient(base_url=BASE, key=KEY, http=http, gate=Gate())
        start(client)
        get(client)
    assert passed == ["POST /api/v1/interviews/start", "GET /api/v1/interviews/{id}"]
