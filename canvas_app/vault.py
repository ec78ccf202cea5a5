"""Secrets at rest: what stands sealed in the database is opened with a key derived from ``SECRET_KEY``.

Several keys are a rotation: each of them opens, the newest seals.
https://cryptography.io/en/latest/fernet/#cryptography.fernet.MultiFernet
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from canvas_app import hmacs
from canvas_app.errors import NotConfigured, SecretLost

# Names what the key is derived for, so that a key for something else would be another one.
_PURPOSE = b"koji-for-intercom: secrets at rest"


class Vault:
    """Seals and opens texts. ``secret_keys`` is newest first; without any, both raise NotConfigured."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._fernets = [Fernet(_derived(key)) for key in hmacs.keys_of(secret_keys)]

    def seal(self, secret: str) -> str:
        """The secret, sealed with the newest key: printable ASCII."""
        return self._newest.encrypt(secret.encode()).decode()

    def open(self, sealed: str) -> str:
        """What was sealed. Raises SecretLost when none of the keys has sealed it."""
        try:
            return MultiFernet([self._newest, *self._fernets[1:]]).decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise SecretLost from None

    def renewed(self, sealed: str) -> str | None:
        """The same, sealed with the newest key; None where it is that already. Raises SecretLost."""
        try:
            self._newest.decrypt(sealed.encode())
        except InvalidToken:
            return self.seal(self.open(sealed))
        return None

    @property
    def _newest(self) -> Fernet:
        if not self._fernets:
            raise NotConfigured(["SECRET_KEY"])
        return self._fernets[0]


def _derived(key: bytes) -> bytes:
    return base64.urlsafe_b64encode(HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(key))
