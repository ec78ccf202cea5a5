"""What Intercom sends and answers when something happens to a conversation or a contact, as tests need it."""

from __future__ import annotations

import itertools
import time
from typing import Any

import sqlalchemy as sa

from canvas_app import store
from canvas_app.interviews import rulestore
from canvas_app.interviews.rulebook import Rule
from canvas_app.interviews.tables import decisions
from tests.support.world import CONTACT, CONVERSATION, INTERCOM, REP, WORKSPACE, World

_numbers = itertools.count(1)

PERSON = {"type": "admin", "id": REP["id"]}
BOT = {"type": "bot", "id": "23"}
BY_CONTACT = {"type": "user", "id": CONTACT}
WORDS = "<p>The export is stuck at 80%, and our board meets at three.</p>"


def notification(topic: str, item: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """An event as Intercom delivers it, with an id of its own."""
    return {
        "type": "notification_event",
        "id": f"notif_{next(_numbers)}",
        "app_id": WORKSPACE,
        "topic": topic,
        "created_at": int(time.time()),
        "delivery_attempts": 1,
        "data": {"type": "notification_event_data", "item": item},
        **changes,
    }


def part(part_type: str = "comment", **changes: Any) -> dict[str, Any]:
    return {
        "type": "conversation_part",
        "id": str(next(_numbers)),
        "part_type": part_type,
        "body": None,
        "author": PERSON,
        "app_package_code": None,
        "created_at": int(time.time()),
        **changes,
    }


def conversation(
    *parts: dict[str, Any], contacts: tuple[str, ...] = (CONTACT,), **changes: Any
) -> dict[str, Any]:
    """A conversation as Intercom answers it; a notification holds the part that it is about alone."""
    return {
        "type": "conversation",
        "id": CONVERSATION,
        "state": "closed",
        "source": {"type": "conversation", "body": WORDS, "author": BY_CONTACT},
        "contacts": {
            "type": "contact.list",
            "contacts": [{"type": "contact", "id": id_} for id_ in contacts],
        },
        "tags": {"type": "tag.list", "tags": []},
        "conversation_rating": None,
        "conversation_parts": {
            "type": "conversation_part.list",
            "conversation_parts": list(parts),
            "total_count": len(parts),
        },
        **changes,
    }


def rating(value: int | None, contact_id: str = CONTACT) -> dict[str, Any]:
    return {"rating": value, "remark": "planted words", "contact": {"type": "contact", "id": contact_id}}


def tag_list(*names: str) -> dict[str, Any]:
    return {
        "type": "tag.list",
        "tags": [{"type": "tag", "id": str(hash(name)), "name": name} for name in names],
    }


def closed(by: dict[str, Any] = PERSON, **changes: Any) -> dict[str, Any]:
    """A conversation is closed; ``changes`` are of the part that closes it."""
    return notification("conversation.admin.closed", conversation(part("close", author=by, **changes)))


def rated(value: int | None) -> dict[str, Any]:
    return notification("conversation.rating.added", conversation(conversation_rating=rating(value)))


def contact_tagged(name: str, role: str = "user", contact_id: str = CONTACT) -> dict[str, Any]:
    item = {
        "type": "contact_tag",
        "created_at": int(time.time()),
        "tag": {"type": "tag", "id": "80", "name": name},
        "contact": {"type": "contact", "id": contact_id, "role": role, "email": "planted@example.com"},
    }
    return notification(f"contact.{role}.tag.created", item)


def part_tagged(name: str) -> dict[str, Any]:
    item = part(body="planted words", author=BY_CONTACT, conversation_id=CONVERSATION)
    return notification("conversation_part.tag.created", item | {"tags": tag_list(name)["tags"]})


def intercom_has_conversation(world: World, *parts: dict[str, Any], **changes: Any) -> None:
    """The conversation when it is asked for."""
    world.outside.upsert(
        "GET",
        f"{INTERCOM}/conversations/{changes.get('id', CONVERSATION)}",
        json=conversation(*parts, **changes),
    )


def intercom_has_contact(world: World, *tags: str, contact_id: str = CONTACT, **changes: Any) -> None:
    """The contact when it is asked for, with these tags."""
    listed = [{"type": "tag", "id": str(number), "name": name} for number, name in enumerate(tags, start=1)]
    contact = {
        "type": "contact",
        "id": contact_id,
        "role": "user",
        "name": "Mia Chen",
        "email": "mia@example.com",
        "language_override": None,
        "browser_language": "de",
        "unsubscribed_from_emails": False,
        "marked_email_as_spam": False,
        "tags": {"type": "list", "data": [], "total_count": len(listed)},
        **changes,
    }
    address = f"{INTERCOM}/contacts/{contact_id}"
    world.outside.upsert("GET", address, json=contact)
    world.outside.upsert("GET", f"{address}/tags", json={"type": "list", "data": listed})


def all_is_well(world: World) -> None:
    """Koji and Intercom answer, and Intercom knows the contact and the closed conversation."""
    world.vendors_are_well()
    intercom_has_contact(world)
    intercom_has_conversation(world, part("close"))
    world.outside.post(f"{INTERCOM}/conversations/{CONVERSATION}/parts", json={"type": "conversation"})


def add_rule(world: World, slug: str = "closed", **changes: Any) -> Rule:
    """Write a rule that is on, about closed conversations unless said otherwise."""
    values: dict[str, Any] = {"title": slug, "event": "conversation.admin.closed", "enabled": True}
    rule = Rule.model_validate({"slug": slug, **values, **changes})
    with store.writing(world.engine) as connection:
        rulestore.save(connection, rule)
    return rule


def happens(world: World, event: dict[str, Any]) -> None:
    """Intercom delivers it, and what follows from it at once is done."""
    answer = world.intercom_event(event)
    assert (answer.status_code, answer.get_json()) == (200, {"status": "stored"})
    world.run_jobs()


def decided(world: World) -> list[tuple[str, str, str | None]]:
    """Every decision: rule, verdict, reason; in order of rules and time."""
    with store.reading(world.engine) as connection:
        rows = connection.execute(sa.select(decisions).order_by(decisions.c.decided_at, decisions.c.id))
        return [(row.rule, row.verdict, row.reason) for row in rows]


def messages(world: World) -> list[dict[str, Any]]:
    """What has been said in the conversation in our name."""
    return world.calls("POST", r"/reply$")
