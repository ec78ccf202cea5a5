"""A program that uses the API. Every answer is held against the description that the app gives of itself."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any

from openapi_core import OpenAPI
from openapi_core.contrib.werkzeug import WerkzeugOpenAPIRequest, WerkzeugOpenAPIResponse
from werkzeug.test import TestResponse

from canvas_app.api import openapi
from canvas_app.interviews import workspace
from tests.support.world import World

TOKEN = "zapier-token"
SERVER = "http://localhost"
ASKED = "/api/interviews"


@functools.cache
def described() -> OpenAPI:
    """The description, which must be a valid one."""
    return OpenAPI.from_dict(openapi.description(SERVER))


def checked(answer: TestResponse) -> TestResponse:
    """The answer, if it is one of those that the description promises."""
    described().validate_response(WerkzeugOpenAPIRequest(answer.request), WerkzeugOpenAPIResponse(answer))
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.status_code < 400 or set(answer.get_json()) == {"error", "message"}
    return answer


@dataclass
class Caller:
    """``token``: None sends no Authorization header."""

    world: World
    token: str | None = TOKEN

    def ask(self, *, key: str | None = None, method: str = "POST", **fields: Any) -> TestResponse:
        """A request in JSON."""
        raw = json.dumps(fields).encode()
        return self.send(raw, content_type="application/json", key=key, method=method)

    def send(
        self,
        data: Any,
        *,
        content_type: str | None = None,
        key: str | None = None,
        method: str = "POST",
        query: dict[str, str] | None = None,
    ) -> TestResponse:
        headers = self.headers | ({} if key is None else {"Idempotency-Key": key})
        client = self.world.app.test_client()
        return checked(
            client.open(
                ASKED,
                method=method,
                data=data,
                content_type=content_type,
                headers=headers,
                query_string=query or {},
            )
        )

    def status(self, interview_id: str) -> TestResponse:
        return checked(self.world.app.test_client().get(f"{ASKED}/{interview_id}", headers=self.headers))

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}


def connected(world: World, **changes: Any) -> Caller:
    """A caller of an app that knows its workspace and has a token for the API."""
    world.deploy(**{"api_token": f"series-token,{TOKEN}", **changes})
    world.intercom_knows_us()
    workspace.read(world.services)
    return Caller(world)


def refusal(answer: TestResponse) -> tuple[int, str]:
    """Status and error code."""
    return answer.status_code, answer.get_json()["error"]
