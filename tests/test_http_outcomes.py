from __future__ import annotations

import socket
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest
from hypothesis import given, strategies as st

from canvas_app import http_outcomes
from canvas_app.errors import (
    CredentialsError,
    LaterError,
    PermanentError,
    UnknownOutcomeError,
    WireError,
)
from canvas_app.http_outcomes import Answer, failure, make_http_client, send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

URL = "https://service.example/things"
NOW = 1_780_000_000.0


def call(
    handler: Callable[[httpx.Request], httpx.Response],
    *,
    repeatable: bool = True,
    json_body: dict[str, object] | None = None,
) -> Answer:
    with make_http_client(httpx.MockTransport(handler)) as http:
        return send(
            http, "POST", URL, headers={}, json_body=json_body, repeatable=repeatable, service="Service"
        )


def raising(error: Exception) -> Callable[[httpx.Request], httpx.Response]:
    def handler(request: httpx.Request) -> httpx.Response:
        raise error

    return handler


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on this machine, to which requests truly go."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        serving = threading.Thread(target=listening.serve_forever, args=(0.01,))
        serving.start()
        yield Server(f"http://localhost:{listening.server_port}/", bodies)
        listening.shutdown()
        serving.join()


class Server(NamedTuple):
    url: str
    # Of the requests that have reached it.
    bodies: list[bytes]


