from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import responses

from canvas_app.http_outcomes import make_http_client
from canvas_app.intercom.client import IntercomClient
from tests.support.httpx_responses import ResponsesTransport

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = "https://api.intercom.io"
TOKEN = "dG9rOnRlc3Q="
NOW = 1_780_000_000.0


def sample(name: str) -> Any:
    """An answer out of Intercom's own API description."""
    return json.loads(
        (Path(__file__).resolve().parents[1] / "samples" / "intercom" / name).read_text("utf-8")
    )


def error_list(code: str, message: str = "no", request_id: str | None = "req-42") -> dict[str, Any]:
    """Intercom's error body."""
    return {"type": "error.list", "request_id": request_id, "errors": [{"code": code, "message": message}]}


@pytest.fixture
def client() -> Iterator[IntercomClient]:
    with make_http_client(ResponsesTransport()) as http:
        yield IntercomClient(base_url=BASE + "/", token=TOKEN, version="2.16", http=http, clock=lambda: NOW)


@pytest.fixture
def intercom() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock
