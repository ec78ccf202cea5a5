"""The four doors at which another service proves itself by a signature, and what a stranger may try there."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from canvas_app.intercom import signatures as intercom_signatures
from canvas_app.koji import signatures as koji_signatures
from tests.support.world import CLIENT_SECRET, CONTACT, CONVERSATION, KOJI_ID, KOJI_SECRET, REP, WORKSPACE

PLANTED = "planted words of the customer"

_CANVAS: dict[str, Any] = {
    "workspace_id": WORKSPACE,
    "admin": REP,
    "conversation": {"type": "conversation", "id": CONVERSATION},
    "contact": {"type": "contact", "id": CONTACT, "name": PLANTED, "email": "planted@example.com"},
}
_KOJI: dict[str, Any] = {
    "event": "interview.analysis_ready",
    "data": {
        "interview_id": KOJI_ID,
        "respondent_email": "planted@example.com",
        "sentiment": "negative",
        "quality_score": 4,
        "transcript": PLANTED,
    },
}
_INTERCOM: dict[str, Any] = {
    "type": "notification_event",
    "id": "notif_1",
    "app_id": WORKSPACE,
    "topic": "conversation.admin.closed",
    "data": {"item": {"id": CONVERSATION, "source": {"body": PLANTED}}},
}


@dataclass(frozen=True)
class Door:
    """``sign`` makes the header's value from a body and a secret; ``setting`` holds the secret."""

    path: str
    header: str
    setting: str
    secret: str
    sign: Callable[[bytes, str], str]
    body: dict[str, Any]

    @property
    def raw(self) -> bytes:
        return json.dumps(self.body).encode()

    @property
    def signature(self) -> str:
        return self.sign(self.raw, self.secret)


DOORS = [
    Door(
        "/canvas/initialize",
        "X-Body-Signature",
        "INTERCOM_CLIENT_SECRET",
        CLIENT_SECRET,
        intercom_signatures.sign_body,
        _CANVAS,
    ),
    Door(
        "/canvas/submit",
        "X-Body-Signature",
        "INTERCOM_CLIENT_SECRET",
        CLIENT_SECRET,
        intercom_signatures.sign_body,
        {**_CANVAS, "component_id": "send", "input_values": {"personal_line": PLANTED}},
    ),
    Door(
        "/webhooks/intercom",
        "X-Hub-Signature",
        "INTERCOM_CLIENT_SECRET",
        CLIENT_SECRET,
        intercom_signatures.sign_hub,
        _INTERCOM,
    ),
    Door(
        "/webhooks/koji",
        "X-Koji-Signature",
        "KOJI_WEBHOOK_SECRET",
        KOJI_SECRET,
        koji_signatures.sign,
        _KOJI,
    ),
]


@dataclass(frozen=True)
class Attempt:
    """A request that must not be believed, and the reason code that it is refused with."""

    raw: bytes
    headers: dict[str, str]
    reason: str


def _digits(signature: str) -> str:
    return signature.rpartition("=")[2]


def _other_header(door: Door) -> str:
    return next(other.header for other in DOORS if other.header != door.header)


# What is tried, as a function of the door.
ATTEMPTS: dict[str, Callable[[Door], Attempt]] = {
    "no signature": lambda door: Attempt(door.raw, {}, "signature_missing"),
    "an empty signature": lambda door: Attempt(door.raw, {door.header: ""}, "signature_missing"),
    "the signature in another header": lambda door: Attempt(
        door.raw, {_other_header(door): door.signature}, "signature_missing"
    ),
    "no signature at all": lambda door: Attempt(door.raw, {door.header: "let me in"}, "signature_malformed"),
    "a truncated signature": lambda door: Attempt(
        door.raw, {door.header: door.signature[:-2]}, "signature_malformed"
    ),
    "a non-ASCII signature": lambda door: Attempt(
        door.raw, {door.header: "é" * len(door.signature)}, "signature_malformed"
    ),
    "the prefix alone": lambda door: Attempt(door.raw, {door.header: "sha1="}, "signature_malformed"),
    "another algorithm": lambda door: Attempt(
        door.raw,
        {door.header: "sha512=" + hmac.new(door.secret.encode(), door.raw, hashlib.sha512).hexdigest()},
        "signature_malformed",
    ),
    "another secret": lambda door: Attempt(
        door.raw, {door.header: door.sign(door.raw, "another-secret")}, "signature_mismatch"
    ),
    "an empty secret": lambda door: Attempt(
        door.raw, {door.header: door.sign(door.raw, "")}, "signature_mismatch"
    ),
    "a plain digest without a secret": lambda door: Attempt(
        door.raw,
        {
            door.header: door.signature.replace(
                _digits(door.signature),
                (hashlib.sha1 if "sha1=" in door.signature else hashlib.sha256)(door.raw).hexdigest(),
            )
        },
        "signature_mismatch",
    ),
    "the signature of an empty body": lambda door: Attempt(
        door.raw, {door.header: door.sign(b"", door.secret)}, "signature_mismatch"
    ),
    "a body that was written anew": lambda door: Attempt(
        json.dumps(door.body, indent=1).encode(), {door.header: door.signature}, "signature_mismatch"
    ),
    "a body with something behind it": lambda door: Attempt(
        door.raw + b"\n", {door.header: door.signature}, "signature_mismatch"
    ),
}
