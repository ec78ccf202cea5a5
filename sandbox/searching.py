"""The part of Intercom's search language that the stand-in knows: fields, =, !=, >, <, IN, and AND/OR.

https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/contacts/searchcontacts
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sandbox.refusals import Refusal, bad_parameter

if TYPE_CHECKING:
    from sandbox.state import Contact, Conversation

Fields = dict[str, Any]
Found = TypeVar("Found")


def of_contact(contact: Contact) -> Fields:
    """Return the searchable fields of a contact."""
    return {
        "id": contact.id,
        "email": contact.email,
        "name": contact.name,
        "role": contact.role,
        "external_id": contact.external_id,
        "created_at": contact.created_at,
        "updated_at": contact.updated_at,
    }


def of_conversation(conversation: Conversation) -> Fields:
    """Return the searchable fields of a conversation; a list matches when any of its items does."""
    return {
        "id": conversation.id,
        "contact_ids": conversation.contact_ids,
        "state": conversation.state,
        "open": conversation.state == "open",
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "source.id": conversation.source.id,
        "source.body": conversation.source.body,
    }


def matches(query: Any, fields: Fields, *, depth: int = 0) -> bool:
    """Say whether something with these fields is found by ``query``."""
    if not isinstance(query, dict):
        raise bad_parameter("query is required", "query")
    operator, value = query.get("operator"), query.get("value")
    if operator in {"AND", "OR"}:
        if not isinstance(value, list) or not 1 <= len(value) <= 15 or depth >= 2:
            raise Refusal(
                400, "invalid_search", "A group has 1 to 15 filters, and there are at most 2 levels"
            )
        found = [matches(item, fields, depth=depth + 1) for item in value]
        return all(found) if operator == "AND" else any(found)
    if query.get("field") not in fields:
        raise Refusal(400, "invalid_field", f"Field {query.get('field')!r} is not searchable here")
    actual = fields[query["field"]]
    return any(_holds(operator, item, value) for item in (actual if isinstance(actual, list) else [actual]))


def _holds(operator: Any, actual: Any, value: Any) -> bool:
    if operator == "=":
        # Addresses are compared without regard to case.
        return str(actual).casefold() == str(value).casefold() if actual is not None else value is None
    if operator == "!=":
        return bool(actual != value)
    if operator in {"IN", "NIN"} and isinstance(value, list):
        return bool((actual in value) == (operator == "IN"))
    if operator in {">", "<"} and actual is not None:
        return int(actual) > int(value) if operator == ">" else int(actual) < int(value)
    if operator == "~":
        return actual is not None and str(value).casefold() in str(actual).casefold()
    raise Refusal(400, "invalid_operator", f"Operator {operator!r} is not known here")


def first_page(matching: list[Found], body: Fields) -> tuple[list[Found], Fields]:
    """Return the first page of what was found, and Intercom's ``pages`` object."""
    per_page = (body.get("pagination") or {}).get("per_page", 50)
    if not isinstance(per_page, int) or not 1 <= per_page <= 150:
        raise bad_parameter("per_page must be between 1 and 150", "per_page")
    total = -(-len(matching) // per_page)
    return matching[:per_page], {"type": "pages", "page": 1, "per_page": per_page, "total_pages": total}
