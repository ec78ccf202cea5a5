"""Who may use the API: whoever has one of its tokens.

Intercom's data connectors fetch a new token and try again when, and only when, they are answered 401. So 401
means that the token is bad, and nothing else.
https://www.intercom.com/help/en/articles/6615543-setting-up-custom-actions-authentication
"""

from __future__ import annotations

from collections.abc import Sequence

from canvas_app import hmacs
from canvas_app.errors import NotConfigured, TokenRefused


def check(header: str | None, tokens: Sequence[str]) -> None:
    """Let the request in whose ``Authorization`` header holds one of these tokens.

    Raises TokenRefused, and NotConfigured where no token is set: nobody is let in then.
    """
    keys = hmacs.keys_of(tokens)
    if not keys:
        raise NotConfigured(["API_TOKEN"])
    raw = hmacs.header_bytes(header)
    if not raw or not raw.strip():
        raise TokenRefused(
            "The request has no token. Send the header Authorization with the value: Bearer, a space, and "
            "the token that stands in the app's setting API_TOKEN.",
            reason="token_missing",
        )
    scheme, _, token = raw.strip().partition(b" ")
    if scheme.lower() != b"bearer" or not token.strip():
        raise TokenRefused(
            "The header Authorization must be: Bearer, a space, and the token of the setting API_TOKEN.",
            reason="token_missing",
        )
    # Bytes are compared, in constant time, and all of them: the time taken tells nothing.
    if not hmacs.any_match(keys, [token.strip()]):
        raise TokenRefused(
            "The token is not the one of the app's setting API_TOKEN. Please copy it again, without "
            "quotation marks, and look whether it has been replaced."
        )
