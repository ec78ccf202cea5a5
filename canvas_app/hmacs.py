"""Keyed digests, compared the safe way. Knows no vendor: the wires bring the header formats."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def key_of(secret: str) -> bytes:
    """A secret as key bytes."""
    # An environment variable that is not UTF-8 arrives with surrogate escapes: this gives its own bytes back.
    return secret.encode(errors="surrogateescape")


def keys_of(secrets: Sequence[str]) -> list[bytes]:
    """The secrets as key bytes; blank ones are left out, because a blank key would let everybody in."""
    return [key_of(secret) for secret in secrets if secret.strip()]


def sha256(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA256 as 32 raw bytes."""
    return hmac.new(key, message, hashlib.sha256).digest()


def fingerprint(secret: str, purpose: str, *parts: str) -> str:
    """A keyed digest of these parts as 64 hexadecimal characters, which nobody without the secret can guess
    them from. A fingerprint for one purpose is not one for another."""
    # As JSON, so that no two lists of parts are the same message.
    message = json.dumps(parts).encode()
    return sha256(sha256(key_of(secret), purpose.encode()), message).hex()


def sha1(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA1 as 20 raw bytes, for Intercom's webhooks, which offer nothing newer."""
    return hmac.new(key, message, hashlib.sha1).digest()


def any_match(expected: Iterable[bytes], given: Sequence[bytes]) -> bool:
    """Whether any expected digest equals any given one.

    Every pair is compared, in constant time and without stopping early, so that the time taken does not
    tell which secret matched. Bytes are compared, never text: ``compare_digest`` raises on non-ASCII text.
    """
    found = False
    for digest in expected:
        for candidate in given:
            found |= hmac.compare_digest(digest, candidate)
    return found


def header_bytes(header: str | bytes | None) -> bytes | None:
    """A header's value as the bytes that were sent, None when there is none or it cannot have been sent.

    WSGI hands header bytes over as latin-1 text.
    """
    if header is None or isinstance(header, bytes):
        return header
    try:
        return header.encode("latin-1")
    except UnicodeEncodeError:
        return None
