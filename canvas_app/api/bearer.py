"""Who may come in with a token: to the API, and to the metrics with theirs.

Intercom's data connectors fetch a new token and try again when, and only when, they are answered 401. So 401
means that the token is bad, and nothing else.
https://www.intercom.com/help/en/articles/6615543-setting-up-custom-actions-authentication
"""

from __future__ import annotations

from collections.abc import Sequence

from canvas_app import hmacs
from canvas_app.errors import NotConfigured, TokenRefused


def check(header: str | None, tokens: Sequence[str], *, setting: str = "API_TOKEN") -> None:
    """Let the request in whose ``Authorization`` header holds one of these tokens, the values of a setting.

    Raises TokenRefused, and NotConfigured where no token is set: nobody is let in then.
    """
    keys = hmacs.keys_of(tokens)
    if not keys:
        raise NotConfigured([setting])
    raw = hmacs.header_bytes(header)
    if not raw or not raw.strip():
        raise TokenRefused(
            "The request has no token. Send the header Authorization with the value: Bearer, a space, and "
            f"the token that stands in the app's setting {setting}.",
            reason="token_missing",
        )
    scheme, _, token = raw.strip().partition(b" ")
    if scheme.lower() != b"bearer" or not token.strip():
        raise TokenRefused(
            f"The header Authorization must be: Bearer, a space, and the token of the setting {setting}.",
            reason="token_missing",
        )
    # Bytes are compared, in constant time, and all of them: the time taken tells nothing.
    if not hmacs.any_match(keys, [token.strip()]):
        raise TokenRefused(
            f"The token is not the one of the app's setting {setting}. Please copy it again, without "
            "quotation marks, and look whether it has been replaced."
        )
