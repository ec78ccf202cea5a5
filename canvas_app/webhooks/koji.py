"""The door for Koji's webhooks: recognise, verify, parse, store and enqueue, 2xx.

https://www.koji.so/docs/webhook-setup
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from flask import Blueprint, Response, jsonify, request

from canvas_app import store, web
from canvas_app.errors import NotConfigured, SecretLost, SignatureRefused
from canvas_app.interviews import deliveries, studies
from canvas_app.koji import events, signatures
from canvas_app.koji.events import KojiEvent

# Why the environment's secrets do not fit, where another study's may: every other flaw is in the request.
_MAY_BE_ANOTHER_STUDYS = frozenset({SignatureRefused.default_reason, NotConfigured.default_reason})

blueprint = Blueprint("koji_webhooks", __name__)


@blueprint.route("/webhooks/koji", methods=["GET", "POST"])
def receive() -> Response:
    here = web.current()
    if request.method != "POST":
        return _pong()
    raw = web.body()
    harmless = events.harmless(raw)
    signed_for: list[str] | None = None
    try:
        _verify(raw, here.settings.koji_webhook_secret)
    except (SignatureRefused, NotConfigured) as refusal:
        # Saving the address makes Koji send a request of unknown form, perhaps before it shows the secret.
        # One that names no event of Koji's is answered and has no effect; any other is refused.
        if harmless is not None:
            return _pong(harmless)
        if refusal.reason not in _MAY_BE_ANOTHER_STUDYS:
            raise
        signed_for = _verify_by_studies(raw)
    event = harmless or events.parse(raw)
    if event.kind == "ping" or (harmless and event.challenge):
        return _pong(event)
    stored = deliveries.keep(here.engine, here.jobs, event, raw, signed_for=signed_for)
    return jsonify({"status": "stored" if stored else "seen_before"})


def _verify(raw: bytes, secrets: Sequence[str]) -> None:
    header = web.header(web.current().settings.koji_signature_header)
    signatures.verify(raw, header, secrets, now=time.time())


def _verify_by_studies(raw: bytes) -> list[str]:
    """Koji's webhooks belong to a project, so that each study may have a secret of its own, which speaks of
    its interviews alone. Returns the studies that it is signed for."""
    here = web.current()
    with store.reading(here.engine) as connection:
        secrets = studies.webhook_secrets(connection, here.settings)
        signed_for = studies.signed_for(connection, here.settings, lambda own: _fits(raw, own))
    try:
        _verify(raw, secrets)
    except (SignatureRefused, NotConfigured):
        with store.reading(here.engine) as connection:
            lost = studies.secrets_lost(connection, here.settings)
        if lost:
            # It may be signed with one that cannot be read here. Koji sends it again after a 503, and until
            # then the right SECRET_KEY may be set; a 401 would be the last word.
            raise SecretLost from None
        raise
    return signed_for


def _fits(raw: bytes, secrets: Sequence[str]) -> bool:
    try:
        _verify(raw, secrets)
    except (SignatureRefused, NotConfigured):
        return False
    return True


def _pong(event: KojiEvent | None = None) -> Response:
    challenge = event.challenge if event else None
    challenge = challenge or events.plain_challenge(request.args.get("challenge"))
    return jsonify({"status": "ok"} | ({"challenge": challenge} if challenge else {}))
