"""Every call that the client makes: the request expected of it, a usable answer, and a way to see it fail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from canvas_app.errors import WireError
from tests.intercom.conftest import BASE, sample

if TYPE_CHECKING:
    from collections.abc import Callable

    import responses

    from canvas_app.intercom.client import IntercomClient

CONTACT = "6762f0d01bb69f9f2193bb7d"


@dataclass(frozen=True)
class Call:
    """A method of the client, the request that it makes, and an answer that it can use."""

    make: Callable[[IntercomClient], Any]
    method: str
    path: str
    answer: Any
    repeatable: bool = True
    needs_answer: bool = False
    forgives_404: bool = False


CALLS = {
    "me": Call(lambda c: c.me(), "GET", "/me", sample("me.json"), needs_answer=True),
    "admin_exists": Call(lambda c: c.admin_exists("7"), "GET", "/admins/7", {"id": "7"}, forgives_404=True),
    "reply": Call(
        lambda c: c.reply("503", admin_id="7", body="<p>hi</p>"),
        "POST",
        "/conversations/503/reply",
        sample("reply_note.json"),
        repeatable=False,
    ),
    "note": Call(
        lambda c: c.note("503", admin_id="7", body="<p>hi</p>"),
        "POST",
        "/conversations/503/reply",
        sample("reply_note.json"),
        repeatable=False,
    ),
    "create_message": Call(
        lambda c: c.create_message(CONTACT, role="user", admin_id="7", body="<p>hi</p>"),
        "POST",
        "/messages",
        sample("message.json"),
        repeatable=False,
    ),
    "search_conversations_of_contact": Call(
        lambda c: c.search_conversations_of_contact(CONTACT, since=1_780_000_000.5),
        "POST",
        "/conversations/search",
        sample("conversations_found.json"),
        needs_answer=True,
    ),
    "search_contacts_by_email": Call(
        lambda c: c.search_contacts_by_email("joe@bloggs.com"),
        "POST",
        "/contacts/search",
        sample("contacts_found.json"),
        needs_answer=True,
    ),
    "get_conversation": Call(
        lambda c: c.get_conversation("503"),
        "GET",
        "/conversations/503",
        sample("conversation.json"),
        needs_answer=True,
    ),
    "conversations_since": Call(
        lambda c: c.conversations_since(1_760_000_000, starting_after="WzE3NjA="),
        "POST",
        "/conversations/search",
        {"type": "conversation.list", "conversations": [{"id": "503"}], "total_count": 1, "pages": None},
        needs_answer=True,
    ),
    "close_conversation": Call(
        lambda c: c.close_conversation("503", "7"),
        "POST",
        "/conversations/503/parts",
        sample("conversation.json"),
    ),
    "get_contact": Call(
        lambda c: c.get_contact(CONTACT),
        "GET",
        f"/contacts/{CONTACT}",
        sample("contact.json"),
        needs_answer=True,
    ),
    "merged_into": Call(
        lambda c: c.merged_into(CONTACT),
        "GET",
        f"/contacts/{CONTACT}/merge_history",
        {"type": "list", "data": [{"type": "merge_history", "source_contact_id": "5ba6"}]},
        needs_answer=True,
        forgives_404=True,
    ),
    "update_contact": Call(
        lambda c: c.update_contact(CONTACT, {"last_interview_quality": 4.5}),
        "PUT",
        f"/contacts/{CONTACT}",
        sample("contact.json"),
    ),
    "contact_attributes": Call(
        lambda c: c.contact_attributes(),
        "GET",
        "/data_attributes",
        sample("data_attributes.json"),
        needs_answer=True,
    ),
    "ensure_tag": Call(
        lambda c: c.ensure_tag("test"), "POST", "/tags", sample("tag.json"), needs_answer=True
    ),
    "tag_conversation": Call(
        lambda c: c.tag_conversation("503", "80", "7"), "POST", "/conversations/503/tags", sample("tag.json")
    ),
    "untag_conversation": Call(
        lambda c: c.untag_conversation("503", "80", "7"),
        "DELETE",
        "/conversations/503/tags/80",
        sample("tag.json"),
        forgives_404=True,
    ),
    "tag_contact": Call(
        lambda c: c.tag_contact(CONTACT, "80"), "POST", f"/contacts/{CONTACT}/tags", sample("tag.json")
    ),
    "untag_contact": Call(
        lambda c: c.untag_contact(CONTACT, "80"),
        "DELETE",
        f"/contacts/{CONTACT}/tags/80",
        sample("tag.json"),
        forgives_404=True,
    ),
    "contact_tags": Call(
        lambda c: c.contact_tags(CONTACT),
        "GET",
        f"/contacts/{CONTACT}/tags",
        sample("tags.json"),
        needs_answer=True,
    ),
}
# create_contact_attribute looks further after a 400, so it has tests of its own below.
CALLS["create_contact_attribute"] = Call(
    lambda c: c.create_contact_attribute("last_interview_quality", "float", "1 to 5"),
    "POST",
    "/data_attributes",
    {"type": "data_attribute", "name": "last_interview_quality"},
)


def fails(client: IntercomClient, intercom: responses.RequestsMock, call: Call, **answer: Any) -> WireError:
    intercom.add(call.method, BASE + call.path, **answer)
    with pytest.raises(WireError) as caught:
        call.make(client)
    assert len(intercom.calls) == 1
    return caught.value
