"""The door for Intercom's webhooks. What comes is verified, noted and acknowledged; nothing follows from it.

https://developers.intercom.com/docs/webhooks/webhook-notifications
"""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, Field, ValidationError

from canvas_app import web
from canvas_app.errors import BodyRefused, NotConfigured
from canvas_app.intercom import signatures
from canvas_app.interviews import deliveries

# Ids and topics go into the database and the log: nothing but printable ASCII.
_PRINTABLE = r"^[!-~]+$"

blueprint = Blueprint("intercom_webhooks", __name__)


class Notification(BaseModel):
    """The envelope of a notification, as far as it is needed."""

    id: Annotated[str, Field(min_length=1, max_length=100, pattern=_PRINTABLE)] | None = None
    app_id: Annotated[str, Field(min_length=1, max_length=64, pattern=_PRINTABLE)]
    topic: Annotated[str, Field(min_length=1, max_length=64, pattern=_PRINTABLE)]


@blueprint.route("/webhooks/intercom", methods=["GET", "POST"])
def receive() -> Response:
    # Intercom asks with HEAD when the address is saved; a route that answers GET answers HEAD too.
    if request.method != "POST":
        return jsonify({"status": "ok"})
    here = web.current()
    raw = web.body()
    secrets = here.settings.intercom_client_secret
    try:
        signatures.verify_hub_signature(raw, web.header("X-Hub-Signature"), secrets)
    except NotConfigured:
        # Intercom pings when the address is saved, which may be before the secret has found its way here.
        if _is_ping(raw):
            return jsonify({"status": "ok"})
        raise
    notification = _read(raw)
    # The documentation shows pings without an id of their own; they have no effect anyway.
    if notification.topic == "ping":
        return jsonify({"status": "ok"})
    if notification.id is None:
        raise BodyRefused("The notification has no id.", reason="body_incomplete")
    stored = deliveries.keep_unhandled(
        here.engine,
        key=f"{notification.app_id}:{notification.id}",
        event=notification.topic,
        reason="unknown_topic",
        door="intercom",
    )
    return jsonify({"status": "stored" if stored else "seen_before"})


def _is_ping(raw: bytes) -> bool:
    try:
        return _read(raw).topic == "ping"
    except BodyRefused:
        return False


def _read(raw: bytes) -> Notification:
    try:
        return Notification.model_validate_json(raw)
    except ValidationError:
        raise BodyRefused from None
