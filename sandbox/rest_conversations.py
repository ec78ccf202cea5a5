"""Conversations and messages over REST.

https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/conversations
"""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox import documents, rest, searching
from sandbox.refusals import Refusal, bad_parameter, not_found
from sandbox.state import Part

routes = Blueprint("conversations", __name__)


@routes.get("/conversations/<conversation_id>")
def get_conversation(conversation_id: str) -> Response:
    """Return a conversation with its newest parts, as HTML unless plain text is asked for."""
    state, plaintext = rest.workspace(), request.args.get("display_as") == "plaintext"
    with state.lock:
        found = rest.conversation(conversation_id)
        return jsonify(documents.conversation(state, found, plaintext=plaintext))


@routes.post("/conversations/search")
def search_conversations() -> Response:
    """Find conversations by their fields; parts are not listed in the answer."""
    state, body = rest.workspace(), rest.body_of_request()
    with state.lock:
        matching = [
            item
            for item in state.conversations.values()
            if searching.matches(body, searching.of_conversation(item), searching.CONVERSATION_FIELDS, state)
        ]
        page, pages = searching.page(matching, body, per_page=searching.CONVERSATIONS_A_PAGE)
        found = [documents.conversation(state, item, parts=[]) for item in page]
    for document in found:
        del document["conversation_parts"]
    answer = {
        "type": "conversation.list",
        "conversations": found,
        "total_count": len(matching),
        "pages": pages,
    }
    return jsonify(answer)


def _add_part(conversation_id: str, part_type: str, body: dict[str, Any], html: str | None) -> Response:
    state = rest.workspace()
    with state.lock:
        found = rest.conversation(conversation_id)
        part = state.add_part(
            found,
            part_type=part_type,
            body=html,
            author_type="admin",
            author_id=rest.acting_admin(body),
            by_api=True,
        )
        return jsonify(documents.conversation(state, found, parts=[part]))


@routes.post("/conversations/<conversation_id>/reply")
def reply(conversation_id: str) -> Response:
    """Say something aloud (``comment``) or among teammates (``note``), as a teammate."""
    body = rest.body_of_request()
    if body.get("type") != "admin":
        raise bad_parameter("Type is not an option", "type")
    if body.get("message_type") not in {"comment", "note"}:
        raise bad_parameter("Message type is not an option", "message_type")
    return _add_part(conversation_id, body["message_type"], body, _html(rest.text(body, "body")))


@routes.post("/conversations/<conversation_id>/parts")
def manage(conversation_id: str) -> Response:
    """Close or open a conversation."""
    body = rest.body_of_request()
    if body.get("message_type") not in {"close", "open"}:
        raise bad_parameter("Message type is not an option", "message_type")
    if body["message_type"] == "close" and body.get("type") != "admin":
        raise bad_parameter("Type is not an option", "type")
    return _add_part(conversation_id, body["message_type"], body, body.get("body"))


@routes.post("/conversations/<conversation_id>/tags")
def tag_conversation(conversation_id: str) -> Response:
    """Put a tag on a conversation."""
    state, body = rest.workspace(), rest.body_of_request()
    with state.lock:
        found, admin_id = rest.conversation(conversation_id), rest.acting_admin(body)
        tag_id = rest.text(body, "id")
        if tag_id not in state.tag_names:
            raise Refusal(404, "tag_not_found", "Tag not found")
        return jsonify(documents.tag(state, tag_id, state.tag_conversation(found, tag_id, admin_id)))


@routes.delete("/conversations/<conversation_id>/tags/<tag_id>")
def untag_conversation(conversation_id: str, tag_id: str) -> Response:
    """Take a tag off a conversation; who does it stands in the body."""
    state = rest.workspace()
    with state.lock:
        found, admin_id = rest.conversation(conversation_id), rest.acting_admin(rest.body_of_request())
        removed = state.untag_conversation(found, tag_id, admin_id)
        if removed is None:
            raise Refusal(404, "tag_not_found", "Tag not found")
        return jsonify(documents.tag(state, tag_id, removed))


@routes.post("/messages")
def create_message() -> Response:
    """Send a contact a message that no conversation stands behind yet.

    Only one recipient is taken, and neither WhatsApp nor the names that older versions had for a kind.
    """
    state, body = rest.workspace(), rest.body_of_request()
    kind, html = body.get("message_type"), body.get("body")
    if kind not in {"in_app", "email"}:
        raise bad_parameter("Message type is not an option", "message_type")
    if not isinstance(html, str) or not html:
        raise bad_parameter("Body is required", "body")
    if kind == "email" and not (body.get("subject") and body.get("template")):
        raise Refusal(422, "parameter_not_found", "No subject supplied for email message")
    sender_id, recipient = _sender(body), _recipient(body)
    with state.lock:
        if sender_id not in state.admins:
            raise Refusal(404, "admin_not_found", "Admin not found", "from")
        contact = rest.contact(str(recipient.get("id")))
        if contact.role != recipient["type"]:
            raise not_found("User Not Found")
        now, message_id = int(time.time()), state.next_id()
        document: dict[str, Any] = {"type": "admin_message", "id": message_id, "created_at": now}
        document |= {"body": _html(html), "message_type": "email" if kind == "email" else "inapp"}
        if kind == "email":
            document["subject"] = body["subject"]
        if body.get("create_conversation_without_contact_reply") is True:
            first = Part(message_id, "conversation", _html(html), "admin", sender_id, now, "open", True)
            document["conversation_id"] = state.add_conversation([contact.id], first).id
        state.messages.append({**document, "to": contact.id})
        return jsonify(document)


def _sender(body: dict[str, Any]) -> str:
    sender = body.get("from")
    if not isinstance(sender, dict) or sender.get("type") != "admin":
        raise bad_parameter("from must name an admin", "from")
    # Here, and only here, the description wants the number of an admin instead of its text.
    if not isinstance(sender.get("id"), int) or isinstance(sender["id"], bool):
        raise bad_parameter("from.id must be an integer", "from")
    return str(sender["id"])


def _recipient(body: dict[str, Any]) -> dict[str, Any]:
    recipient = body.get("to")
    if not isinstance(recipient, dict) or recipient.get("type") not in {"user", "lead"}:
        raise bad_parameter("to must name a user or a lead", "to")
    return recipient


def _html(text: str) -> str:
    # Plain text is shown by Intercom as a paragraph.
    return text if text.lstrip().startswith("<") else f"<p>{text}</p>"
