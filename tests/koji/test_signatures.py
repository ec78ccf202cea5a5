from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given, strategies as st

from canvas_app.errors import NotConfigured, SignatureRefused
from canvas_app.koji.signatures import sign, verify

SECRET = "whsec-koji"
RAW = b'{"event":"interview.analysis_ready"}'
NOW = 1_780_000_000
DIGEST = hmac.new(SECRET.encode(), RAW, hashlib.sha256).digest()
# This body's digest has characters on which the two base64 alphabets differ.
STD_RAW = next(
    raw
    for raw in (b"%d" % number for number in range(1000))
    if {"+", "/"} <= set(base64.b64encode(hmac.new(SECRET.encode(), raw, hashlib.sha256).digest()).decode())
)
STD_DIGEST = hmac.new(SECRET.encode(), STD_RAW, hashlib.sha256).digest()


def timed(timestamp: object = NOW, secret: str = SECRET, raw: bytes = RAW) -> str:
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + raw, hashlib.sha256).hexdigest()


def refusal(header: str | bytes | None, *, raw: bytes = RAW, now: float = NOW) -> str:
    with pytest.raises(SignatureRefused) as caught:
        verify(raw, header, [SECRET], now=now)
    return caught.value.reason


@pytest.mark.parametrize(
    "header",
    [
        DIGEST.hex(),
        DIGEST.hex().upper(),
        DIGEST.hex()[:30] + DIGEST.hex()[30:].upper(),
        "sha256=" + DIGEST.hex(),
        "sha256=" + DIGEST.hex().upper(),
        DIGEST.hex().encode(),
        base64.b64encode(DIGEST).decode(),
        base64.b64encode(DIGEST).decode().rstrip("="),
        "sha256=" + base64.b64encode(DIGEST).decode(),
        f"t={NOW},v1={timed()}",
        f"v1={timed()},t={NOW}",
        f"t={NOW},v1={timed().upper()}",
        f"t={NOW},v1={'0' * 64},v1={timed()}",
        f"t={NOW},v0={'0' * 64},v1={timed()}",
        f"t={NOW}000,v1={timed(f'{NOW}000')}",  # Milliseconds.
        f"t={NOW},v1={base64.b64encode(bytes.fromhex(timed())).decode()}",
        f"t={NOW}" + f",v0={'0' * 64}" * 18 + f",v1={timed()}",  # The most fields that are looked at.
    ],
)
def test_every_form_that_is_understood(header: str | bytes) -> None:
    verify(RAW, header, ["another", SECRET], now=NOW)
    with pytest.raises(SignatureRefused):
        verify(RAW + b" ", header, ["another", SECRET], now=NOW)
    with pytest.raises(SignatureRefused):
        verify(RAW, header, ["another"], now=NOW)


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("padded", [True, False])
def test_both_base64_alphabets(encode: object, padded: bool) -> None:
    assert callable(encode)
    header = encode(STD_DIGEST).decode()
    verify(STD_RAW, header if padded else header.rstrip("="), [SECRET], now=NOW)


def test_mixed_base64_alphabets_are_refused() -> None:
    assert refusal(base64.b64encode(STD_DIGEST).decode().replace("+", "-"), raw=STD_RAW) == (
        "signature_malformed"
    )


def test_another_spelling_of_the_last_base64_character_is_refused() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    plain = base64.b64encode(DIGEST).decode().rstrip("=")
    twin = plain[:-1] + alphabet[alphabet.index(plain[-1]) + 1]
    assert base64.b64decode(twin + "=") == DIGEST
    assert refusal(twin) == "signature_malformed"


