"""The stand-in for Intercom's REST API, version 2.16.

https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io
"""

from __future__ import annotations

import hmac
import re
import time
import uuid
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, current_app, g, jsonify, request

from sandbox import attributes, documents, searching
from sandbox.refusals import Refusal, bad_parameter, error_body, not_found
from sandbox.state import Part

if TYPE_CHECKING:
    from flask import Flask

    from sandbox.state import Contact, Conversation, IntercomState

KNOWN_VERSIONS = frozenset(["1.0", "1.1", "1.2", "1.3", "1.4", *(f"2.{minor}" for minor in range(17))])

rest = Blueprint("rest", __name__)


def register(app: Flask, state: IntercomState, access_token: str) -> None:
    """Add the REST API of one workspace to ``app``."""
    app.extensions["intercom_state"] = state
    app.config["ACCESS_TOKEN"] = access_token
    app.register_blueprint(rest)


def _state() -> IntercomState:
    state: IntercomState = current_app.extensions["intercom_state"]
    return state


@rest.before_request
def admit() -> None:
    """Check the token, the rate and the version, in this order."""
    state = _state()
    g.request_id = str(uuid.uuid4())
    given = request.headers.get("Authorization", "").encode()
    if not hmac.compare_digest(given, f"Bearer {current_app.config['ACCESS_TOKEN']}".encode()):
        raise Refusal(401, "unauthorized", "Access Token Invalid")
    g.remaining, g.reset, allowed = state.count_call(time.time())
    if not allowed:
        raise Refusal(429, "rate_limit_exceeded", "Exceeded rate limit in 10_seconds")
    version = request.headers.get("Intercom-Version")
    if version not in KNOWN_VERSIONS:
        raise Refusal(
            400, "intercom_version_invalid", f"The requested version {version!r} could not be found"
        )
    if request.method in {"POST", "PUT"} and not request.is_json:
        raise Refusal(415, "media_type_not_acceptable", "The Content-Type must be application/json")


@rest.after_request
def tell_rate(response: Response) -> Response:
    """Put the rate-limit headers on the answer, as on every answer."""
    if "remaining" in g:
        response.headers["X-RateLimit-Limit"] = str(_state().calls_per_window)
        response.headers["X-RateLimit-Remaining"] = str(g.remaining)
        response.headers["X-RateLimit-Reset"] = str(g.reset)
    return response


@rest.errorhandler(Refusal)
def tell_refusal(refusal: Refusal) -> Response:
    """Answer with Intercom's error list."""
    response = jsonify(error_body(g.request_id, refusal.code, str(refusal), refusal.field))
    response.status_code = refusal.status
    response.headers.update(refusal.headers)
    return response


# What a request names ---------------------------------------------------------------------------------


def _body() -> dict[str, Any]:
    given = request.get_json(silent=True)
    if not isinstance(given, dict):
        raise bad_parameter("The body is not a JSON object")
    return given


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise bad_parameter(f"{name} is required and must be a string", name)
    return value


def _admin_id(body: dict[str, Any]) -> str:
    admin_id = _text(body, "admin_id")
    if admin_id not in _state().admins:
        raise Refusal(404, "admin_not_found", "Admin not found", "admin_id")
    return admin_id


def _conversation(conversation_id: str) -> Conversation:
    # The word "last" is allowed by Intercom; nobody here means it, so it is refused like any other word.
    if not re.fullmatch(r"[0-9]{1,15}", conversation_id):
        raise not_found("Resource Not Found")
    found = _state().conversations.get(conversation_id)
    if found is None:
        raise not_found("Conversation not found")
    return found


def _contact(contact_id: str) -> Contact:
    found = _state().contacts.get(contact_id)
    if found is None:
        raise not_found("User Not Found")
    if found.merged_into is not None:
        raise Refusal(
            410,
            "contact_merged",
            "This contact has been merged. See the 'Link' header for the canonical contact.",
            headers={"Link": f'</contacts/{found.merged_into}>; rel="canonical"'},
        )
    return found


# Workspace and teammates ------------------------------------------------------------------------------


@rest.get("/me")
def get_me() -> Response:
    """Identify the token's own admin."""
    with _state().lock:
        return jsonify(documents.me(_state()))


@rest.get("/admins")
def list_admins() -> Response:
    """List the teammates."""
    with _state().lock:
        admins = [documents.admin(found) for found in _state().admins.values()]
    return jsonify({"type": "admin.list", "admins": admins})


