"""The door for Koji's webhooks: recognise, verify, parse, store and enqueue, 2xx.

https://www.koji.so/docs/webhook-setup
"""

from __future__ import annotations

import time

from flask import Blueprint, Response, jsonify, request

from canvas_app import web
from canvas_app.errors import NotConfigured, SignatureRefused
from canvas_app.interviews import deliveries
from canvas_app.koji import events, signatures
from canvas_app.koji.events import KojiEvent

blueprint = Blueprint("koji_webhooks", __name__)


@blueprint.route("/webhooks/koji", methods=["GET", "POST"])
def receive() -> Response:
    here = web.current()
    if request.method != "POST":
        return _pong()
    raw = web.body()
    harmless = events.harmless(raw)
    try:
        signatures.verify(
            raw,
            web.header(here.settings.koji_signature_header),
            here.settings.koji_webhook_secret,
            now=time.time(),
        )
    except (SignatureRefused, NotConfigured):
        # Saving the address makes Koji send a request of unknown form, perhaps before it shows the secret.
        # One that names no event of Koji's is answered and has no effect; any other is refused.
        if harmless is None:
            raise
        return _pong(harmless)
    event = harmless or events.parse(raw)
    if event.kind == "ping" or (harmless and event.challenge):
        return _pong(event)
    stored = deliveries.keep(here.engine, here.jobs, event, raw)
    return jsonify({"status": "stored" if stored else "seen_before"})


def _pong(event: KojiEvent | None = None) -> Response:
    challenge = event.challenge if event else None
    challenge = challenge or events.plain_challenge(request.args.get("challenge"))
    return jsonify({"status": "ok"} | ({"challenge": challenge} if challenge else {}))
