"""What operators have chosen in the console, beside the settings.

It is read anew whenever it is used, in the transaction in which something is decided by it, so that a change
takes effect at once in all processes. Only what differs from the defaults is stored: where a setting is the
default, the setting counts on until an operator chooses otherwise.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from canvas_app import store
from canvas_app.interviews.contact_attributes import LINK
from canvas_app.interviews.rulebook import DO_NOT_ASK
from canvas_app.interviews.tables import options
from canvas_app.koji.results import Sentiment
from canvas_app.plaintext import one_line
from canvas_app.settings import Settings

# What of a result becomes an attribute of the contact.
Field = Literal["at", "sentiment", "top_theme", "quality", "url"]
FIELDS: Final[tuple[Field, ...]] = get_args(Field)
# What a note may say beside the study's name, and the reference that it is found by.
Part = Literal["top_theme", "sentiment", "quality", "themes", "transcript"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
SENTIMENTS: Final[tuple[Sentiment, ...]] = ("positive", "neutral", "mixed", "negative")

# https://www.koji.so/docs/intercom-research-integration names the attributes so.
ATTRIBUTE_NAMES: Final[Mapping[Field, str]] = {name: f"last_interview_{name}" for name in FIELDS}
SENTIMENT_TAGS: Final[Mapping[Sentiment, str | None]] = {
    name: f"koji_{name}_sentiment" for name in SENTIMENTS
}

# Where the choice about what is written back stands, with the limit on how often somebody is asked.
WRITE_BACK: Final = "write_back"
LONGEST_TAG: Final = 120
LONGEST_NAME: Final = 100
MOST_DAYS: Final = 3650
# Intercom takes no period and no dollar sign in a name; these characters it takes for certain.
# https://www.intercom.com/help/en/articles/179-send-custom-user-attributes-to-intercom
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_ -]*", re.ASCII)
# Names of Intercom's own attributes: a custom one of that name would be mistaken for it, or is refused.
_INTERCOMS: Final = frozenset(
    {"id", "user_id", "external_id", "email", "phone", "name", "role", "avatar", "owner_id", "created_at"}
    | {"updated_at", "signed_up_at", "last_seen_at", "last_contacted_at", "last_replied_at", "language"}
    | {"last_email_opened_at", "last_email_clicked_at", "unsubscribed_from_emails", "browser", "os"}
)


@dataclass(frozen=True, slots=True)
class Options:
    """``attributes``: names by what they hold. ``tags``: None where a sentiment has no tag. ``note``: the
    parts that a note has, in the order of :data:`PARTS`. ``min_quality``: 1 to 5. ``ask_again_days``: 0 is
    no limit."""

    min_quality: float
    ask_again_days: int
    attributes: Mapping[Field, str] = field(default_factory=lambda: ATTRIBUTE_NAMES)
    tags: Mapping[Sentiment, str | None] = field(default_factory=lambda: SENTIMENT_TAGS)
    note: tuple[Part, ...] = PARTS


def defaults(settings: Settings) -> Options:
    return Options(min_quality=settings.min_quality, ask_again_days=settings.ask_again_days)


def read(connection: Connection, settings: Settings) -> Options:
    """What counts at this moment."""
    return of(raw(connection, WRITE_BACK), settings)


def of(value: Any, settings: Settings) -> Options:
    """The same, of the stored value. Names that another version has stored and this one does not know do not
    count."""
    start = defaults(settings)
    if not value:
        return start
    given: Mapping[str, Any] = value
    return Options(
        min_quality=given.get("min_quality", start.min_quality),
        # Who was asked is forgotten after RETENTION_DAYS; it may have been lowered since this was chosen.
        ask_again_days=min(given.get("ask_again_days", start.ask_again_days), settings.retention_days),
        attributes={name: given.get("attributes", {}).get(name, start.attributes[name]) for name in FIELDS},
        tags={name: given.get("tags", {}).get(name, start.tags[name]) for name in SENTIMENTS},
        note=tuple(part for part in PARTS if part in given.get("note", PARTS)),
    )


def stored(chosen: Options, settings: Settings) -> dict[str, Any] | None:
    """What is stored of a choice: what differs from the defaults; None where nothing does."""
    start = defaults(settings)
    found: dict[str, Any] = {}
    if chosen.min_quality != start.min_quality:
        found["min_quality"] = chosen.min_quality
    if chosen.ask_again_days != start.ask_again_days:
        found["ask_again_days"] = chosen.ask_again_days
    if chosen.note != start.note:
        found["note"] = list(chosen.note)
    names = {name: chosen.attributes[name] for name in FIELDS}
    tags = {name: chosen.tags[name] for name in SENTIMENTS}
    found["attributes"] = {name: value for name, value in names.items() if value != start.attributes[name]}
    found["tags"] = {name: value for name, value in tags.items() if value != start.tags[name]}
    return {name: value for name, value in found.items() if value != {}} or None


def problems(chosen: Options, settings: Settings, *, rule_tags: Mapping[str, str]) -> dict[str, str]:
    """What is wrong with a choice, by field: ``attribute_at``, ``tag_mixed``, ``min_quality`` ...

    ``rule_tags``: tags that set a rule off, in lower case, with the rule's title.
    """
    found: dict[str, str] = {}
    for name in FIELDS:
        others = [other for key, other in chosen.attributes.items() if key != name]
        if said := _against_name(chosen.attributes[name], others):
            found[f"attribute_{name}"] = said
    for sentiment in SENTIMENTS:
        tag = chosen.tags[sentiment]
        if tag is not None and (said := _against_tag(tag, rule_tags)):
            found[f"tag_{sentiment}"] = said
    if not 1 <= chosen.min_quality <= 5:
        found["min_quality"] = "Koji's scores are from 1 to 5."
    if not 0 <= chosen.ask_again_days <= MOST_DAYS:
        found["ask_again_days"] = f"0 to {MOST_DAYS} days."
    elif chosen.ask_again_days > settings.retention_days:
        found["ask_again_days"] = (
            f"At most {settings.retention_days}, as many as RETENTION_DAYS: after that it is forgotten who "
            "was asked."
        )
    return found


def fingerprint(chosen: Options, themes: Collection[str]) -> str:
    """Tells one choice from another, so that nobody overwrites what somebody else has changed meanwhile."""
    said = [
        chosen.min_quality,
        chosen.ask_again_days,
        dict(chosen.attributes),
        dict(chosen.tags),
        list(chosen.note),
        sorted(themes),
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def raw(connection: Connection, name: str) -> Any:
    """The JSON value of an option; None where nothing was chosen."""
    return connection.execute(selected(name)).scalar()


@functools.cache
def selected(name: str) -> sa.Select[Any]:
    """The same, for use in a query that asks for other things as well."""
    return sa.select(options.c.value).where(options.c.name == name)


def write(connection: Connection, name: str, value: Any) -> None:
    """Choose; None takes the choice back."""
    now = store.now(connection)
    values = {"value": value, "updated_at": now}
    if store.insert_ignoring_conflicts(connection, options, {"name": name, **values}):
        return
    connection.execute(sa.update(options).where(options.c.name == name).values(**values))


def lock(connection: Connection, name: str) -> None:
    """Let nobody else change an option until the transaction ends."""
    fresh = {"name": name, "value": None, "updated_at": store.now(connection)}
    if not store.insert_ignoring_conflicts(connection, options, fresh):
        connection.execute(selected(name).with_for_update())


def _against_name(name: str, others: Collection[str]) -> str | None:
    if not name:
        return "A name is needed."
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        return f"At most {LONGEST_NAME} letters a-z, digits, spaces, hyphens and underscores, a letter first."
    if name.casefold() in _INTERCOMS:
        return "Intercom has an attribute of its own by this name."
    if name.casefold() in (other.casefold() for other in LINK):
        return "The personal link stands in the attribute of this name."
    if name.casefold() in (other.casefold() for other in others):
        return "Another attribute has this name already."
    return None


def _against_tag(tag: str, rule_tags: Mapping[str, str]) -> str | None:
    if tag != one_line(tag, LONGEST_TAG):
        return f"One line of at most {LONGEST_TAG} characters."
    if tag.casefold() == DO_NOT_ASK:
        return "This tag keeps a contact from being asked at all."
    if title := rule_tags.get(tag.casefold()):
        return f"This tag sets off the rule {title}; nothing that we do by ourselves may set one off."
    return None
