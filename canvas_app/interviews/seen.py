"""What a person saw before they acted: they act on that, and on nothing newer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.engine import Connection

from canvas_app.interviews import ledger
from canvas_app.interviews.ledger_rows import Interview, Shown

# Writes down who has acted, in the transaction in which it is done, and only where something is done.
Note = Callable[[Connection], None]


def no_note(_connection: Connection) -> None:
    """Where nobody is to be named."""


@dataclass(frozen=True, slots=True)
class Person:
    """The contact whom an action is about. Ids are unique inside a workspace only."""

    workspace_id: str
    contact_id: str


@dataclass(frozen=True, slots=True)
class Seen:
    """An interview as it was shown. Each change of its state and each new attempt to send it make another."""

    interview_id: str
    send_attempt: int
    state_since: datetime


def seen(interview: Shown) -> Seen:
    return Seen(interview.id, interview.send_attempt, interview.state_since)


def unchanged(connection: Connection, what: Seen, person: Person) -> Interview | None:
    """The interview as it was shown, if it still is that and this person's; nobody else changes it then
    until the transaction ends."""
    interview = ledger.get(connection, what.interview_id, lock=True)
    if interview is None or seen(interview) != what:
        return None
    theirs = Person(interview.workspace_id, interview.contact_id) == person
    return interview if theirs else None
