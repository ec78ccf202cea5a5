"""Intercom's webhook notifications: bytes in, values out. No text of a conversation leaves this module.

https://developers.intercom.com/docs/references/webhooks/webhook-models
"""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, ValidationError

from canvas_app.errors import BodyRefused
from canvas_app.intercom.models import Closer, Model
from canvas_app.intercom.reading import closer, identifier, mapping, mappings, text

Kind = Literal["closed", "rated", "contact_tagged", "part_tagged", "gone", "merged", "ping", "other"]

_KINDS: Final[dict[str, Kind]] = {
    "conversation.admin.closed": "closed",
    "conversation.rating.added": "rated",
    "contact.user.tag.created": "contact_tagged",
    "contact.lead.tag.created": "contact_tagged",
    "conversation_part.tag.created": "part_tagged",
    "contact.deleted": "gone",
    "contact.archived": "gone",
    "contact.merged": "merged",
    "ping": "ping",
}
# Ids and topics go into the database and the log: nothing but printable ASCII.
_PRINTABLE = r"^[!-~]+$"
_CONVERSATION_ID = re.compile(r"[0-9]{1,15}")
_CONTACT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CONVERSATION_URL = re.compile(r"/conversations?/([0-9]{1,15})(?:[/?#]|$)")
_PEOPLE: Final = frozenset({"user", "lead", "contact"})
# Longer names of tags are cut; Intercom's own are shorter.
_TAG_LENGTH: Final = 120
# Intercom shows five stars or faces.
_RATINGS: Final = range(1, 6)


class Event(Model):
    """What happened, cut down to what a rule may weigh.

    ``contact_ids`` are those whom the notification names, the one who rated or was tagged alone.
    ``tags_added`` are names. ``closed_by`` and ``closer_id`` tell who closed the conversation. ``own_link``:
    what it is about holds a personal link of ours, so that it is about our own message. ``merged_ids`` are
    those who live on in the contact, as far as the notification names them.
    """

    id: str | None
    workspace_id: str
    topic: str
    kind: Kind
    happened_at: datetime | None = None
    conversation_id: str | None = None
    contact_ids: tuple[str, ...] = ()
    tags_added: tuple[str, ...] = ()
    rating: int | None = None
    closed_by: Closer | None = None
    closer_id: str | None = None
    own_link: bool = False
    merged_ids: tuple[str, ...] = ()


class _Envelope(BaseModel):
    id: Annotated[str, Field(min_length=1, max_length=100, pattern=_PRINTABLE)] | None = None
    app_id: Annotated[str, Field(min_length=1, max_length=64, pattern=_PRINTABLE)]
    topic: Annotated[str, Field(min_length=1, max_length=64, pattern=_PRINTABLE)]
    created_at: Any = None
    data: Any = None


def parse(raw: bytes, *, own_links: str | None = None) -> Event:
    """Read a notification. ``own_links`` is what every personal link of ours begins with.

    Raises BodyRefused when it is no notification, or has no id and is no ping.
    """
    try:
        envelope = _Envelope.model_validate_json(raw)
    except ValidationError:
        raise BodyRefused from None
    kind = _KINDS.get(envelope.topic, "other")
    # The documentation shows pings without an id of their own; they have no effect anyway.
    if envelope.id is None and kind != "ping":
        raise BodyRefused("The notification has no id.", reason="body_incomplete")
    item = mapping(mapping(envelope.data).get("item"))
    read = _READERS.get(kind)
    facts = read(item, own_links) if read else {}
    return Event(
        id=envelope.id,
        workspace_id=envelope.app_id,
        topic=envelope.topic,
        kind=kind,
        happened_at=_moment(envelope.created_at),
        **facts,
    )


def _closed(item: dict[str, Any], own_links: str | None) -> dict[str, Any]:
    parts = _parts(item)
    closing = next((part for part in reversed(parts) if part.get("part_type") == "close"), None)
    part = closing or (parts[-1] if parts else {})
    author = mapping(part.get("author"))
    return {
        **_conversation(item),
        "closed_by": closer(part) if part else None,
        "closer_id": _id(author.get("id"), _CONTACT_ID),
        "own_link": _holds(part, own_links),
    }


def _rated(item: dict[str, Any], own_links: str | None) -> dict[str, Any]:
    rating = mapping(item.get("conversation_rating"))
    value = rating.get("rating")
    facts = _conversation(item)
    who = _id(mapping(rating.get("contact")).get("id"), _CONTACT_ID)
    if who is not None:
        facts["contact_ids"] = (who,)
    good = isinstance(value, int) and not isinstance(value, bool) and value in _RATINGS
    return {**facts, "rating": value if good else None, "own_link": _holds(item.get("source"), own_links)}


