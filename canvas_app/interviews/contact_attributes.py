"""Custom attributes of a contact: written, and created first where the workspace does not have them yet."""

from __future__ import annotations

from collections.abc import Mapping

from canvas_app.errors import LaterError, PermanentError, UnknownAttribute
from canvas_app.intercom.client import IntercomClient

# Their type and description by name:
# https://developers.intercom.com/docs/references/rest-api/api.intercom.io/data-attributes/createdataattribute
Wanted = Mapping[str, tuple[str, str]]
Values = Mapping[str, str | int | float | bool | None]

# https://www.intercom.com/help/en/articles/179-send-custom-user-attributes-to-intercom
LONGEST_VALUE = 255

# The personal link, for a Series that waits for it; cleared when there is nothing to be answered any more.
LINK_URL = "koji_interview_url"
LINK_READY_AT = "koji_interview_ready_at"
LINK: Wanted = {
    LINK_URL: ("string", "Personal link of the contact's open Koji interview."),
    LINK_READY_AT: ("datetime", "Since when the personal link of the open Koji interview can be sent."),
}


def put(intercom: IntercomClient, contact_id: str, values: Values, wanted: Wanted) -> None:
    """Set these attributes; all of ``wanted`` that are missing are created when one of them is.

    Raises the wires' errors: LaterError ``attribute_not_ready`` while Intercom does not know a new one yet.
    """
    try:
        intercom.update_contact(contact_id, values)
    except UnknownAttribute:
        # Intercom refuses the whole update for one unknown name, and names one at a time: create all of ours.
        present = intercom.contact_attributes()
        if any(present[name].archived for name in values if name in present):
            raise PermanentError(reason="attribute_archived") from None
        for name, (data_type, description) in wanted.items():
            if name not in present:
                intercom.create_contact_attribute(name, data_type, description)
        try:
            intercom.update_contact(contact_id, values)
        except UnknownAttribute as error:
            # It has just been created; it may take Intercom a moment to know it everywhere.
            raise LaterError(reason="attribute_not_ready") from error


def empty(intercom: IntercomClient, contact_id: str, name: str) -> None:
    """Leave an attribute without a value; one that the workspace does not have is without one already."""
    try:
        intercom.update_contact(contact_id, {name: None})
    except UnknownAttribute:
        return
    except PermanentError as error:
        if error.status not in (400, 422):
            raise
        # Integrations report that null is refused for leads, and that an empty text is taken.
        # https://github.com/intercom/intercom-node/issues/215
        intercom.update_contact(contact_id, {name: ""})
