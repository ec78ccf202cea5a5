"""Proof that a webhook comes from Koji.

Koji documents an HMAC-SHA256 of the body, but neither the encoding of the digest nor the form of the header
(https://www.koji.so/docs/webhook-setup). So every usual form is understood; each proves the same thing.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from canvas_app import hmacs
from canvas_app.errors import NotConfigured, SignatureRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEX = re.compile(rb"[0-9a-fA-F]{64}")
# 32 bytes are 43 base64 characters and one of padding. The two alphabets are never mixed in one value.
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{43}=?")
_BASE64_URLSAFE = re.compile(rb"[A-Za-z0-9_-]{43}=?")
_FIELD = re.compile(rb"([a-z][a-z0-9]{0,15})=([!-+\--~]{1,128})")  # Printable, without space and comma.
_SCHEME = re.compile(rb"\Asha256=", re.IGNORECASE)
_SECONDS = re.compile(rb"[0-9]{1,12}")
_MILLISECONDS = re.compile(rb"[0-9]{13}")
_MOST_FIELDS = 20


def verify(
    raw: bytes,
    header: str | bytes | None,
    secrets: Sequence[str],
    *,
    now: float,
    tolerance: float = 300,
) -> None:
    """Check Koji's signature header against the raw body.

    Understood are 64 hexadecimal digits in either case, base64 (standard or URL-safe, padded or not), each
    with or without ``sha256=``, and ``t=<unix time>,v1=<digest>[,v1=<digest>...]``, with or without a space
    after a comma, which signs the time, a full stop and the body. Only the last form carries a signed time,
    so only there is it held against ``now`` (unix seconds; ``tolerance`` in seconds, either way).

    Raises SignatureRefused (``signature_missing``, ``signature_malformed``, ``signature_mismatch``,
    ``signature_stale``), or NotConfigured when there is no secret to check with.
    """
    keys = hmacs.keys_of(secrets)
    if not keys:
        raise NotConfigured(["KOJI_WEBHOOK_SECRET"])
    if not header:
        raise SignatureRefused("The request carries no signature.", reason="signature_missing")
    value = hmacs.header_bytes(header)
    if value is None:
        raise _malformed()
    if (digest := _digest(_SCHEME.sub(b"", value))) is not None:
        timestamp, given, signed = None, [digest], raw
    else:
        timestamp, given = _timestamped(value)
        signed = timestamp + b"." + raw
    if not hmacs.any_match([hmacs.sha256(key, signed) for key in keys], given):
        raise SignatureRefused
    # The time is looked at last: until the signature holds, it is only somebody's claim.
    if timestamp is not None and abs(now - _unix_seconds(timestamp)) > tolerance:
        raise SignatureRefused("The signature is too old, or a clock is wrong.", reason="signature_stale")


def sign(raw: bytes, secret: str) -> str:
    """A signature of this body in the plainest form that verify understands: 64 hexadecimal digits."""
    return hmacs.sha256(hmacs.key_of(secret), raw).hex()


def _digest(text: bytes) -> bytes | None:
    """The 32 bytes that a hexadecimal or base64 text stands for, None when it is neither."""
    if _HEX.fullmatch(text):
        return bytes.fromhex(text.decode())
    if _BASE64.fullmatch(text):
        altchars = None
    elif _BASE64_URLSAFE.fullmatch(text):
        altchars = b"-_"
    else:
        return None
    unpadded = text.removesuffix(b"=")
    digest = base64.b64decode(unpadded + b"=", altchars=altchars)
    # The last character has two bits to spare; only the spelling with zeros there is a digest's own.
    return digest if base64.b64encode(digest, altchars).removesuffix(b"=") == unpadded else None


def _timestamped(value: bytes) -> tuple[bytes, list[bytes]]:
    """The time (as it was written, since that is what was signed) and the digests of ``t=...,v1=...``."""
    times: list[bytes] = []
    digests: list[bytes] = []
    fields = value.split(b",")
    if len(fields) > _MOST_FIELDS:
        raise _malformed()
    for field in fields:
        match = _FIELD.fullmatch(field.strip(b" "))
        if match is None:
            raise _malformed()
        if match[1] == b"t":
            times.append(match[2])
        elif match[1] == b"v1":
            digest = _digest(match[2])
            if digest is None:
                raise _malformed()
            digests.append(digest)
        # Any other name is another scheme, sent beside v1 while a vendor changes over: not ours to judge.
    if len(times) != 1 or not digests:
        raise _malformed()
    if not (_SECONDS.fullmatch(times[0]) or _MILLISECONDS.fullmatch(times[0])):
        raise _malformed()
    return times[0], digests


def _unix_seconds(timestamp: bytes) -> float:
    return int(timestamp) / (1000 if _MILLISECONDS.fullmatch(timestamp) else 1)


def _malformed() -> SignatureRefused:
    return SignatureRefused("The signature is of no form that is known.", reason="signature_malformed")
