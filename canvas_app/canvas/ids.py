"""What comes back with a tap: the ids of components, and the names of stored data."""

from __future__ import annotations

from typing import Final

# The ids that come back with a tap.
SEND: Final = "send"
SEND_AGAIN: Final = "send_again"
TRY_AGAIN: Final = "try_again"
REFRESH: Final = "refresh"
BACK: Final = "back"
SEND_ANYWAY: Final = "send_anyway"
CONFIRM_SEND: Final = "confirm_send"
WITHDRAW: Final = "withdraw"
CONFIRM_WITHDRAW: Final = "confirm_withdraw"
CANCEL_PLANNED: Final = "cancel_planned"
IT_IS_THERE: Final = "it_is_there"
SEND_AFTER_ALL: Final = "send_after_all"
MORE_STUDIES: Final = "more_studies"
SETTINGS: Final = "settings"
ACTIONS: Final = frozenset(
    (
        SEND,
        SEND_AGAIN,
        TRY_AGAIN,
        REFRESH,
        BACK,
        SEND_ANYWAY,
        CONFIRM_SEND,
        WITHDRAW,
        CONFIRM_WITHDRAW,
        CANCEL_PLANNED,
        IT_IS_THERE,
        SEND_AFTER_ALL,
        MORE_STUDIES,
        SETTINGS,
    )
)
PERSONAL_LINE: Final = "personal_line"
STUDY: Final = "study"

# What comes back with it in the stored data.
NONCE: Final = "nonce"
TOKEN: Final = "token"  # noqa: S105 -- a name, and no secret.
PAGE: Final = "page"
WAY_IN: Final = "way_in"
