"""Contacts, their tags, companies and custom attributes, over REST.

https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/contacts
"""

from __future__ import annotations

import time
from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox import attributes, documents, rest, searching
from sandbox.refusals import Refusal, bad_parameter, not_found

routes = Blueprint("contacts", __name__)

_CHANGEABLE: dict[str, tuple[type, ...]] = {
    "role": (str,),
    "name": (str, type(None)),
    "email": (str,),
    "external_id": (str,),
    "unsubscribed_from_emails": (bool, type(None)),
}


@routes.get("/contacts/<contact_id>")
def get_contact(contact_id: str) -> Response:
    """Return a contact."""
    state = rest.workspace()
    with state.lock:
        return jsonify(documents.contact(state, rest.contact(contact_id)))


@routes.put("/contacts/<contact_id>")
def update_contact(contact_id: str) -> Response:
    """Change a contact; custom attributes are merged key by key, or none of them is."""
    state, body = rest.workspace(), rest.body_of_request()
    given = {name: body[name] for name in _CHANGEABLE if name in body}
    for name, value in given.items():
        if not isinstance(value, _CHANGEABLE[name]):
            raise bad_parameter(f"{name} is not valid", name)
    if given.get("role", "user") not in {"user", "lead"}:
        raise bad_parameter("Role is not an option", "role")
    with state.lock:
        found = rest.contact(contact_id)
        attributes.write(state, found, body.get("custom_attributes") or {})
        for name, value in given.items():
            setattr(found, name, bool(value) if name == "unsubscribed_from_emails" else value)
        found.updated_at = int(time.time())
        return jsonify(documents.contact(state, found))


@routes.post("/contacts/search")
def search_contacts() -> Response:
    """Find contacts by their fields; those that were merged, archived or deleted are not found."""
    state, body = rest.workspace(), rest.body_of_request()
    with state.lock:
        living = [item for item in state.contacts.values() if item.lives]
        known = searching.contact_fields(state)
        matching = [
            item for item in living if searching.matches(body, searching.of_contact(item), known, state)
        ]
        page, pages = searching.page(matching, body, per_page=searching.CONTACTS_A_PAGE)
        data = [documents.contact(state, item) for item in page]
    return jsonify({"type": "list", "data": data, "total_count": len(matching), "pages": pages})


@routes.get("/contacts/<contact_id>/companies")
def list_contact_companies(contact_id: str) -> Response:
    """List the companies of a contact, all on one page."""
    state = rest.workspace()
    with state.lock:
        found = [state.companies[item] for item in rest.contact(contact_id).company_ids]
        data = [documents.company(state, item) for item in found]
    pages = {"type": "pages", "page": 1, "per_page": 50, "total_pages": 1, "next": None}
    # The description calls the list "companies", Intercom's samples call it "data"; here it is both.
    answer = {"type": "list", "data": data, "companies": data, "total_count": len(data), "pages": pages}
    return jsonify(answer)


# Tags -------------------------------------------------------------------------------------------------


@routes.get("/tags")
def list_tags() -> Response:
    """List every tag of the workspace."""
    state = rest.workspace()
    with state.lock:
        data = [documents.tag(state, tag_id) for tag_id in state.tag_names]
    return jsonify({"type": "list", "data": data})


@routes.post("/tags")
def create_tag() -> Response:
    """Create a tag, or return the one that has this name in whatever case."""
    state, name = rest.workspace(), rest.text(rest.body_of_request(), "name")
    with state.lock:
        return jsonify(documents.tag(state, state.ensure_tag(name)))


@routes.get("/contacts/<contact_id>/tags")
def list_contact_tags(contact_id: str) -> Response:
    """List the tags of a contact."""
    state = rest.workspace()
    with state.lock:
        tags = rest.contact(contact_id).tags
        data = [documents.tag(state, tag_id, applied) for tag_id, applied in tags.items()]
    return jsonify({"type": "list", "data": data})


@routes.post("/contacts/<contact_id>/tags")
def tag_contact(contact_id: str) -> Response:
    """Put a tag on a contact."""
    state, body = rest.workspace(), rest.body_of_request()
    with state.lock:
        found, tag_id = rest.contact(contact_id), rest.text(body, "id")
        if tag_id not in state.tag_names:
            raise not_found("Resource Not Found")
        return jsonify(documents.tag(state, tag_id, state.tag_contact(found, tag_id)))


@routes.delete("/contacts/<contact_id>/tags/<tag_id>")
def untag_contact(contact_id: str, tag_id: str) -> Response:
    """Take a tag off a contact."""
    state = rest.workspace()
    with state.lock:
        removed = rest.contact(contact_id).tags.pop(tag_id, None)
        if removed is None:
            raise not_found("Resource Not Found")
        return jsonify(documents.tag(state, tag_id, removed))


# Custom attributes ------------------------------------------------------------------------------------


@routes.get("/data_attributes")
def list_data_attributes() -> Response:
    """List the custom attributes of contacts."""
    model = request.args.get("model", "contact")
    if model == "conversation":
        message = "model=conversation is no longer supported. Use GET /conversations/attributes instead"
        raise Refusal(422, "parameter_invalid", message)
    archived = request.args.get("include_archived") == "true"
    state = rest.workspace()
    with state.lock:
        listed = [item for item in state.attributes.values() if archived or not item.archived]
        data: list[Any] = [documents.data_attribute(item) for item in listed] if model == "contact" else []
    return jsonify({"type": "list", "data": data})


@routes.post("/data_attributes")
def create_data_attribute() -> Response:
    """Create a custom attribute of contacts."""
    state = rest.workspace()
    with state.lock:
        return jsonify(documents.data_attribute(attributes.create(state, rest.body_of_request())))
