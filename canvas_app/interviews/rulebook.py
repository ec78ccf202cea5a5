"""Rules: when this happens in Intercom and these conditions hold, ask. Pure: every fact is an argument."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from canvas_app.intercom.models import Closer
from canvas_app.interviews import hours, rules

# Whoever has this tag is never asked by a rule or through the API, and never reminded.
DO_NOT_ASK: Final = "koji_do_not_ask"

# Intercom's topics; the two for the tags of users and leads are one event.
RuleEvent = Literal[
    "conversation.admin.closed",
    "conversation.rating.added",
    "contact.tag.created",
    "conversation_part.tag.created",
]
EVENTS: Final[tuple[RuleEvent, ...]] = get_args(RuleEvent)
# Those that past conversations tell of: when a tag was put on a contact, they do not.
REHEARSED: Final[tuple[RuleEvent, ...]] = (
    "conversation.admin.closed",
    "conversation.rating.added",
    "conversation_part.tag.created",
)
TAG_EVENTS: Final = ("contact.tag.created", "conversation_part.tag.created")

Reason = Literal[
    # Conditions
    "rating_too_good",
    "rating_unknown",
    "tag_missing",
    "tag_present",
    "other_role",
    "not_closed_by_person",
    "too_short",
    # Limits
    "open_interview",
    "planned_interview",
    "asked_recently",
    "asked_in_conversation",
    "do_not_ask",
    "unsubscribed",
    "blocked",
    "group_conversation",
    "not_in_share",
    "week_full",
    "credits_used",
    # What is ours, or is not there
    "own_closing",
    "own_message",
    "own_tag",
    "another_rule",
    "rule_off",
    "study_off",
    "contact_gone",
    "conversation_missing",
    "answered_meanwhile",
    # Time
    "event_too_old",
    "too_late",
    "not_decided",
]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)

# Conditions that weigh what only a conversation has.
ABOUT_CONVERSATIONS: Final = (
    "rating_at_most",
    "closed_by_person",
    "customer_parts_at_least",
    "characters_at_least",
)

_OWN_TAG = re.compile(r"koji_[a-z]+_sentiment")
_DELAY = re.compile(r"([0-9]{1,8}) *(second|minute|hour|day|week)s?")
_SECONDS: Final = {"week": 604_800, "day": 86_400, "hour": 3_600, "minute": 60, "second": 1}
LONGEST_DELAY: Final = timedelta(days=90)
# What could not be decided about for so long is asked about no more.
HEARD_WITHIN: Final = timedelta(hours=24)
_SLUG = r"^[a-z0-9][a-z0-9_-]{0,63}$"


def delay_of(value: Any) -> Any:
    """Read ``7 days``; anything that is no text is left to the type's own check."""
    if not isinstance(value, str):
        return value
    match = _DELAY.fullmatch(value.strip().casefold())
    if match is None:
        raise ValueError('is not of the form "30 minutes", "2 hours" or "7 days"')
    return int(match[1]) * _SECONDS[match[2]]


def delay_in_words(seconds: int) -> str:
    """``7 days`` for 604800: the largest unit of which it is a whole number."""
    for name, length in list(_SECONDS.items())[1:]:  # A week is called seven days.
        if seconds and seconds % length == 0:
            number = seconds // length
            return f"{number} {name}{'s' if number != 1 else ''}"
    return "0 minutes"


def _hours(value: Any) -> Any:
    if value is True:
        return hours.USUAL
    if value is False:
        return None
    return value


def _are_hours(value: str) -> str:
    hours.parse(value)
    return value


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _no_controls(value: str) -> str:
    """A terminal would obey some of them, and PostgreSQL takes no text with a zero."""
    if any(unicodedata.category(char) == "Cc" and char not in "\n\t" for char in value):
        raise ValueError("holds a control character")
    return value


