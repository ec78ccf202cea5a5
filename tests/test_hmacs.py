from __future__ import annotations

import hashlib
import hmac
import re

from canvas_app import hmacs


def test_blank_secrets_are_no_keys() -> None:
    assert hmacs.keys_of(["", "  ", "one", "\t", "zwei\u00e4"]) == [b"one", "zwei\u00e4".encode()]


def test_a_secret_that_is_not_utf8_keeps_its_bytes() -> None:
    secret = b"\xff\xfe".decode("utf-8", "surrogateescape")
    assert hmacs.key_of(secret) == b"\xff\xfe"
    assert hmacs.keys_of([secret]) == [b"\xff\xfe"]


def test_digests() -> None:
    assert hmacs.sha256(b"key", b"message") == hmac.new(b"key", b"message", hashlib.sha256).digest()
    assert hmacs.sha1(b"key", b"message") == hmac.new(b"key", b"message", hashlib.sha1).digest()


def test_any_match_tries_every_pair() -> None:
    assert hmacs.any_match([b"a", b"b"], [b"c", b"b"])
    # What comes after a match does not undo it.
    assert hmacs.any_match([b"a", b"b"], [b"a", b"c"])
    assert not hmacs.any_match([b"a", b"b"], [b"c"])
    assert not hmacs.any_match([], [b"c"])
    assert not hmacs.any_match([b"a"], [])


def test_header_bytes() -> None:
    assert hmacs.header_bytes(None) is None
    assert hmacs.header_bytes(b"\xe9") == b"\xe9"
    assert hmacs.header_bytes("\xe9") == b"\xe9"
    # A header that WSGI cannot have made.
    assert hmacs.header_bytes("\u2603") is None


def test_a_fingerprint_depends_on_the_secret_the_purpose_and_each_part() -> None:
    first = hmacs.fingerprint("secret", "purpose", "a", "bc")
    assert re.fullmatch("[0-9a-f]{64}", first)
    assert first == hmacs.fingerprint("secret", "purpose", "a", "bc")
    others = {
        hmacs.fingerprint("other", "purpose", "a", "bc"),
        hmacs.fingerprint("secret", "other", "a", "bc"),
        hmacs.fingerprint("secret", "purpose", "ab", "c"),
        hmacs.fingerprint("secret", "purpose", "a", "bc", ""),
        hmacs.fingerprint("secret", "purpose", "a\0bc"),
    }
    assert len(others | {first}) == 6
