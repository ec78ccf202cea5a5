"""What people do in Intercom, beside what its REST API lets programs do.

Teammates close conversations, tag messages and contacts, merge, archive and delete contacts; customers rate.
Each act is told to the subscribers, as in Intercom.
"""

from __future__ import annotations

import time
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

from sandbox import figures
from sandbox.state import BOT, AppliedTag, Contact, Conversation, Happening, Part, Rating

if TYPE_CHECKING:
    from sandbox.state import IntercomState

LONGEST_REMARK = 2000
LONGEST_TAG = 100


class ActRefused(Exception):
    """This cannot be done; the message says why, to a person."""


def close(state: IntercomState, conversation: Conversation, *, by: str) -> Part:
    """Close a conversation: ``by`` is the id of a teammate, or "bot"."""
    bot = by in {"bot", BOT}
    if not bot and by not in state.admins:
        raise ActRefused(f"There is no teammate {by}.")
    with state.lock:
        if conversation.state == "closed":
            raise ActRefused("This conversation is closed already.")
        return state.add_part(
            conversation,
            part_type="close",
            body=None,
            author_type="bot" if bot else "admin",
            author_id=BOT if bot else by,
            by_api=False,
        )


def say(state: IntercomState, conversation: Conversation, contact: Contact, text: str) -> Part:
    """Let a customer write something; a closed conversation is open again after that."""
    return state.add_part(
        conversation,
        part_type="comment",
        body=as_html(text),
        author_type=contact.role,
        author_id=contact.id,
        by_api=False,
    )


def rate(
    state: IntercomState, conversation: Conversation, contact: Contact, score: int, remark: str | None
) -> Rating:
    """Let a customer rate a conversation from 1 to 5."""
    if not 1 <= score <= 5:
        raise ActRefused("A rating is a whole number from 1 to 5.")
    remark = (remark or "").strip()[:LONGEST_REMARK] or None
    with state.lock:
        admin_id = figures.last_teammate(conversation)
        conversation.rating = Rating(score, remark, contact.id, admin_id, int(time.time()))
        part = state.add_part(
            conversation,
            part_type="conversation_rating_changed",
            body=None,
            author_type=contact.role,
            author_id=contact.id,
            by_api=False,
        )
        state.tell(Happening("conversation.rating.added", conversation, part))
        return conversation.rating


def tag_contact(state: IntercomState, contact: Contact, name: str, *, by: str) -> str:
    """Put a tag on a contact, as a teammate; return its id."""
    tag_id = _tag(state, name)
    state.tag_contact(contact, tag_id, by)
    return tag_id


def untag_contact(state: IntercomState, contact: Contact, tag_id: str) -> None:
    """Take a tag off a contact."""
    with state.lock:
        if contact.tags.pop(tag_id, None) is None:
            raise ActRefused("This tag is not on the contact.")


def tag_part(state: IntercomState, conversation: Conversation, part_id: str, name: str, *, by: str) -> str:
    """Put a tag on one message of a conversation, as a teammate; return its id.

    The tag is then listed with the conversation as well, as in Intercom.
    """
    tag_id = _tag(state, name)
    with state.lock:
        for part in (conversation.source, *conversation.parts):
            if part.id == part_id and part.body is not None:
                if tag_id not in part.tags:
                    part.tags.append(tag_id)
                    conversation.tags.setdefault(tag_id, AppliedTag(tag_id, int(time.time()), by))
                    state.tell(Happening("conversation_part.tag.created", conversation, part, tag_id=tag_id))
                return tag_id
    raise ActRefused("There is no such message in this conversation.")


def merge(state: IntercomState, source: Contact, target: Contact) -> None:
    """Merge a lead, or a user, into a user; its conversations, tags and companies are the target's then."""
    with state.lock:
        if source is target or not (source.lives and target.lives):
            raise ActRefused("Both have to be contacts that there are, and not the same one.")
        if target.role != "user":
            raise ActRefused("Contacts are merged into users, not into leads.")
        source.merged_into = target.id
        for conversation in state.conversations.values():
            if source.id in conversation.contact_ids:
                ids = [target.id if item == source.id else item for item in conversation.contact_ids]
                conversation.contact_ids = list(dict.fromkeys(ids))
        target.tags = {**source.tags, **target.tags}
        target.company_ids = list(dict.fromkeys([*target.company_ids, *source.company_ids]))
        target.custom_attributes = {**source.custom_attributes, **target.custom_attributes}
        target.updated_at = int(time.time())
        state.tell(Happening("contact.merged", contact=target, absorbed_id=source.id))


def archive(state: IntercomState, contact: Contact) -> None:
    """Archive a contact: it is found no more, but its data stay."""
    with state.lock:
        if not contact.lives:
            raise ActRefused("This contact is gone already.")
        contact.gone = "archived"
        state.tell(Happening("contact.archived", contact=contact))


def delete(state: IntercomState, contact: Contact) -> None:
    """Delete a contact for good, with everything that is known about it but its id."""
    with state.lock:
        if contact.gone == "deleted" or contact.merged_into is not None:
            raise ActRefused("This contact is gone already.")
        contact.gone = "deleted"
        # The notification still names the id that the customer's own system has for the contact.
        state.tell(Happening("contact.deleted", contact=replace(contact)))
        contact.name = contact.email = contact.external_id = None
        contact.tags, contact.company_ids, contact.custom_attributes = {}, [], {}


def change(contact: Contact, fields: dict[str, Any]) -> None:
    """Set what a contact has chosen for itself or what its address came to, all or nothing."""
    kinds: dict[str, type | tuple[type, ...]] = {
        "name": (str, type(None)),
        "email": (str, type(None)),
        "language_override": (str, type(None)),
        "unsubscribed_from_emails": bool,
        "marked_email_as_spam": bool,
        "has_hard_bounced": bool,
    }
    for name, value in fields.items():
        if name not in kinds or not isinstance(value, kinds[name]):
            raise ActRefused(f"{name} cannot be set to {value!r}.")
    for name, value in fields.items():
        setattr(contact, name, value)


def as_html(text: str) -> str:
    """Return what a person typed as one paragraph."""
    if not text.strip():
        raise ActRefused("There is nothing to say.")
    return f"<p>{escape(text.strip(), quote=False)}</p>"


def _tag(state: IntercomState, name: str) -> str:
    if not 1 <= len(name.strip()) <= LONGEST_TAG:
        raise ActRefused(f"A tag has a name of 1 to {LONGEST_TAG} characters.")
    return state.ensure_tag(name.strip())
