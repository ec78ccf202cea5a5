"""Proof that a request comes from Intercom.

Each kind of call has its own header; both sign the exact bytes of the body with the app's client secret, so
the body must be verified before anything parses it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from canvas_app import hmacs
from canvas_app.errors import NotConfigured, SignatureRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BODY_SIGNATURE = re.compile(rb"([0-9a-fA-F]{64})")
_HUB_SIGNATURE = re.compile(rb"sha1=([0-9a-fA-F]{40})")


def verify_body_signature(raw: bytes, header: str | bytes | None, secrets: Sequence[str]) -> None:
    """Check ``X-Body-Signature``: HMAC-SHA256 as 64 hexadecimal digits without a prefix.

    Raises SignatureRefused (``signature_missing``, ``signature_malformed``, ``signature_mismatch``), or
    NotConfigured when there is no secret to check with.
    """
    # https://developers.intercom.com/docs/canvas-kit
    _verify(raw, header, secrets, _BODY_SIGNATURE, hmacs.sha256)


def verify_hub_signature(raw: bytes, header: str | bytes | None, secrets: Sequence[str]) -> None:
    """Check ``X-Hub-Signature``: ``sha1=`` and HMAC-SHA1 as 40 hexadecimal digits.

    Raises as verify_body_signature does.
    """
    # https://developers.intercom.com/docs/references/webhooks/webhook-models
    _verify(raw, header, secrets, _HUB_SIGNATURE, hmacs.sha1)


def sign_body(raw: bytes, secret: str) -> str:
    """The ``X-Body-Signature`` that Intercom would send with this body."""
    return hmacs.sha256(hmacs.key_of(secret), raw).hex()


def sign_hub(raw: bytes, secret: str) -> str:
    """The ``X-Hub-Signature`` that Intercom would send with this body."""
    return "sha1=" + hmacs.sha1(hmacs.key_of(secret), raw).hex()


def _verify(
    raw: bytes,
    header: str | bytes | None,
    secrets: Sequence[str],
    form: re.Pattern[bytes],
    digest: Callable[[bytes, bytes], bytes],
) -> None:
    keys = hmacs.keys_of(secrets)
    if not keys:
        raise NotConfigured(["INTERCOM_CLIENT_SECRET"])
    if not header:
        raise SignatureRefused("The request carries no signature.", reason="signature_missing")
    value = hmacs.header_bytes(header)
    # fullmatch, because "$" would let a trailing line feed through.
    match = form.fullmatch(value) if value is not None else None
    if match is None:
        raise SignatureRefused("The signature is not of Intercom's form.", reason="signature_malformed")
    given = bytes.fromhex(match[1].decode())
    if not hmacs.any_match([digest(key, raw) for key in keys], [given]):
        raise SignatureRefused
