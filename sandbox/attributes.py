"""The rules of Intercom's custom attributes of contacts.

https://www.intercom.com/help/en/articles/179-send-custom-user-attributes-to-intercom
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sandbox.refusals import bad_parameter
from sandbox.state import DataAttribute

if TYPE_CHECKING:
    from sandbox.state import Contact, IntercomState

DATA_TYPES = frozenset(["string", "integer", "float", "boolean", "datetime", "date", "options"])
LONGEST_STRING = 255
MOST_ATTRIBUTES = 250
_NOTHING = (None, "")


def create(state: IntercomState, body: dict[str, Any]) -> DataAttribute:
    """Create an attribute from the body of ``POST /data_attributes``."""
    name, data_type, model = body.get("name"), body.get("data_type"), body.get("model")
    options = [option.get("value") for option in body.get("options", []) if isinstance(option, dict)]
    if model != "contact":
        raise bad_parameter("Model is not an option (the sandbox has contacts only)", "model")
    if not isinstance(name, str) or not re.fullmatch(r"[\w$€£¥ -]{1,190}", name):
        raise bad_parameter(
            "Your name for this attribute must only contain alphanumeric characters, "
            "currency symbols, and hyphens"
        )
    if data_type not in DATA_TYPES:
        raise bad_parameter("Data Type isn't an option", "data_type")
    if name in state.attributes:
        raise bad_parameter(
            f"You already have '{name}' in your people data. "
            "To save this as new people data, use a different name."
        )
    if data_type == "options" and len(options) < 2:
        raise bad_parameter("The Data Attribute model field must have at least two options", "options")
    if len([item for item in state.attributes.values() if not item.archived]) >= MOST_ATTRIBUTES:
        raise bad_parameter(f"You have reached the limit of {MOST_ATTRIBUTES} custom attributes")
    made = DataAttribute(
        id=int(state.next_id()),
        name=name,
        data_type=data_type,
        description=str(body.get("description") or ""),
        options=tuple(str(option) for option in options),
    )
    state.attributes[name] = made
    return made


def write(state: IntercomState, contact: Contact, given: Any) -> None:
    """Merge attributes into a contact's; one that is refused refuses them all.

    Null and the empty text both take an attribute away, whatever its type.
    """
    if not isinstance(given, dict):
        raise bad_parameter("custom_attributes must be an object", "custom_attributes")
    for name, value in given.items():
        attribute = state.attributes.get(name)
        if attribute is None or attribute.archived:
            raise bad_parameter(f"Custom attribute '{name}' does not exist")
        if value not in _NOTHING and not _fits(attribute, value):
            raise bad_parameter(f"Custom attribute '{name}' must be of type {attribute.data_type}")
    for name, value in given.items():
        if value in _NOTHING:
            contact.custom_attributes.pop(name, None)
        else:
            contact.custom_attributes[name] = value


def _fits(attribute: DataAttribute, value: Any) -> bool:
    if attribute.data_type == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if attribute.data_type == "string":
        return isinstance(value, str) and len(value) <= LONGEST_STRING
    if attribute.data_type == "options":
        return value in attribute.options
    if attribute.data_type == "float":
        return isinstance(value, int | float)
    # Dates are unix seconds; milliseconds would be a date in the far future, which is a common mistake.
    if attribute.data_type in {"datetime", "date"}:
        return isinstance(value, int) and 0 <= value < 10_000_000_000
    return isinstance(value, int)