@rest.get("/admins/<admin_id>")
def get_admin(admin_id: str) -> Response:
    """Return one teammate."""
    with _state().lock:
        found = _state().admins.get(admin_id)
        if found is None:
            raise Refusal(404, "admin_not_found", "Admin not found")
        return jsonify(documents.admin(found))


# Contacts ---------------------------------------------------------------------------------------------


@rest.get("/contacts/<contact_id>")
def get_contact(contact_id: str) -> Response:
    """Return a contact."""
    with _state().lock:
        return jsonify(documents.contact(_state(), _contact(contact_id)))


@rest.put("/contacts/<contact_id>")
def update_contact(contact_id: str) -> Response:
    """Change a contact; custom attributes are merged key by key, or none of them is."""
    state, body = _state(), _body()
    with state.lock:
        found = _contact(contact_id)
        attributes.write(state, found, body.get("custom_attributes", {}))
        for name in ("name", "email", "external_id"):
            if name in body:
                setattr(found, name, body[name])
        found.updated_at = int(time.time())
        return jsonify(documents.contact(state, found))


@rest.post("/contacts/search")
def search_contacts() -> Response:
    """Find contacts by their fields."""
    state, body = _state(), _body()
    with state.lock:
        living = [item for item in state.contacts.values() if item.merged_into is None]
        matching = [
            item for item in living if searching.matches(body.get("query"), searching.of_contact(item))
        ]
        page, pages = searching.first_page(matching, body)
        data = [documents.contact(state, item) for item in page]
    return jsonify({"type": "list", "data": data, "total_count": len(matching), "pages": pages})


@rest.get("/contacts/<contact_id>/tags")
def list_contact_tags(contact_id: str) -> Response:
    """List the tags of a contact."""
    state = _state()
    with state.lock:
        tags = _contact(contact_id).tags
        data = [documents.tag(state, tag_id, applied) for tag_id, applied in tags.items()]
    return jsonify({"type": "list", "data": data})


@rest.post("/contacts/<contact_id>/tags")
def tag_contact(contact_id: str) -> Response:
    """Put a tag on a contact."""
    state, body = _state(), _body()
    with state.lock:
        found, tag_id = _contact(contact_id), _text(body, "id")
        if tag_id not in state.tag_names:
            raise not_found("Resource Not Found")
        return jsonify(documents.tag(state, tag_id, state.tag_contact(found, tag_id)))


@rest.delete("/contacts/<contact_id>/tags/<tag_id>")
def untag_contact(contact_id: str, tag_id: str) -> Response:
    """Take a tag off a contact."""
    state = _state()
    with state.lock:
        removed = _contact(contact_id).tags.pop(tag_id, None)
        if removed is None:
            raise not_found("Resource Not Found")
        return jsonify(documents.tag(state, tag_id, removed))


# Custom attributes ------------------------------------------------------------------------------------


@rest.get("/data_attributes")
def list_data_attributes() -> Response:
    """List the custom attributes of contacts."""
    model = request.args.get("model", "contact")
    if model == "conversation":
        message = "model=conversation is no longer supported. Use GET /conversations/attributes instead"
        raise Refusal(422, "parameter_invalid", message)
    archived = request.args.get("include_archived") == "true"
    with _state().lock:
        listed = [item for item in _state().attributes.values() if archived or not item.archived]
        data = [documents.data_attribute(item) for item in listed] if model == "contact" else []
    return jsonify({"type": "list", "data": data})


@rest.post("/data_attributes")
def create_data_attribute() -> Response:
    """Create a custom attribute of contacts."""
    with _state().lock:
        return jsonify(documents.data_attribute(attributes.create(_state(), _body())))


# Conversations ----------------------------------------------------------------------------------------


@rest.get("/conversations/<conversation_id>")
def get_conversation(conversation_id: str) -> Response:
    """Return a conversation with its newest parts, as HTML unless plain text is asked for."""
    plaintext = request.args.get("display_as") == "plaintext"
    with _state().lock:
        return jsonify(documents.conversation(_state(), _conversation(conversation_id), plaintext=plaintext))


@rest.post("/conversations/search")
def search_conversations() -> Response:
    """Find conversations by their fields; parts are not listed in the answer."""
    state, body = _state(), _body()
    with state.lock:
        every = state.conversations.values()
        matching = [
            item for item in every if searching.matches(body.get("query"), searching.of_conversation(item))
        ]
        page, pages = searching.first_page(matching, body)
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


