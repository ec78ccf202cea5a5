"""Every call that the client makes, held against Intercom's own API description."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from canvas_app.http_outcomes import make_http_client
from canvas_app.intercom.client import IntercomClient
from tests.intercom.calls import CALLS, Call
from tests.intercom.conftest import BASE, TOKEN
from tests.support.intercom_contract import IntercomContract, contract

if TYPE_CHECKING:
    from collections.abc import Callable

REPLY = "/conversations/503/reply"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Intercom-Version": "2.16"}


@pytest.fixture(scope="module")
def description() -> IntercomContract:
    return contract()


def client_that(handler: Callable[[httpx.Request], httpx.Response]) -> IntercomClient:
    return IntercomClient(
        base_url=BASE, token=TOKEN, version="2.16", http=make_http_client(httpx.MockTransport(handler))
    )


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_every_call_is_as_described(description: IntercomContract, call: Call) -> None:
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        description.validate(request)
        seen.append(f"{request.method} {request.url.path}")
        return httpx.Response(200, json=call.answer)

    call.make(client_that(handler))
    assert seen == [f"{call.method} {call.path}"]


@pytest.mark.parametrize(
    ("method", "path", "body", "complaint"),
    [
        ("POST", REPLY, {"message_type": "comment", "type": "admin", "body": "x"}, "admin_id"),
        (
            "POST",
            REPLY,
            {"message_type": "inapp", "type": "admin", "admin_id": "7", "body": "x"},
            "inapp",
        ),
        ("POST", REPLY, {"message_type": "comment", "type": "admin", "admin_id": 7, "body": "x"}, "7"),
        ("POST", "/conversations/503/tags", {"id": "80"}, "admin_id"),
        ("DELETE", "/conversations/503/tags/80", {}, "admin_id"),
        ("PUT", "/contacts/abc", {"custom_attributes": "score"}, "score"),
        ("POST", "/data_attributes", {"name": "a", "model": "contact", "data_type": "decimal"}, "decimal"),
        ("GET", "/data_attributes?model=conversation", None, "conversation"),
        ("GET", "/conversations/last", None, "last"),
        ("GET", "/nowhere", None, "no such call"),
        ("PATCH", "/contacts/abc", {}, "no such call"),
        # What openapi-core alone lets pass:
        ("PUT", "/contacts/abc", {"custom_atributes": {}}, "custom_atributes"),
        (
            "POST",
            REPLY,
            {"message_type": "note", "type": "admin", "admin_id": "7", "body": "x", "skip": True},
            "skip",
        ),
        (
            "POST",
            "/data_attributes",
            {"name": "a", "model": "contact", "data_type": "float", "describe": "x"},
            "describe",
        ),
        ("POST", "/contacts/abc/tags", {"id": "80", "admin_id": "7"}, "admin_id"),
        ("GET", "/data_attributes?archived=true", None, "archived"),
        ("DELETE", "/contacts/abc/tags/80", {"admin_id": "7"}, "no body"),
    ],
)
def test_a_wrong_call_is_refused(
    description: IntercomContract, method: str, path: str, body: object, complaint: str
) -> None:
    request = httpx.Request(method, BASE + path, headers=HEADERS, json=body)
    with pytest.raises(AssertionError, match=complaint):
        description.validate(request)


@pytest.mark.parametrize("missing", ["Authorization", "Intercom-Version"])
def test_headers_are_looked_at(description: IntercomContract, missing: str) -> None:
    headers = {name: value for name, value in HEADERS.items() if name != missing}
    if missing == "Intercom-Version":
        headers[missing] = "1.99"
    with pytest.raises(AssertionError):
        description.validate(httpx.Request("GET", BASE + "/me", headers=headers))
    description.validate(httpx.Request("GET", BASE + "/me", headers=HEADERS))
