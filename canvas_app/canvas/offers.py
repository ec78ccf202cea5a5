"""What a card hands out, and what a tap brings back: signed, good for a day, and for this card alone.

A card may stand open for a while before it is tapped. What is older than a day is drawn anew, so that a
request that somebody has kept does nothing later. Nothing in a token is secret: Intercom can read it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from itsdangerous import BadSignature, Signer, TimestampSigner, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode

from canvas_app import hmacs
from canvas_app.canvas.request import CanvasRequest
from canvas_app.interviews.ledger_rows import Shown
from canvas_app.interviews.seen import Person, Seen

GOOD_FOR_SECONDS = 24 * 60 * 60

# Name what is signed, so that a token made for one thing is not taken for another.
_OFFER_SALT = "offer"
_SEEN_SALT = "seen"
_WAY_IN_SALT = "way in"


@dataclass(frozen=True, slots=True)
class Offered:
    """What was on a card from which an interview is sent.

    ``key`` makes two taps the same tap; ``newest_id`` was the contact's newest interview. ``study`` is the
    slug of the one that was chosen, and ``words`` the fingerprint of the words that were shown; a card of the
    version before says neither.
    """

    key: str
    newest_id: str | None
    study: str | None
    words: str | None


def person(request: CanvasRequest) -> Person:
    if request.contact is None:
        raise LookupError("the contact was checked before")
    return Person(request.workspace_id, request.contact.id)


def new_offer(
    keys: Sequence[str], request: CanvasRequest, newest_id: str | None, *, study: str, words: str
) -> str:
    """Names a card from which an interview is sent, its place, the contact's newest interview by then, and
    what it shows.

    ``keys`` is newest first; the rest is as in :class:`Offered`.
    """
    offered = [*_place(request), newest_id, secrets.token_urlsafe(9), study, words]
    return str(_signer(tuple(keys), _OFFER_SALT).dumps(offered))


def offered(keys: Sequence[str], request: CanvasRequest, nonce: object) -> Offered | None:
    """The offer that was tapped; None when it is not ours, of another card, or older than a day."""
    if not isinstance(nonce, str):
        return None
    read = _read(keys, _OFFER_SALT, nonce)
    if not isinstance(read, list) or read[:3] != _place(request):
        return None
    study, words = read[5:] or (None, None)
    return Offered(key(request, nonce), read[3], study, words)


def bind(keys: Sequence[str], request: CanvasRequest, interview: Shown) -> str:
    """Names an interview as it is now, and the conversation and contact beside which it is shown."""
    shown = [interview.id, interview.send_attempt, interview.state_since.isoformat()]
    # The nonce makes each card one of its own, also within a second.
    return str(_signer(tuple(keys), _SEEN_SALT).dumps([*_place(request), *shown, secrets.token_urlsafe(9)]))


def seen_on(keys: Sequence[str], request: CanvasRequest, token: object) -> Seen | None:
    """What was on the card that was tapped; None when the token is not ours, of another card, or too old."""
    read = _read(keys, _SEEN_SALT, token) if isinstance(token, str) else None
    if not isinstance(read, list) or read[:3] != _place(request):
        return None
    # Signed by us, so that it has our shape.
    interview_id, send_attempt, since, _nonce = read[3:]
    return Seen(interview_id, send_attempt, datetime.fromisoformat(since))


def new_way_in(keys: Sequence[str], request: CanvasRequest) -> str:
    """Names a card from which there is a way into the console, and its place."""
    return str(_signer(keys, _WAY_IN_SALT).dumps([*_place(request), secrets.token_urlsafe(9)]))


def way_in(keys: Sequence[str], request: CanvasRequest, token: object) -> str | None:
    """32 characters that are the same for each tap of this teammate on this card; None when the token is not
    ours, of another card, or older than a day.

    A request that somebody has kept leads to the same link once more, which was used by then.
    """
    if not isinstance(token, str) or request.admin is None:
        return None
    read = _read(keys, _WAY_IN_SALT, token)
    if not isinstance(read, list) or read[:3] != _place(request):
        return None
    return hashlib.sha256("\0".join((request.admin.id, token)).encode()).hexdigest()[:32]


def key(request: CanvasRequest, token: str) -> str:
    """What makes two taps the same tap: the card that was drawn, for its contact in its conversation."""
    parts = ("canvas", request.workspace_id, request.conversation_id or "", person(request).contact_id, token)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _place(request: CanvasRequest) -> list[str | None]:
    return [request.workspace_id, person(request).contact_id, request.conversation_id]


def _read(keys: Sequence[str], salt: str, token: str) -> Any:
    try:
        return _signer(tuple(keys), salt).loads(token, max_age=GOOD_FOR_SECONDS)
    except BadSignature:
        return None


_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))


class _Signer(TimestampSigner):
    """Derives the key of each secret once."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._derived: dict[str | bytes | None, bytes] = {}

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        derived = self._derived.get(secret_key)
        if derived is None:
            derived = self._derived[secret_key] = super().derive_key(secret_key)
        return derived


class _Serializer(URLSafeTimedSerializer):
    """Writes and reads tokens of its base class's form, in a fraction of its time: each card has one or two.

    The signer is kept. What is signed is short, so that nobody tries whether it could be compressed.
    """

    def __init__(self, keys: Sequence[bytes], salt: str) -> None:
        # The digest is the default one; named directly it needs no Python code for each signature.
        super().__init__(list(keys), salt=salt, signer=_Signer, signer_kwargs={"digest_method": hashlib.sha1})
        self._its_signer = super().make_signer()

    def make_signer(self, salt: str | bytes | None = None) -> Signer:
        return self._its_signer if salt in (None, self.salt) else super().make_signer(salt)

    def dump_payload(self, obj: Any) -> bytes:
        return base64_encode(_ENCODER.encode(obj))


@functools.lru_cache(maxsize=16)
def _signer(keys: tuple[str, ...], salt: str) -> _Serializer:
    # itsdangerous signs with the last key of the list and accepts all of them.
    return _Serializer([hmacs.key_of(key) for key in reversed(keys)], salt)