class Stream(httpx.SyncByteStream):
    """A body that arrives in pieces, and may break off."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks

    def close(self) -> None:
        self.closed = True


class TestTheClient:
    def test_it_is_careful(self) -> None:
        with make_http_client() as http:
            assert http.timeout == httpx.Timeout(connect=3, read=10, write=10, pool=3)
            assert http.follow_redirects is False
            assert http.trust_env is False
            assert http.headers["User-Agent"] == "koji-for-intercom"

    def test_it_keeps_no_cookie(self) -> None:
        cookies: list[str | None] = []

        def handler(request: httpx.Request) -> httpx.Response:
            cookies.append(request.headers.get("Cookie"))
            return httpx.Response(200, headers={"Set-Cookie": "who=me; Path=/"})

        with make_http_client(httpx.MockTransport(handler)) as http:
            for _ in range(2):
                send(http, "GET", URL, headers={}, repeatable=True, service="Service")
        assert cookies == [None, None]


class TestSending:
    def test_the_body_is_ascii_json(self) -> None:
        seen: list[httpx.Request] = []

        def handler(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return httpx.Response(200, json={"ok": True})

        # Half of a surrogate pair can come out of another service's JSON, in a person's name.
        answer = call(handler, json_body={"name": "Zo\u00eb \ud800"})
        assert seen[0].content == b'{"name": "Zo\\u00eb \\ud800"}'
        assert seen[0].headers["Content-Type"] == "application/json"
        assert answer.json_object() == {"ok": True}

    def test_without_a_body_there_is_no_content_type(self) -> None:
        def handler(request: httpx.Request) -> httpx.Response:
            assert "Content-Type" not in request.headers
            return httpx.Response(204)

        assert call(handler).status == 204

    @pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout])
    @pytest.mark.parametrize("repeatable", [True, False])
    def test_before_anything_left_it_is_later(self, error: type[Exception], repeatable: bool) -> None:
        with pytest.raises(LaterError) as caught:
            call(raising(error("x")), repeatable=repeatable)
        assert str(caught.value) == "Service cannot be reached."
        assert caught.value.reason == "unreachable"
        assert caught.value.status is None

    @pytest.mark.parametrize(
        "error",
        [
            httpx.ReadTimeout,
            httpx.WriteTimeout,
            httpx.RemoteProtocolError,
            httpx.ReadError,
            httpx.WriteError,
            httpx.CloseError,
        ],
    )
    @pytest.mark.parametrize(
        ("repeatable", "expected", "message"),
        [
            (True, LaterError, "Service did not answer in time."),
            (False, UnknownOutcomeError, "Service did not answer; the call may have had its effect."),
        ],
    )
    def test_after_sending_it_depends_on_the_call(
        self, error: type[Exception], repeatable: bool, expected: type[WireError], message: str
    ) -> None:
        with pytest.raises(WireError) as caught:
            call(raising(error("x")), repeatable=repeatable)
        assert type(caught.value) is expected
        assert str(caught.value) == message
        assert caught.value.reason == "no_answer"

    def test_what_is_too_late_before_it_is_made_is_not_made(self) -> None:
        def handler(request: httpx.Request) -> httpx.Response:
            raise AssertionError("it was made")

        with make_http_client(httpx.MockTransport(handler)) as http, pytest.raises(LaterError) as caught:
            send(
                http,
                "POST",
                URL,
                headers={},
                repeatable=False,
                service="Service",
                begin_by=time.monotonic() - 0.1,
            )
        assert caught.value.reason == "too_slow"
        assert str(caught.value) == "The call could not begin in time, so it was not made."

    def test_what_is_just_in_time_is_made(self, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        now = time.monotonic()
        monkeypatch.setattr(time, "monotonic", lambda: now)
        with make_http_client() as http:
            send(http, "POST", server.url, headers={}, repeatable=False, service="Service", begin_by=now)
        assert len(server.bodies) == 1

    def test_a_call_that_connecting_has_made_too_late_does_not_leave(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        look_up, late = socket.getaddrinfo, [30.0, 0.0]
        now, passed = time.monotonic, 0.0

        def slowly(*args: Any, **options: Any) -> Any:
            # A resolver whose first servers are silent: for that there is no time limit of ours.
            nonlocal passed
            passed += late.pop(0)
            return look_up(*args, **options)

        monkeypatch.setattr(socket, "getaddrinfo", slowly)
        monkeypatch.setattr("canvas_app.http_outcomes.time.monotonic", lambda: now() + passed)

        def say(http: httpx.Client, what: str) -> Answer:
            return send(
                http,
                "POST",
                server.url,
                headers={},
                json_body={"said": what},
                repeatable=False,
                service="Service",
                begin_by=time.monotonic() + 5.0,
            )

        with make_http_client() as http:
            with pytest.raises(LaterError) as caught:
                say(http, "too late")
            assert caught.value.reason == "too_slow"
            assert server.bodies == []
            assert say(http, "in time").status == 200, "the client can go on"
        assert server.bodies == [b'{"said": "in time"}']

    @pytest.mark.parametrize(
        "url", ["service.example/me", "ftp://service.example", "https://service.example:port", "https://"]
    )
    def test_a_wrong_base_url_is_named(self, url: str) -> None:
        with make_http_client() as http, pytest.raises(PermanentError) as caught:
            send(http, "GET", url, headers={}, repeatable=True, service="Service")
        assert str(caught.value) == "The address set for Service is not a usable https:// address."
        assert caught.value.reason == "base_url_wrong"


class TestReading:
    def answer(self, chunks: Iterator[bytes], headers: dict[str, str] | None = None) -> Answer:
        stream = Stream(chunks)
        answer = call(lambda _: httpx.Response(200, headers=headers, stream=stream))
        assert stream.closed
        return answer

    def test_a_body_at_the_limit_is_read(self) -> None:
        answer = self.answer(iter([b"x" * http_outcomes.MOST_ANSWER_BYTES]))
        assert answer.body is not None
        assert len(answer.body) == http_outcomes.MOST_ANSWER_BYTES

    def test_a_larger_one_is_not_read_on(self) -> None:
        pulled = []

        def long() -> Iterator[bytes]:
            for _ in range(20):
                pulled.append(1)
                yield b"x" * 1024 * 1024

        answer = self.answer(long())
        assert (answer.status, answer.body, answer.problem) == (200, None, "answer_too_large")
        assert len(pulled) == 6

    def test_a_compressed_one_counts_unpacked(self) -> None:
        bomb = zlib.compress(b"x" * (http_outcomes.MOST_ANSWER_BYTES + 1))
        answer = self.answer(iter([bomb]), {"Content-Encoding": "deflate"})
        assert answer.problem == "answer_too_large"

    def test_broken_compression(self) -> None:
        answer = self.answer(iter([b"not gzip"]), {"Content-Encoding": "gzip"})
        assert (answer.status, answer.problem) == (200, "answer_unreadable")

    def test_the_status_survives_a_body_that_breaks_off(self) -> None:
        def broken() -> Iterator[bytes]:
            yield b"{"
            raise httpx.ReadError("gone")

        answer = self.answer(broken())
        assert (answer.status, answer.body, answer.problem) == (200, None, "no_answer")

    def test_a_body_that_drips_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = iter(range(0, 10_000, 10))
        monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
        answer = self.answer(iter([b"."] * 1000))
        assert answer.problem == "no_answer"

    @pytest.mark.parametrize(("read_at", "problem"), [(25.0, None), (25.1, "no_answer")])
    def test_a_whole_call_has_25_seconds(
        self, read_at: float, problem: str | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = iter([0.0, read_at])
        monkeypatch.setattr(time, "monotonic", lambda: next(clock))
        assert self.answer(iter([b"."])).problem == problem

    @pytest.mark.parametrize(
        "body", [None, b"", b"null", b"[]", b"<html>", b"\xff", b"[" * 100_000, b'{"n":' + b"9" * 9999 + b"}"]
    )
    def test_what_is_no_json_object_is_empty(self, body: bytes | None) -> None:
        assert Answer(200, httpx.Headers(), body).json_object() == {}


def outcome(status: int, *, repeatable: bool = True, retry_after: float | None = None) -> WireError | None:
    return failure(
        Answer(status, httpx.Headers(), b"{}"),
        wire="koji",
        service="Koji",
        repeatable=repeatable,
        retry_after=retry_after,
        request_id="req-1",
        codes=("some_code",),
    )


class TestStatuses:
    @pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
    def test_success(self, status: int) -> None:
        assert outcome(status) is None

    @pytest.mark.parametrize(
        ("status", "kind", "reason"),
        [
            (300, PermanentError, "redirected"),
            (301, PermanentError, "redirected"),
            (302, PermanentError, "redirected"),
            (304, PermanentError, "redirected"),
            (308, PermanentError, "redirected"),
            (400, PermanentError, "koji_refused"),
            (401, CredentialsError, "koji_token_refused"),
            (403, CredentialsError, "koji_scope_missing"),
            (404, PermanentError, "not_found"),
            (405, PermanentError, "koji_refused"),
            (408, LaterError, "server_error"),
            (409, PermanentError, "koji_refused"),
            (410, PermanentError, "koji_refused"),
            (422, PermanentError, "koji_refused"),
            (429, LaterError, "rate_limited"),
            (500, LaterError, "server_error"),
            (502, LaterError, "server_error"),
            (503, LaterError, "server_error"),
            (504, LaterError, "server_error"),
            (599, LaterError, "server_error"),
        ],
    )
    def test_a_repeatable_call(self, status: int, kind: type[WireError], reason: str) -> None:
        error = outcome(status, retry_after=7)
        assert type(error) is kind
        assert error.reason == reason
        assert error.status == status
        assert error.request_id == "req-1"
        assert "some_code" in str(error)
        if isinstance(error, LaterError):
            assert error.retry_after == 7

    @pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
    def test_an_unrepeatable_call_may_have_worked(self, status: int) -> None:
        error = outcome(status, repeatable=False)
        assert type(error) is UnknownOutcomeError
        assert error.reason == "server_error"
        assert (error.status, error.request_id) == (status, "req-1")
        expected = f"Koji answered {status} (some_code) to a call that may have had its effect."
        assert str(error) == expected

    def test_a_refused_unrepeatable_call_did_not(self) -> None:
        assert type(outcome(429, repeatable=False)) is LaterError
        assert type(outcome(422, repeatable=False)) is PermanentError

    @pytest.mark.parametrize("status", [301, 307])
    def test_a_redirect_blames_the_address(self, status: int) -> None:
        assert "address set for Koji is wrong" in str(outcome(status))

    def test_every_code_is_named(self) -> None:
        error = failure(
            Answer(422, httpx.Headers(), b"{}"),
            wire="koji",
            service="Koji",
            repeatable=True,
            codes=("one", "other"),
        )
        assert str(error) == "Koji answered 422 (one, other)."

    @pytest.mark.parametrize(
        ("status", "headers", "body", "is_page"),
        [
            (200, {"Content-Type": "text/html; charset=utf-8"}, b"Please wait", True),
            (200, {"Content-Type": "TEXT/HTML"}, b"Please wait", True),
            (200, {}, b"  <html>", True),
            (404, {}, b"<html>", True),
            (200, {}, b"{}", False),
            (200, {}, None, False),
            # What these say is the same from whomever.
            (300, {}, b"<html>", False),
            (301, {}, b"<html>", False),
            (399, {}, b"<html>", False),
            (408, {}, b"<html>", False),
            (429, {}, b"<html>", False),
            (500, {}, b"<html>", False),
        ],
    )
    def test_a_page_for_people_is_no_answer(
        self, status: int, headers: dict[str, str], body: bytes | None, is_page: bool
    ) -> None:
        found = http_outcomes.page_instead(
            Answer(status, httpx.Headers(headers), body), service="Koji", repeatable=True
        )
        assert (found is not None) is is_page

    def test_an_unreadable_success(self) -> None:
        error = http_outcomes.unreadable(
            Answer(200, httpx.Headers(), b"<html>"), service="Koji", request_id="req-1"
        )
        assert str(error) == "Koji answered 200 with a body that cannot be used."
        assert (error.reason, error.status, error.request_id) == ("answer_unreadable", 200, "req-1")
        error = http_outcomes.unreadable(
            Answer(200, httpx.Headers(), None, "answer_too_large"), service="Koji"
        )
        assert error.reason == "answer_too_large"


class TestWaiting:
    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("0", 0),
            ("12", 12),
            (" 12 ", 12),
            ("1.5", 1.5),
            ("99999", 3600),
            ("Thu, 28 May 2026 20:27:10 GMT", 30),
            ("Thu, 28 May 2026 20:26:10 GMT", 0),
            ("Fri, 29 May 2026 20:26:10 GMT", 3600),
        ],
    )
    def test_retry_after(self, value: str, seconds: float) -> None:
        assert http_outcomes.retry_after_seconds(value, NOW) == seconds

    @pytest.mark.parametrize(
        "value", [None, "", "soon", "-5", "nan", "inf", "1e3", "Thu, 99 May 2026 20:27:10 GMT"]
    )
    def test_an_unusable_retry_after(self, value: str | None) -> None:
        assert http_outcomes.retry_after_seconds(value, NOW) is None

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [
            ("1780000010", 10),
            ("1779999990", 0),
            ("1790000000", 3600),
            ("0", 0),
            (None, None),
            ("", None),
            ("nan", None),
            ("-1", None),
            ("1780000010 s", None),
        ],
    )
    def test_reset(self, value: str | None, seconds: float | None) -> None:
        assert http_outcomes.reset_seconds(value, NOW) == seconds

    @pytest.mark.parametrize(
        ("date", "at"),
        [("Thu, 28 May 2026 20:26:10 GMT", 1_779_999_970), (None, NOW), ("", NOW), ("today", NOW)],
    )
    def test_the_clock_of_who_answers_counts_where_it_is_told(self, date: str | None, at: float) -> None:
        answer = Answer(429, httpx.Headers({} if date is None else {"Date": date}), b"")
        assert http_outcomes.answered_at(answer, NOW) == at

    @given(st.text())
    def test_no_header_is_an_accident(self, value: str) -> None:
        for seconds in (
            http_outcomes.retry_after_seconds(value, NOW),
            http_outcomes.reset_seconds(value, NOW),
        ):
            assert seconds is None or 0 <= seconds <= 3600


def test_request_ids_are_plain() -> None:
    assert http_outcomes.safe_request_id(None, 5, "has space", "a\nb", "req_1.2-3", "later") == "req_1.2-3"
    assert http_outcomes.safe_request_id(None) is None


@pytest.mark.parametrize("token", ["", "a b", "a\n", "caf\u00e9", "\x7f"])
def test_tokens_that_cannot_stand_in_a_header(token: str) -> None:
    assert not http_outcomes.token_is_sendable(token)


def test_an_ordinary_token_can() -> None:
    assert http_outcomes.token_is_sendable("dG9rOjEyMw==")


def test_nan_never_leaves() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        call(lambda _: httpx.Response(200), json_body={"n": float("nan")})
