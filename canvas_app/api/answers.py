"""What is answered: flat JSON, whose every field and value is documented here."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from canvas_app.interviews import ledger, links
from canvas_app.interviews.ledger_rows import Interview
from canvas_app.interviews.states import LINK_STATES, State
from canvas_app.settings import Settings

# Every state of the ledger, for whoever asks from outside.
STATUSES: Final[dict[State, str]] = {
    "planned": "It waits for its delay to be over; then the limits are looked at once more.",
    "queued": "It is accepted. Nothing has reached the customer yet.",
    "sending": "It is being started at Koji and delivered; `reason` says what it waits for, if it waits.",
    "sent": "It is delivered in the way that was asked for.",
    "opened": "The customer has opened the link.",
    "completed": "The customer has answered; Koji is analysing.",
    "analysed": "The result is here and is being written to Intercom.",
    "written_back": "The result is in Intercom: attributes, note and tags.",
    "not_written": "The result is recorded, and not written to Intercom; `reason` says why.",
    "skipped": "A limit said no, and nothing is sent; `reason` says which.",
    "expired": "Nobody has answered in time.",
    "cancelled": "The link was withdrawn, or a newer interview took its place; see `reason`.",
    "failed": "It could not be sent, or its result could not be written; `reason` says why.",
    "unknown": "It is not known whether the message has reached the customer. It is not repeated.",
}


def of(interview: Interview, settings: Settings, now: datetime) -> dict[str, str | None]:
    """The answer about an interview as it stands at ``now``."""
    current = ledger.as_of(interview, now, open_days=settings.open_days)
    return {
        "interview_id": current.id,
        "status": current.state,
        "interview_url": _url(current, settings),
        "reason": current.reason,
    }


def _url(interview: Interview, settings: Settings) -> str | None:
    """The customer's link; None once it leads nowhere, so that nobody sends an old one."""
    base = interview.public_url or settings.public_url
    works = interview.state == "planned" or interview.state in LINK_STATES
    if base is None or not works or interview.purged_at is not None:
        return None
    return links.personal_url(base, interview.link_token)
