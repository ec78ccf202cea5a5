"""The part of Intercom's search language that the stand-in knows.

Groups (AND, OR), the operators that a field's type allows, and pages that follow one another by a cursor. A
moment of a contact is compared by the calendar day of the workspace's time zone; one of a conversation by the
second, and there ``>`` and ``<`` include the value.

https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/contacts/searchcontacts
https://developers.intercom.com/docs/references/2.16/rest-api/api.intercom.io/conversations/searchconversations
"""

from __future__ import annotations

import base64
import json
import operator as comparing
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar
from zoneinfo import ZoneInfo

from sandbox import figures
from sandbox.refusals import Refusal, bad_parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.state import Contact, Conversation, IntercomState


class _WithId(Protocol):
    @property
    def id(self) -> str: ...


Fields = dict[str, Any]
Found = TypeVar("Found", bound=_WithId)

CONTACTS_A_PAGE: Final = 50
CONVERSATIONS_A_PAGE: Final = 20
MOST_A_PAGE: Final = 150
MOST_FILTERS: Final = 15
DEEPEST: Final = 2
_DAY = "day"

_STRINGS = frozenset(["=", "!=", "IN", "NIN", "~", "!~", "^", "$"])
_OPERATORS: Mapping[str, frozenset[str]] = {
    "string": _STRINGS,
    "boolean": frozenset(["=", "!=", "IN", "NIN"]),
    "integer": frozenset(["=", "!=", "IN", "NIN", "<", ">", "<=", ">="]),
    _DAY: frozenset(["=", "<", ">"]),
    "second": frozenset(["=", "!=", "IN", "NIN", "<", ">"]),
    "tag": frozenset(["=", "!="]),
}

_COMPARISONS = {"<": comparing.lt, ">": comparing.gt, "<=": comparing.le, ">=": comparing.ge}

CONVERSATION_FIELDS: Mapping[str, str] = {
    "id": "string",
    "contact_ids": "string",
    "teammate_ids": "string",
    "tag_ids": "string",
    "state": "string",
    "open": "boolean",
    "created_at": "second",
    "updated_at": "second",
    "source.id": "string",
    "source.body": "string",
    "source.author.id": "string",
    "conversation_rating.score": "integer",
    "conversation_rating.replied_at": "second",
    "statistics.last_close_at": "second",
    "statistics.first_close_at": "second",
    "statistics.last_contact_reply_at": "second",
    "statistics.last_admin_reply_at": "second",
    "statistics.last_closed_by_id": "string",
    "statistics.count_conversation_parts": "integer",
}


def contact_fields(state: IntercomState) -> dict[str, str]:
    """Return the searchable fields of contacts and their types, with the workspace's own attributes."""
    fields = dict.fromkeys(("id", "email", "email_domain", "name", "role", "external_id"), "string")
    fields |= dict.fromkeys(("language_override",), "string")
    fields |= dict.fromkeys(
        ("unsubscribed_from_emails", "marked_email_as_spam", "has_hard_bounced"), "boolean"
    )
    fields |= dict.fromkeys(("created_at", "updated_at", "signed_up_at"), _DAY)
    fields["tag_id"] = "tag"
    types = {"datetime": _DAY, "date": _DAY, "float": "integer", "options": "string"}
    for item in state.attributes.values():
        fields[f"custom_attributes.{item.name}"] = types.get(item.data_type, item.data_type)
    return fields


def of_contact(contact: Contact) -> Fields:
    """Return the searchable values of a contact."""
    names = (
        "id email name role external_id created_at updated_at language_override unsubscribed_from_emails "
        "marked_email_as_spam has_hard_bounced"
    )
    values: Fields = {name: getattr(contact, name) for name in names.split()}
    values["email_domain"] = (contact.email or "").rpartition("@")[2] or None
    values["signed_up_at"] = contact.created_at if contact.role == "user" else None
    values["tag_id"] = list(contact.tags)
    values |= {f"custom_attributes.{name}": value for name, value in contact.custom_attributes.items()}
    return values


def of_conversation(conversation: Conversation) -> Fields:
    """Return the searchable values of a conversation; a list matches when any of its items does."""
    rating = conversation.rating
    values: Fields = {
        "id": conversation.id,
        "contact_ids": conversation.contact_ids,
        "teammate_ids": [item["id"] for item in figures.teammates(conversation)["teammates"]],
        "tag_ids": list(conversation.tags),
        "state": conversation.state,
        "open": conversation.state == "open",
        "created_at": conversation.created_at,
        "updated_at": conversation.updated_at,
        "source.id": conversation.source.id,
        "source.body": conversation.source.body,
        "source.author.id": conversation.source.author_id,
        "conversation_rating.score": rating.score if rating else None,
        "conversation_rating.replied_at": rating.created_at if rating else None,
    }
    return values | {f"statistics.{name}": value for name, value in figures.statistics(conversation).items()}