# What people read, on one line or on several.
_Text = Annotated[str, AfterValidator(_no_controls)]
TagNames = Annotated[
    tuple[Annotated[_Text, Field(min_length=1, max_length=120)], ...], BeforeValidator(_several)
]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Conditions(_Strict):
    """What must hold. ``tag``: one of these was put on, or for other events is on the contact or the
    conversation. ``tag_not``: none of these is on the contact, the conversation or the part."""

    rating_at_most: Annotated[int, Field(ge=1, le=5, strict=True)] | None = None
    tag: TagNames = ()
    tag_not: TagNames = ()
    role: Literal["user", "lead"] | None = None
    closed_by_person: Annotated[bool, Field(strict=True)] = False
    customer_parts_at_least: Annotated[int, Field(ge=1, le=500, strict=True)] | None = None
    characters_at_least: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = None
    business_hours: Annotated[Annotated[str, AfterValidator(_are_hours)] | None, BeforeValidator(_hours)] = (
        None
    )


class Limits(_Strict):
    """How much at most. ``share`` is per cent of the contacts who would be asked."""

    share: Annotated[int, Field(ge=1, le=100, strict=True)] = 100
    interviews_per_week: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = None
    credits_per_week: Annotated[int, Field(ge=1, le=100_000, strict=True)] | None = None


class Rule(_Strict):
    """When ``event`` happens and the conditions hold, ask with ``study`` after ``delay`` seconds."""

    slug: Annotated[str, Field(pattern=_SLUG)]
    title: Annotated[_Text, Field(min_length=1, max_length=120)]
    event: RuleEvent
    description: Annotated[_Text, Field(max_length=1000)] = ""
    study: Annotated[str, Field(min_length=1, max_length=64)] = "default"
    delay: Annotated[
        Annotated[int, Field(ge=0, le=int(LONGEST_DELAY.total_seconds()), strict=True)],
        BeforeValidator(delay_of),
    ] = 0
    enabled: Annotated[bool, Field(strict=True)] = False
    conditions: Conditions = Conditions()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _makes_sense(self) -> Rule:
        for field, message in nonsense(self.event, self.conditions):
            raise ValueError(f"{field} {message}")
        return self


def fingerprint(rule: Rule) -> str:
    """Tells whether a rule would decide as it did: 16 hexadecimal characters. On or off does not matter."""
    decides = rule.model_dump_json(exclude={"title", "description", "enabled"})
    return hashlib.sha256(decides.encode()).hexdigest()[:16]


def nonsense(event: RuleEvent, conditions: Conditions) -> list[tuple[str, str]]:
    """What does not fit together, as fields and what is wrong with them."""
    found = []
    if event in TAG_EVENTS and not conditions.tag:
        found.append(("conditions.tag", "is missing: a rule about tags names those that it is about"))
    if event == "contact.tag.created":
        about = [name for name in ABOUT_CONVERSATIONS if getattr(conditions, name)]
        found += [
            (f"conditions.{name}", "is about conversations, and a tag on a contact has none")
            for name in about
        ]
    return found


@dataclass(frozen=True, slots=True)
class No:
    """Why not, as a code, and what belongs to it in words. Nothing personal."""

    reason: Reason
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What Intercom tells about what happened. ``participants`` is how many contacts the conversation has,
    ``tags_added`` what was just put on, ``tags`` what is on the contact and the conversation."""

    role: str | None = None
    tags: frozenset[str] = frozenset()
    tags_added: frozenset[str] = frozenset()
    unsubscribed: bool = False
    blocked: bool = False
    participants: int = 1
    rating: int | None = None
    closed_by: Closer | None = None
    customer_parts: int = 0
    customer_characters: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """What the ledger tells about the contact, and about the conversation."""

    open: bool = False
    planned: bool = False
    asked_at: datetime | None = None
    asked_in_conversation: bool = False


def is_own_tag(name: str, ours: frozenset[str] = frozenset()) -> bool:
    """Whether we put this tag on by ourselves. ``ours``: the names that are known for certain, in lower
    case."""
    name = name.casefold()
    return name in ours or _OWN_TAG.fullmatch(name) is not None


def against_history(history: History, *, sent_at: datetime, ask_again_days: int) -> No | None:
    """What the ledger has against asking at ``sent_at``, whatever the rule."""
    if history.open:
        return No("open_interview")
    if history.planned:
        return No("planned_interview")
    if history.asked_at is not None and rules.asked_recently(
        history.asked_at, sent_at, ask_again_days=ask_again_days
    ):
        return No(
            "asked_recently", f"asked on {history.asked_at:%d %b %Y}, again after {ask_again_days} days"
        )
    return No("asked_in_conversation") if history.asked_in_conversation else None


def against_person(facts: Facts) -> No | None:
    """What the contact has against being asked, whatever the rule."""
    if DO_NOT_ASK in _folded(facts.tags | facts.tags_added):
        return No("do_not_ask")
    if facts.unsubscribed:
        return No("unsubscribed")
    if facts.blocked:
        return No("blocked")
    # Everybody in it would see a link that is one person's.
    return No("group_conversation", f"{facts.participants} people") if facts.participants > 1 else None


def against_conditions(rule: Rule, facts: Facts) -> No | None:
    """The first condition of the rule that does not hold."""
    wanted = rule.conditions
    checks = (
        _against_rating(wanted, facts),
        _against_tags(rule, facts),
        No("other_role", f"{facts.role or 'unknown'}, asked are {wanted.role}s")
        if wanted.role not in (None, facts.role)
        else None,
        No("not_closed_by_person", f"closed by {facts.closed_by or 'nobody that is known'}")
        if wanted.closed_by_person and facts.closed_by != "person"
        else None,
        _against_length(wanted, facts),
    )
    return next((no for no in checks if no is not None), None)


def against_share(rule: Rule, workspace_id: str, contact_id: str) -> No | None:
    """Whether the contact is not in the rule's sample. The same contact always is, or never."""
    drawn = hashlib.sha256(f"{rule.slug}\0{workspace_id}\0{contact_id}".encode()).digest()
    if int.from_bytes(drawn[:8]) % 10_000 < rule.limits.share * 100:
        return None
    return No("not_in_share", f"{rule.limits.share} per cent are asked")


