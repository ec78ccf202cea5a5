from __future__ import annotations

import gzip

import httpx
import pytest
import requests
import responses

from tests.support.httpx_responses import ResponsesTransport

URL = "https://service.example/things"


def client() -> httpx.Client:
    return httpx.Client(transport=ResponsesTransport())


def test_requests_and_answers_come_through_whole() -> None:
    with responses.RequestsMock() as service, client() as http:
        service.post(URL, status=201, json={"ok": True}, headers={"X-Request-Id": "1"})
        answer = http.post(URL, params={"a": "1 2"}, json={"b": "c"}, headers={"X-Own": "2"})
        sent = service.calls[0].request
        assert (answer.status_code, answer.json(), answer.headers["X-Request-Id"]) == (201, {"ok": True}, "1")
        assert sent.url == URL + "?a=1+2"
        assert sent.headers["X-Own"] == "2"
        assert sent.body == b'{"b":"c"}'


def test_a_call_that_nobody_foresaw_fails_the_test() -> None:
    with (
        responses.RequestsMock(),
        client() as http,
        pytest.raises(AssertionError, match="no answer was prepared"),
    ):
        http.get(URL)


def test_without_a_mock_nothing_is_called() -> None:
    with client() as http, pytest.raises(AssertionError, match="no responses"):
        http.get(URL)


def test_redirects_are_left_to_the_client() -> None:
    with responses.RequestsMock() as service, client() as http:
        service.get(URL, status=302, headers={"Location": "https://elsewhere.example/"})
        assert http.get(URL).status_code == 302


def test_compressed_answers_arrive_unpacked() -> None:
    with responses.RequestsMock() as service, client() as http:
        service.get(URL, body=gzip.compress(b"plain"), headers={"Content-Encoding": "gzip"})
        assert http.get(URL).content == b"plain"


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (requests.ConnectionError("refused"), httpx.ConnectError),
        (requests.ConnectTimeout("slow"), httpx.ConnectTimeout),
        (requests.ReadTimeout("slow"), httpx.ReadTimeout),
        (httpx.RemoteProtocolError("gone"), httpx.RemoteProtocolError),
    ],
)
def test_errors(raised: Exception, expected: type[Exception]) -> None:
    with responses.RequestsMock() as service, client() as http:
        service.get(URL, body=raised)
        with pytest.raises(expected):
            http.get(URL)
