"""The states of an interview, and which may follow which. Pure: no clock, no database."""

from __future__ import annotations

from typing import Final, Literal, get_args

State = Literal[
    "planned",  # a rule or a caller wants it sent later; the limits are looked at once more when it is time
    "queued",  # asked for; nothing has left yet
    "sending",  # a worker is at it
    "sent",  # the message with the personal link is in the conversation
    "opened",  # the customer has opened the link
    "completed",  # the customer has answered; Koji is analysing
    "analysed",  # the result is here; Intercom has not all of it yet
    "written_back",  # attributes, note and tags are in Intercom
    "not_written",  # anonymous or below the quality bar: recorded, nothing written
    "skipped",  # a rule said no
    "expired",  # no answer in time
    "cancelled",  # the link was withdrawn
    "failed",  # it could not be sent, or its result could not be written
    "unknown",  # a write that must not be repeated may or may not have happened
]
STATES: Final[tuple[State, ...]] = get_args(State)

# While one of a contact's interviews is in one of these, no other may be started for that contact.
OPEN_STATES: Final[tuple[State, ...]] = ("queued", "sending", "sent", "opened", "unknown")

# Something is still to happen to these, if only that their time runs out.
UNFINISHED_STATES: Final[tuple[State, ...]] = ("planned", *OPEN_STATES, "completed", "analysed")

# A result may arrive for any interview that Koji may know of: also for one whose sending is not recorded yet,
# or was given up, or that expired before the customer answered after all.
AWAITING_RESULT: Final[tuple[State, ...]] = (
    "queued",
    "sending",
    "sent",
    "opened",
    "unknown",
    "failed",
    "expired",
    "cancelled",
)
# An unanswered interview expires from these.
EXPIRING_STATES: Final[tuple[State, ...]] = ("sent", "opened", "unknown")
# On its way to the customer.
SENDING_STATES: Final[tuple[State, ...]] = ("queued", "sending")
# Its message is there and its link works: it can be withdrawn, and another one can take its place.
REPLACEABLE_STATES: Final[tuple[State, ...]] = ("sent", "opened")
ENDED_WITHOUT_ANSWER: Final[tuple[State, ...]] = ("skipped", "expired", "cancelled", "failed")
# The link works in these: the customer may have the message even where we are not sure of it.
LINK_STATES: Final[tuple[State, ...]] = ("queued", "sending", "sent", "opened", "unknown")
HAS_RESULT: Final[tuple[State, ...]] = ("completed", "analysed", "written_back", "not_written")
MAY_HAVE_REACHED_CUSTOMER: Final[tuple[State, ...]] = (
    "sent",
    "opened",
    "unknown",
    "completed",
    "analysed",
    "written_back",
    "not_written",
    "expired",
    "cancelled",
)
