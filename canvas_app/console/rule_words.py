"""Rules in plain words. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from canvas_app.interviews import rulebook
from canvas_app.interviews.rulebook import TAG_EVENTS, Rule, RuleEvent

EVENTS: Final[dict[RuleEvent, str]] = {
    "conversation.admin.closed": "A conversation is closed",
    "conversation.rating.added": "A conversation is rated",
    "contact.tag.created": "A contact is tagged",
    "conversation_part.tag.created": "A message is tagged",
}
VERDICTS: Final = {"asked": "Asked", "planned": "Planned", "skipped": "Not asked"}
ROLES: Final = {"user": "Users", "lead": "Leads"}


def moment(rule: Rule) -> str:
    """What has to happen, and how long after it the message goes out."""
    after = f"{rulebook.delay_in_words(rule.delay)} later" if rule.delay else "at once"
    return f"{EVENTS[rule.event]}; asked {after}"


def conditions(rule: Rule) -> Iterator[str]:
    """What must hold, a sentence for each condition."""
    wanted = rule.conditions
    if wanted.tag:
        verb = "was put on" if rule.event in TAG_EVENTS else "is there"
        yield f"One of these tags {verb}: {', '.join(wanted.tag)}"
    if wanted.tag_not:
        yield f"None of these tags is there: {', '.join(wanted.tag_not)}"
    if wanted.rating_at_most is not None:
        yield f"The rating is {wanted.rating_at_most} or less"
    if wanted.closed_by_person:
        yield "A person has closed the conversation"
    if wanted.role is not None:
        yield f"{ROLES[wanted.role]} only"
    if wanted.customer_parts_at_least is not None:
        yield f"The customer has written at least {_counted(wanted.customer_parts_at_least, 'message')}"
    if wanted.characters_at_least is not None:
        yield f"The customer has written at least {_counted(wanted.characters_at_least, 'character')}"
    if wanted.business_hours is not None:
        yield f"It goes out within {wanted.business_hours}, by the workspace's clocks"


def limits(rule: Rule) -> Iterator[str]:
    """How much at most, a sentence for each limit."""
    most = rule.limits
    if most.share < 100:
        yield f"{most.share} per cent of the contacts"
    if most.interviews_per_week is not None:
        yield f"At most {_counted(most.interviews_per_week, 'interview')} in seven days"
    if most.credits_per_week is not None:
        yield f"At most {_counted(most.credits_per_week, 'credit')} in seven days"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
