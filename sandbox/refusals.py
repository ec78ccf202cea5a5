"""How the stand-in Intercom says no.

https://developers.intercom.com/docs/references/rest-api/errors/error-objects
"""

from __future__ import annotations

import time
import uuid
from typing import Any


class Refusal(Exception):
    """The request is answered with an error list."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        field: str | None = None,
        *,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field
        self.headers = headers or {}


def bad_parameter(message: str, field: str | None = None) -> Refusal:
    """Return a refusal of something in the request."""
    return Refusal(400, "parameter_invalid", message, field)


def not_found(message: str) -> Refusal:
    """Return the refusal of an id that names nothing."""
    return Refusal(404, "not_found", message)


def error_body(request_id: str, code: str, message: str, field: str | None = None) -> dict[str, Any]:
    """Return an ``error.list`` with one error."""
    error = {"code": code, "message": message}
    if field is not None:
        error["field"] = field
    return {"type": "error.list", "request_id": request_id, "errors": [error]}


def refuse(status: int) -> tuple[dict[str, str], Any]:
    """Return Intercom's headers and body for an answer with this status, for faults.

    developers.intercom.com/docs/references/2.17/rest-api/errors/error-codes
    """
    codes = {
        401: ("unauthorized", "Access Token Invalid"),
        403: ("action_forbidden", "This action is forbidden"),
        404: ("not_found", "Resource Not Found"),
        408: ("request_timeout", "The request timed out"),
        409: ("conflict", "Conflict"),
        422: ("unprocessable_entity", "Unprocessable"),
        429: ("rate_limit_exceeded", "Exceeded rate limit in 10_seconds"),
        503: ("service_unavailable", "Sorry, the API service is temporarily unavailable"),
    }
    code, message = codes.get(status, ("server_error", "Something went wrong"))
    headers = {"X-RateLimit-Limit": "1666", "X-RateLimit-Remaining": "0"}
    headers["X-RateLimit-Reset"] = str((int(time.time()) // 10 + 1) * 10)
    return headers, error_body(str(uuid.uuid4()), code, message)
