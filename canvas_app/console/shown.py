"""How the console calls things. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from canvas_app.canvas import reasons

STATES: Final = {
    "planned": "Planned",
    "queued": "Queued",
    "sending": "Sending",
    "sent": "Sent",
    "opened": "Opened",
    "completed": "Answered",
    "analysed": "Analysed",
    "written_back": "Written back",
    "not_written": "Not written",
    "skipped": "Skipped",
    "expired": "Expired",
    "cancelled": "Cancelled",
    "failed": "Failed",
    "unknown": "Unknown",
}


def state_name(state: str) -> str:
    return STATES.get(state, state)


def in_words(reason: str | None) -> str:
    """A reason code for a person; the code itself where there are no words."""
    return reasons.in_words(reason) or reason or ""


def moments_in(zone: ZoneInfo | None) -> Callable[[datetime | None], str]:
    """Writes moments as the workspace's clocks show them."""

    def moment(value: datetime | None) -> str:
        if value is None:
            return ""
        return f"{value.astimezone(zone or UTC):%Y-%m-%d %H:%M %Z}"

    return moment
