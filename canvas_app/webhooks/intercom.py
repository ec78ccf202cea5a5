"""The door for Intercom's webhooks: recognise, verify, parse, store and enqueue, 2xx.

https://developers.intercom.com/docs/webhooks/webhook-notifications
"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from canvas_app import web
from canvas_app.errors import BodyRefused, NotConfigured
from canvas_app.intercom import notifications, signatures
from canvas_app.intercom.notifications import Event
from canvas_app.interviews import deliveries, links

blueprint = Blueprint("intercom_webhooks", __name__)


@blueprint.route("/webhooks/intercom", methods=["GET", "POST"])
def receive() -> Response:
    # Intercom asks with HEAD when the address is saved; a route that answers GET answers HEAD too.
    if request.method != "POST":
        return jsonify({"status": "ok"})
    here = web.current()
    raw = web.body()
    try:
        signatures.verify_hub_signature(
            raw, web.header("X-Hub-Signature"), here.settings.intercom_client_secret
        )
    except NotConfigured:
        # Intercom pings when the address is saved, which may be before the secret has found its way here.
        if _is_ping(raw):
            return jsonify({"status": "ok"})
        raise
    own_links = links.personal_url(here.settings.public_url, "") if here.settings.public_url else None
    event = notifications.parse(raw, own_links=own_links)
    if event.kind == "ping":
        return jsonify({"status": "ok"})
    return jsonify({"status": "stored" if _keep(here, event) else "seen_before"})


def _keep(here: web.Web, event: Event) -> bool:
    if event.kind != "other":
        return deliveries.keep_event(here.engine, here.jobs, event)
    return deliveries.keep_unhandled(
        here.engine,
        key=f"{event.workspace_id}:{event.id}",
        event=event.topic,
        reason="unknown_topic",
        door="intercom",
    )


def _is_ping(raw: bytes) -> bool:
    try:
        return notifications.parse(raw).kind == "ping"
    except BodyRefused:
        return False