@pytest.mark.parametrize(
    "header",
    [
        f"Xt={NOW},v1={timed()}",
        "sha1=" + hmac.new(SECRET.encode(), RAW, hashlib.sha1).hexdigest(),
        hmac.new(SECRET.encode(), RAW, hashlib.sha1).hexdigest(),
        DIGEST.hex()[:-1],
        DIGEST.hex()[:40],
        DIGEST.hex() + "00",
        DIGEST.hex() + "\n",
        " " + DIGEST.hex(),
        DIGEST.hex()[:32] + " " + DIGEST.hex()[32:],
        "sha256= " + DIGEST.hex(),
        "sha256=sha256=" + DIGEST.hex(),
        "sha512=" + DIGEST.hex(),
        "v1=" + DIGEST.hex(),
        DIGEST.hex() + "," + DIGEST.hex(),
        base64.b64encode(DIGEST).decode()[:-2],
        base64.b64encode(DIGEST).decode() + "=",
        base64.b64encode(DIGEST + b"0").decode(),
        "\xe9" * 64,
        "☃" * 64,
        b"\xff" * 64,
        f"t={NOW}",
        f"v1={timed()}",
        f"t={NOW},v1=",
        f"t={NOW},v1={timed()[:40]}",
        f"t={NOW},v1={timed()},v1=short",
        f"t= {NOW},v1={timed()}",
        f"t={NOW},\tv1={timed()}",
        f"t={NOW},t={NOW},v1={timed()}",
        f"t={NOW},v1={timed()},",
        f"t=,v1={timed()}",
        f"t=-{NOW},v1={timed()}",
        f"t=1e9,v1={timed()}",
        f"t={NOW}.5,v1={timed()}",
        f"t=\u0661\u0662,v1={timed()}",
        f"t={NOW},v0={timed()}",
        f"t={NOW}" + f",v1={timed()}" * 20,
    ],
)
def test_near_misses_are_malformed(header: str | bytes) -> None:
    assert refusal(header) == "signature_malformed"


@pytest.mark.parametrize(
    ("header", "reason", "message"),
    [
        (None, "signature_missing", "The request carries no signature."),
        ("☃", "signature_malformed", "The signature is of no form that is known."),
        ("odd", "signature_malformed", "The signature is of no form that is known."),
        ("0" * 64, "signature_mismatch", "The request is not signed with the secret this app was given."),
        (
            f"t={NOW - 301},v1={timed(NOW - 301)}",
            "signature_stale",
            "The signature is too old, or a clock is wrong.",
        ),
    ],
)
def test_a_refusal_says_what_is_wrong(header: str | None, reason: str, message: str) -> None:
    with pytest.raises(SignatureRefused) as caught:
        verify(RAW, header, [SECRET], now=NOW)
    assert (caught.value.reason, str(caught.value)) == (reason, message)


def test_a_secret_that_is_not_utf8_signs_with_its_own_bytes() -> None:
    secret = b"\xff\xfe".decode("utf-8", "surrogateescape")
    assert sign(RAW, secret) == hmac.new(b"\xff\xfe", RAW, hashlib.sha256).hexdigest()


@pytest.mark.parametrize("header", [None, "", b""])
def test_missing(header: str | bytes | None) -> None:
    assert refusal(header) == "signature_missing"


@pytest.mark.parametrize(
    "header",
    [
        "0" * 64,
        timed(),
        f"t={NOW},v1={DIGEST.hex()}",  # Signed without its time.
        f"t={NOW + 1},v1={timed()}",
        f"t={NOW},v1={timed(secret='other')}",
        f"t={NOW - 9999},v1={'0' * 64}",  # Stale as well, but nobody may learn that without the secret.
    ],
)
def test_mismatch(header: str) -> None:
    assert refusal(header) == "signature_mismatch"


@pytest.mark.parametrize(
    ("seconds", "fresh"), [(0, True), (300, True), (-300, True), (301, False), (-301, False)]
)
def test_the_time_window(seconds: int, fresh: bool) -> None:
    header = f"t={NOW},v1={timed()}"
    if fresh:
        verify(RAW, header, [SECRET], now=NOW + seconds)
    else:
        assert refusal(header, now=NOW + seconds) == "signature_stale"


def test_the_tolerance_is_a_setting() -> None:
    verify(RAW, f"t={NOW},v1={timed()}", [SECRET], now=NOW + 900, tolerance=1000)


def test_a_signature_without_a_time_does_not_grow_old() -> None:
    verify(RAW, DIGEST.hex(), [SECRET], now=NOW * 2)


@pytest.mark.parametrize("secrets", [[], [""], [" "]])
def test_without_a_secret_nothing_is_accepted(secrets: list[str]) -> None:
    with pytest.raises(NotConfigured) as caught:
        verify(RAW, sign(RAW, ""), secrets, now=NOW)
    assert caught.value.missing == ["KOJI_WEBHOOK_SECRET"]


@given(st.binary())
def test_what_is_signed_verifies(raw: bytes) -> None:
    verify(raw, sign(raw, SECRET), [SECRET], now=NOW)


@given(
    st.one_of(st.text(), st.binary(), st.from_regex(r"t=[0-9]{1,14}(,v1=[0-9a-f]{64}){1,3}", fullmatch=True))
)
def test_any_other_header_is_refused(header: str | bytes) -> None:
    with pytest.raises(SignatureRefused):
        verify(RAW, header, [SECRET], now=NOW)
