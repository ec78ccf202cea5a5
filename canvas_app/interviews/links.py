"""Personal links: what the customer taps, and where they may lead."""

from __future__ import annotations

from collections.abc import Sequence

from itsdangerous import BadSignature, URLSafeSerializer

from canvas_app import hmacs

# Names what is signed, so that a token made for something else is not taken for a link.
_SALT = "personal-link"


def make_token(interview_id: str, secret_keys: Sequence[str]) -> str:
    """A token for this interview, signed with the newest key. ``secret_keys`` is newest first."""
    return str(_serializer(secret_keys).dumps(interview_id))


def read_token(token: str, secret_keys: Sequence[str]) -> str | None:
    """The interview's id, or None when no key of ours has signed this token."""
    if not secret_keys:
        return None
    try:
        value = _serializer(secret_keys).loads(token)
    except BadSignature:
        return None
    return value if isinstance(value, str) else None


def personal_url(public_url: str, token: str) -> str:
    return f"{public_url}/i/{token}"


def _serializer(secret_keys: Sequence[str]) -> URLSafeSerializer:
    # itsdangerous signs with the last key of the list and accepts all of them.
    return URLSafeSerializer([hmacs.key_of(key) for key in reversed(secret_keys)], salt=_SALT)
