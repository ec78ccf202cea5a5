"""The stand-in for Intercom's REST API, version 2.16: who may call, and how everything is refused.

https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io
"""

from __future__ import annotations

import hmac
import re
import time
import uuid
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, g, jsonify, request

from sandbox.refusals import Refusal, bad_parameter, error_body, not_found

if TYPE_CHECKING:
    from sandbox.state import Contact, Conversation, IntercomState

KNOWN_VERSIONS = frozenset(["1.0", "1.1", "1.2", "1.3", "1.4", *(f"2.{minor}" for minor in range(17))])

api = Blueprint("rest", __name__)
"""The parts of the API are registered with it in ``intercom``."""


def workspace() -> IntercomState:
    """Return the state of the workspace that is called."""
    state: IntercomState = current_app.extensions["intercom_state"]
    return state


@api.before_request
def admit() -> None:
    """Check the token, the rate and the version, in this order."""
    state = workspace()
    g.request_id = str(uuid.uuid4())
    given = request.headers.get("Authorization", "").encode()
    if not hmac.compare_digest(given, f"Bearer {current_app.config['ACCESS_TOKEN']}".encode()):
        raise Refusal(401, "unauthorized", "Access Token Invalid")
    g.remaining, g.reset, allowed = state.count_call(time.time())
    if not allowed:
        raise Refusal(429, "rate_limit_exceeded", "Exceeded rate limit in 10_seconds")
    version = request.headers.get("Intercom-Version")
    if version not in KNOWN_VERSIONS:
        raise Refusal(
            400, "intercom_version_invalid", f"The requested version {version!r} could not be found"
        )
    if request.method in {"POST", "PUT"} and not request.is_json:
        raise Refusal(415, "media_type_not_acceptable", "The Content-Type must be application/json")


@api.after_request
def tell_rate(response: Response) -> Response:
    """Put the rate-limit headers on the answer, as on every answer."""
    if "remaining" in g:
        response.headers["X-RateLimit-Limit"] = str(workspace().calls_per_window)
        response.headers["X-RateLimit-Remaining"] = str(g.remaining)
        response.headers["X-RateLimit-Reset"] = str(g.reset)
    return response


@api.errorhandler(Refusal)
def tell_refusal(refusal: Refusal) -> Response:
    """Answer with Intercom's error list."""
    response = jsonify(error_body(g.request_id, refusal.code, str(refusal), refusal.field))
    response.status_code = refusal.status
    response.headers.update(refusal.headers)
    return response


def body_of_request() -> dict[str, Any]:
    """Return the body, which has to be a JSON object."""
    given = request.get_json(silent=True)
    if not isinstance(given, dict):
        raise bad_parameter("The body is not a JSON object")
    return given


def text(body: dict[str, Any], name: str) -> str:
    """Return a field that has to be a string with something in it."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise bad_parameter(f"{name} is required and must be a string", name)
    return value


def acting_admin(body: dict[str, Any]) -> str:
    """Return the id of the teammate who acts, who has to be in the workspace."""
    admin_id = text(body, "admin_id")
    if admin_id not in workspace().admins:
        raise Refusal(404, "admin_not_found", "Admin not found", "admin_id")
    return admin_id


def conversation(conversation_id: str) -> Conversation:
    """Return the conversation that the address names."""
    # The word "last" is allowed by Intercom; nobody here means it, so it is refused like any other word.
    if not re.fullmatch(r"[0-9]{1,15}", conversation_id):
        raise not_found("Resource Not Found")
    found = workspace().conversations.get(conversation_id)
    if found is None:
        raise not_found("Conversation not found")
    return found


def contact(contact_id: str) -> Contact:
    """Return the contact that the address names; one that is archived or deleted is not there.

    What Intercom answers for an archived contact is not documented.
    """
    found = workspace().contacts.get(contact_id)
    if found is None or found.gone is not None:
        raise not_found("User Not Found")
    if found.merged_into is not None:
        raise Refusal(
            410,
            "contact_merged",
            "This contact has been merged. See the 'Link' header for the canonical contact.",
            headers={"Link": f'</contacts/{found.merged_into}>; rel="canonical"'},
        )
    return found
