"""Results as Koji sends and gives them, for tests of the way back."""

from __future__ import annotations

from typing import Any

from canvas_app.settings import Settings, Study
from tests.support.world import CONTACT, INTERCOM, KOJI, KOJI_ID, World

GET = f"{KOJI}/api/v1/interviews/{KOJI_ID}"
PUT = f"{INTERCOM}/contacts/{CONTACT}"
UNKNOWN_ATTRIBUTE = {
    "type": "error.list",
    "errors": [
        {"code": "parameter_invalid", "message": "Custom attribute 'last_interview_sentiment' does not exist"}
    ],
}


def event(world: World, kind: str = "analysis_ready", **changes: Any) -> dict[str, Any]:
    """An event about the newest interview; a change to ``...`` takes the key away."""
    body = world.result(**changes)
    body["event"] = f"interview.{kind}"
    body["data"] = {name: value for name, value in body["data"].items() if value is not ...}
    return body


def receive(world: World, kind: str = "analysis_ready", **changes: Any) -> list[str]:
    """An event comes in, and every job that is due is done."""
    answer = world.koji_event(event(world, kind, **changes))
    assert answer.get_json() == {"status": "stored"}
    return world.run_jobs()


def sent_and_ready(world: World) -> World:
    """An interview is out, and Intercom takes whatever comes of it."""
    world.send()
    world.intercom_takes("attributes", "tags")
    return world


def notes(world: World) -> list[dict[str, Any]]:
    return [reply for reply in world.calls("POST", "/reply$") if reply["message_type"] == "note"]


def attributes(world: World) -> list[dict[str, Any]]:
    return [put["custom_attributes"] for put in world.calls("PUT", "/contacts/")]


def writes(world: World) -> int:
    """How many calls have written to Intercom since the message to the customer."""
    calls = [call for call in world.outside.calls if str(call.request.url).startswith(INTERCOM)]
    return sum(call.request.method != "GET" for call in calls) - 1


def anonymous_study(_settings: Settings) -> Study:
    return Study(slug="default", name="Customer interview", api_key="k", link_template=None, anonymous=True)
