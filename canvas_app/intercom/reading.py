"""Intercom's JSON, read into the models. An answer that lacks what is needed gives None, never an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from canvas_app.intercom.models import MOST_PARTS, Contact, ContactAttribute, Conversation, Me, Tag

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    if identifier(data.get("id")) is None:
        return None
    listing = mapping(data.get("conversation_parts"))
    parts = mappings(listing.get("conversation_parts"))
    total = listing.get("total_count")
    if isinstance(total, bool) or not isinstance(total, int):
        total = None
    bodies = [mapping(data.get("source")).get("body"), *(part.get("body") for part in parts)]
    return Conversation(
        state=text(data.get("state")) or "",
        parts_html=tuple(body for body in bodies if isinstance(body, str) and body),
        total_parts=max(total or 0, len(parts)),
        # Whether the count goes beyond the 500 newest parts is not documented: a full list proves nothing.
        complete=total is not None and total <= len(parts) < MOST_PARTS,
        last_said_html=_last_said(parts),
    )


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
        custom_attributes={
            name: value
            for name, value in mapping(data.get("custom_attributes")).items()
            if value is None or isinstance(value, str | int | float | bool)
        },
    )


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


def tags(data: Mapping[str, object]) -> list[Tag] | None:
    if not isinstance(data.get("data"), list):
        return None
    return [found for item in mappings(data["data"]) if (found := tag(item)) is not None]
