"""Intercom's JSON shapes, version 2.16.

https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sandbox import figures
from sandbox.state import BOT

if TYPE_CHECKING:
    from sandbox.state import (
        Admin,
        AppliedTag,
        Company,
        Contact,
        Conversation,
        DataAttribute,
        IntercomState,
        Part,
    )

MOST_PARTS = 500
"""GET /conversations/{id} lists at most this many parts, the newest."""
MOST_LISTED = 10
"""A contact lists at most this many of its tags and companies; the rest has an address of its own."""


def admin(found: Admin) -> dict[str, Any]:
    """Return a teammate as ``GET /admins`` shows one."""
    return {
        "type": "admin",
        "id": found.id,
        "name": found.name,
        "email": found.email,
        "away_mode_enabled": False,
        "away_mode_reassign": False,
        "has_inbox_seat": True,
        "team_ids": [],
        "avatar": None,
    }


def me(state: IntercomState) -> dict[str, Any]:
    """Return ``GET /me``: the token's own admin, and the workspace."""
    return {
        **admin(state.admins[state.own_admin_id]),
        "email_verified": True,
        "avatar": {"type": "avatar", "image_url": None},
        "app": {
            "type": "app",
            "id_code": state.workspace_id,
            "name": state.workspace_name,
            "created_at": 1_700_000_000,
            "secure": False,
            "identity_verification": False,
            "timezone": state.timezone,
            "region": state.region,
        },
    }


def tag(state: IntercomState, tag_id: str, applied: AppliedTag | None = None) -> dict[str, Any]:
    """Return a tag, with who applied it where it is on something."""
    document: dict[str, Any] = {"type": "tag", "id": tag_id, "name": state.tag_names[tag_id]}
    if applied is not None:
        document["applied_at"] = applied.applied_at
        document["applied_by"] = {"type": "admin", "id": applied.applied_by}
    return document


def contact(state: IntercomState, found: Contact) -> dict[str, Any]:
    """Return a contact with the fields that the stand-in knows, and null in the usual places."""

    def addressable(kind: str, plural: str, ids: list[str]) -> dict[str, Any]:
        data = [{"type": kind, "id": item, "url": f"/{plural}/{item}"} for item in ids[:MOST_LISTED]]
        document = {"type": "list", "data": data, "url": f"/contacts/{found.id}/{plural}"}
        return {**document, "total_count": len(ids), "has_more": len(ids) > MOST_LISTED}

    return {
        "type": "contact",
        "id": found.id,
        "workspace_id": state.workspace_id,
        "external_id": found.external_id,
        "role": found.role,
        "email": found.email,
        "phone": None,
        "name": found.name,
        "avatar": None,
        "owner_id": None,
        "social_profiles": {"type": "list", "data": []},
        "has_hard_bounced": found.has_hard_bounced,
        "marked_email_as_spam": found.marked_email_as_spam,
        "unsubscribed_from_emails": found.unsubscribed_from_emails,
        "created_at": found.created_at,
        "updated_at": found.updated_at,
        "signed_up_at": found.created_at if found.role == "user" else None,
        "last_seen_at": None,
        "language_override": found.language_override,
        "browser": None,
        "browser_language": None,
        "os": None,
        "location": {"type": "location", "country": None, "region": None, "city": None},
        "custom_attributes": dict(found.custom_attributes),
        "tags": addressable("tag", "tags", list(found.tags)),
        "notes": addressable("note", "notes", []),
        "companies": addressable("company", "companies", found.company_ids),
        "referrer": None,
    }


def company(state: IntercomState, found: Company) -> dict[str, Any]:
    """Return a company."""
    return {
        "type": "company",
        "id": found.id,
        "company_id": found.company_id,
        "app_id": state.workspace_id,
        "name": found.name,
        "plan": {"type": "plan", "id": found.plan.casefold(), "name": found.plan},
        "created_at": 1_700_000_000,
        "updated_at": 1_700_000_000,
        "user_count": sum(found.id in item.company_ids for item in state.contacts.values()),
        "custom_attributes": {},
        "tags": {"type": "tag.list", "tags": []},
        "segments": {"type": "segment.list", "segments": []},
        "notes": {"type": "note.list", "notes": []},
    }


