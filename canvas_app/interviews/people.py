"""Who somebody is in Intercom right now, asked anew each time that it matters."""

from __future__ import annotations

from dataclasses import dataclass, field

from canvas_app import languages
from canvas_app.errors import ContactMerged, PermanentError
from canvas_app.intercom.models import Contact
from canvas_app.interviews.services import Services


@dataclass(frozen=True, slots=True)
class Known:
    """``id`` is that of the contact in which this one lives on, where it was merged."""

    id: str
    role: str | None
    language: str | None
    unsubscribed: bool
    blocked: bool
    name: str | None = field(repr=False)
    email: str | None = field(repr=False)
    tags: frozenset[str] = frozenset()


def look(services: Services, contact_id: str) -> Known | None:
    """The contact, None when there is none any more. Raises the wires' errors."""
    try:
        contact = _get(services, contact_id)
    except PermanentError as error:
        if error.reason == "not_found":
            return None
        raise
    # The contact itself lists ten tags at most, and their ids alone.
    tags = services.intercom.contact_tags(contact.id) if contact.tag_count != 0 else []
    return Known(
        id=contact.id,
        role=contact.role,
        # A visitor's browser may say anything there.
        language=languages.tag(contact.language),
        unsubscribed=contact.unsubscribed,
        blocked=contact.blocked,
        name=contact.name,
        email=contact.email,
        tags=frozenset(tag.name for tag in tags),
    )


def _get(services: Services, contact_id: str) -> Contact:
    try:
        return services.intercom.get_contact(contact_id)
    except ContactMerged as merged:
        if merged.canonical_id is None:
            raise
        # Once: a chain of merges is Intercom's own to resolve.
        return services.intercom.get_contact(merged.canonical_id)
