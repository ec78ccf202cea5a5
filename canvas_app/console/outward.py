"""Addresses that lead out of the console: into Intercom's own pages, and to a transcript at Koji. Pure.

Which page of Intercom's shows what is not documented; these are the addresses that its inbox has.
"""

from __future__ import annotations

import re
from typing import Final

from canvas_app.interviews.ledger_rows import Interview, result_of
from canvas_app.koji import links as koji_links
from canvas_app.settings import Settings

# https://www.intercom.com/help/en/articles/5778275-intercom-s-data-hosting
_HOSTS: Final = {
    "us": "https://app.intercom.com",
    "eu": "https://app.eu.intercom.com",
    "au": "https://app.au.intercom.com",
}
# What stands in a path as it is.
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


def conversation(settings: Settings, interview: Interview) -> str | None:
    """Where the conversation is shown in Intercom's inbox."""
    return _page(
        settings, interview.workspace_id, interview.conversation_id, "inbox/{}/inbox/conversation/{}"
    )


def contact(settings: Settings, interview: Interview) -> str | None:
    """Where the contact is shown in Intercom; None for one whose id is not known (any more)."""
    if interview.purged_at is not None:
        return None
    return _page(settings, interview.workspace_id, interview.contact_id, "apps/{}/users/{}/all-conversations")


def transcript(settings: Settings, interview: Interview) -> str | None:
    """Where Koji shows the transcript, if its host is one of those that are allowed."""
    url = result_of(interview).transcript_url
    return url if url and koji_links.allowed(url, settings.koji_link_hosts) else None


def _page(settings: Settings, workspace_id: str, id_: str | None, path: str) -> str | None:
    if id_ is None or not _ID.fullmatch(id_) or not _ID.fullmatch(workspace_id):
        return None
    return f"{_HOSTS[settings.intercom_region]}/a/{path.format(workspace_id, id_)}"
