"""What we need in the Intercom workspace: attributes of contacts, and tags.

Results create what they need by themselves (:mod:`canvas_app.interviews.write_back`); this is so that an
operator can build a Series, a segment or a Workflow on it before the first result is here.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, TypedDict

from sqlalchemy.engine import Connection

from canvas_app import store
from canvas_app.engine import Jobs
from canvas_app.errors import NotConfigured, PermanentError, WireError
from canvas_app.intercom.client import IntercomClient
from canvas_app.intercom.models import ContactAttribute
from canvas_app.interviews import options
from canvas_app.interviews.contact_attributes import LINK, Wanted
from canvas_app.interviews.options import SENTIMENTS, Options
from canvas_app.interviews.rulebook import DO_NOT_ASK
from canvas_app.interviews.services import Services
from canvas_app.interviews.write_back import wanted_attributes
from canvas_app.settings import Settings

# Intercom tells a type by other words than it takes it by: its list knows no "datetime".
# https://developers.intercom.com/docs/references/rest-api/api.intercom.io/data-attributes/lisdataattributes
_TOLD_AS: Final = {"datetime": frozenset({"datetime", "date"}), "string": frozenset({"string"})}

UNARCHIVE: Final = "Unarchive it in Intercom > Settings > Data > People, then run this again."
RENAME: Final = "Intercom cannot change a type, and an archived one keeps its name: ask its support."

# https://developers.intercom.com/docs/references/webhooks/webhook-models
TOPICS: Final = (
    "conversation.admin.closed",
    "conversation.rating.added",
    "contact.user.tag.created",
    "contact.lead.tag.created",
    "conversation_part.tag.created",
    "contact.deleted",
    "contact.archived",
    "contact.merged",
)
KOJI_EVENT: Final = "interview.analysis_ready"

Found = Literal["there", "missing", "archived", "other_type"]

# What an operator has asked for in the console, and what a worker has found.
OPTIONS: Final = ("set_up_asked", "set_up_found", options.WRITE_BACK)
_ASKED, _FOUND, _ = OPTIONS
# A job that has not answered for this long is not waited for any more.
_WAITED_FOR: Final = timedelta(minutes=2)


class Provided(TypedDict):
    """How each attribute stands now, whether our tags are there, and the reason why no more is known."""

    attributes: dict[str, Found]
    tags: bool
    problem: str | None


@dataclass(frozen=True, slots=True)
class Provision:
    """What is known of our attributes and tags: as of ``at``, or nothing yet. ``waiting``: a worker has been
    asked to make them and has not answered yet. ``wanted``: the names that are needed now."""

    at: datetime | None
    attributes: dict[str, Found]
    tags: bool
    problem: str | None
    waiting: bool
    wanted: Collection[str]

    @property
    def complete(self) -> bool:
        return (
            self.at is not None
            and self.problem is None
            and self.tags
            and all(self.attributes.get(name) == "there" for name in self.wanted)
        )


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


def create_attribute(intercom: IntercomClient, name: str, wanted: Wanted) -> Found:
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


def ask(connection: Connection, jobs: Jobs, settings: Settings) -> bool:
    """Let a worker make what is missing. False while one is asked already.

    A job and not a call from the web process, which calls nobody: it passes the gate that all workers share,
    and whoever asks waits for no vendor.
    """
    # A second tap waits here until the first one has asked.
    options.lock(connection, _ASKED)
    now = store.now(connection)
    values = {name: options.raw(connection, name) for name in OPTIONS}
    if known(values, now, settings).waiting:
        return False
    options.write(connection, _ASKED, {"at": now.isoformat()})
    jobs.enqueue(connection, "set_up", job_id=f"set_up:{uuid.uuid4().hex}", partition="workspace", fast=True)
    return True


def provide(services: Services) -> Provided:
    """Create what is missing. What is refused for the attributes does not keep the tags from being made."""
    found: Provided = {"attributes": {}, "tags": False, "problem": None}
    with store.reading(services.engine) as connection:
        chosen = options.read(connection, services.settings)
    wanted = attributes(chosen)
    try:
        intercom = services.intercom
        for name, how in compare(intercom.contact_attributes(), wanted).items():
            found["attributes"][name] = create_attribute(intercom, name, wanted) if how == "missing" else how
    except (WireError, NotConfigured) as error:
        found["problem"] = error.reason
    try:
        for tag in tags(chosen):
            # Intercom gives back the one that is there.
            services.intercom.ensure_tag(tag)
        found["tags"] = True
    except (WireError, NotConfigured) as error:
        found["problem"] = found["problem"] or error.reason
    return found


def write_down(services: Services, found: Provided) -> None:
    with store.writing(services.engine) as connection:
        options.write(connection, _FOUND, {"at": store.now(connection).isoformat(), **found})


def known(values: dict[str, Any], now: datetime, settings: Settings) -> Provision:
    """What is known, of the options' values by name (:data:`OPTIONS`)."""
    asked, found = values.get(_ASKED) or {}, values.get(_FOUND) or {}
    asked_at, found_at = (datetime.fromisoformat(one["at"]) if one else None for one in (asked, found))
    answered = found_at is not None and asked_at is not None and found_at >= asked_at
    return Provision(
        at=found_at,
        attributes=found.get("attributes", {}),
        tags=found.get("tags", False),
        problem=found.get("problem"),
        waiting=asked_at is not None and not answered and now - asked_at < _WAITED_FOR,
        wanted=attributes(options.of(values.get(options.WRITE_BACK), settings)),
    )
