"""Intercom's JSON, read into the models. An answer that lacks what is needed gives None, never an error."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

from canvas_app.intercom.models import (
    MOST_PARTS,
    Closer,
    Contact,
    ContactAttribute,
    Conversation,
    ConversationPage,
    FoundConversation,
    FoundConversations,
    Me,
    Tag,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


_MARKUP = re.compile(r"<[^>]*>")
# What a person in Intercom may be called as an author.
_CUSTOMERS = frozenset({"user", "lead", "contact"})


def identifier(value: object) -> str | None:
    """An id as text. Intercom declares ids as strings and sends some of them as integers."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


def text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def mappings(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def me(data: Mapping[str, object]) -> Me | None:
    app = mapping(data.get("app"))
    admin_id, workspace_id = identifier(data.get("id")), identifier(app.get("id_code"))
    if admin_id is None or workspace_id is None:
        return None
    return Me(
        admin_id=admin_id,
        workspace_id=workspace_id,
        workspace_name=text(app.get("name")) or "",
        region=text(app.get("region")) or "",
        timezone=text(app.get("timezone")) or "",
    )


def conversation(data: Mapping[str, object]) -> Conversation | None:
    conversation_id = identifier(data.get("id"))
    if conversation_id is None:
        return None
    listing = mapping(data.get("conversation_parts"))
    parts = mappings(listing.get("conversation_parts"))
    total = listing.get("total_count")
    if isinstance(total, bool) or not isinstance(total, int):
        total = None
    rating = mapping(data.get("conversation_rating"))
    closings = [part for part in parts if part.get("part_type") == "close"]
    closing = max(closings, key=_created, default=None)
    said = [mapping(data.get("source")), *(part for part in parts if part.get("part_type") != "note")]
    by_customers = [body for part in said if _author(part) in _CUSTOMERS and (body := _words(part))]
    bodies = [mapping(data.get("source")).get("body"), *(part.get("body") for part in parts)]
    return Conversation(
        state=text(data.get("state")) or "",
        parts_html=tuple(body for body in bodies if isinstance(body, str) and body),
        total_parts=max(total or 0, len(parts)),
        # Whether the count goes beyond the 500 newest parts is not documented: a full list proves nothing.
        complete=total is not None and total <= len(parts) < MOST_PARTS,
        last_said_html=_last_said(parts),
        id=conversation_id,
        contact_ids=_contact_ids(data),
        tag_names=tuple(found.name for found in tags(mapping(data.get("tags")), "tags") or () if found.name),
        rating=_whole(rating.get("rating")),
        rated_at=_whole(rating.get("updated_at")) or _whole(rating.get("created_at")),
        closed_by=closer(closing) if closing else None,
        closed_at=_whole(closing.get("created_at")) if closing else None,
        customer_parts=len(by_customers),
        customer_characters=sum(map(len, by_customers)),
        teammate_parts=sum(
            1
            for part in said
            if _author(part) == "admin" and not part.get("app_package_code") and _words(part)
        ),
        tagged_parts=tuple(_tagged(part) for part in parts if mappings(part.get("tags"))),
    )


def closer(part: Mapping[str, Any]) -> Closer | None:
    """Who made a part that closes a conversation; None where it does not tell."""
    # Null for a part that a person made: components/schemas/conversation_part.
    if part.get("app_package_code"):
        return "api"
    author = _author(part)
    if author == "admin":
        return "person"
    return "bot" if author is not None else None


def conversation_page(data: Mapping[str, object]) -> ConversationPage | None:
    if not isinstance(data.get("conversations"), list):
        return None
    ids = [identifier(item.get("id")) for item in mappings(data["conversations"])]
    following = mapping(mapping(data.get("pages")).get("next")).get("starting_after")
    return ConversationPage(
        ids=tuple(id_ for id_ in ids if id_), total=_whole(data.get("total_count")) or 0, next=text(following)
    )


def _tagged(part: Mapping[str, Any]) -> tuple[int, tuple[str, ...]]:
    names = (text(item.get("name")) for item in mappings(part.get("tags")))
    return _whole(part.get("updated_at")) or _whole(part.get("created_at")) or 0, tuple(filter(None, names))


def _contact_ids(data: Mapping[str, object]) -> tuple[str, ...]:
    listed = mappings(mapping(data.get("contacts")).get("contacts"))
    return tuple(found for person in listed if (found := identifier(person.get("id"))))


def _author(part: Mapping[str, Any]) -> str | None:
    return text(mapping(part.get("author")).get("type"))


def _words(part: Mapping[str, Any]) -> str:
    """What a part says, as a person reads it."""
    return " ".join(html.unescape(_MARKUP.sub(" ", text(part.get("body")) or "")).split())


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _last_said(parts: list[dict[str, Any]]) -> str:
    """The newest message's HTML. A part that reopens a conversation may be a message too; a note is none."""
    said = [
        (_created(part), number, body)
        for number, part in enumerate(parts)
        if part.get("part_type") != "note" and (body := text(part.get("body")))
    ]
    return max(said)[2] if said else ""


def _created(part: Mapping[str, object]) -> float:
    """When a part was made. Of parts of the same second Intercom lists the oldest first."""
    value = part.get("created_at")
    return value if isinstance(value, int | float) else 0


def newest_part_id(data: Mapping[str, object], admin_id: str) -> str | None:
    """The id of the newest part with a text by this admin, in the conversation that a reply answers with."""
    spoken = [
        part
        for part in mappings(mapping(data.get("conversation_parts")).get("conversation_parts"))
        if part.get("body") and identifier(part.get("id"))
    ]
    own = [part for part in spoken if identifier(mapping(part.get("author")).get("id")) == admin_id]
    if not own:
        return None
    newest = max(enumerate(own), key=lambda item: (_created(item[1]), item[0]))[1]
    return identifier(newest.get("id"))


def contact(data: Mapping[str, object]) -> Contact | None:
    contact_id = identifier(data.get("id"))
    if contact_id is None:
        return None
    return Contact(
        id=contact_id,
        name=text(data.get("name")),
        email=text(data.get("email")),
        role=text(data.get("role")),
        language=text(data.get("language_override")) or text(data.get("browser_language")),
        unsubscribed=data.get("unsubscribed_from_emails") is True,
        # No field of the description says that somebody was blocked; one that does is believed.
        blocked=data.get("marked_email_as_spam") is True or data.get("blocked") is True,
        tag_count=_whole(mapping(data.get("tags")).get("total_count")),
        custom_attributes={
            name: value
            for name, value in mapping(data.get("custom_attributes")).items()
            if value is None or isinstance(value, str | int | float | bool)
        },
    )


def contacts_newest_first(data: Mapping[str, object]) -> list[Contact] | None:
    """The contacts of a search, the newest first."""
    if not isinstance(data.get("data"), list):
        return None
    items = sorted(mappings(data["data"]), key=_created, reverse=True)
    return [found for item in items if (found := contact(item)) is not None]


def found_conversations(data: Mapping[str, object]) -> FoundConversations | None:
    """The conversations of a search."""
    if not isinstance(data.get("conversations"), list):
        return None
    items = mappings(data["conversations"])
    found = [
        FoundConversation(
            id=conversation_id,
            created_at=_created(item),
            first_message=text(mapping(item.get("source")).get("body")) or "",
        )
        for item in items
        if (conversation_id := identifier(item.get("id"))) is not None
    ]
    total = data.get("total_count")
    counted = isinstance(total, int) and not isinstance(total, bool) and total <= len(found)
    return FoundConversations(conversations=tuple(found), complete=counted)


def merged_ids(data: Mapping[str, object]) -> list[str] | None:
    if not isinstance(data.get("data"), list):
        return None
    ids = [identifier(item.get("source_contact_id")) for item in mappings(data["data"])]
    return [id_ for id_ in ids if id_]


def contact_attributes(data: Mapping[str, object]) -> dict[str, ContactAttribute] | None:
    if not isinstance(data.get("data"), list):
        return None
    found: dict[str, ContactAttribute] = {}
    for item in mappings(data["data"]):
        name, data_type = text(item.get("name")), text(item.get("data_type"))
        # The list also names the built-in attributes, and Intercom's own example mixes in those of companies.
        if item.get("custom") is False or item.get("model", "contact") != "contact":
            continue
        if name is None or data_type is None:
            continue
        attribute = ContactAttribute(data_type=data_type, archived=item.get("archived") is True)
        # A name can be listed twice, once archived: the living one counts.
        if name not in found or not attribute.archived:
            found[name] = attribute
    return found


def tag(data: Mapping[str, object]) -> Tag | None:
    tag_id = identifier(data.get("id"))
    return None if tag_id is None else Tag(id=tag_id, name=text(data.get("name")) or "")


def tags(data: Mapping[str, object], key: str = "data") -> list[Tag] | None:
    if not isinstance(data.get(key), list):
        return None
    return [found for item in mappings(data[key]) if (found := tag(item)) is not None]