def against_age(heard_at: datetime, now: datetime) -> No | None:
    """Whether the moment is over: an event that could not be decided about for a day leads to nothing."""
    return No("event_too_old") if now - heard_at > HEARD_WITHIN else None


def against_week(limits: Limits, *, interviews: int, credits_: int, cost: int) -> No | None:
    """Whether one more is too much, after so many in the seven days before it."""
    most, budget = limits.interviews_per_week, limits.credits_per_week
    if most is not None and interviews + 1 > most:
        return No("week_full", f"{interviews} of {most} in seven days")
    if budget is not None and credits_ + cost > budget:
        return No("credits_used", f"{credits_} of {budget} in seven days, and one costs {cost}")
    return None


def sent_at(rule: Rule, heard_at: datetime, now: datetime, timezone: str | None) -> datetime:
    """When a message that is decided on now is sent. Its delay counts from when the event was heard of."""
    moment = max(heard_at + timedelta(seconds=rule.delay), now)
    wanted = rule.conditions.business_hours
    if wanted is None:
        return moment
    return hours.next_opening(hours.parse(wanted), moment, hours.zone_of(timezone))


def _against_rating(wanted: Conditions, facts: Facts) -> No | None:
    if wanted.rating_at_most is None:
        return None
    if facts.rating is None:
        return No("rating_unknown")
    if facts.rating > wanted.rating_at_most:
        return No("rating_too_good", f"rated {facts.rating}, asked is at {wanted.rating_at_most} or less")
    return None


def _against_tags(rule: Rule, facts: Facts) -> No | None:
    wanted = rule.conditions
    there = facts.tags_added if rule.event in TAG_EVENTS else facts.tags | facts.tags_added
    if wanted.tag and not _folded(wanted.tag) & _folded(there):
        return No("tag_missing", f"none of: {', '.join(wanted.tag)}"[:200])
    unwanted = _folded(wanted.tag_not) & _folded(facts.tags | facts.tags_added)
    return No("tag_present", ", ".join(sorted(unwanted))[:200]) if unwanted else None


def _against_length(wanted: Conditions, facts: Facts) -> No | None:
    parts, characters = wanted.customer_parts_at_least, wanted.characters_at_least
    if parts is not None and facts.customer_parts < parts:
        return No("too_short", f"{facts.customer_parts} parts by the customer, asked is from {parts}")
    if characters is not None and facts.customer_characters < characters:
        return No(
            "too_short", f"{facts.customer_characters} characters by the customer, asked is from {characters}"
        )
    return None


def _folded(names: Any) -> frozenset[str]:
    """Intercom does not tell tags apart by case."""
    return frozenset(name.casefold() for name in names)
