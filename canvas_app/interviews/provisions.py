"""What we need in the Intercom workspace: attributes of contacts, and tags.

Results create what they need by themselves (:mod:`canvas_app.interviews.write_back`); this is so that an
operator can build a Series, a segment or a Workflow on it before the first result is here.
"""

from __future__ import annotations

from typing import Final, Literal

from canvas_app.errors import PermanentError
from canvas_app.intercom.directory import IntercomDirectory
from canvas_app.intercom.models import ContactAttribute
from canvas_app.interviews.contact_attributes import LINK
from canvas_app.interviews.rulebook import DO_NOT_ASK
from canvas_app.interviews.write_back import ATTRIBUTES

WANTED_ATTRIBUTES: Final = {**ATTRIBUTES, **LINK}

SENTIMENT_TAGS: Final = tuple(
    f"koji_{sentiment}_sentiment" for sentiment in ("positive", "neutral", "mixed", "negative")
)
WANTED_TAGS: Final = (*SENTIMENT_TAGS, DO_NOT_ASK)

# Intercom tells a type by other words than it takes it by: its list knows no "datetime".
# https://developers.intercom.com/docs/references/rest-api/api.intercom.io/data-attributes/lisdataattributes
_TOLD_AS: Final = {"datetime": frozenset({"datetime", "date"}), "string": frozenset({"string"})}

UNARCHIVE: Final = "Unarchive it in Intercom > Settings > Data > People, then run this again."
RENAME: Final = "Intercom cannot change a type, and an archived one keeps its name: ask its support."

Found = Literal["there", "missing", "archived", "other_type"]


def compare(present: dict[str, ContactAttribute]) -> dict[str, Found]:
    """How each attribute that we need stands in the workspace."""
    return {name: _found(present.get(name), wanted) for name, (wanted, _) in WANTED_ATTRIBUTES.items()}


def create_attribute(intercom: IntercomDirectory, name: str) -> Found:
    """Create an attribute of ours: ``there`` when it is made. Raises the wire's errors."""
    data_type, description = WANTED_ATTRIBUTES[name]
    try:
        intercom.create_contact_attribute(name, data_type, description)
    except PermanentError as error:
        if error.reason == "attribute_archived":
            return "archived"
        raise
    return "there"


def _found(attribute: ContactAttribute | None, wanted: str) -> Found:
    if attribute is None:
        return "missing"
    if attribute.archived:
        return "archived"
    right = attribute.data_type in _TOLD_AS.get(wanted, {wanted})
    return "there" if right else "other_type"
