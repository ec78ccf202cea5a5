"""What the stand-in Intercom tells the application by itself: its webhooks, called notifications.

The shapes follow https://developers.intercom.com/docs/references/2.16/webhooks/webhook-models and, where that
is silent or differs, what real workspaces were seen to send:

- a conversation comes with the one part that it is about, and with plain text in place of HTML;
- statistics that there are none of are null, and who closed is a number;
- the times of a contact are written out, those of a conversation are unix seconds;
- a tagged message comes as its conversation, though the reference says that it comes by itself. Either form
  can be chosen (``Notifier.part_tag_form``), since nobody promises which one arrives;
- an archived or deleted contact is named by its ids alone, and nothing else is told of it;
- a ping may have no id.
"""

from __future__ import annotations

import json
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from sandbox import documents
from sandbox.deliveries import Delivery

if TYPE_CHECKING:
    from sandbox.deliveries import Deliverer
    from sandbox.state import Contact, Conversation, Happening, IntercomState, Part

TOPICS = frozenset(
    [
        "conversation.admin.closed",
        "conversation.admin.replied",
        "conversation.rating.added",
        "contact.user.tag.created",
        "contact.lead.tag.created",
        "conversation_part.tag.created",
        "contact.archived",
        "contact.deleted",
        "contact.merged",
    ]
)
"""What the application is subscribed to at the start; ``ping`` always is."""

_STATISTICS = (
    "time_to_assignment",
    "time_to_admin_reply",
    "time_to_first_close",
    "time_to_last_close",
    "median_time_to_reply",
    "first_contact_reply_at",
    "first_assignment_at",
    "first_admin_reply_at",
    "first_close_at",
    "last_assignment_at",
    "last_assignment_admin_reply_at",
    "last_contact_reply_at",
    "last_admin_reply_at",
    "last_close_at",
    "last_closed_by_id",
    "handling_time",
)


class Notifier:
    """Tells the application what happens in the workspace, as far as it is subscribed to that."""

    def __init__(self, state: IntercomState, deliverer: Deliverer, client_secret: str) -> None:
        self.deliverer = deliverer
        self.topics = set(TOPICS)
        self.part_tag_form: Literal["conversation", "conversation_part"] = "conversation"
        self._state = state
        self._secret = client_secret

    def hear(self, happening: Happening) -> None:
        """Pass on what happened; called under the lock of the state."""
        if happening.topic in self.topics:
            self.send(happening.topic, self._item(happening), about=_about(happening))

    def ping(self) -> Delivery:
        """Send what Intercom sends when the address is saved, and now and then after that."""
        item = {"type": "ping", "message": "something something interzen"}
        return self.send("ping", item, about="ping", with_id=False)

    def send(self, topic: str, item: dict[str, Any], *, about: str, with_id: bool = True) -> Delivery:
        """Send any item under any topic, subscribed to or not."""
        now = int(time.time())
        document = {
            "type": "notification_event",
            "app_id": self._state.workspace_id,
            "data": {"type": "notification_event_data", "item": item},
            "links": {},
            "id": f"notif_{uuid.uuid4()}" if with_id else None,
            "topic": topic,
            "delivery_status": "pending",
            "delivery_attempts": 1,
            "delivered_at": 0,
            "first_sent_at": now,
            "created_at": now,
            "self": None,
        }
        raw = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        delivery = Delivery(topic, about, raw, self._secret)
        self.deliverer.send([delivery])
        return delivery

    def _item(self, happening: Happening) -> dict[str, Any]:
        part, contact, conversation = happening.part, happening.contact, happening.conversation
        if happening.topic == "conversation_part.tag.created" and part and conversation:
            return self._tagged_part(conversation, part, str(happening.tag_id))
        if conversation is not None:
            return self._conversation(conversation, [part] if part else [])
        if contact is None:
            raise ValueError(f"{happening.topic} is about nothing")
        if contact.gone is not None:
            names = {"type": "contact", "id": contact.id, "external_id": contact.external_id}
            return {**names, contact.gone: True}
        if happening.tag_id is not None:
            tag = documents.tag(self._state, happening.tag_id)
            applied_at = contact.tags[happening.tag_id].applied_at
            return {
                "type": "contact_tag",
                "created_at": applied_at,
                "tag": tag,
                "contact": self._contact(contact),
            }
        item = self._contact(contact)
        if happening.absorbed_id is not None:
            item["merged_from"] = {"type": "contact", "id": happening.absorbed_id}
        return item

    def _conversation(self, conversation: Conversation, parts: list[Part]) -> dict[str, Any]:
        item = documents.conversation(self._state, conversation, parts=parts, plaintext=True)
        known = item["statistics"]
        item["statistics"] = {**dict.fromkeys(_STATISTICS), **known}
        if closed_by := known.get("last_closed_by_id"):
            item["statistics"]["last_closed_by_id"] = int(closed_by)
        item["admin_assignee_id"] = item["team_assignee_id"] = None
        if item["conversation_rating"] is not None:
            item["conversation_rating"].setdefault("remark", None)
        return item

    def _tagged_part(self, conversation: Conversation, part: Part, tag_id: str) -> dict[str, Any]:
        if self.part_tag_form == "conversation":
            item = self._conversation(conversation, [part])
            tags = [documents.tag(self._state, tag_id)]
            return {**item, "tags_added": {"type": "tag.list", "tags": tags}}
        item = documents.part(self._state, part, plaintext=True)
        return {**item, "conversation_id": conversation.id}

    def _contact(self, contact: Contact) -> dict[str, Any]:
        item = documents.contact(self._state, contact)
        for name in ("created_at", "updated_at", "signed_up_at"):
            if item[name] is not None:
                written = datetime.fromtimestamp(item[name], UTC)
                item[name] = written.isoformat(timespec="milliseconds")
        return item


def _about(happening: Happening) -> str:
    subject = happening.conversation or happening.contact
    return subject.id if subject else happening.topic