def matches(body: Fields, values: Fields, known: Mapping[str, str], state: IntercomState) -> bool:
    """Say whether something with these values is found by the query of a search's ``body``."""
    return _matches(body.get("query"), values, known, ZoneInfo(state.timezone), 0)


def _matches(query: Any, values: Fields, known: Mapping[str, str], zone: ZoneInfo, depth: int) -> bool:
    if not isinstance(query, dict):
        raise bad_parameter("query is required", "query")
    operator, value = query.get("operator"), query.get("value")
    if operator in {"AND", "OR"}:
        if not isinstance(value, list) or not 1 <= len(value) <= MOST_FILTERS or depth >= DEEPEST:
            message = f"A group has 1 to {MOST_FILTERS} filters, and there are at most {DEEPEST} levels"
            raise Refusal(400, "invalid_search", message)
        found = [_matches(item, values, known, zone, depth + 1) for item in value]
        return all(found) if operator == "AND" else any(found)
    kind = known.get(str(query.get("field")))
    if kind is None:
        raise Refusal(400, "invalid_field", f"Field {query.get('field')!r} is not searchable here")
    if operator not in _OPERATORS[kind]:
        raise Refusal(400, "invalid_operator", f"Operator {operator!r} is not for {query['field']}")
    wanted = _typed(value, kind, zone, many=operator in {"IN", "NIN"}, field=query["field"])
    actual = values.get(query["field"])
    if isinstance(actual, list):
        if operator in {"!=", "NIN", "!~"}:
            return all(_holds(operator, item, wanted) for item in actual)
        return any(_holds(operator, item, wanted) for item in actual)
    if kind == _DAY and actual is not None:
        actual = _midnight(actual, zone)
    if kind == "second" and operator in {"<", ">"}:
        # Here these two mean "or equal", says the reference of the search for conversations.
        operator += "="
    return _holds(operator, actual, wanted)


def _typed(value: Any, kind: str, zone: ZoneInfo, *, many: bool, field: str) -> Any:
    """Return the value in the field's own type; a value of another one refuses the search."""
    if many:
        if not isinstance(value, list):
            raise Refusal(400, "invalid_value", f"The values for {field} must be in an array")
        return [_typed(item, kind, zone, many=False, field=field) for item in value]
    if value is None:
        return None
    fits = isinstance(value, bool) if kind == "boolean" else isinstance(value, str | int | float)
    if not fits or (kind != "boolean" and isinstance(value, bool)):
        raise Refusal(400, "invalid_value", f"{value!r} is no value for {field}")
    if kind in {"string", "tag"}:
        return str(value).casefold()
    if kind == "boolean":
        return value
    try:
        number = float(value)
    except ValueError:
        raise Refusal(400, "invalid_value", f"{value!r} is no number for {field}") from None
    return _midnight(number, zone) if kind == _DAY else number


def _midnight(seconds: float, zone: ZoneInfo) -> float:
    return (
        datetime.fromtimestamp(seconds, zone).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()
    )


def _holds(operator: str, actual: Any, wanted: Any) -> bool:
    if isinstance(actual, str):
        actual = actual.casefold()
    if operator in {"=", "!="}:
        return bool(actual == wanted) == (operator == "=")
    if operator in {"IN", "NIN"}:
        return (actual in wanted) == (operator == "IN")
    if actual is None:
        return operator == "!~"
    if operator in _COMPARISONS:
        return bool(_COMPARISONS[operator](actual, wanted))
    words = str(actual)
    if operator == "^":
        return words.startswith(str(wanted))
    if operator == "$":
        return words.endswith(str(wanted))
    return (str(wanted) in words) == (operator == "~")


def page(matching: list[Found], body: Fields, *, per_page: int) -> tuple[list[Found], Fields]:
    """Return the page of what was found that the body asks for, and Intercom's ``pages`` object.

    The cursor names the last item of the page before: what is new in between moves nothing.
    """
    asked = body.get("pagination") or {}
    size, cursor = asked.get("per_page", per_page), asked.get("starting_after")
    if not isinstance(size, int) or isinstance(size, bool) or not 1 <= size <= MOST_A_PAGE:
        raise bad_parameter(f"per_page must be between 1 and {MOST_A_PAGE}", "per_page")
    number, start = 1, 0
    if cursor is not None:
        number, last_id = _read_cursor(cursor)
        start = next((place for place, item in enumerate(matching, start=1) if item.id == last_id), 0)
    found = matching[start : start + size]
    pages: Fields = {"type": "pages", "page": number, "per_page": size}
    pages["total_pages"] = -(-len(matching) // size)
    if start + size < len(matching):
        following = base64.b64encode(json.dumps([number + 1, found[-1].id]).encode()).decode()
        pages["next"] = {"per_page": size, "starting_after": following}
    return found, pages


def _read_cursor(cursor: Any) -> tuple[int, str]:
    try:
        number, last_id = json.loads(base64.b64decode(str(cursor), validate=True))
    except ValueError:
        raise bad_parameter("starting_after is not a cursor", "starting_after") from None
    return int(number), str(last_id)