def _contact_tagged(item: dict[str, Any], _own_links: str | None) -> dict[str, Any]:
    # The item is a contact_tag, which holds both; a contact that holds its tags is understood too.
    contact = mapping(item.get("contact")) or item
    tags = [mapping(item["tag"])] if isinstance(item.get("tag"), dict) else _listed(item.get("tags_added"))
    who = _id(contact.get("id"), _CONTACT_ID)
    return {"contact_ids": (who,) if who else (), "tags_added": _names(tags)}


def _part_tagged(item: dict[str, Any], own_links: str | None) -> dict[str, Any]:
    # The reference says that the item is the tagged part; deliveries that people have published hold the
    # conversation, with this part alone in it and the new tags beside it.
    if isinstance(item.get("conversation_parts"), dict | list) or item.get("type") == "conversation":
        parts = _parts(item)
        part = parts[-1] if parts else mapping(item.get("source"))
        facts = _conversation(item)
    else:
        part, facts = item, _conversation_of_part(item)
    tags = _listed(item.get("tags_added")) or _listed(part.get("tags"))
    return {**facts, "tags_added": _names(tags), "own_link": _holds(part, own_links)}


def _contact(item: dict[str, Any], _own_links: str | None) -> dict[str, Any]:
    who = _id(item.get("id"), _CONTACT_ID)
    return {"contact_ids": (who,) if who else ()}


def _merged(item: dict[str, Any], own_links: str | None) -> dict[str, Any]:
    # The reference names the contact that remains alone; its history names the others, where it is there.
    named = [mapping(item.get("merged_from")).get("id")]
    named += [entry.get("source_contact_id") for entry in mappings(item.get("merge_history"))]
    ids = (_id(value, _CONTACT_ID) for value in named)
    merged_ids = tuple(dict.fromkeys(found for found in ids if found))
    return {**_contact(item, own_links), "merged_ids": merged_ids}


_READERS: Final = {
    "closed": _closed,
    "rated": _rated,
    "contact_tagged": _contact_tagged,
    "part_tagged": _part_tagged,
    "gone": _contact,
    "merged": _merged,
}


def _conversation(item: dict[str, Any]) -> dict[str, Any]:
    listed = item.get("contacts")
    people = mappings(mapping(listed).get("contacts")) or mappings(listed)
    # Older versions name one person, under another key.
    people = people or [mapping(item.get("contact")), mapping(item.get("user"))]
    ids = (_id(person.get("id"), _CONTACT_ID) for person in people)
    return {
        "conversation_id": _id(item.get("id"), _CONVERSATION_ID),
        "contact_ids": tuple(dict.fromkeys(found for found in ids if found)),
    }


def _conversation_of_part(part: dict[str, Any]) -> dict[str, Any]:
    named = part.get("conversation_id") or mapping(part.get("conversation")).get("id")
    conversation_id = _id(named, _CONVERSATION_ID)
    if conversation_id is None:
        address = text(mapping(part.get("links")).get("conversation_web")) or ""
        found = _CONVERSATION_URL.search(address)
        conversation_id = found[1] if found else None
    author = mapping(part.get("author"))
    who = _id(author.get("id"), _CONTACT_ID) if text(author.get("type")) in _PEOPLE else None
    return {"conversation_id": conversation_id, "contact_ids": (who,) if who else ()}


def _parts(item: dict[str, Any]) -> list[dict[str, Any]]:
    listing = item.get("conversation_parts")
    return mappings(mapping(listing).get("conversation_parts")) or mappings(listing)


def _listed(value: object) -> list[dict[str, Any]]:
    return mappings(value) or mappings(mapping(value).get("tags"))


def _names(tags: list[dict[str, Any]]) -> tuple[str, ...]:
    names = ("".join(filter(str.isprintable, text(tag.get("name")) or "")).strip() for tag in tags)
    return tuple(dict.fromkeys(name[:_TAG_LENGTH] for name in names if name))


def _holds(part: object, own_links: str | None) -> bool:
    # HTML up to version 2.14, plain text from 2.15 on.
    body = text(mapping(part).get("body")) or ""
    return own_links is not None and (own_links in body or own_links in html.unescape(body))


def _id(value: object, form: re.Pattern[str]) -> str | None:
    found = identifier(value)
    return found if found is not None and form.fullmatch(found) else None


def _moment(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
