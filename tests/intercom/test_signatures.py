from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from hypothesis import given, strategies as st

from canvas_app.errors import NotConfigured, SignatureRefused
from canvas_app.intercom.signatures import sign_body, sign_hub, verify_body_signature, verify_hub_signature

SECRET = "koji-test-client-secret"
RAW = '{"workspace_id":"abc123","note":"café ☃ </p>","n":1.0}'.encode()
BODY_SIGNATURE = "dc4e0c5a7f030594a7359f2e549b46eb5f65a2fc12dd699afb2d4c19c0f2f4c5"
HUB_SIGNATURE = "sha1=b106a1c697a2eaccc7398c2709dedc293f9b3fc0"


def refusal(header: str | bytes | None, *, hub: bool = False, raw: bytes = RAW) -> str:
    verify = verify_hub_signature if hub else verify_body_signature
    with pytest.raises(SignatureRefused) as caught:
        verify(raw, header, [SECRET])
    return caught.value.reason


def test_the_known_vector() -> None:
    assert sign_body(RAW, SECRET) == BODY_SIGNATURE
    assert sign_hub(RAW, SECRET) == HUB_SIGNATURE
    verify_body_signature(RAW, BODY_SIGNATURE, [SECRET])
    verify_hub_signature(RAW, HUB_SIGNATURE, [SECRET])


def test_a_secret_that_is_not_utf8_signs_with_its_own_bytes() -> None:
    secret = b"\xff\xfe".decode("utf-8", "surrogateescape")
    assert sign_body(RAW, secret) == hmac.new(b"\xff\xfe", RAW, hashlib.sha256).hexdigest()
    assert sign_hub(RAW, secret) == "sha1=" + hmac.new(b"\xff\xfe", RAW, hashlib.sha1).hexdigest()


@pytest.mark.parametrize(
    ("headers", "reason", "message"),
    [
        ((None, None), "signature_missing", "The request carries no signature."),
        (("☃", "☃"), "signature_malformed", "The signature is not of Intercom's form."),
        (("odd", "odd"), "signature_malformed", "The signature is not of Intercom's form."),
        (
            ("0" * 64, "sha1=" + "0" * 40),
            "signature_mismatch",
            "The request is not signed with the secret this app was given.",
        ),
    ],
)
def test_a_refusal_says_what_is_wrong(
    headers: tuple[str | None, str | None], reason: str, message: str
) -> None:
    for verify, header in zip((verify_body_signature, verify_hub_signature), headers, strict=True):
        with pytest.raises(SignatureRefused) as caught:
            verify(RAW, header, [SECRET])
        assert (caught.value.reason, str(caught.value)) == (reason, message)


@pytest.mark.parametrize("hub", [False, True])
def test_a_reserialised_body_is_refused(hub: bool) -> None:
    reserialised = json.dumps(json.loads(RAW)).encode()
    header = HUB_SIGNATURE if hub else BODY_SIGNATURE
    assert refusal(header, hub=hub, raw=reserialised) == "signature_mismatch"


def test_every_secret_is_tried() -> None:
    verify_body_signature(RAW, BODY_SIGNATURE, ["new-secret", "", SECRET])
    verify_hub_signature(RAW, HUB_SIGNATURE, ["new-secret", "", SECRET])


@pytest.mark.parametrize("secrets", [[], [""], ["", "  "]])
def test_without_a_secret_nothing_is_accepted(secrets: list[str]) -> None:
    # A blank key is a key that everybody knows.
    with pytest.raises(NotConfigured) as caught:
        verify_body_signature(RAW, sign_body(RAW, ""), secrets)
    assert caught.value.missing == ["INTERCOM_CLIENT_SECRET"]
    with pytest.raises(NotConfigured):
        verify_hub_signature(RAW, None, secrets)


@pytest.mark.parametrize("hub", [False, True])
@pytest.mark.parametrize("header", [None, "", b""])
def test_missing(header: str | bytes | None, hub: bool) -> None:
    assert refusal(header, hub=hub) == "signature_missing"


@pytest.mark.parametrize(
    "header",
    [
        BODY_SIGNATURE[:-1],
        BODY_SIGNATURE + "0",
        BODY_SIGNATURE[:40],
        "sha256=" + BODY_SIGNATURE,
        HUB_SIGNATURE,
        " " + BODY_SIGNATURE,
        BODY_SIGNATURE + "\n",
        BODY_SIGNATURE[:32] + " " + BODY_SIGNATURE[32:],
        "g" * 64,
        "\uff11" * 64,  # Full-width digits are digits to str.isdigit.
        "\xe9" * 64,
        b"\xff" * 64,
        "☃",
    ],
)
def test_body_signature_of_another_form(header: str | bytes) -> None:
    assert refusal(header) == "signature_malformed"


@pytest.mark.parametrize(
    "header",
    [
        HUB_SIGNATURE.removeprefix("sha1="),
        HUB_SIGNATURE[:-1],
        HUB_SIGNATURE + "0",
        HUB_SIGNATURE + "\n",
        HUB_SIGNATURE.replace("sha1=", "sha256="),
        HUB_SIGNATURE.replace("sha1=", "SHA1="),
        HUB_SIGNATURE.replace("sha1=", "sha1= "),
        BODY_SIGNATURE,
        "sha1=" + BODY_SIGNATURE,
        "sha1=" + "\xe9" * 40,
    ],
)
def test_hub_signature_of_another_form(header: str) -> None:
    assert refusal(header, hub=True) == "signature_malformed"


def test_mismatch() -> None:
    assert refusal("0" * 64) == "signature_mismatch"
    assert refusal("sha1=" + "0" * 40, hub=True) == "signature_mismatch"
    assert refusal(BODY_SIGNATURE, raw=b"") == "signature_mismatch"


def test_the_refusal_does_not_tell_the_digest() -> None:
    with pytest.raises(SignatureRefused) as caught:
        verify_body_signature(RAW, "0" * 64, [SECRET])
    assert BODY_SIGNATURE not in str(caught.value)
    assert SECRET not in str(caught.value)


@given(st.binary(), st.text(min_size=1).filter(str.strip))
def test_what_is_signed_verifies(raw: bytes, secret: str) -> None:
    verify_body_signature(raw, sign_body(raw, secret), [secret])
    verify_hub_signature(raw, sign_hub(raw, secret).encode(), [secret])


@given(st.one_of(st.text(), st.binary()))
def test_any_other_header_is_refused(header: str | bytes) -> None:
    for verify in (verify_body_signature, verify_hub_signature):
        with pytest.raises(SignatureRefused):
            verify(RAW, header, [SECRET])
