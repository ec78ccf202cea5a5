"""What we need in the Intercom workspace: attributes of contacts, and tags.

Results create what they need by themselves (:mod:`canvas_app.interviews.write_back`); this is so that an
operator can build a Series, a segment or a Workflow on it before the first result is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from canvas_app.errors import PermanentError
from canvas_app.intercom.directory import IntercomDirectory
from canvas_app.intercom.models import ContactAttribute
from canvas_app.interviews.contact_attributes import LINK, Wanted
from canvas_app.interviews.options import SENTIMENTS, Options
from canvas_app.interviews.rulebook import DO_NOT_ASK
from canvas_app.interviews.write_back import wanted_attributes

# Intercom tells a type by other words than it takes it by: its list knows no "datetime".
# https://developers.intercom.com/docs/references/rest-api/api.intercom.io/data-attributes/lisdataattributes
_TOLD_AS: Final = {"datetime": frozenset({"datetime", "date"}), "string": frozenset({"string"})}

UNARCHIVE: Final = "Unarchive it in Intercom > Settings > Data > People, then run this again."
RENAME: Final = "Intercom cannot change a type, and an archived one keeps its name: ask its support."

Found = Literal["there", "missing", "archived", "other_type"]


def attributes(chosen: Options) -> Wanted:
    """The attributes that we need, by the names that operators have chosen."""
    return {**wanted_attributes(chosen), **LINK}


def tags(chosen: Options) -> tuple[str, ...]:
    """The tags that we need; the one that keeps a contact from being asked is always among them."""
    named = (chosen.tags[sentiment] for sentiment in SENTIMENTS)
    return (*dict.fromkeys(tag for tag in named if tag is not None), DO_NOT_ASK)


def compare(present: Mapping[str, ContactAttribute], wanted: Wanted) -> dict[str, Found]:
    """How each attribute that we need stands in the workspace."""
    return {name: _found(present.get(name), data_type) for name, (data_type, _) in wanted.items()}


def create_attribute(intercom: IntercomDirectory, name: str, wanted: Wanted) -> Found:
    """Create an attribute of ours: ``there`` when it is made. Raises the wire's errors."""
    data_type, description = wanted[name]
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