def _add_part(conversation_id: str, part_type: str, body: dict[str, Any], text: str | None) -> Response:
    state = _state()
    with state.lock:
        found = _conversation(conversation_id)
        part = state.add_part(
            found,
            part_type=part_type,
            body=text,
            author_type="admin",
            author_id=_admin_id(body),
            by_api=True,
        )
        return jsonify(documents.conversation(state, found, parts=[part]))


@rest.post("/conversations/<conversation_id>/reply")
def reply(conversation_id: str) -> Response:
    """Say something aloud (``comment``) or among teammates (``note``), as a teammate."""
    body = _body()
    if body.get("type") != "admin":
        raise bad_parameter("Type is not an option", "type")
    if body.get("message_type") not in {"comment", "note"}:
        raise bad_parameter("Message type is not an option", "message_type")
    return _add_part(conversation_id, body["message_type"], body, _html(_text(body, "body")))


@rest.post("/conversations/<conversation_id>/parts")
def manage(conversation_id: str) -> Response:
    """Close or open a conversation."""
    body = _body()
    if body.get("message_type") not in {"close", "open"}:
        raise bad_parameter("Message type is not an option", "message_type")
    if body["message_type"] == "close" and body.get("type") != "admin":
        raise bad_parameter("Type is not an option", "type")
    return _add_part(conversation_id, body["message_type"], body, body.get("body"))


@rest.post("/conversations/<conversation_id>/tags")
def tag_conversation(conversation_id: str) -> Response:
    """Put a tag on a conversation."""
    state, body = _state(), _body()
    with state.lock:
        found, admin_id, tag_id = _conversation(conversation_id), _admin_id(body), _text(body, "id")
        if tag_id not in state.tag_names:
            raise Refusal(404, "tag_not_found", "Tag not found")
        return jsonify(documents.tag(state, tag_id, state.tag_conversation(found, tag_id, admin_id)))


@rest.delete("/conversations/<conversation_id>/tags/<tag_id>")
def untag_conversation(conversation_id: str, tag_id: str) -> Response:
    """Take a tag off a conversation; who does it stands in the body."""
    state = _state()
    with state.lock:
        found, admin_id = _conversation(conversation_id), _admin_id(_body())
        removed = state.untag_conversation(found, tag_id, admin_id)
        if removed is None:
            raise Refusal(404, "tag_not_found", "Tag not found")
        return jsonify(documents.tag(state, tag_id, removed))


@rest.post("/tags")
def create_tag() -> Response:
    """Create a tag, or return the one that has this name in whatever case."""
    state, name = _state(), _text(_body(), "name")
    with state.lock:
        return jsonify(documents.tag(state, state.ensure_tag(name)))


@rest.post("/messages")
def create_message() -> Response:
    """Send a contact a message that no conversation stands behind yet."""
    state, body = _state(), _body()
    kind, text = body.get("message_type"), body.get("body")
    sender, recipient = body.get("from"), body.get("to")
    if kind not in {"in_app", "inapp", "email"}:
        raise bad_parameter("Message type is not an option", "message_type")
    if not isinstance(text, str) or not text:
        raise bad_parameter("Body is required", "body")
    if kind == "email" and not (body.get("subject") and body.get("template")):
        raise Refusal(422, "parameter_not_found", "No subject supplied for email message")
    if not isinstance(sender, dict) or sender.get("type") != "admin":
        raise bad_parameter("from must name an admin", "from")
    if not isinstance(recipient, dict) or recipient.get("type") not in {"user", "lead"}:
        raise bad_parameter("to must name a user or a lead", "to")
    with state.lock:
        if str(sender.get("id")) not in state.admins:
            raise Refusal(404, "admin_not_found", "Admin not found", "from")
        contact = _contact(str(recipient.get("id")))
        now, message_id = int(time.time()), state.next_id()
        document = {"type": "admin_message", "id": message_id, "created_at": now, "body": _html(text)}
        document |= {"message_type": "email" if kind == "email" else "inapp", "conversation_id": None}
        if body.get("create_conversation_without_contact_reply") is True:
            first = Part(
                message_id, "conversation", _html(text), "admin", str(sender["id"]), now, "open", by_api=True
            )
            document["conversation_id"] = state.add_conversation([contact.id], first).id
        state.messages.append(document)
        return jsonify(document)


def _html(text: str) -> str:
    # Plain text is shown by Intercom as a paragraph.
    return text if text.lstrip().startswith("<") else f"<p>{text}</p>"