def part(state: IntercomState, found: Part, *, plaintext: bool = False) -> dict[str, Any]:
    """Return one part of a conversation."""
    body = found.body
    if plaintext and body is not None:
        body = re.sub(r"<[^>]*>", "", body)
    return {
        "type": "conversation_part",
        "id": found.id,
        "part_type": found.part_type,
        "body": body,
        "created_at": found.created_at,
        "updated_at": found.created_at,
        "notified_at": found.created_at,
        "assigned_to": None,
        "author": _author(state, found),
        "attachments": [],
        "external_id": None,
        "redacted": False,
        "state": found.state,
        "tags": [tag(state, tag_id) for tag_id in found.tags],
        "event_details": None,
        "metadata": {},
        "email_message_metadata": None,
        "app_package_code": "sandbox-app" if found.by_api else None,
    }


def conversation(
    state: IntercomState, found: Conversation, *, parts: list[Part] | None = None, plaintext: bool = False
) -> dict[str, Any]:
    """Return a conversation; ``parts`` None lists its newest parts, as GET does.

    The answer to a reply lists only the new part, as a notification does, and a search lists none at all.
    """
    listed = found.parts[-MOST_PARTS:] if parts is None else parts
    total = len(found.parts) if parts is None else len(parts)
    source = part(state, found.source, plaintext=plaintext)
    return {
        "type": "conversation",
        "id": found.id,
        "created_at": found.created_at,
        "updated_at": found.updated_at,
        "waiting_since": None,
        "snoozed_until": None,
        "source": {
            "type": "conversation",
            "id": found.source.id,
            "delivered_as": "admin_initiated"
            if found.source.author_type == "admin"
            else "customer_initiated",
            "subject": "",
            "body": source["body"],
            "author": source["author"],
            "attachments": [],
            "url": None,
            "redacted": False,
        },
        "contacts": {
            "type": "contact.list",
            "contacts": [
                {"type": "contact", "id": item, "external_id": state.contacts[item].external_id}
                for item in found.contact_ids
            ],
        },
        "first_contact_reply": figures.first_contact_reply(found),
        "admin_assignee_id": 0,
        "team_assignee_id": 0,
        "open": found.state == "open",
        "state": found.state,
        "read": True,
        "tags": {
            "type": "tag.list",
            "tags": [tag(state, tag_id, applied) for tag_id, applied in found.tags.items()],
        },
        "priority": "none",
        "sla_applied": None,
        "statistics": figures.statistics(found),
        "conversation_rating": figures.rating(state, found),
        "teammates": figures.teammates(found),
        "title": None,
        "custom_attributes": {},
        "topics": {},
        "ticket": None,
        "linked_objects": {"type": "list", "data": [], "total_count": 0, "has_more": False},
        "ai_agent": None,
        "ai_agent_participated": False,
        "conversation_parts": {
            "type": "conversation_part.list",
            "conversation_parts": [part(state, item, plaintext=plaintext) for item in listed],
            "total_count": total,
        },
    }


def data_attribute(found: DataAttribute) -> dict[str, Any]:
    """Return a custom attribute of contacts.

    Answers know fewer types than requests: a ``datetime`` is listed as a ``date``, a list of options as a
    ``string`` (components/schemas/data_attribute of Intercom's API description).
    """
    listed_type = {"datetime": "date", "options": "string"}.get(found.data_type, found.data_type)
    return {
        "type": "data_attribute",
        "id": found.id,
        "model": "contact",
        "name": found.name,
        "full_name": f"custom_attributes.{found.name}",
        "label": found.name,
        "description": found.description,
        "data_type": listed_type,
        "options": list(found.options),
        "api_writable": True,
        "messenger_writable": False,
        "ui_writable": True,
        "custom": True,
        "archived": found.archived,
    }


def _author(state: IntercomState, found: Part) -> dict[str, Any]:
    if found.author_type == "bot":
        email = f"operator+{state.workspace_id}@intercom.io"
        return {"type": "bot", "id": BOT, "name": "Fin", "email": email}
    if found.author_type == "admin":
        known = state.admins.get(found.author_id)
        # Of a teammate who has left, no address is known any more; Intercom says so with an empty one.
        name, email = (known.name, known.email) if known else (None, "")
        return {"type": "admin", "id": found.author_id, "name": name, "email": email}
    person = state.contacts[found.author_id]
    return {"type": found.author_type, "id": person.id, "name": person.name, "email": person.email or ""}
